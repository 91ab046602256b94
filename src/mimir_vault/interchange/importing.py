"""Importing: lines become nodes in order, and lines that are there already are not stored again.

Every node has a ref by which it is known again: its own, or one made of the id it was exported under, or of what its
line says. So it does not matter where an earlier run ended, nor by which file a line came.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mimir_vault.errors import InterruptedBatchError
from mimir_vault.imported import IMPORT_ID, Imported
from mimir_vault.interchange.draft_lines import Given, Line, Reading, read_lines, reading_of
from mimir_vault.interchange.given_file import GivenFile, Source, opened_to_read
from mimir_vault.model.clock import parse_moment, to_micros
from mimir_vault.model.draft import Draft, check_name, check_ref
from mimir_vault.model.import_done import ImportDone
from mimir_vault.putting import Ready
from mimir_vault.remembering import ready, store_all
from mimir_vault.store import nodes
from mimir_vault.versions import Versions
from mimir_vault.viewed_space import ViewedSpace

FORMATS = ("jsonl",)
BATCH_LINES = 1_000
"""So many lines are handed over at a time: memory stays small however long the file is."""
BATCH_BYTES = 16 << 20
"""A batch ends when its lines have so many bytes."""
BAD_SHOWN_MAX = 20
"""So many bad lines are kept to be shown; the others are counted."""
UNIT_MOST = 1e-6
"""How far the length of an exported vector may be from 1 to be kept to the bit; float32 leaves at most 1e-7."""
Progress = Callable[[int, int], None]


class BadLine(ValueError):
    """A line that cannot be imported."""


class Wanted(NamedTuple):
    """How to import: the name of the import, how lines are read, and whether bad ones are skipped."""

    import_id: str | None
    reading: Reading
    skip_bad: bool


class _Read(NamedTuple):
    """A line that became a draft: where it ends, and what is to be stored."""

    line: Line
    ready: Ready


@dataclass(slots=True)
class _Tally:
    """What a run has done so far."""

    import_id: str
    stored: int = 0
    known: int = 0
    expired: int = 0
    vectors_left_out: int = 0
    bad: int = 0
    bad_lines: list[tuple[int, str]] = field(default_factory=list)

    def done(self, links_left_out: int) -> ImportDone:
        return ImportDone(
            self.import_id, self.stored, self.known, self.expired, links_left_out, self.vectors_left_out, self.bad,
            tuple(self.bad_lines),
        )  # fmt: skip


def wanted(
    format_: str | None, import_id: str | None, fields: Mapping[str, str] | None, ignore: Collection[str],
    *, skip_bad: bool, local_time: bool,
) -> Wanted:  # fmt: skip
    """Check how to import (ValueError and TypeError for what cannot be)."""
    if format_ is not None and format_ not in FORMATS:
        raise ValueError(f"format is {', '.join(FORMATS)}, not {str(format_)[:40]!r}; nothing else can be imported")
    check_name(import_id, "import_id")
    return Wanted(import_id, reading_of(fields or {}, ignore, local_time=local_time), skip_bad)


def import_from(space: ViewedSpace, file: GivenFile, how: Wanted, progress: Progress | None = None) -> ImportDone:
    """Store what a file holds; see `Memory.import_from`."""
    space.check_writable()
    with opened_to_read(file, named=how.import_id is not None) as source:
        return _Run(space, source, how, progress).run()


class _Run:
    """One import of one file."""

    def __init__(self, space: ViewedSpace, source: Source, how: Wanted, progress: Progress | None) -> None:
        self._space, self._source, self._how, self._progress = space, source, how, progress
        self._tally = _Tally(source.digits if how.import_id is None else how.import_id)
        self._imported = Imported(space)
        self._times: dict[bytes, int] = {}
        self._first: bytes | None = None

    def run(self) -> ImportDone:
        """Store all lines.

        Raises:
            BadLine, MimirError: nothing was stored, nor was there. InterruptedBatchError: with what was done; a
            KeyboardInterrupt and its like have that for their cause.
        """
        try:
            self._store_all()
        except Exception as error:
            cause = error.__cause__ if isinstance(error, InterruptedBatchError) and error.__cause__ else error
            if not (self._tally.stored or self._tally.known) or self._space.space.transaction is not None:
                raise cause from None
            raise self._interrupted(cause) from cause
        except BaseException as error:
            raise error from self._interrupted(error)
        return self._done()

    def _done(self) -> ImportDone:
        return self._tally.done(self._imported.links_left_out)

    def _interrupted(self, cause: BaseException) -> InterruptedBatchError:
        why = str(cause) or type(cause).__name__
        return InterruptedBatchError(f"after {self._tally.stored:,} nodes, which are stored: {why}", [], self._done())

    def _store_all(self) -> None:
        batch: list[_Read] = []
        size = 0
        try:
            for read in self._read():
                batch.append(read)
                size += len(read.line.content)
                if len(batch) == BATCH_LINES or size > BATCH_BYTES:
                    full, batch, size = batch, [], 0
                    self._store(full)
        except BadLine:
            self._store(batch)
            raise
        self._store(batch)

    def _read(self) -> Iterator[_Read]:
        for line in read_lines(self._source.lines):
            if not line.content.strip():
                continue
            try:
                made = self._ready(line)
            except (ValueError, TypeError) as error:
                if not self._how.skip_bad:
                    raise BadLine(f"line {line.number}: {error}") from None
                self._tally.bad += 1
                if len(self._tally.bad_lines) < BAD_SHOWN_MAX:
                    self._tally.bad_lines.append((line.number, str(error)))
            else:
                if made is not None:
                    yield _Read(line, made)

    def _ready(self, line: Line) -> Ready | None:
        """Return the checked draft of a line, None for one that has expired."""
        given = self._how.reading.given(line.content)
        draft = given.draft
        if draft.expires_at is not None:
            ends = parse_moment(draft.expires_at, "expires_at")
            if to_micros(ends) <= self._space.clock.now():
                self._tally.expired += 1
                return None
        if self._first is None:
            self._first = line.content
        metadata = {**(draft.metadata or {}), IMPORT_ID: self._tally.import_id}
        made = ready(self._space, replace(draft, ref=self._ref(given, line), metadata=metadata))
        rows = self._vectors(given, made.draft)
        return replace(made, origin=given.origin, vectors=made.vectors if rows is None else rows)

    def _ref(self, given: Given, line: Line) -> tuple[str, ...]:
        """Return the ref of a line: its own, below that of the view, or one that is made."""
        draft, under = given.draft, self._space.view.under
        if draft.ref is not None:
            ref = check_ref(draft.ref)
            return ref if ref[: len(under)] == under and len(ref) > len(under) else (*under, *ref)
        if given.origin is not None:
            return self._imported.ref_of(given.origin.hex())
        digest = sha256(self._file_of(draft) + b"\0" + line.content).hexdigest()[:32]
        key = bytes.fromhex(digest[:16])
        times = self._times[key] = self._times.get(key, 0) + 1
        return self._imported.ref_of(digest if times == 1 else f"{digest}:{times}")

    def _file_of(self, draft: Draft) -> bytes:
        """Return what tells equal lines of two files apart: the name of the import, or the file's first line.

        A line that says when it happened is the same in whichever file it stands.
        """
        if self._how.import_id is not None:
            return b"named " + self._how.import_id.encode()
        return b"" if draft.at is not None else b"first " + sha256(self._first or b"").digest()

    def _vectors(self, given: Given, draft: Draft) -> NDArray[np.float32] | None:
        """Return the exported vectors of this memory's embedder, None where there are none."""
        if not given.vectors or draft.vector is not None or draft.index is False:
            return None
        embedder = self._space.embedder.get()
        rows = given.vectors.get((embedder.name, embedder.dimension))
        if rows is None:
            self._tally.vectors_left_out += 1
            return None
        checked = embedder.check(rows, "vectors")
        lengths = np.linalg.norm(rows.astype(np.float64), axis=1)
        return rows if (np.abs(lengths - 1) < UNIT_MOST).all() else checked

    def _store(self, batch: list[_Read]) -> None:
        """Store those of a batch that are not there yet; the tally follows every commit."""
        if not batch:
            return
        new = self._unknown(batch)
        stored, known, late = self._tally.stored, self._tally.known, self._imported.found_late

        def committed(done: int, _: int) -> None:
            others = self._imported.found_late - late
            self._tally.stored, self._tally.known = stored + done - others, known + others
            self._show(new[done - 1].line)

        if new:
            store_all(self._space, [one.ready for one in new], committed, len(new), imported=self._imported)
        self._show(batch[-1].line)

    def _show(self, line: Line) -> None:
        if self._progress is not None:
            self._progress(min(line.end, self._source.size) or line.end, self._source.size)

    def _unknown(self, batch: list[_Read]) -> list[_Read]:
        """Return the lines of a batch that are not there yet, before anything is embedded for them."""
        new: list[_Read] = []
        with self._space.read() as connection:
            given = any(one.ready.vectors is not None for one in batch)
            model = self._space.space.model(connection, self._space.embedder) if given else None
            versions = Versions(self._space, connection, model, self._imported)
            seqs = nodes.seqs_of(connection, [one.ready.origin for one in batch if one.ready.origin is not None])
            for one in batch:
                draft, origin = one.ready.draft, one.ready.origin
                assert draft.ref is not None
                if origin is not None and self._imported.seq_of(origin) is not None:
                    self._tally.known += 1
                    continue
                there = None
                if origin in seqs:
                    there = self._space.opened(connection, [seqs[origin]]).get(seqs[origin])
                    there = there if there is not None and self._space.is_current(there) else None
                if there is None:
                    there, _ = versions.find(draft, one.ready.vectors, origin)
                if there is None:
                    new.append(one)
                else:
                    self._imported.note(origin, draft.ref, there.stored.seq)
                    self._tally.known += 1
        return new
