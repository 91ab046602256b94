"""Every error of Mimir, in one tree; each docstring is the sentence a person reads when nothing more exact is known.

MimirError
├── LockedError             no way to unlock worked, or the vault was locked meanwhile
│   └── WrongKeyError       a passphrase or code was given and opens no key slot
├── TamperedError           bytes are not what Mimir wrote
│   └── RollbackError       bytes are what Mimir wrote once, but an older state than the one last seen
├── FormatError             not a vault, or a format this version does not know
├── NotFoundError           no vault, space or node of that name
│   └── AmbiguousIdError    a shortened node id fits several nodes
├── ExistsError             a vault or space of that name is there already
├── ModelMismatchError      vectors of another model than the embedder at hand
├── VaultBusyError          another process holds the vault for too long
├── StorageError            the operating system refused to read or write
│   ├── DiskFullError       no room left
│   └── ReadOnlyError       the folder, the file system or the handle may not be written
├── InterruptedBatchError   a batch ended early; what was committed is named
└── CancelledCallError      what became of a call that was cancelled: the cause of its CancelledError

`ValueError` and `TypeError` are kept for a programmer's nonsense. Foreign errors are translated where they arise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mimir_vault.model.import_done import ImportDone
    from mimir_vault.model.node import Node


class MimirError(Exception):
    """Something went wrong; nothing that was acknowledged is lost."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip().splitlines()[0])


class LockedError(MimirError):
    """The vault is locked; give its passphrase or recovery code."""


class WrongKeyError(LockedError):
    """That passphrase or code does not open this vault; check it and try again."""


class TamperedError(MimirError):
    """The vault's bytes were changed by something other than Mimir; restore a backup."""


class RollbackError(TamperedError):
    """The vault is older than the state last seen here; restore the newer copy, or accept this one explicitly."""


class FormatError(MimirError):
    """This is not a vault, or a newer version of Mimir wrote it."""


class NotFoundError(MimirError):
    """There is nothing of that name."""


class AmbiguousIdError(NotFoundError):
    """That shortened node id fits several nodes; give more digits."""


class ExistsError(MimirError):
    """Something of that name is there already."""


class ModelMismatchError(MimirError):
    """The space holds vectors of another model; hand in the embedder that made them."""


class VaultBusyError(MimirError):
    """Another process holds the vault; try again in a moment."""


class StorageError(MimirError):
    """The operating system could not read or write the vault; check the disk and open the vault again."""


class DiskFullError(StorageError):
    """The disk is full; free some room and try again."""


class ReadOnlyError(StorageError):
    """The vault may not be written here; check the folder's permissions or open it without read_only."""


class InterruptedBatchError(MimirError):
    """A batch ended early; what was stored before is kept.

    `done` holds the nodes that are stored. An import may be longer than memory: there `done` is empty, and `imported`
    says what it did.
    """

    def __init__(self, message: str, done: list[Node], imported: ImportDone | None = None) -> None:
        super().__init__(message)
        self.done, self.imported = done, imported


class CancelledCallError(MimirError):
    """A call was cancelled; this says what became of it.

    It is the `__cause__` of the `asyncio.CancelledError` that ends the call, which stays the very one asyncio raised;
    `CancelledCallError.of(error)` finds it from there, or from the TimeoutError that asyncio makes of it. Where
    there is none, the task was cancelled before it called anything.

    `committed` is True when what the call does is done and on disk, False when it changed nothing, and None when it
    did a part (the message says which) or when a transaction around it decides. `result` is what the call returned,
    if it was finished; the nodes that are stored, if `remember_many` was stopped between two commits, and an
    `ImportDone`, if `import_from` was; None otherwise.
    """

    def __init__(self, message: str, *, committed: bool | None, result: Any = None) -> None:
        super().__init__(message)
        self.committed, self.result = committed, result

    @classmethod
    def of(cls, error: BaseException | None) -> CancelledCallError | None:
        """Return what an error says of a cancelled call, None where it says nothing of one."""
        seen: set[int] = set()
        while error is not None and id(error) not in seen:
            if isinstance(error, cls):
                return error
            seen.add(id(error))
            error = error.__cause__ or error.__context__
        return None
