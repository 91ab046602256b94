"""For the tests of programs that use Mimir: a cheap embedder, a clock that stands, and vaults for the length of a test.

Nothing here is for real memories: the key of these vaults is known, and their vectors know nothing of meaning.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mimir_vault.creating import FIRST_SPACE
from mimir_vault.memory import Memory
from mimir_vault.model.clock import from_micros, parse_moment, to_micros
from mimir_vault.vault import Vault

__all__ = ["FIRST_MOMENT", "RAW_KEY", "SIZE_FLOOR", "FixedClock", "HashEmbedder", "temporary_memory", "temporary_vault"]

FIRST_MOMENT = datetime(2026, 5, 1, tzinfo=UTC)
"""Where a fixed clock stands when nobody says."""
RAW_KEY = bytes(range(32))
"""Unlocks every temporary vault; known to all, so of no use for anything else."""
SIZE_FLOOR = 1 << 20
"""Smallest file of a space in a temporary vault, in bytes: the smallest there is."""

_SECOND = 1_000_000
_SECRETS = ("passphrase", "recovery_code", "raw_key", "keyslot")
_ONLY_TO_CREATE = ("profile", "recovery", "size_floor")


class HashEmbedder:
    """Unit vectors made of hashes: the same text has the same vector everywhere, texts that share words lie close.

    It stands in for a model where a test is not about meaning: it needs no file and next to no time.
    """

    def __init__(self, dimension: int = 64, name: str | None = None) -> None:
        """Take the number of components, and a name where "hash-64" (by the dimension) will not do."""
        self.dimension = dimension
        self.name = name or f"hash-{dimension}"

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one unit vector per text: float32 (n, d)."""
        rows = np.array([self._sum(text) for text in texts], np.float32).reshape(len(texts), self.dimension)
        unit: NDArray[np.float32] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return unit

    def _sum(self, text: str) -> NDArray[np.float32]:
        total = 0.25 * _hashed("whole " + text, self.dimension)
        for word in text.lower().split():
            total = total + _hashed("word " + word.strip('.,;:!?"'), self.dimension)
        return total


@lru_cache(maxsize=65_536)
def _hashed(text: str, dimension: int) -> NDArray[np.float32]:
    """Return a vector of odd numbers (never zero) that the text alone determines."""
    seed = hashlib.shake_256(text.encode("utf-8", "surrogatepass")).digest(dimension)
    return 2 * np.frombuffer(seed, np.uint8).astype(np.float32) - 255


class FixedClock:
    """A clock that stands still until `advance`; with a `step` it goes on by so much each time it is asked."""

    def __init__(self, moment: datetime | str = FIRST_MOMENT, *, step: float = 0.0) -> None:
        """Take the moment to begin at (with a time zone; ISO 8601 text will do) and the step in seconds."""
        self._micros, self._step = to_micros(parse_moment(moment, "moment")), round(step * _SECOND)

    @property
    def moment(self) -> datetime:
        """What the clock shows, UTC; looking at it does not make it step."""
        return from_micros(self._micros)

    def now(self) -> int:
        """Return microseconds since 1970-01-01 UTC, and step on."""
        micros = self._micros
        self._micros += self._step
        return micros

    def advance(self, seconds: float) -> None:
        """Go on by so many seconds, back when negative."""
        self._micros += round(seconds * _SECOND)


@contextmanager
def temporary_vault(folder: str | os.PathLike[str] | None = None, **given: Any) -> Iterator[Vault]:
    """Give an open vault that costs next to nothing, and lock it at the end.

    Its key is RAW_KEY (no Argon2), its files are of 1 MiB, its embedder is the hash embedder, its clock stands, and
    what it notes of itself outside lies in a state folder of its own.

    Args:
        folder: where `vault` and `state` are made, and stay: the next time in the same folder the same vault is opened
            again. A new temporary folder, removed at the end, when None.
        given: what `Vault.create` and `Vault.open` take, in the place of the above; another secret replaces the key.
            What only `Vault.create` takes is left out where the vault is there already.
    """
    with ExitStack() as stack:
        if folder is None:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="mimir-"))
        path = Path(folder) / "vault"
        key = {} if any(name in given for name in _SECRETS) else {"raw_key": RAW_KEY}
        around = {"embedder": HashEmbedder(), "clock": FixedClock(), "state_folder": Path(folder) / "state", **key}
        if path.exists():
            chosen = {name: value for name, value in given.items() if name not in _ONLY_TO_CREATE}
            vault = Vault.open(path, **{**around, **chosen})
        else:
            vault = Vault.create(path, **{"recovery": False, "size_floor": SIZE_FLOOR, **around, **given})
        yield stack.enter_context(vault)


@contextmanager
def temporary_memory(
    folder: str | os.PathLike[str] | None = None, space: str = FIRST_SPACE, **given: Any
) -> Iterator[Memory]:
    """Give a space of a temporary vault, made where there is none of that name; the rest is as in `temporary_vault`."""
    with temporary_vault(folder, **given) as vault:
        known = any(one.name == space for one in vault.spaces())
        yield vault.space(space) if known else vault.create_space(space)
