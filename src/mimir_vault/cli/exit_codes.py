"""Exit codes: the one place that says with which number the command ends for which error."""

from __future__ import annotations

import errno

from mimir_vault.errors import (
    InterruptedBatchError,
    LockedError,
    MimirError,
    NotFoundError,
    StorageError,
    TamperedError,
    VaultBusyError,
)

DONE = 0
FAILED = 1
USAGE = 2
LOCKED = 3
NOT_FOUND = 4
TAMPERED = 5
BUSY = 6
DISK = 7
INTERRUPTED = 130

MEANINGS: dict[int, str] = {
    DONE: "done",
    FAILED: "failed",
    USAGE: "usage: the command or a value in it makes no sense",
    LOCKED: "locked, or wrong passphrase",
    NOT_FOUND: "no such vault, space, node or file",
    TAMPERED: "tampered with, damaged or rolled back",
    BUSY: "busy: another process holds the vault",
    DISK: "disk: full, read-only or failing",
    INTERRUPTED: "interrupted",
}
"""What each exit code means, in the order of the documentation."""

_BY_CLASS: tuple[tuple[type[BaseException], int], ...] = (
    (LockedError, LOCKED),
    (TamperedError, TAMPERED),
    (NotFoundError, NOT_FOUND),
    (VaultBusyError, BUSY),
    (StorageError, DISK),
    (MimirError, FAILED),
    (KeyboardInterrupt, INTERRUPTED),
    (ValueError, USAGE),
    (TypeError, USAGE),
)

_DISK_ERRNOS = {
    getattr(errno, name, 0) for name in ("ENOSPC", "EDQUOT", "EROFS", "EACCES", "EPERM", "EIO", "EFBIG")
}  # Windows knows no EDQUOT.


class Interrupted(Exception):
    """The person stopped the command; the message says what was done until then."""


class ClosedPipe(Exception):
    """Whoever read the output has read enough."""


def exit_code(error: BaseException) -> int:
    """Return the exit code of an error; an interrupted batch has the code of what interrupted it."""
    if isinstance(error, Interrupted):
        return INTERRUPTED
    if isinstance(error, InterruptedBatchError) and error.__cause__ is not None:
        return exit_code(error.__cause__)
    if isinstance(error, OSError):
        return _os_error_code(error)
    return next((code for kind, code in _BY_CLASS if isinstance(error, kind)), FAILED)


def sentence(error: BaseException) -> str:
    """Return what to tell a person about an error, in one sentence."""
    if isinstance(error, OSError):
        what = error.strerror or type(error).__name__
        return f"{error.filename}: {what}" if error.filename is not None else what
    if isinstance(error, KeyboardInterrupt):
        return "interrupted; what was acknowledged before is kept"
    if isinstance(error, MemoryError):
        return "the machine has not enough memory left for this"
    if isinstance(error, (MimirError, ValueError, TypeError, Interrupted)):
        return str(error) or type(error).__name__
    return f"unexpected {type(error).__name__}: {error}; MIMIR_DEBUG=1 shows where it arose"


def _os_error_code(error: OSError) -> int:
    if error.errno == errno.ENOENT:
        return NOT_FOUND
    return DISK if error.errno in _DISK_ERRNOS else FAILED
