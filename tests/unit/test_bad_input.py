"""Bad input to a memory: the right error, one clear sentence, and nothing half-written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mimir_vault as mimir
from mimir_vault import Draft, Memory, Vault
from mimir_vault.testing import FixedClock, HashEmbedder

MIB = 1 << 20
SURROGATE = "half \ud800"


@pytest.fixture(scope="module")
def memory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Memory]:
    """A space with three nodes; every test of this file checks that it stays as it is."""
    folder = tmp_path_factory.mktemp("bad-input")
    vault = Vault.create(
        folder / "vault", raw_key=bytes(32), recovery=False, size_floor=MIB, embedder=HashEmbedder(),
        clock=FixedClock(step=1), state_folder=folder / "state",
    )  # fmt: skip
    with vault:
        space = vault.space()
        for text in ("one", "two", "three"):
            space.remember(text, session="s1", tags=["t"])
        yield space


@pytest.fixture(autouse=True)
def nothing_changes(memory: Memory) -> Iterator[None]:
    """After each test the space holds its three nodes and verifies."""
    before = [node.id for node in memory.nodes()]
    yield
    assert [node.id for node in memory.nodes()] == before
    assert len(before) == 3
    assert memory.verify(full=True) == []


def refused(error: type[Exception], says: str, work: Callable[[], Any]) -> None:
    """Assert that this is refused by exactly that error in one sentence that says this."""
    with pytest.raises(error, match=says) as caught:
        work()
    message = str(caught.value)
    assert type(caught.value) is error
    assert "\n" not in message
    assert 10 < len(message) < 300


def deep(levels: int, name: str = "more") -> dict[str, Any]:
    """Return a mapping nested so many levels."""
    value: dict[str, Any] = {"user": "ada"}
    for _ in range(levels):
        value = {name: value}
    return value


DRAFTS: list[tuple[type[Exception], str, dict[str, Any]]] = [
    (ValueError, "the text is empty; give a text", {"text": ""}),
    (ValueError, "the text is empty; give a text", {"text": " \n\t"}),
    (TypeError, "text must be text, not NoneType", {"text": None}),
    (TypeError, "text must be text, not bytes", {"text": b"bytes"}),
    (ValueError, "the most is 1,048,576; split it into several", {"text": "x" * (MIB + 1)}),
    (ValueError, "the most is 1,048,576; split it into several", {"text": "word " * (2 * MIB)}),
    (ValueError, "NUL character; remove it", {"text": "a\x00b"}),
    (ValueError, "lone surrogate.; decode the source as UTF-8", {"text": SURROGATE}),
    (ValueError, "is no date; write it like 2026-05-01", {"at": "yesterday"}),
    (ValueError, "is no date; write it like 2026-05-01", {"at": "2026-13-01T00:00Z"}),
    (ValueError, "names no time zone; add one", {"at": datetime(2026, 5, 1)}),
    (ValueError, "names no time zone; add one", {"at": "2026-05-01T09:00"}),
    (ValueError, "outside the years 1 to 9999", {"at": datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=9)))}),
    (ValueError, "is no date", {"at": "10000-01-01T00:00Z"}),
    (TypeError, "at must be a datetime", {"at": 1_777_593_600}),
    (ValueError, "expires_at.* names no time zone", {"expires_at": "2026-05-01T09:00"}),
    (ValueError, "NaN or infinity, which JSON does not know; use None", {"metadata": {"a": float("nan")}}),
    (ValueError, "NaN or infinity", {"metadata": {"a": [{"b": float("-inf")}]}}),
    (ValueError, "nested deeper than 32 levels", {"metadata": deep(40)}),
    (ValueError, "nested deeper than 32 levels", {"metadata": deep(9_000)}),
    (ValueError, "the most is 65,536", {"metadata": {"a": "x" * 70_000}}),
    (TypeError, "a name that is no text: 5", {"metadata": {5: 1}}),
    (TypeError, "which JSON does not know; use text", {"metadata": {"a": datetime(2026, 5, 1, tzinfo=UTC)}}),
    (TypeError, "metadata must be a mapping", {"metadata": "text"}),
    (ValueError, "lone surrogate", {"metadata": {"a": SURROGATE}}),
    (ValueError, "lone surrogate", {"metadata": {SURROGATE: 1}}),
    (ValueError, "give it as text", {"metadata": {"a": 10**5_000}}),
    (TypeError, "tags must be a list of texts", {"tags": "travel"}),
    (TypeError, "a tag must be text, not int", {"tags": [5]}),
    (ValueError, "a tag holds half a character", {"tags": [SURROGATE]}),
    (TypeError, "links must be a list of Link", {"links": ["0" * 64]}),
    (TypeError, "ref must be a tuple of texts", {"ref": "name"}),
    (ValueError, "lone surrogate", {"ref": (SURROGATE,)}),
    (TypeError, "data must be bytes", {"data": "text"}),
    (ValueError, "the most is 16,777,216", {"data": bytes((16 << 20) + 1)}),
    (TypeError, "index must be True, False or a list", {"index": "passage"}),
    (ValueError, "lone surrogate", {"index": [SURROGATE]}),
    (TypeError, "pinned must be True or False", {"pinned": "yes"}),
    (
        ValueError,
        r"vector has shape \(3,\).*\(64,\) or \(n, 64\), as embedder 'hash-64' does",
        {"vector": [1.0, 2.0, 3.0]},
    ),
    (ValueError, "vector has shape", {"vector": "text"}),
    (ValueError, "vector gave a vector with NaN or infinity", {"vector": [float("nan")] * 64}),
    (ValueError, "vector gave a zero vector", {"vector": np.zeros(64)}),
    (ValueError, "leave out vector or index=False", {"vector": np.ones(64), "index": False}),
    (ValueError, "duplicates is one of mark, merge, not 'drop'", {"duplicates": "drop"}),
    *(
        case
        for name in ("speaker", "role", "session", "user", "agent", "kind")
        for case in (
            (TypeError, f"{name} must be text, not int", {name: 5}),
            (ValueError, f"{name} is empty; leave it out", {name: ""}),
            (ValueError, f"{name} holds half a character", {name: SURROGATE}),
            (ValueError, f"{name} holds a NUL", {name: "a\x00"}),
            (ValueError, f"{name} has 10,000 characters, the most is 256", {name: "x" * 10_000}),
        )
    ),
]


@pytest.mark.parametrize(("error", "says", "fields"), DRAFTS, ids=map(str, range(len(DRAFTS))))
def test_a_bad_field_is_refused_by_every_verb_that_remembers(
    memory: Memory, error: type[Exception], says: str, fields: dict[str, Any]
) -> None:
    """`remember`, `remember_many` (before anything of the list is stored) and `supersede` say the same."""
    node = next(memory.nodes())
    given = {"text": "text", **fields}
    refused(error, says, lambda: memory.remember(**given))
    if "text" not in fields or fields["text"] is not None:
        refused(error, says, lambda: memory.supersede(node.id, given.pop("text"), **given))
    refused(error, says, lambda: memory.remember_many([Draft("good"), Draft(**{"text": "text", **fields})]))


def test_an_unknown_field_is_refused(memory: Memory) -> None:
    """Python says so of `remember`; `supersede` lists those there are."""
    node = next(memory.nodes())
    refused(TypeError, "unexpected keyword argument 'colour'", lambda: memory.remember("x", colour="red"))  # type: ignore[call-arg]
    says = "a memory has no field 'colour'; it has agent, at"
    refused(TypeError, says, lambda: memory.supersede(node.id, colour="red"))


def test_a_link_to_a_node_that_is_not_here_is_not_found(memory: Memory) -> None:
    """The sentence names it; nothing of the batch is stored."""
    link = mimir.Link("about", "0" * 64)
    refused(mimir.NotFoundError, "points to node 000.* not in this space", lambda: memory.remember("x", links=[link]))
    drafts = [Draft("good"), Draft("x", links=[link])]
    refused(mimir.NotFoundError, "not in this space", lambda: memory.remember_many(drafts))


@pytest.mark.parametrize("drafts", [None, 5, "text", Draft("x"), b"bytes"])
def test_what_is_no_iterable_of_drafts_is_a_type_error(memory: Memory, drafts: Any) -> None:
    """And so is an iterable of something else."""
    refused(TypeError, "remember_many takes an iterable of Drafts, not", lambda: memory.remember_many(drafts))
    refused(TypeError, "takes Drafts, not dict", lambda: memory.remember_many([{"text": "x"}]))  # type: ignore[list-item]


RECALLS: list[tuple[type[Exception], str, dict[str, Any]]] = [
    (TypeError, "the query must be text, not NoneType", {"query": None}),
    (TypeError, "the query must be text, not int", {"query": 5}),
    (ValueError, "the query holds a NUL", {"query": "a\x00"}),
    (ValueError, "the query holds half a character", {"query": SURROGATE}),
    (ValueError, "the most is 65,536", {"query": "x" * 70_000}),
    (ValueError, "k must be 1 to 10,000, not 0", {"k": 0}),
    (ValueError, "k must be 1 to 10,000, not -1", {"k": -1}),
    (ValueError, "k must be 1 to 10,000, not 1000000000", {"k": 10**9}),
    (TypeError, "k must be a whole number, not bool", {"k": True}),
    (TypeError, "k must be a whole number, not str", {"k": "3"}),
    (TypeError, "k must be a whole number, not float", {"k": 3.0}),
    (TypeError, "k must be a whole number, not NoneType", {"k": None}),
    (ValueError, "lanes is a list of dense, lexical", {"lanes": "dense"}),
    (ValueError, "lanes is a list of dense, lexical", {"lanes": []}),
    (ValueError, "lanes is a list of dense, lexical", {"lanes": 5}),
    (ValueError, "there is no lane 'sparse'", {"lanes": ["sparse"]}),
    (ValueError, "there is no lane", {"lanes": ["x\n" * 500]}),
    (TypeError, "min_score must be a number, not str", {"min_score": "0.5"}),
    (TypeError, "min_score must be a number, not bool", {"min_score": True}),
    (ValueError, "min_score must be 0 to 1", {"min_score": float("nan")}),
    (ValueError, "min_score must be 0 to 1", {"min_score": 1.5}),
    (ValueError, "as_of=.*names no time zone", {"as_of": "2026-05-01T00:00"}),
    (TypeError, "as_of must be a datetime", {"as_of": 5}),
    (ValueError, "known_at=.*is no date", {"known_at": "soon"}),
    (TypeError, "known_at must be a datetime", {"known_at": 5}),
    (ValueError, "vector has shape", {"vector": [1.0]}),
    (ValueError, "a query has one vector, not 2", {"vector": np.ones((2, 64))}),
    (ValueError, "vector gave a zero vector", {"vector": [0.0] * 64}),
]
WHERES: list[tuple[type[Exception], str, dict[str, Any]]] = [
    (ValueError, "where knows no field 'colour'; it knows user", {"where": {"colour": "red"}}),
    (ValueError, "where knows no operator 'like'; it knows eq", {"where": {"user": {"like": "a"}}}),
    (TypeError, "where must be a mapping such as", {"where": "user"}),
    (TypeError, "where must be a mapping such as", {"where": [("user", "ada")]}),
    (ValueError, "metadata needs a path", {"where": {"metadata": {"a": 1}}}),
    (ValueError, "lone surrogate", {"where": {"metadata.a": SURROGATE}}),
    (ValueError, "lone surrogate", {"where": {"tags": SURROGATE}}),
    (ValueError, "lone surrogate", {"where": {("metadata", SURROGATE): 1}}),
    (ValueError, "deeper than 32 levels", {"where": deep(50, "not")}),
    (ValueError, "user is empty", {"user": ""}),
    (TypeError, "agent must be text, not int", {"agent": 5}),
    (ValueError, "session holds half a character", {"session": SURROGATE}),
    (TypeError, "under must be a tuple of texts", {"under": "prefs"}),
    (TypeError, "under must be a tuple of texts", {"under": ""}),
    (ValueError, "under is empty; give at least one part", {"under": []}),
    (TypeError, "every part of under is text, not int", {"under": ("a", 5)}),
    (ValueError, "where knows no field 'ref'", {"where": {"ref": ("a",)}}),
]
LISTS: list[tuple[type[Exception], str, dict[str, Any]]] = [
    (ValueError, "order is one of oldest, newest, ref, not 'random'", {"order": "random"}),
    (ValueError, "order is one of oldest, newest, ref", {"order": None}),
    (ValueError, "limit must be 1 to", {"limit": 0}),
    (TypeError, "limit must be a whole number, not str", {"limit": "5"}),
    (TypeError, "limit must be a whole number, not bool", {"limit": True}),
    (mimir.NotFoundError, "is no node id: give at least 8", {"after": "xyz"}),
    (mimir.NotFoundError, "there is no node 0000", {"after": "0" * 64}),
    (TypeError, "a node id is text, not int", {"after": 5}),
]
CONTEXTS: list[tuple[type[Exception], str, dict[str, Any]]] = [
    (ValueError, "budget must be 1 to", {"budget": 0}),
    (ValueError, "budget must be 1 to", {"budget": -5}),
    (TypeError, "budget must be a whole number, not float", {"budget": 800.0}),
    (TypeError, "counter must be a function of a text, not int", {"counter": 5}),
    (TypeError, "the query must be text, not int", {"query": 5}),
    (ValueError, "as_of=.*names no time zone", {"as_of": "2026-05-01T00:00"}),
]


def ids(cases: list[Any]) -> list[str]:
    """Return a short id for each case."""
    return [f"{number}-{next(iter(fields))}" for number, (_, _, fields) in enumerate(cases)]


@pytest.mark.parametrize(("error", "says", "given"), RECALLS + WHERES, ids=ids(RECALLS + WHERES))
def test_a_bad_recall_is_refused(memory: Memory, error: type[Exception], says: str, given: dict[str, Any]) -> None:
    """Before anything is embedded or searched."""
    refused(error, says, lambda: memory.recall(**{"query": "one", **given}))


@pytest.mark.parametrize(("error", "says", "given"), LISTS + WHERES, ids=ids(LISTS + WHERES))
def test_a_bad_listing_is_refused(memory: Memory, error: type[Exception], says: str, given: dict[str, Any]) -> None:
    """At once, not when the first node is asked for."""
    refused(error, says, lambda: memory.nodes(**given))


@pytest.mark.parametrize(("error", "says", "given"), WHERES, ids=ids(WHERES))
def test_a_bad_filter_is_refused_everywhere(
    memory: Memory, error: type[Exception], says: str, given: dict[str, Any]
) -> None:
    """By count, context and forget too."""
    refused(error, says, lambda: memory.count(**given))
    refused(error, says, lambda: memory.context(**given))
    refused(error, says, lambda: memory.forget(**given))


@pytest.mark.parametrize(("error", "says", "given"), CONTEXTS, ids=ids(CONTEXTS))
def test_a_bad_context_is_refused(memory: Memory, error: type[Exception], says: str, given: dict[str, Any]) -> None:
    """With a sentence about the argument."""
    refused(error, says, lambda: memory.context(**given))


@pytest.mark.parametrize("node_id", [5, None, b"0" * 64, ["0" * 64]])
def test_an_id_of_another_type_is_refused(memory: Memory, node_id: Any) -> None:
    """By every verb that takes one."""
    if node_id is None:
        for verb in (memory.get, memory.hide, memory.keep):
            refused(ValueError, "give a node id or a ref", lambda verb=verb: verb(node_id))
    else:
        for verb in (memory.get, memory.hide, memory.keep):
            refused(TypeError, "a node id is text, not", lambda verb=verb: verb(node_id))
        refused(TypeError, "a node id is text, not", lambda: memory.supersede(node_id, "x"))
        refused(ValueError, "whole node ids of 64", lambda: memory.forget(node_id))
    refused(TypeError, "a node id is text, not", lambda: memory.history(node_id))


def test_a_ref_of_another_kind_is_refused(memory: Memory) -> None:
    """By every verb that takes one."""
    for verb in (memory.get, memory.hide, memory.keep):
        refused(TypeError, "ref must be a tuple of texts", lambda verb=verb: verb(ref="name"))
        refused(ValueError, "ref is empty", lambda verb=verb: verb(ref=()))
        refused(ValueError, "give a node id or a ref", lambda verb=verb: verb("0" * 64, ref=("a",)))
    refused(TypeError, "every part of ref is text", lambda: memory.forget(ref=("a", 5)))  # type: ignore[arg-type]
    refused(ValueError, "ref is empty", lambda: memory.forget(ref=()))
    for old, new in ((("a",), ()), ((), ("a",))):
        refused(ValueError, "ref is empty", lambda old=old, new=new: memory.move(old, new))
    refused(TypeError, "ref must be a tuple of texts", lambda: memory.move("a", ("b",)))  # type: ignore[arg-type]


def test_a_forgetting_of_nothing_or_of_two_things_is_refused(memory: Memory) -> None:
    """An empty prefix or filter is not taken for everything."""
    says = "forget takes a node id, or a ref, or a filter"
    node = next(memory.nodes())
    for given in ({}, {"where": {}}, {"under": ()}, {"under": (), "user": "ada"}, {"dry_run": True, "derived": True}):
        refused(ValueError, says, lambda given=given: memory.forget(**given))
    for given in ({"user": "ada"}, {"ref": ("a",)}, {"under": ("a",)}, {"where": {"tags": "t"}}):
        refused(ValueError, says, lambda given=given: memory.forget(node.id, **given))
    refused(ValueError, says, lambda: memory.forget(ref=("a",), under=("a",)))


@pytest.mark.parametrize(
    ("error", "says", "node_ids"),
    [
        (TypeError, "vectors takes a list of node ids, not str", "0" * 64),
        (TypeError, "vectors takes a list of node ids, not NoneType", None),
        (TypeError, "vectors takes a list of node ids, not generator", (one for one in ())),
        (TypeError, "a node id is text, not int", [5]),
        (mimir.NotFoundError, "there is no node 000", ["0" * 64]),
        (mimir.NotFoundError, "is no node id", ["xyz"]),
    ],
)
def test_vectors_of_what_is_no_node_are_refused(
    memory: Memory, error: type[Exception], says: str, node_ids: Any
) -> None:
    """A single id is no list of them."""
    refused(error, says, lambda: memory.vectors(node_ids))


@pytest.mark.parametrize(
    ("error", "says", "given"),
    [
        (TypeError, "under must be a tuple of texts", {"under": "prefs"}),
        (TypeError, "depth must be a whole number, not str", {"depth": "1"}),
        (ValueError, "depth must be 1 to", {"depth": 0}),
    ],
)
def test_a_bad_listing_of_refs_is_refused(
    memory: Memory, error: type[Exception], says: str, given: dict[str, Any]
) -> None:
    """With a sentence about the argument."""
    refused(error, says, lambda: memory.refs(**given))


@pytest.mark.parametrize(
    ("error", "says", "given"),
    [
        (ValueError, "user is empty", {"user": ""}),
        (TypeError, "under must be a tuple of texts", {"under": "prefs"}),
        (TypeError, "read_only must be True or False", {"read_only": "yes"}),
        (ValueError, "duplicates is one of mark, merge", {"duplicates": "drop"}),
        (TypeError, "needs .name, .dimension and .embed", {"embedder": "MiniLM"}),
        (ValueError, "An embedder needs a name", {"embedder": HashEmbedder(name=" ")}),
    ],
)
def test_a_view_that_cannot_be_is_refused(
    memory: Memory, error: type[Exception], says: str, given: dict[str, Any]
) -> None:
    """When it is made, not when it is used."""
    refused(error, says, lambda: memory.view(**given))


def test_superseding_what_is_not_here_is_not_found(memory: Memory) -> None:
    """Whole, shortened or no id at all."""
    refused(mimir.NotFoundError, "there is no node 000", lambda: memory.supersede("0" * 64, "x"))
    refused(mimir.NotFoundError, "there is no node 00000000", lambda: memory.supersede("00000000", "x"))
    refused(mimir.NotFoundError, "is no node id", lambda: memory.supersede("x\ny" * 500, "x"))


NAMES: list[tuple[type[Exception], str, Any]] = [
    (ValueError, "the name of a space", ""),
    (ValueError, "the name of a space", None),
    (ValueError, "the name of a space", " "),
    (ValueError, "the name of a space", " work"),
    (ValueError, "the name of a space", "a\nb"),
    (ValueError, "the name of a space", "a\x00b"),
    (ValueError, "the name of a space", SURROGATE),
    (ValueError, "the name of a space has 300 characters", "x" * 300),
    (TypeError, "the name of a space must be text, not int", 5),
    (TypeError, "the name of a space must be text, not bytes", b"work"),
]


@pytest.mark.parametrize(("error", "says", "name"), NAMES, ids=map(str, range(len(NAMES))))
def test_a_bad_name_of_a_space_is_refused(memory: Memory, error: type[Exception], says: str, name: Any) -> None:
    """By creating and renaming; no file is left."""
    vault = memory.vault
    refused(error, says, lambda: vault.create_space(name))
    refused(error, says, lambda: vault.rename_space("main", name))
    assert [info.name for info in vault.spaces()] == ["main"]
    assert len(list((Path(vault.path) / "spaces").glob("*.db"))) == 1


@pytest.mark.parametrize("name", ["gone", "", "x\ny" * 300, SURROGATE, 5, None])
def test_an_unknown_space_is_not_found(memory: Memory, name: Any) -> None:
    """Whatever it is called."""
    refused(mimir.NotFoundError, "`mimir space list` shows", lambda: memory.vault.space(name))
    refused(mimir.NotFoundError, "`mimir space list` shows", lambda: memory.vault.erase_space(name))
    refused(mimir.NotFoundError, "`mimir space list` shows", lambda: memory.vault.rebuild(name or "gone"))
