"""Mimir: a private memory for AI agents, embedded, searched and encrypted on your own machine.

    import mimir_vault as mimir

    with mimir.Vault.create("my-vault", passphrase="…") as vault:
        memory = vault.space()
        memory.remember("I prefer window seats", speaker="Ada", session="s1")
        for hit in memory.recall("where does Ada sit?", k=5):
            print(hit.at, hit.score, hit.passage)

Names are loaded when they are first used, so that importing this package costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mimir_vault.asynchronous.memory import AsyncMemory as AsyncMemory
    from mimir_vault.asynchronous.vault import AsyncVault as AsyncVault
    from mimir_vault.checking import Finding as Finding
    from mimir_vault.embed.embedder import Embedder as Embedder
    from mimir_vault.errors import (
        AmbiguousIdError as AmbiguousIdError,
    )
    from mimir_vault.errors import (
        CancelledCallError as CancelledCallError,
    )
    from mimir_vault.errors import (
        DiskFullError as DiskFullError,
    )
    from mimir_vault.errors import (
        ExistsError as ExistsError,
    )
    from mimir_vault.errors import (
        FormatError as FormatError,
    )
    from mimir_vault.errors import (
        InterruptedBatchError as InterruptedBatchError,
    )
    from mimir_vault.errors import (
        LockedError as LockedError,
    )
    from mimir_vault.errors import (
        MimirError as MimirError,
    )
    from mimir_vault.errors import (
        ModelMismatchError as ModelMismatchError,
    )
    from mimir_vault.errors import (
        NotFoundError as NotFoundError,
    )
    from mimir_vault.errors import (
        ReadOnlyError as ReadOnlyError,
    )
    from mimir_vault.errors import (
        RollbackError as RollbackError,
    )
    from mimir_vault.errors import (
        StorageError as StorageError,
    )
    from mimir_vault.errors import (
        TamperedError as TamperedError,
    )
    from mimir_vault.errors import (
        VaultBusyError as VaultBusyError,
    )
    from mimir_vault.errors import (
        WrongKeyError as WrongKeyError,
    )
    from mimir_vault.memory import Memory as Memory
    from mimir_vault.memory_protocol import MemoryProtocol as MemoryProtocol
    from mimir_vault.model.draft import Draft as Draft
    from mimir_vault.model.hit import Context as Context
    from mimir_vault.model.hit import Hit as Hit
    from mimir_vault.model.hit import Hits as Hits
    from mimir_vault.model.hit import Lane as Lane
    from mimir_vault.model.link import Link as Link
    from mimir_vault.model.node import Node as Node
    from mimir_vault.model.receipt import Receipt as Receipt
    from mimir_vault.opening import open as open
    from mimir_vault.surroundings import default_path as default_path
    from mimir_vault.vault import Vault as Vault

__version__ = "0.1.0"

_HOME = {
    "open": "opening", "default_path": "surroundings", "Vault": "vault", "Memory": "memory", "Finding": "checking",
    "AsyncVault": "asynchronous.vault", "AsyncMemory": "asynchronous.memory", "MemoryProtocol": "memory_protocol",
    "Draft": "model.draft", "Node": "model.node", "Link": "model.link", "Receipt": "model.receipt",
    "Hit": "model.hit", "Hits": "model.hit", "Lane": "model.hit", "Context": "model.hit",
    "Embedder": "embed.embedder",
    "MimirError": "errors", "LockedError": "errors", "WrongKeyError": "errors", "TamperedError": "errors",
    "RollbackError": "errors", "FormatError": "errors", "NotFoundError": "errors", "AmbiguousIdError": "errors",
    "ExistsError": "errors", "ModelMismatchError": "errors", "VaultBusyError": "errors", "StorageError": "errors",
    "DiskFullError": "errors", "ReadOnlyError": "errors", "InterruptedBatchError": "errors",
    "CancelledCallError": "errors",
}  # fmt: skip
"""Where each public name lives."""

__all__ = [*_HOME, "__version__"]


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
