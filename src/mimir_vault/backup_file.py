"""The file of a backup: start, header, guide, sealed portions in segments, and random bytes up to a size class."""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import msgspec

from mimir_vault.crypto.backup_sealer import MARK_LENGTH, BackupSealer
from mimir_vault.crypto.envelope import OVERHEAD
from mimir_vault.crypto.randomness import Random, draw
from mimir_vault.errors import FormatError, NotFoundError, StorageError, TamperedError
from mimir_vault.keyslots.header import HEADER_LENGTH, Header
from mimir_vault.store.padding import size_class

MAGIC = b"MIMBU\r\n\x1a"
VERSION = 1
_START = struct.Struct(f">{len(MAGIC)}sB7s{MARK_LENGTH}s")  # magic, version, zeros, backup id
GUIDE_BYTES = 8_160
"""Sealed length of the guide: with the start it fills 8 KiB."""
PORTION_BYTES = 65_536
"""Sealed length of every portion."""
PORTIONS_START = _START.size + HEADER_LENGTH + GUIDE_BYTES
SEGMENTS_MAX = 64
"""A backup with so many segments is written anew: each wastes half a portion, and a guide holds no more than 100."""
_PORTION_PLAIN, _GUIDE_PLAIN = PORTION_BYTES - OVERHEAD, GUIDE_BYTES - OVERHEAD
_LENGTH = 4
_RANDOM_STEP = 1 << 20


class Segment(msgspec.Struct, array_like=True, forbid_unknown_fields=True, frozen=True):
    """What one run of a backup added: its random id, how many portions, and SHA-256 over them as they are sealed."""

    id: bytes
    portions: int
    digest: bytes


class Guide(msgspec.Struct, array_like=True, forbid_unknown_fields=True, frozen=True):
    """Where everything lies: the length of the file, the segments in order, and the contents, which come after them."""

    version: int
    size: int
    segments: list[Segment]
    contents: Segment


class BackupWriter:
    """Writes a backup into an empty file: segments kept from an older one, new ones, the contents, then the rest."""

    def __init__(self, file: BinaryIO, backup_id: bytes, header: bytes, sealer: BackupSealer, random: Random) -> None:
        self._file, self._header, self._sealer, self._random = file, header, sealer, random
        self._segments: list[Segment] = []
        file.write(_START.pack(MAGIC, VERSION, bytes(7), backup_id) + header + draw(random, GUIDE_BYTES))

    def keep(self, earlier: BackupReader) -> None:
        """Take over the segments of an earlier backup, sealed as they are (TamperedError when a byte is another)."""
        for segment in earlier.guide.segments:
            digest = hashlib.sha256()
            for sealed in earlier.sealed_portions(segment):
                digest.update(sealed)
                self._file.write(sealed)
            if digest.digest() != segment.digest:
                raise earlier.damaged()
            self._segments.append(segment)

    def segment(self) -> SegmentWriter:
        """Begin a new segment; `add` takes it when it is whole."""
        return SegmentWriter(self._file, draw(self._random, MARK_LENGTH), self._sealer)

    def add(self, written: SegmentWriter) -> None:
        """End a segment and count it in."""
        self._segments.append(written.end())

    def finish(self, contents: SegmentWriter, floor: int) -> int:
        """End the contents, fill the size class with random bytes, write the guide, and return the file's length."""
        ended = contents.end()
        length = self._file.tell()
        size = size_class(length, floor)
        for begin in range(length, size, _RANDOM_STEP):
            self._file.write(draw(self._random, min(_RANDOM_STEP, size - begin)))
        guide = msgspec.msgpack.encode(Guide(VERSION, size, self._segments, ended))
        plain = len(guide).to_bytes(_LENGTH, "big") + guide
        self._file.seek(_START.size + HEADER_LENGTH)
        self._file.write(self._sealer.seal_guide(self._header, plain.ljust(_GUIDE_PLAIN, b"\0")))
        return size


class SegmentWriter:
    """Seals a stream of frames, counted in `frames`, in portions of one size; a frame of length 0 ends the stream."""

    def __init__(self, file: BinaryIO, segment: bytes, sealer: BackupSealer) -> None:
        self._file, self._id, self._sealer = file, segment, sealer
        self.frames = 0
        self._rest = bytearray()
        self._portions, self._digest = 0, hashlib.sha256()

    def put(self, frame: bytes) -> None:
        """Add a frame, which is not empty."""
        self.frames += 1
        self._rest += len(frame).to_bytes(_LENGTH, "big")
        self._rest += frame
        while len(self._rest) > _PORTION_PLAIN:
            self._seal(last=False)

    def end(self) -> Segment:
        """Seal what is left, and say what was written."""
        self._rest += bytes(_LENGTH)
        while len(self._rest) > _PORTION_PLAIN:
            self._seal(last=False)
        self._rest = self._rest.ljust(_PORTION_PLAIN, b"\0")
        self._seal(last=True)
        return Segment(self._id, self._portions, self._digest.digest())

    def _seal(self, *, last: bool) -> None:
        sealed = self._sealer.seal_portion(self._id, self._portions, last, bytes(self._rest[:_PORTION_PLAIN]))
        del self._rest[:_PORTION_PLAIN]
        self._file.write(sealed)
        self._digest.update(sealed)
        self._portions += 1


class BackupReader:
    """Reads a backup: `header` at once, `guide` and what it leads to after `unlock`. Use as a context manager."""

    def __init__(self, path: Path) -> None:
        """Open the file and read its start and header.

        Raises:
            NotFoundError: there is no file. FormatError: it is no backup, or of a newer format. TamperedError: damaged.
        """
        self.path = path
        self._guide: Guide | None = None
        self._sealer: BackupSealer | None = None
        try:
            self._file = path.open("rb")
        except (FileNotFoundError, NotADirectoryError):
            raise NotFoundError(f"there is no backup at {path}") from None
        except IsADirectoryError:
            raise FormatError(f"{path} is a folder, not a backup") from None
        except OSError as error:
            raise StorageError(f"the backup {path} cannot be read: {error.strerror}") from None
        try:
            self._read_start()
        except BaseException:
            self._file.close()
            raise

    def _read_start(self) -> None:
        start = self._read(0, _START.size)
        if start[: len(MAGIC)] != MAGIC:
            raise FormatError(f"{self.path} is not a backup of Mimir")
        if len(start) > len(MAGIC) and start[len(MAGIC)] != VERSION:
            raise FormatError(f"the backup {self.path} has format {start[len(MAGIC)]}; update Mimir")
        raw = self._read(_START.size, HEADER_LENGTH)
        if len(raw) != HEADER_LENGTH:
            raise self.damaged()
        self._raw_header = raw
        _, _, zeros, self.id = _START.unpack(start)
        try:
            self.header = Header.decode(raw)
        except TamperedError:
            raise self.damaged() from None
        if any(zeros):
            raise self.damaged()

    def unlock(self, sealer: BackupSealer) -> None:
        """Open the guide (TamperedError when it, the header or the length of the file is another than was written)."""
        with self._refusing():
            plain = sealer.open_guide(self._raw_header, self._read(_START.size + HEADER_LENGTH, GUIDE_BYTES))
            length = int.from_bytes(plain[:_LENGTH], "big")
            guide = msgspec.msgpack.decode(plain[_LENGTH : _LENGTH + length], type=Guide)
        if guide.version != VERSION or guide.size != self._file.seek(0, os.SEEK_END):
            raise self.damaged()
        self._guide, self._sealer = guide, sealer

    @property
    def guide(self) -> Guide:
        """Where everything lies."""
        if self._guide is None:
            raise ValueError("a backup is unlocked before its guide is read")
        return self._guide

    def sealed_portions(self, segment: Segment) -> Iterator[bytes]:
        """Yield the portions of a segment as they are sealed."""
        start = PORTIONS_START
        for other in (*self.guide.segments, self.guide.contents):
            if other == segment:
                break
            start += other.portions * PORTION_BYTES
        for number in range(segment.portions):
            yield self._read(start + number * PORTION_BYTES, PORTION_BYTES)

    def frames(self, segment: Segment) -> Iterator[bytes]:
        """Yield the frames of a segment, opened (TamperedError when a byte is another, or a portion is missing)."""
        assert self._sealer is not None
        rest, ended = bytearray(), False
        for number, sealed in enumerate(self.sealed_portions(segment)):
            last = number == segment.portions - 1
            with self._refusing():
                rest += self._sealer.open_portion(segment.id, number, last, sealed)
            while len(rest) >= _LENGTH and not ended:
                length = int.from_bytes(rest[:_LENGTH], "big")
                if len(rest) < _LENGTH + length:
                    break
                ended = length == 0
                if not ended:
                    yield bytes(rest[_LENGTH : _LENGTH + length])
                del rest[: _LENGTH + length]
            if ended and (not last or any(rest)):
                raise self.damaged()
        if not ended:
            raise self.damaged()

    def damaged(self) -> TamperedError:
        """Return the error for a backup that is not what was written."""
        return TamperedError(f"the backup {self.path} was changed or cut since it was made; take another one")

    @contextmanager
    def _refusing(self) -> Iterator[None]:
        try:
            yield
        except (TamperedError, msgspec.MsgspecError):
            raise self.damaged() from None

    def _read(self, offset: int, length: int) -> bytes:
        try:
            self._file.seek(offset)
            return self._file.read(length)
        except OSError as error:
            raise StorageError(f"the backup {self.path} cannot be read: {error.strerror}") from error

    def close(self) -> None:
        """Close the file; the sealer stays its owner's to wipe."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
