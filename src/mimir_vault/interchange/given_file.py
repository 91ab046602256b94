"""Files that callers give: a path, or a file object of bytes or of text; read by lines, or written to."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import IO, Any, Protocol

from mimir_vault.errors import ExistsError, FormatError, NotFoundError, StorageError
from mimir_vault.new_file import new_file

GivenFile = str | os.PathLike[str] | IO[Any]
HEAD_BYTES = 1 << 20
"""What cannot be read twice is known by so many bytes at its beginning."""
_READ_BYTES = 1 << 20


class LineReader(Protocol):
    """Gives lines as bytes."""

    def readline(self, limit: int) -> bytes:
        """Return the next line with its end, at most so many bytes of it, b"" at the end."""


@dataclass(frozen=True, slots=True)
class Source:
    """A file to read: its lines, its size in bytes (0 where nobody knows), and 16 digits that follow from its bytes.

    The digits come from all of a file that can be read twice, and from its beginning where it cannot.
    """

    lines: LineReader
    size: int
    digits: str


class _Lines:
    """Gives the lines of a file object; what was read of it already comes first."""

    def __init__(self, file: IO[Any], head: bytes = b"") -> None:
        self._file, self._head = file, head

    def readline(self, limit: int) -> bytes:
        begin = b""
        if self._head:
            end = self._head.find(b"\n", 0, limit) + 1 or min(limit, len(self._head))
            begin, self._head = self._head[:end], self._head[end:]
            if begin.endswith(b"\n") or len(begin) == limit:
                return begin
        return begin + _bytes(self._file.readline(limit - len(begin)))


@contextmanager
def opened_to_read(file: GivenFile, *, named: bool) -> Iterator[Source]:
    """Open a path, or take a file object from where it stands; with `named` no digits are made.

    Raises:
        NotFoundError: there is no such file. FormatError: it is a folder. StorageError: it cannot be read.
        TypeError: it is neither a path nor a file object.
    """
    if not isinstance(file, (str, os.PathLike)):
        if not callable(getattr(file, "readline", None)):
            raise TypeError(f"a file to import is a path or an open file, not {type(file).__name__}")
        yield _source(file, named)
        return
    try:
        opened = open(file, "rb")  # noqa: SIM115 - closed below
    except FileNotFoundError:
        raise NotFoundError(f"there is no file {os.fspath(file)}") from None
    except IsADirectoryError:
        raise FormatError(f"{os.fspath(file)} is a directory; give a file") from None
    except OSError as error:
        raise StorageError(f"{os.fspath(file)} cannot be read ({error.strerror or error})") from error
    with opened:
        yield _source(opened, named)


def _source(file: IO[Any], named: bool) -> Source:
    seekable = getattr(file, "seekable", None)
    if seekable is None or not seekable():
        head = b"" if named else _head(file)
        return Source(_Lines(file, head), 0, _digits([head]))
    start, size = file.tell(), _size(file)
    digits = "" if named else _digits(iter(lambda: _bytes(file.read(_READ_BYTES)), b""))
    file.seek(start)
    return Source(_Lines(file), size, digits)


def _size(file: IO[Any]) -> int:
    """Return the size of a regular file, 0 for anything else: what is unpacked on the way is longer than its file."""
    if not isinstance(getattr(file, "buffer", file), (io.BufferedReader, io.FileIO)):
        return 0
    try:
        status = os.fstat(file.fileno())
    except OSError:
        return 0
    return status.st_size if stat.S_ISREG(status.st_mode) else 0


def _head(file: IO[Any]) -> bytes:
    parts: list[bytes] = []
    missing = HEAD_BYTES
    while missing > 0 and (part := _bytes(file.read(missing))):
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)


def _bytes(part: Any) -> bytes:
    return part.encode("utf-8", "surrogatepass") if isinstance(part, str) else bytes(part)


def _digits(parts: Any) -> str:
    digest = sha256(b"mimir import\0")
    for part in parts:
        digest.update(part)
    return digest.hexdigest()[:16]


@contextmanager
def opened_to_write(file: GivenFile, first_bytes: bytes, *, overwrite: bool) -> Iterator[Callable[[bytes], object]]:
    """Give a function that writes bytes to a file object, or to a path: there it is whole or not there, mode 0600.

    `first_bytes` are those that what is written begins with: what a killed export left over is known by them.

    Raises:
        ExistsError: something lies there, and is not to be replaced, or is no file.
        VaultBusyError, NotFoundError, DiskFullError, ReadOnlyError, StorageError: it cannot be written.
        TypeError: it is neither a path nor a file object.
    """
    if isinstance(file, (str, os.PathLike)):
        place = Path(file)
        _check_free(place, overwrite)
        with new_file(place, first_bytes) as opened:
            if hasattr(os, "fchmod"):  # What was left over may have been readable to others.
                os.fchmod(opened.fileno(), 0o600)
            yield opened.write
            _check_free(place, overwrite)  # It may have come meanwhile.
        return
    if not callable(getattr(file, "write", None)):
        raise TypeError(f"a file to export to is a path or an open file, not {type(file).__name__}")
    if _takes_text(file):
        yield lambda part: file.write(part.decode())
    else:
        yield file.write


def _check_free(place: Path, overwrite: bool) -> None:
    if overwrite and (not os.path.lexists(place) or place.is_file()):
        return
    if os.path.lexists(place):
        how = "it is no file" if overwrite else "overwrite it explicitly, or give another place"
        raise ExistsError(f"there is something at {place} already; {how}")


def _takes_text(file: IO[Any]) -> bool:
    if isinstance(file, (io.TextIOBase, io.RawIOBase, io.BufferedIOBase)):
        return isinstance(file, io.TextIOBase)
    try:
        file.write(b"")
    except TypeError:
        return True
    return False
