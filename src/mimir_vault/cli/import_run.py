"""Running an import: lines are stored in order, and lines that an earlier run stored are not stored again.

Every node of an import carries `metadata.import_id` and `metadata.import_line`. A run first reads those of its import
id, and skips a line when a node of that number and text is there. So it does not matter where an earlier run ended,
whether nodes were forgotten since, or whether the file has grown under the same import id.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b, sha256
from typing import TYPE_CHECKING, BinaryIO

from mimir_vault.cli.import_lines import Line, Reading, read_lines
from mimir_vault.errors import InterruptedBatchError

if TYPE_CHECKING:
    from mimir_vault.memory import Memory
    from mimir_vault.model.draft import Draft

ID_KEY, LINE_KEY = "import_id", "import_line"
"""Names in the metadata of imported nodes."""
BATCH_LINES = 1_000
"""So many drafts are handed over at a time: memory stays small however long the file is."""
BAD_SHOWN_MAX = 20
"""So many bad lines are kept to be shown; the others are counted."""
HEAD_BYTES = 1 << 20
"""The import id follows from so many bytes at the beginning of a file: a pipe cannot be read twice, and the same lines
from a file and from a pipe have to get the same id."""


class BadLine(ValueError):
    """A line that cannot be imported."""


@dataclass(slots=True)
class Tally:
    """What a run has done so far."""

    stored: int = 0
    there: int = 0
    bad: int = 0
    first_bad: list[tuple[int, str]] = field(default_factory=list)


def content_id(head: bytes) -> str:
    """Return the import id that follows from the first `HEAD_BYTES` of a file.

    Two files that begin alike share an id; as the text of every line is compared, neither loses a line by that.
    """
    return sha256(b"mimir import\0" + head).hexdigest()[:16]


class StoredLines:
    """Which lines of an import are stored already: 8 bytes a line, sorted, so that millions fit into memory."""

    def __init__(self, memory: Memory, import_id: str) -> None:
        marks = array("Q")
        for node in memory.nodes(where={f"metadata.{ID_KEY}": import_id}):
            number = node.metadata.get(LINE_KEY)
            if isinstance(number, int) and not isinstance(number, bool):
                marks.append(_mark(number, node.text))
        self._marks = array("Q", sorted(marks))

    def __len__(self) -> int:
        return len(self._marks)

    def has(self, number: int, text: str) -> bool:
        """Say whether the line of that number and text is stored."""
        mark = _mark(number, text)
        place = bisect_left(self._marks, mark)
        return place < len(self._marks) and self._marks[place] == mark


def run(
    memory: Memory,
    file: BinaryIO,
    reading: Reading,
    import_id: str,
    *,
    skip_bad: bool,
    tally: Tally,
    advance: Callable[[int, int], None],
) -> None:
    """Store the lines of a file and count them in `tally`; `advance(lines, bytes)` is called after each batch.

    Raises:
        BadLine: a line cannot be imported and `skip_bad` is off; all lines before it are stored.
        MimirError: storing failed; `tally` holds what is stored.
    """
    stored = StoredLines(memory, import_id)
    batch: list[tuple[Line, Draft]] = []
    try:
        for line, draft in _drafts(file, reading, import_id, skip_bad, tally):
            if stored.has(line.number, draft.text):
                tally.there += 1
                if line.number % BATCH_LINES == 0 and not batch:
                    advance(line.number, line.end)
                continue
            batch.append((line, draft))
            if len(batch) == BATCH_LINES:
                _store(memory, batch, tally, advance)
                batch = []
    except BadLine:
        _store(memory, batch, tally, advance)
        raise
    _store(memory, batch, tally, advance)


def _drafts(
    file: BinaryIO, reading: Reading, import_id: str, skip_bad: bool, tally: Tally
) -> Iterator[tuple[Line, Draft]]:
    for line in read_lines(file):
        if not line.content.strip():
            continue
        try:
            draft = reading.draft(line.content, {ID_KEY: import_id, LINE_KEY: line.number})
        except (ValueError, TypeError) as error:
            if not skip_bad:
                raise BadLine(f"line {line.number}: {error}") from None
            tally.bad += 1
            if len(tally.first_bad) < BAD_SHOWN_MAX:
                tally.first_bad.append((line.number, str(error)))
        else:
            yield line, draft


def _store(memory: Memory, batch: list[tuple[Line, Draft]], tally: Tally, advance: Callable[[int, int], None]) -> None:
    """Store a batch; the tally follows every commit, so that it is right whatever ends the batch."""
    before = tally.stored

    def committed(done: int, _: int) -> None:
        tally.stored = before + done
        line = batch[done - 1][0]
        advance(line.number, line.end)

    try:
        if batch:
            tally.stored = before + len(memory.remember_many([draft for _, draft in batch], progress=committed))
    except InterruptedBatchError as error:
        tally.stored = before + len(error.done)
        raise


def _mark(number: int, text: str) -> int:
    digest = blake2b(text.encode("utf-8"), digest_size=8, key=number.to_bytes(8, "big")).digest()
    return int.from_bytes(digest, "big")
