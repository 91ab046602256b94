"""Tests of reading files that callers give: paths, open files of bytes and of text, and what cannot be read twice."""

from __future__ import annotations

import gzip
import io
import os
import threading
from pathlib import Path
from typing import IO, Any

import pytest

from mimir_vault.interchange import given_file
from mimir_vault.interchange.given_file import opened_to_read

CONTENT = "".join(f"line {number} ä\n" for number in range(50)).encode() + b"without an end"


class Pipe(io.RawIOBase):
    """A file that is read once, a few bytes at a time."""

    def __init__(self, content: bytes) -> None:
        self._rest = io.BytesIO(content)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        part = self._rest.read(min(7, len(buffer)))
        buffer[: len(part)] = part
        return len(part)


def read(file: Any, *, named: bool = False, limit: int = 1_000) -> tuple[list[bytes], int, str]:
    """Return the lines of a file, its size and its digits."""
    with opened_to_read(file, named=named) as source:
        lines = []
        while line := source.lines.readline(limit):
            lines.append(line)
        return lines, source.size, source.digits


def path_of(tmp_path: Path) -> Path:
    """Return a file with the content."""
    (tmp_path / "lines").write_bytes(CONTENT)
    return tmp_path / "lines"


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("kind", ["path", "bytes", "text", "pipe", "buffered pipe"])
def test_whatever_it_is_its_lines_are_the_same(tmp_path: Path, kind: str, named: bool) -> None:
    """A path, a file of bytes or of text, a pipe: the same lines, and the same digits where they are made."""
    given: dict[str, Any] = {
        "path": path_of(tmp_path), "bytes": io.BytesIO(CONTENT), "text": io.StringIO(CONTENT.decode()),
        "pipe": Pipe(CONTENT), "buffered pipe": io.BufferedReader(Pipe(CONTENT), 16),
    }  # fmt: skip
    lines, size, digits = read(given[kind], named=named)

    assert lines == CONTENT.splitlines(keepends=True)
    assert size == (len(CONTENT) if kind == "path" else 0)
    assert digits == ("" if named and kind != "pipe" and kind != "buffered pipe" else digits)
    if not named:
        assert digits == read(path_of(tmp_path))[2]
        assert len(digits) == 16


@pytest.mark.parametrize("limit", [1, 3, 8])
@pytest.mark.parametrize("head", [1, 5, 9, 10_000])
def test_pieces_of_lines_are_bounded(monkeypatch: pytest.MonkeyPatch, limit: int, head: int) -> None:
    """Also where what was read for the digits ends in the middle of a line."""
    monkeypatch.setattr(given_file, "HEAD_BYTES", head)

    pieces, _, _ = read(Pipe(CONTENT), limit=limit)

    assert b"".join(pieces) == CONTENT
    assert max(map(len, pieces)) <= limit
    assert all(b"\n" not in piece[:-1] for piece in pieces)


def test_a_file_is_read_from_where_it_stands(tmp_path: Path) -> None:
    """It is the caller's, and left open."""
    with path_of(tmp_path).open("rb") as file:
        file.readline()
        lines, size, digits = read(file)
        assert lines == CONTENT.splitlines(keepends=True)[1:]
        assert size == len(CONTENT)
        assert digits == read(io.BytesIO(CONTENT.split(b"\n", 1)[1]))[2]
        assert not file.closed


def test_digits_follow_from_all_that_can_be_read_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a pipe only from its beginning."""
    monkeypatch.setattr(given_file, "HEAD_BYTES", 16)
    longer = CONTENT + b"\n"

    assert read(Pipe(CONTENT))[2] == read(Pipe(longer))[2]
    assert read(io.BytesIO(CONTENT))[2] != read(io.BytesIO(longer))[2]


def test_what_is_unpacked_on_the_way_has_no_known_size(tmp_path: Path) -> None:
    """The size of its file is not how much will be read."""
    with gzip.open(tmp_path / "lines.gz", "wb") as packed:
        packed.write(CONTENT)
    with gzip.open(tmp_path / "lines.gz") as packed:
        lines, size, digits = read(packed)

    assert lines == CONTENT.splitlines(keepends=True)
    assert size == 0
    assert digits == read(io.BytesIO(CONTENT))[2]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this platform has no named pipes")
def test_a_named_pipe_is_read(tmp_path: Path) -> None:
    """A path need not be a file that lies there."""
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=lambda: (tmp_path / "pipe").write_bytes(CONTENT))
    writer.start()

    lines, size, _ = read(tmp_path / "pipe")

    writer.join()
    assert (lines, size) == (CONTENT.splitlines(keepends=True), 0)


def test_a_text_file_may_be_named(tmp_path: Path) -> None:
    """Its size is that of what lies below."""
    file: IO[Any]
    with path_of(tmp_path).open(encoding="utf-8", newline="") as file:
        lines, size, _ = read(file)
    assert (lines, size) == (CONTENT.splitlines(keepends=True), len(CONTENT))
