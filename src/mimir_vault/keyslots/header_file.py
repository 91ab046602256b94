"""The two copies of the header on disk: reading the newer valid one, writing both, mending one that was lost."""

from __future__ import annotations

import contextlib
import errno
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mimir_vault.errors import (
    DiskFullError,
    FormatError,
    MimirError,
    NotFoundError,
    ReadOnlyError,
    StorageError,
    TamperedError,
)
from mimir_vault.keyslots.header import HEADER_LENGTH, Header

HEADER_FILE: Final = "header"
COPY_FILE: Final = "header.copy"
NEW_SUFFIX: Final = ".new"  # of a copy that is being written; what a crash leaves of it is overwritten the next time

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_REFUSED: Final = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})


@dataclass(frozen=True, slots=True)
class HeaderOnDisk:
    """The header to use, and the names of copies that are missing, damaged or older and want `repair`."""

    header: Header
    stale: tuple[str, ...]


def read(folder: Path) -> HeaderOnDisk:
    """Return the newer valid copy of a vault's header.

    NotFoundError: no such folder. FormatError: it holds no header, or one of an unknown version. TamperedError: both
    copies are damaged. StorageError: the operating system refuses to read.
    """
    valid: dict[str, tuple[Header, bytes]] = {}
    refused: list[MimirError] = []
    for name in (HEADER_FILE, COPY_FILE):
        try:
            raw = _read_file(folder / name)
            if raw is not None:
                valid[name] = (Header.decode(raw), raw)
        except (FormatError, TamperedError) as error:
            refused.append(error)
    if not valid:
        raise _why_none(folder, refused)
    newest = max(valid, key=lambda name: (valid[name][0].epoch, name == HEADER_FILE))
    header, raw = valid[newest]
    stale = tuple(name for name in (COPY_FILE, HEADER_FILE) if name not in valid or valid[name][1] != raw)
    return HeaderOnDisk(header, stale)


def write(folder: Path, header: Header) -> None:
    """Write both copies, the spare one first, each by a new file, fsync, rename and fsync of the folder: whatever
    moment the power fails, one of the two is whole. The caller holds the vault's lock.
    """
    raw = header.encode()
    for name in (COPY_FILE, HEADER_FILE):
        _replace_file(folder, name, raw)


def repair(folder: Path, found: HeaderOnDisk) -> None:
    """Rewrite the copies that `read` found stale. To be called after the header's MAC was checked by unlocking, and
    with the vault's lock held; nothing is done where nothing is stale.
    """
    for name in found.stale:
        _replace_file(folder, name, found.header.encode())


def _why_none(folder: Path, refused: list[MimirError]) -> MimirError:
    """Return the error that says most: damage to a header before a foreign file, and that before nothing at all."""
    for error in refused:
        if isinstance(error, TamperedError):
            return error
    if refused:
        return refused[0]
    if not folder.exists():
        return NotFoundError(f"There is no vault at {folder}; `mimir init` makes one.")
    return FormatError(f"{folder} is not a vault: it holds no header.")


def _read_file(path: Path) -> bytes | None:
    """Return the file's content, at most one byte more than a header has; None when there is no such file."""
    try:
        with path.open("rb") as file:
            return file.read(HEADER_LENGTH + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise StorageError(f"{path} cannot be read ({_reason(error)}); check its permissions and the disk.") from None


def _replace_file(folder: Path, name: str, raw: bytes) -> None:
    new = folder / (name + NEW_SUFFIX)
    try:
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0), 0o600)
        with open(descriptor, "wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, folder / name)
        _sync_folder(folder)
    except OSError as error:
        with contextlib.suppress(OSError):
            new.unlink()
        raise _translated(error, folder / name) from None


def _sync_folder(folder: Path) -> None:
    """Make a rename durable. Windows has no such call and orders renames itself."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _translated(error: OSError, path: Path) -> StorageError:
    if error.errno in _FULL:
        return DiskFullError(f"The disk is full: {path} could not be written; free some room and try again.")
    if error.errno in _REFUSED:
        return ReadOnlyError(f"{path} may not be written ({_reason(error)}); check the folder's permissions.")
    return StorageError(f"{path} could not be written ({_reason(error)}); check the disk and open the vault again.")


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__
