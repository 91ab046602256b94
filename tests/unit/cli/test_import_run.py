"""Tests that an import stores every line once, whatever interrupts it."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mimir_vault.cli import import_run
from mimir_vault.cli.import_lines import Reading, reading_of
from mimir_vault.cli.import_run import BadLine, Tally, content_id, run
from mimir_vault.errors import DiskFullError, InterruptedBatchError
from mimir_vault.model.draft import Draft
from mimir_vault.model.node import Node


class ListMemory:
    """A memory that keeps drafts in a list and commits two at a time; `ends` may raise before a commit."""

    def __init__(self) -> None:
        self.drafts: list[Draft] = []
        self.largest = 0
        self.ends: Callable[[int], BaseException | None] = lambda stored: None

    def remember_many(self, drafts: list[Draft], progress: Callable[[int, int], None]) -> list[Node]:
        """Keep the drafts."""
        self.largest = max(self.largest, len(drafts))
        done: list[Any] = []
        for place in range(0, len(drafts), 2):
            error = self.ends(len(self.drafts))
            if isinstance(error, Exception) and done:
                raise InterruptedBatchError("ended", done) from error
            if error is not None:
                raise error
            self.drafts.extend(drafts[place : place + 2])
            done.extend(drafts[place : place + 2])
            progress(len(done), len(drafts))
        return done

    def nodes(self, where: dict[str, Any]) -> Iterator[Draft]:
        """Yield the drafts whose metadata has these values."""
        ((name, value),) = where.items()
        return (one for one in self.drafts if (one.metadata or {}).get(name.removeprefix("metadata.")) == value)


READING: Reading = reading_of([], [], user=None, agent=None, local_time=False)


def jsonl(*texts: str) -> bytes:
    """Return JSON Lines with these texts."""
    return b"".join(json.dumps({"text": text}).encode() + b"\n" for text in texts)


def imported(memory: ListMemory, content: bytes, import_id: str = "x", *, skip_bad: bool = False) -> Tally:
    """Import and return the tally; what ends the import is raised with the tally so far as its argument."""
    tally = Tally()
    shown: list[tuple[int, int]] = []
    run(
        memory, io.BytesIO(content), READING, import_id, skip_bad=skip_bad, tally=tally,  # type: ignore[arg-type]
        advance=lambda lines, end: shown.append((lines, end)),
    )  # fmt: skip
    assert shown == sorted(shown)
    return tally


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of four lines."""
    monkeypatch.setattr(import_run, "BATCH_LINES", 4)


TEXTS = [f"line {number}" for number in range(1, 12)]


def test_every_line_is_stored_once_in_order_and_in_batches() -> None:
    """Blank lines are left out, numbers are those of the file, and no batch is larger than it should be."""
    memory = ListMemory()

    tally = imported(memory, b"\n".join([jsonl(*TEXTS[:5]), b"  ", jsonl(*TEXTS[5:])]))

    assert [draft.text for draft in memory.drafts] == TEXTS
    assert [draft.metadata for draft in memory.drafts][4:6] == [
        {"import_id": "x", "import_line": 5},
        {"import_id": "x", "import_line": 8},
    ]
    assert (tally.stored, tally.there, tally.bad, memory.largest) == (11, 0, 0, 4)


@pytest.mark.parametrize("stop_at", range(0, 11, 2))
@pytest.mark.parametrize("error", [KeyboardInterrupt(), DiskFullError()])
def test_an_interrupted_import_goes_on(stop_at: int, error: BaseException) -> None:
    """Wherever an import ends, the same import again stores the rest and nothing twice; the tally tells the truth."""
    memory = ListMemory()
    memory.ends = lambda stored: error if stored >= stop_at else None
    tally = Tally()

    with pytest.raises((KeyboardInterrupt, DiskFullError, InterruptedBatchError)):
        run(
            memory, io.BytesIO(jsonl(*TEXTS)), READING, "x", skip_bad=False, tally=tally,  # type: ignore[arg-type]
            advance=lambda lines, end: None,
        )  # fmt: skip
    assert tally.stored == len(memory.drafts)

    memory.ends = lambda stored: None
    again = imported(memory, jsonl(*TEXTS))

    assert [draft.text for draft in memory.drafts] == TEXTS
    assert (again.stored, again.there) == (11 - tally.stored, tally.stored)


def test_the_same_import_stores_nothing() -> None:
    """A whole import repeated changes nothing."""
    memory = ListMemory()
    imported(memory, jsonl(*TEXTS))

    again = imported(memory, jsonl(*TEXTS))

    assert (again.stored, again.there, len(memory.drafts)) == (0, 11, 11)


def test_equal_lines_are_all_stored() -> None:
    """Two lines of one wording are two memories, and stay two when the import is repeated."""
    memory = ListMemory()
    imported(memory, jsonl("yes", "yes", "yes"))

    assert imported(memory, jsonl("yes", "yes", "yes")).there == 3
    assert len(memory.drafts) == 3


def test_forgotten_lines_do_not_shift_the_others() -> None:
    """What was forgotten in between is imported again, and only that."""
    memory = ListMemory()
    imported(memory, jsonl(*TEXTS))
    del memory.drafts[3]

    again = imported(memory, jsonl(*TEXTS))

    assert (again.stored, again.there) == (1, 10)
    assert memory.drafts[-1].text == "line 4"


def test_another_file_under_the_same_id_loses_no_line() -> None:
    """A line is skipped for its number and text only, so files that share an id do not hide each other's lines."""
    memory = ListMemory()
    imported(memory, jsonl("a", "b", "c"))

    tally = imported(memory, jsonl("a", "x", "c", "d"))

    assert (tally.stored, tally.there) == (2, 2)
    assert [draft.text for draft in memory.drafts] == ["a", "b", "c", "x", "d"]


def test_a_bad_line_stops_after_what_stands_before_it() -> None:
    """All lines before a bad one are stored, and the error names its number."""
    memory = ListMemory()

    with pytest.raises(BadLine, match=r"line 7: it is no JSON"):
        imported(memory, jsonl(*TEXTS[:6]) + b"{\n" + jsonl(*TEXTS[6:]))

    assert [draft.text for draft in memory.drafts] == TEXTS[:6]


def test_bad_lines_can_be_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """With skip_bad every good line is stored, the bad ones are counted and the first of them kept."""
    monkeypatch.setattr(import_run, "BAD_SHOWN_MAX", 2)
    memory = ListMemory()

    tally = imported(memory, b"{\n" + jsonl("a") + b"[]\n" + jsonl("b") + b'{"x": 1}\n', skip_bad=True)

    assert [draft.text for draft in memory.drafts] == ["a", "b"]
    assert (tally.stored, tally.bad, [number for number, _ in tally.first_bad]) == (2, 3, [1, 3])


def test_an_empty_file_is_no_error() -> None:
    """Nothing in, nothing stored."""
    assert imported(ListMemory(), b"").stored == 0


def test_content_id_follows_from_the_bytes() -> None:
    """The same beginning has the same id, another one another."""
    assert content_id(b"a") == content_id(b"a")
    assert content_id(b"a") != content_id(b"b")
    assert len(content_id(b"")) == 16
