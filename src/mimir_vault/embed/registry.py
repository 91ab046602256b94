"""The bundled models, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mimir_vault.errors import NotFoundError

if TYPE_CHECKING:
    from mimir_vault.embed.minilm import MiniLM

DEFAULT = "all-MiniLM-L6-v2"
"""The embedder of a space for which none is handed in."""

NAMES = (DEFAULT,)
"""All models inside the package."""


def bundled(name: str = DEFAULT, *, threads: int | None = None) -> MiniLM:
    """Return the bundled embedder of that name, not yet loaded; raises NotFoundError for a name that is not bundled."""
    if name not in NAMES:
        raise NotFoundError(
            f"No model {name!r} comes with Mimir (there is {', '.join(NAMES)}); hand in an embedder of your own."
        )
    # The runtime is heavy to import and often not needed.
    from mimir_vault.embed.minilm import MiniLM

    return MiniLM(threads=threads)
