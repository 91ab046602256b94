"""Tests that an import stores every line once, whatever interrupts it and by whatever file a line comes."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from exports import comparable, exported
from mimir_vault import Draft, Link, Memory, Vault, errors
from mimir_vault.interchange import importing
from mimir_vault.interchange.importing import BadLine
from mimir_vault.model.import_done import ImportDone
from mimir_vault.testing import FixedClock, HashEmbedder


def jsonl(*objects: Any) -> io.BytesIO:
    """Return a file of JSON Lines; a text stands for an object with nothing else."""
    lines = [json.dumps({"text": one} if isinstance(one, str) else one) for one in objects]
    return io.BytesIO("".join(line + "\n" for line in lines).encode())


def texts(memory: Memory) -> list[str]:
    """Return the texts of all nodes, the oldest first."""
    return [node.text for node in memory.nodes()]


@pytest.fixture
def memory(vault: Vault) -> Memory:
    """An empty memory."""
    return vault.space()


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of four lines, commits of three."""
    monkeypatch.setattr(importing, "BATCH_LINES", 4)
    monkeypatch.setattr("mimir_vault.remembering.BATCH_NODES", 3)


LINES = [f"line {number}" for number in range(1, 12)]
DATED = {"text": "at nine", "at": "2026-05-01T09:00Z"}


def test_every_line_becomes_a_node_in_order(memory: Memory) -> None:
    """Blank lines are left out; nodes carry the import id beside their own metadata; bytes tell how far it is."""
    told: list[tuple[int, int]] = []
    content = jsonl(*LINES[:5]).getvalue() + b"\n  \n" + jsonl({"text": "last", "metadata": {"n": 1}}).getvalue()

    done = memory.import_from(io.BytesIO(content), progress=lambda *call: told.append(call))

    assert texts(memory) == [*LINES[:5], "last"]
    assert done == ImportDone(done.import_id, stored=6, known=0)
    assert [node.metadata for node in memory.nodes()][4:] == [
        {"import_id": done.import_id}, {"n": 1, "import_id": done.import_id},
    ]  # fmt: skip
    assert told == sorted(told)
    assert told[-1] == (len(content), 0)


def test_the_same_lines_again_store_nothing(memory: Memory) -> None:
    """Equal lines of one file are as many nodes as lines, once and for all."""
    lines = ["yes", "yes", "no", "yes", DATED, DATED]
    first = memory.import_from(jsonl(*lines))
    second = memory.import_from(jsonl(*lines))

    assert (first.stored, first.known) == (6, 0)
    assert (second.stored, second.known) == (0, 6)
    assert memory.count() == 6


def test_a_file_that_grew_or_was_mended_brings_what_is_new(memory: Memory) -> None:
    """A line counts, not its number."""
    memory.import_from(jsonl("a", "b", "d"))
    done = memory.import_from(jsonl("a", "b", "c", "d", "e"))

    assert (done.stored, done.known) == (2, 3)
    assert texts(memory) == ["a", "b", "d", "c", "e"]


def test_lines_without_a_moment_belong_to_their_file(memory: Memory) -> None:
    """The "yes" of another file is another; a line that says when is the same wherever it stands."""
    memory.import_from(jsonl("monday", "yes", DATED))
    done = memory.import_from(jsonl("tuesday", "yes", DATED))

    assert (done.stored, done.known) == (2, 1)
    assert texts(memory).count("yes") == 2


def test_a_name_keeps_imports_apart(memory: Memory) -> None:
    """Under a name of its own a file is imported once more; the same name knows its lines again."""
    assert memory.import_from(jsonl("a", DATED), import_id="one").stored == 2
    assert memory.import_from(jsonl("a", DATED), import_id="two").stored == 2
    assert memory.import_from(jsonl("b", "a", DATED), import_id="two").stored == 1


def test_forgotten_lines_come_back_alone(memory: Memory) -> None:
    """What was forgotten in between is imported again, and only that; what was hidden too."""
    memory.import_from(jsonl(*LINES))
    nodes = list(memory.nodes())
    memory.forget(nodes[3].id)
    memory.hide(nodes[5].id)

    done = memory.import_from(jsonl(*LINES))

    assert (done.stored, done.known) == (2, 9)
    assert texts(memory)[-2:] == ["line 4", "line 6"]


def test_undoing_takes_the_import_away_and_nothing_else(memory: Memory) -> None:
    """What it had superseded is current again; what superseded its nodes since stays."""
    old = memory.remember("aisle", ref=("seat",))
    done = memory.import_from(jsonl({"text": "window", "ref": ["seat"]}, "a", "b"))
    a = next(node for node in memory.nodes() if node.text == "a")
    better = memory.supersede(a.id, "a, said better")

    receipt = memory.forget(where=done.undo)

    assert len(receipt.ids) == 3
    assert better.metadata == {}
    assert [(node.id, node.superseded_by) for node in memory.nodes()] == [(old.id, None), (better.id, None)]


@pytest.mark.parametrize("ends_at", range(5))
@pytest.mark.parametrize("error", [errors.DiskFullError(), KeyboardInterrupt()])
def test_an_import_that_ends_early_says_what_is_done(
    memory: Memory, monkeypatch: pytest.MonkeyPatch, ends_at: int, error: BaseException
) -> None:
    """Wherever it ends: what is stored is counted, and the same import stores the rest."""
    really, calls = importing.store_all, []

    def failing(*given: Any, **named: Any) -> Any:
        calls.append(1)
        if len(calls) > ends_at:
            raise error
        return really(*given, **named)

    monkeypatch.setattr(importing, "store_all", failing)
    if ends_at >= 3:
        assert memory.import_from(jsonl(*LINES)).stored == 11
        return
    with pytest.raises(BaseException) as caught:  # noqa: PT011 - its kind is looked at below
        memory.import_from(jsonl(*LINES))
    stored = memory.count()
    told = caught.value if isinstance(error, Exception) else caught.value.__cause__
    if stored:
        assert isinstance(told, errors.InterruptedBatchError)
        assert told.imported is not None
        assert (told.imported.stored, told.done) == (stored, [])
        assert error in (told.__cause__, caught.value)
    else:
        assert caught.value is error

    monkeypatch.setattr(importing, "store_all", really)
    again = memory.import_from(jsonl(*LINES))
    assert (again.stored, again.known) == (11 - stored, stored)
    assert texts(memory) == LINES


def test_a_bad_line_stops_after_what_stands_before_it(memory: Memory) -> None:
    """All lines before it are stored and the error names its number; mended, the import goes on."""
    content = jsonl(*LINES[:6]).getvalue() + b"{\n" + jsonl(*LINES[7:]).getvalue()

    with pytest.raises(
        errors.InterruptedBatchError, match=r"after 6 nodes, which are stored: line 7: it is no JSON"
    ) as e:
        memory.import_from(io.BytesIO(content))
    assert isinstance(e.value.__cause__, BadLine)
    assert texts(memory) == LINES[:6]

    done = memory.import_from(io.BytesIO(content.replace(b"{\n", b'{"text": "line 7"}\n')))
    assert (done.stored, done.known) == (5, 6)
    assert texts(memory) == LINES


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ({"text": "a", "colour": "red"}, "line 1: the field 'colour' is not known"),
        ({"text": "a", "user": "bo"}, "line 1: this view is of user 'ada'"),
        ({"text": "a", "at": "2026-05-01"}, "line 1: .*names no time zone"),
        ({"text": "a", "tags": "b"}, "line 1: tags must be a list"),
        ({"text": "a", "vector": [1, 2]}, "line 1: vector has shape"),
        ({"text": "a", "ref": "b"}, "line 1: ref must be a tuple"),
        ({"text": "a\x00"}, "line 1: text holds a NUL"),
        ({"text": "a", "expires_at": 3}, "line 1: expires_at must be a datetime"),
    ],
)
def test_a_first_line_that_is_bad_stores_nothing(memory: Memory, line: dict[str, Any], why: str) -> None:
    """The error is that of the line itself."""
    with pytest.raises(BadLine, match=why):
        memory.view(user="ada").import_from(jsonl(line, "b"))
    assert memory.count() == 0


def test_bad_lines_can_be_skipped(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    """All good lines are stored, the bad ones counted and the first of them kept."""
    monkeypatch.setattr(importing, "BAD_SHOWN_MAX", 2)
    content = b"{\n" + jsonl("a").getvalue() + b"[]\n" + jsonl("b").getvalue() + b'{"x": 1}\n'

    done = memory.import_from(io.BytesIO(content), skip_bad=True)

    assert texts(memory) == ["a", "b"]
    assert (done.stored, done.bad, [number for number, _ in done.bad_lines]) == (2, 3, [1, 3])


def test_views_that_fix_other_fields_have_nodes_of_their_own(memory: Memory) -> None:
    """The same file for two users is two imports; each is known again."""
    ada, bo = memory.view(user="ada"), memory.view(user="bo", session="s")
    for view in (ada, bo, memory):
        assert view.import_from(jsonl("a", DATED)).stored == 2
        assert view.import_from(jsonl("a", DATED)).stored == 0
    assert [(node.user, node.session) for node in memory.nodes()] == [("ada", None)] * 2 + [("bo", "s")] * 2 + [
        (None, None)
    ] * 2


def test_refs_go_below_a_view_of_refs(memory: Memory) -> None:
    """Those that lie there already stay; a line without one gets one there."""
    view = memory.view(under=("notes",))
    view.import_from(jsonl({"text": "a", "ref": ["x"]}, {"text": "b", "ref": ["notes", "y"]}, "c"))
    view.import_from(jsonl({"text": "d", "ref": ["notes"]}))

    refs = [node.ref for node in view.nodes()]
    assert refs[:2] == [("notes", "x"), ("notes", "y")]
    assert refs[2] is not None
    assert refs[2][:1] == ("notes",)
    assert refs[2][1].startswith("import:")
    assert refs[3:] == [("notes", "notes")]


def test_a_ref_of_somebody_else_is_not_taken(memory: Memory) -> None:
    """A view cannot supersede what it does not see."""
    memory.remember("bo's", user="bo", ref=("seat",))
    with pytest.raises(errors.ExistsError, match="outside of this view"):
        memory.view(user="ada").import_from(jsonl({"text": "ada's", "ref": ["seat"]}))
    with pytest.raises(errors.ReadOnlyError):
        memory.view(read_only=True).import_from(jsonl("a"))


def test_turns_go_on_after_an_import(memory: Memory) -> None:
    """Imported turns are in the chain of their session: the next turn follows the last of them."""
    first = memory.remember("before", session="s")
    memory.import_from(jsonl({"text": "imported", "session": "s"}))
    last = memory.remember("after", session="s")

    imported = list(memory.nodes())[1]
    assert imported.links == (Link("follows", first.id),)
    assert last.links == (Link("follows", imported.id),)


def test_versions_that_say_the_same_stay_several(memory: Memory, vault: Vault) -> None:
    """A chain of versions A, B, A comes out as A, B, A, though the last says what the first does."""
    for text in "aba":
        memory.remember(text, ref=("x",), at="2026-05-01T00:00Z")
    memory.remember("without")
    file = exported(memory)
    other = vault.create_space("other")

    done = other.import_from(io.BytesIO(file + file))
    assert (done.stored, done.known) == (4, 4)
    assert comparable(exported(other)) == comparable(file)
    assert texts(other) == ["a", "b", "a", "without"]


def test_what_is_here_already_is_known_by_its_id(memory: Memory, vault: Vault) -> None:
    """An export imported where it came from stores nothing, but what was forgotten since; links lead there too."""
    memory.remember_many([Draft("a"), Draft("b", ref=("b",)), Draft("c", session="s")])
    first, named, _ = memory.nodes()
    memory.remember("d", links=[Link("about", first.id), Link("derived_from", named.id)])
    file = exported(memory)
    assert memory.import_from(io.BytesIO(file)).known == 4

    memory.forget(first.id)
    done = memory.import_from(io.BytesIO(file))

    assert (done.stored, done.known) == (1, 3)
    part = b"".join(file.splitlines(keepends=True)[3:])
    other = vault.create_space("other")
    assert other.import_from(io.BytesIO(part)).links_left_out == 2
    other.forget(where={"text": "d"})
    other.import_from(io.BytesIO(b"".join(file.splitlines(keepends=True)[:1])))
    assert other.import_from(io.BytesIO(part)).links_left_out == 1


def test_what_has_expired_is_left_out(memory: Memory, clock: FixedClock) -> None:
    """It would be gone at once, and imported again each time."""
    soon = {"text": "soon", "expires_at": "2026-06-01T00:00Z"}
    assert memory.import_from(jsonl(soon)).stored == 1
    clock.advance(40 * 86_400)
    done = memory.import_from(jsonl(soon, {"text": "gone", "expires_at": "2026-01-01T00:00Z"}))

    assert (done.stored, done.known, done.expired) == (0, 0, 2)


def test_vectors_of_the_same_embedder_are_kept_to_the_bit(memory: Memory, vault: Vault) -> None:
    """Those of another are left out and counted; the text is embedded instead."""
    rows = np.random.default_rng(7).normal(size=(3, 64)).astype(np.float32)
    node = memory.remember("by vectors", vector=rows)
    file = exported(memory)
    same, other = vault.create_space("same"), vault.create_space("other")

    assert same.import_from(io.BytesIO(file)).vectors_left_out == 0
    assert same.import_from(io.BytesIO(file)).known == 1
    assert comparable(exported(same)) == comparable(file)
    kept = next(same.nodes())
    assert np.array_equal(same.vectors([kept.id]), memory.vectors([node.id]))
    view = other.view(embedder=HashEmbedder(8))
    assert view.import_from(io.BytesIO(file)).vectors_left_out == 1
    assert view.recall("by vectors", lanes=["dense"])[0].text == "by vectors"


@pytest.mark.parametrize("fails", [False, True])
def test_an_import_inside_a_transaction_is_all_or_nothing(memory: Memory, fails: bool) -> None:
    """A bad line at its end then takes everything back, and is raised itself."""
    content = jsonl(*LINES).getvalue() + (b"{\n" if fails else b"")
    if fails:
        with pytest.raises(BadLine, match="line 12"), memory.transaction():
            memory.import_from(io.BytesIO(content))
        assert memory.count() == 0
    else:
        with memory.transaction():
            assert memory.import_from(io.BytesIO(content)).stored == 11
            assert memory.import_from(io.BytesIO(content)).known == 11
        assert texts(memory) == LINES


def test_threads_that_import_one_file_at_once(memory: Memory) -> None:
    """Each line is stored once, and counted by whoever stored it."""
    content = exported_like(40)
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: memory.import_from(io.BytesIO(content)), range(4)))

    assert sorted(texts(memory)) == sorted(json.loads(line)["text"] for line in content.splitlines())
    assert sum(one.stored for one in done) == 40
    assert all(one.stored + one.known == 40 for one in done)


def exported_like(count: int) -> bytes:
    """Return lines with and without refs."""
    return jsonl(*({"text": f"{n}", **({"ref": [f"{n}"]} if n % 2 else {})} for n in range(count))).getvalue()


@pytest.mark.parametrize(
    ("call", "error", "why"),
    [
        (lambda memory: memory.import_from(jsonl("a"), "markdown"), ValueError, "nothing else can be imported"),
        (lambda memory: memory.import_from(jsonl("a"), import_id=""), ValueError, "import_id is empty"),
        (lambda memory: memory.import_from(3), TypeError, "a path or an open file, not int"),
        (lambda memory: memory.import_from("nowhere.jsonl"), errors.NotFoundError, "there is no file nowhere.jsonl"),
        (lambda memory: memory.import_from("/"), errors.FormatError, "/ is a directory"),
    ],
)
def test_what_cannot_be_imported_is_refused(
    memory: Memory, call: Callable[[Memory], object], error: type[Exception], why: str
) -> None:
    """With one sentence, before anything is stored."""
    with pytest.raises(error, match=why):
        call(memory)
    assert memory.count() == 0


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf"])
def test_an_empty_file_is_no_error(memory: Memory, content: bytes) -> None:
    """Nothing in, nothing stored."""
    assert memory.import_from(io.BytesIO(content)).stored == 0
