"""A file that is made beside its place and moved there at once: its place holds what was there before, or all of it."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from mimir_vault.errors import DiskFullError, ExistsError, NotFoundError, ReadOnlyError, StorageError, VaultBusyError

if sys.platform != "win32":
    import fcntl

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_REFUSED = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})


def disk_error(error: OSError, what: str) -> StorageError:
    """Return Mimir's error for the system's; `what` could not be written."""
    if error.errno in _FULL:
        return DiskFullError(f"the disk is full: {what} could not be written; free some room and try again")
    if error.errno in _REFUSED:
        return ReadOnlyError(f"{what} may not be written ({error.strerror}); check the permissions of its folder")
    return StorageError(f"{what} could not be written ({error.strerror or error}); check the disk and try again")


@contextmanager
def new_file(place: Path, magic: bytes) -> Iterator[BinaryIO]:
    """Yield an empty file, open for writing and reading; when the block ends well, it lies at `place`, synced.

    It is made as `.NAME.new` beside its place. What a killed process left there is overwritten, known by its first
    bytes (`magic`); whatever else has that name is not ours to touch.

    Raises:
        VaultBusyError: somebody else is making it now. ExistsError: something else is in the way.
        NotFoundError: there is no such folder. DiskFullError, ReadOnlyError, StorageError: the system refused.
    """
    making = place.with_name(f".{place.name}.new")
    try:
        with _taken(making, magic) as file:
            try:
                yield file
                file.flush()
                os.fsync(file.fileno())
                if sys.platform == "win32":
                    file.close()  # There an open file cannot be renamed.
                os.replace(making, place)
            except BaseException:
                with contextlib.suppress(OSError):
                    making.unlink()
                raise
        _sync_folder(place.parent)
    except FileNotFoundError:
        raise NotFoundError(f"there is no folder {place.parent}; make it first") from None
    except OSError as error:
        raise disk_error(error, str(place)) from error


@contextmanager
def _taken(making: Path, magic: bytes) -> Iterator[BinaryIO]:
    """Open the file under its passing name, empty, and let nobody else take it before the block has ended."""
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
    while True:
        try:
            descriptor = os.open(making, flags, 0o600)
        except OSError as error:
            if error.errno not in (errno.ELOOP, errno.EMLINK):
                raise
            raise ExistsError(f"{making} is a link and none of Mimir's; move it and try again") from None
        with open(descriptor, "r+b") as file:
            _check_owner(file, making)
            _lock(file, making)
            if not _is_still(file, making):
                continue  # Whoever had it moved it to its place just now.
            start = file.read(len(magic))
            if start.strip(b"\0") and start != magic:
                raise ExistsError(f"{making} is in the way and none of Mimir's; move it and try again")
            file.seek(0)
            file.truncate()
            yield file
            return


def _check_owner(file: BinaryIO, making: Path) -> None:
    """Refuse a file that somebody else laid out in a shared folder to read what is written to it."""
    status = os.fstat(file.fileno())
    if os.name == "posix" and (
        status.st_uid != os.geteuid() or not stat.S_ISREG(status.st_mode) or status.st_nlink > 1
    ):
        raise ExistsError(f"{making} is in the way and none of Mimir's; move it and try again")


def _lock(file: BinaryIO, making: Path) -> None:
    """Take the file for this process; the system gives it back when the process ends, however it ends."""
    if sys.platform == "win32":
        return  # There what others have open cannot be removed or renamed.
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise VaultBusyError(
            f"another process is writing {making.name[1:-4]} just now; wait until it has done"
        ) from None
    except OSError as error:
        if error.errno not in (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS):
            raise  # Some file systems know no locks; two backups at once then end with the last one's.


def _is_still(file: BinaryIO, making: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(making))
    except FileNotFoundError:
        return False


def _sync_folder(folder: Path) -> None:
    """Make a rename durable; Windows orders them by itself."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
