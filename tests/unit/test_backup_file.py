"""The file of a backup: what is put comes out, its length is a size class, and no other order of its parts opens."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mimir_vault.backup_file import MAGIC, PORTION_BYTES, PORTIONS_START, BackupReader, BackupWriter
from mimir_vault.crypto.backup_sealer import BackupSealer
from mimir_vault.crypto.keys import KdfProfile
from mimir_vault.crypto.secret import SecretBytes
from mimir_vault.errors import FormatError, MimirError, NotFoundError, TamperedError
from mimir_vault.keyslots.unlock import create_header

HEADER, ROOT, _ = create_header(
    raw_key=bytes(32), profile=KdfProfile.INTERACTIVE, recovery=False, random=os.urandom, now=1
)
MIB = 1 << 20


def sealer(backup: bytes) -> BackupSealer:
    """Return the sealer of a backup of the vault of these tests."""
    return BackupSealer(SecretBytes.copy_of(bytes([3] * 32)), HEADER.vault_id, backup, os.urandom)


def write(
    path: Path, segments: Sequence[Sequence[bytes]], contents: Sequence[bytes] = (b"contents",), *, floor: int = MIB,
    backup: bytes = bytes([1] * 16), earlier: Path | None = None,
) -> int:  # fmt: skip
    """Write a backup of these frames and return its length."""
    with path.open("w+b") as file:
        writer = BackupWriter(file, backup, HEADER.encode(), sealer(backup), os.urandom)
        if earlier is not None:
            with opened(earlier) as reader:
                writer.keep(reader)
        for frames in segments:
            segment = writer.segment()
            for frame in frames:
                segment.put(frame)
            writer.add(segment)
        last = writer.segment()
        for frame in contents:
            last.put(frame)
        return writer.finish(last, floor)


def opened(path: Path) -> BackupReader:
    """Return a backup, unlocked."""
    reader = BackupReader(path)
    try:
        reader.unlock(sealer(reader.id))
    except BaseException:
        reader.close()
        raise
    return reader


def read(path: Path) -> list[list[bytes]]:
    """Return the frames of all segments, and of the contents."""
    with opened(path) as reader:
        return [list(reader.frames(one)) for one in (*reader.guide.segments, reader.guide.contents)]


frames = st.lists(st.binary(min_size=1, max_size=200), max_size=20)


@settings(max_examples=30, deadline=None)
@given(segments=st.lists(frames, max_size=4), contents=frames, long=st.integers(1, 3 * PORTION_BYTES))
def test_what_is_put_comes_out(
    tmp_path_factory: pytest.TempPathFactory, segments: list[list[bytes]], contents: list[bytes], long: int
) -> None:
    """Frames of any length, also over several portions, in order."""
    path = tmp_path_factory.mktemp("file") / "backup"
    segments.append([os.urandom(long), b"end"])
    size = write(path, segments, contents)
    assert read(path) == [*segments, contents]
    assert size == path.stat().st_size == (MIB if size <= MIB else size)


@pytest.mark.parametrize("length", [PORTION_BYTES - 72 - 8 + number for number in range(10)])
def test_a_frame_that_just_fills_a_portion(tmp_path: Path, length: int) -> None:
    """Around the end of a portion no byte is lost and none is made up."""
    write(tmp_path / "backup", [[bytes([7]) * length]])
    assert read(tmp_path / "backup") == [[bytes([7]) * length], [b"contents"]]


def test_going_on_keeps_segments_as_they_are_sealed(tmp_path: Path) -> None:
    """The portions of the first backup stand in the second byte for byte."""
    write(tmp_path / "first", [[b"one"], [b"two"]])
    write(tmp_path / "second", [[b"three"]], [b"new"], earlier=tmp_path / "first")
    kept = slice(PORTIONS_START, PORTIONS_START + 2 * PORTION_BYTES)
    assert (tmp_path / "first").read_bytes()[kept] == (tmp_path / "second").read_bytes()[kept]
    assert read(tmp_path / "second") == [[b"one"], [b"two"], [b"three"], [b"new"]]


def test_going_on_from_a_damaged_one(tmp_path: Path) -> None:
    """A segment that is not what was sealed is not carried on."""
    write(tmp_path / "first", [[b"one"]])
    flip(tmp_path / "first", PORTIONS_START + 100)
    with pytest.raises(TamperedError):
        write(tmp_path / "second", [], earlier=tmp_path / "first")


def flip(path: Path, at: int) -> None:
    """Turn over one bit of a byte."""
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("floor", [MIB, 16 * MIB])
def test_the_length_is_a_size_class(tmp_path: Path, floor: int) -> None:
    """From the floor up, 2^n and 1.5·2^n MiB."""
    sizes = [write(tmp_path / "backup", [[os.urandom(length)]], floor=floor) for length in (1, MIB, 3 * MIB)]
    assert sizes == ([MIB, 3 * MIB // 2, 4 * MIB] if floor == MIB else [floor] * 3)


def test_nothing_is_left_unwritten(tmp_path: Path) -> None:
    """Everything but the clear fields of start and header looks random; there is no run of zeros."""
    write(tmp_path / "backup", [[bytes(1_000)]])
    data = (tmp_path / "backup").read_bytes()
    assert data.count(bytes(8), 16) == 0


def test_clear_bytes_tell_nothing_but_what_it_is(tmp_path: Path) -> None:
    """Magic, version, zeros and the random id; then the header as it lies in the vault."""
    write(tmp_path / "backup", [])
    data = (tmp_path / "backup").read_bytes()
    assert data[:32] == MAGIC + bytes([1]) + bytes(7) + bytes([1] * 16)
    assert data[32 : 32 + 65_536] == HEADER.encode()


def refusal(path: Path) -> type[MimirError]:
    """Return the error that reading a file through ends with."""
    with pytest.raises(MimirError) as caught:
        read(path)
    assert "\n" not in str(caught.value)
    return type(caught.value)


@pytest.mark.parametrize(
    "cut", [0, 5, 8, 9, 31, 32, 40_000, 65_568, 70_000, PORTIONS_START, PORTIONS_START + 9, MIB - 1]
)
def test_a_cut_file_is_refused(tmp_path: Path, cut: int) -> None:
    """Wherever it ends."""
    write(tmp_path / "backup", [[b"one"]])
    os.truncate(tmp_path / "backup", cut)
    assert refusal(tmp_path / "backup") is (FormatError if cut < len(MAGIC) else TamperedError)


def test_a_longer_file_is_refused(tmp_path: Path) -> None:
    """Its guide says how long it is."""
    write(tmp_path / "backup", [[b"one"]])
    with (tmp_path / "backup").open("ab") as file:
        file.write(b"\0")
    assert refusal(tmp_path / "backup") is TamperedError


def test_no_other_order_of_portions_is_read(tmp_path: Path) -> None:
    """Portions changed over, of a segment or of two, and one put in another's place."""
    write(tmp_path / "backup", [[os.urandom(2 * PORTION_BYTES)], [os.urandom(PORTION_BYTES)]])
    whole = (tmp_path / "backup").read_bytes()
    places = [slice(PORTIONS_START + n * PORTION_BYTES, PORTIONS_START + (n + 1) * PORTION_BYTES) for n in range(5)]
    for one in range(5):
        for other in range(5):
            if one != other:
                data = bytearray(whole)
                data[places[one]] = whole[places[other]]
                (tmp_path / "backup").write_bytes(data)
                assert refusal(tmp_path / "backup") is TamperedError


def test_parts_of_two_backups_are_not_read_together(tmp_path: Path) -> None:
    """Two backups of one vault under one key: neither guide, nor portions, nor start of one fit the other."""
    write(tmp_path / "first", [[b"one"]])
    write(tmp_path / "second", [[b"two"]], backup=bytes([2] * 16))
    first, second = (tmp_path / "first").read_bytes(), (tmp_path / "second").read_bytes()
    for begin, end in ((16, 32), (65_568, PORTIONS_START), (PORTIONS_START, PORTIONS_START + PORTION_BYTES)):
        (tmp_path / "mixed").write_bytes(first[:begin] + second[begin:end] + first[end:])
        assert refusal(tmp_path / "mixed") is TamperedError


def test_what_is_no_backup(tmp_path: Path) -> None:
    """Nothing, a folder, some file, a header alone, and a newer format."""
    with pytest.raises(NotFoundError):
        BackupReader(tmp_path / "nothing")
    (tmp_path / "file").write_bytes(b"a letter")
    with pytest.raises(NotFoundError):
        BackupReader(tmp_path / "file" / "below")
    with pytest.raises(FormatError):
        BackupReader(tmp_path)
    with pytest.raises(FormatError):
        BackupReader(tmp_path / "file")
    write(tmp_path / "newer", [])
    data = bytearray((tmp_path / "newer").read_bytes())
    data[8] = 2
    (tmp_path / "newer").write_bytes(data)
    with pytest.raises(FormatError, match="update Mimir"):
        BackupReader(tmp_path / "newer")


def test_the_zeros_of_the_start_are_zeros(tmp_path: Path) -> None:
    """Every byte of a backup has one value."""
    write(tmp_path / "backup", [])
    flip(tmp_path / "backup", 12)
    assert refusal(tmp_path / "backup") is TamperedError
