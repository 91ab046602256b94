"""Listing: nodes by id, ref, filter and order, opened as they are asked for."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mimir_vault import Draft, Link, Memory, Vault
from mimir_vault import listing as module
from mimir_vault.errors import AmbiguousIdError, NotFoundError
from mimir_vault.listing import BATCH_NODES, newest_hits
from mimir_vault.model.filter import EVERYTHING, matches, parse_filter
from mimir_vault.store import nodes as nodes_store
from mimir_vault.viewed_space import ViewedSpace
from quick_vaults import QuickVaults

M_VALUES: list[Any] = [0, 1, 1.5, True, "a", "A", "ab", [1, "a"], {"deep": 1}]
CONDITIONS: list[dict[Any, Any]] = [
    {"speaker": "Ada"}, {"speaker": None}, {"speaker": {"ne": "Ada"}}, {"speaker": {"contains": "d"}},
    {"user": {"in": ["ada", None]}}, {"user": {"exists": False}}, {"user": {"gt": "ada"}}, {"kind": "turn"},
    {"role": {"nin": ["user"]}}, {"text": {"icontains": "WINDOW"}}, {"text": "aisle"},
    {"at": {"gte": "2026-05-15T00:00Z"}}, {"at": "2026-05-01T00:00Z"}, {"at": {"nin": ["2026-05-01T00:00Z"]}},
    {"tags": "a"}, {"tags": {"contains": ["a", "b"]}}, {"tags": {"ne": "b"}}, {"tags": {"exists": True}},
    {"metadata.m": 1}, {"metadata.m": True}, {"metadata.m": {"gt": 0}}, {"metadata.m": {"contains": "a"}},
    {"metadata.m": {"icontains": "A"}}, {"metadata.m": None}, {"metadata.m": {"ne": "a"}},
    {"metadata.m.deep": 1}, {"metadata.m": {"in": [[1, "a"], "ab"]}}, {"metadata.m": {"exists": True}},
]  # fmt: skip
WHERES = st.recursive(
    st.sampled_from(CONDITIONS),
    lambda inner: (
        st.builds(lambda part: {"not": part}, inner)
        | st.builds(
            lambda word, parts: {word: parts}, st.sampled_from(["and", "or"]), st.lists(inner, min_size=1, max_size=3)
        )
    ),
    max_leaves=4,
)


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A space with a few hundred made-up nodes."""
    folder = tmp_path_factory.mktemp("listing")
    vaults = QuickVaults(folder, folder / "state")
    source = random.Random(7)
    choices: list[dict[str, Any]] = [
        {
            "text": source.choice(["window seat", "aisle", "A window"]), "speaker": source.choice([None, "Ada", "Bo"]),
            "user": source.choice([None, "ada", "bo"]), "tags": source.choice([(), ("a",), ("a", "b")]),
            "metadata": source.choice([{}, {"m": source.choice(M_VALUES)}]),
            "at": source.choice([None, "2026-05-01T00:00Z", "2026-06-01T00:00Z"]),
        }
        for _ in range(160)
    ]  # fmt: skip
    memory = vaults.create().space()
    memory.remember_many([Draft(**fields) for fields in choices])
    yield memory
    vaults.lock_all()


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(where=WHERES)
def test_every_verb_gives_what_the_filter_says_of_each_node(many: Memory, where: dict[Any, Any]) -> None:
    """Columns, names and attributes only narrow: nodes, count and forget agree with asking every node itself."""
    filter_ = parse_filter(where)
    expected = [node.id for node in many.nodes() if matches(filter_, node)]
    assert [node.id for node in many.nodes(where)] == expected
    assert many.count(where) == len(expected)
    assert list(many.forget(where=where, dry_run=True).ids) == expected
    if expected:
        hits = many.recall("window seat aisle", k=500, where=where)
        assert {hit.id for hit in hits} <= set(expected)


def test_counting_opens_only_what_the_columns_do_not_decide(many: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user is decided by its column; a text is not."""
    opened: list[int] = []
    real = ViewedSpace.opened

    def noted(space: ViewedSpace, connection: Any, seqs: Any) -> Any:
        opened.append(len(seqs))
        return real(space, connection, seqs)

    monkeypatch.setattr(ViewedSpace, "opened", noted)
    assert many.count(user="ada") > 0
    assert opened == []
    assert many.count({"text": "aisle"}) > 0
    assert sum(opened) == 160
    assert max(opened) <= BATCH_NODES


# -- versions ---------------------------------------------------------------------------------------------------------


def test_history_has_a_bound(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    """However tangled the links are, it ends."""
    memory = vault.space()
    node = memory.remember("0")
    for number in range(1, 6):
        node = memory.supersede(node.id, f"{number}")
    assert len(memory.history(node.id)) == 6
    monkeypatch.setattr(module, "HISTORY_MAX", 3)
    assert len(memory.history(node.id)) == 3


def test_history_of_branches_is_whole(vault: Vault) -> None:
    """Two that supersede one node, and one that supersedes two."""
    memory = vault.space()
    one = memory.remember("one")
    two, three = memory.supersede(one.id, "two"), memory.supersede(one.id, "three")
    four = memory.remember("four", links=[Link("supersedes", two.id), Link("supersedes", three.id)])
    assert [node.text for node in memory.history(one.id)] == ["four", "three", "two", "one"]
    assert [node.id for node in memory.history(four.id)] == [four.id, three.id, two.id, one.id]


# -- the newest -------------------------------------------------------------------------------------------------------


def test_the_newest_hits_are_pinned_ones_first(vault: Vault) -> None:
    """Then by `at`, newest first; a text once, blank ones never; scores fall from 1."""
    memory = vault.space()
    for number, pinned in enumerate((False, True, False, False)):
        memory.remember(f"fact {number}", at=f"2026-05-0{number + 1}T00:00Z", pinned=pinned)
    memory.remember("fact 0", at="2026-05-09T00:00Z")
    memory.remember("", data=b"no text", at="2026-05-10T00:00Z")
    hits = newest_hits(memory._space, EVERYTHING, 10, None, None)
    assert [hit.text for hit in hits] == ["fact 1", "fact 0", "fact 3", "fact 2"]
    assert [hit.score for hit in hits] == [1, 1 / 2, 1 / 3, 1 / 4]
    assert all(hit.passage == hit.text for hit in hits)
    assert len(newest_hits(memory._space, EVERYTHING, 2, None, None)) == 2


# -- by id and by ref -------------------------------------------------------------------------------------------------


def test_a_node_is_found_by_id_by_its_digits_and_by_ref(vault: Vault) -> None:
    """Hidden and expired ones too, where a verb asks for them; `get` gives those that are current."""
    memory = vault.space()
    nodes = [memory.remember("x", ref=("a",)), memory.remember("y", ref=("b",), expires_at="2020-01-01T00:00Z")]
    memory.hide(nodes[0].id)
    space = memory._space
    with memory._space.read() as connection:
        for node in nodes:
            for given in ((node.id, None), (node.id[:9].upper(), None), (None, node.ref)):
                opened = module.find(space, connection, *given)
                assert opened is not None
                assert opened.stored.sealed.id.hex() == node.id
                assert module.get(space, *given) is None
        assert module.find(space, connection, "0" * 64, None) is None
        assert module.find(space, connection, None, ("c",)) is None
    assert module.named(space, nodes[1].id, None) == module.named(space, None, ("b",)) == [2]
    assert module.named(space, "0" * 64, None) == module.named(space, None, ("c",)) == []


def test_a_beginning_is_ambiguous_only_within_the_view(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    """A node outside of it is not there, whatever its id begins with."""
    memory = vault.space()
    mine, theirs = memory.remember("mine", user="ada"), memory.remember("theirs", user="bo")
    ada = memory.view(user="ada")
    with memory._space.read() as connection:
        both = [*nodes_store.find(connection, mine.id), *nodes_store.find(connection, theirs.id)]
    monkeypatch.setattr(nodes_store, "find", lambda connection, digits: both)
    with pytest.raises(AmbiguousIdError, match="several node ids begin with 00000000; give more digits"):
        memory.get("00000000")
    assert ada.get("00000000") == mine
    monkeypatch.undo()
    assert ada.get(theirs.id) is None


# -- hidden ones ------------------------------------------------------------------------------------------------------


def test_hidden_nodes_are_listed_when_asked_for(vault: Vault) -> None:
    """By filter and order, and no others; those that a grace has ended for stay until they are destroyed."""
    memory = vault.space()
    nodes = memory.remember_many([Draft(f"{number}", user="ada" if number % 2 else "bo") for number in range(6)])
    for number in (1, 2, 3):
        memory.hide(nodes[number].id)
    assert [node.text for node in memory.nodes(hidden=True)] == ["1", "2", "3"]
    assert [node.text for node in memory.nodes(hidden=True, order="newest", limit=2)] == ["3", "2"]
    assert [node.text for node in memory.nodes({"text": {"ne": "1"}}, user="ada", hidden=True)] == ["3"]
    assert [node.text for node in memory.nodes()] == ["0", "4", "5"]
    assert memory.count() == 3


# -- refs -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def tree(vault: Vault) -> Memory:
    """Refs in no order, one with two versions, one hidden, one expired, and nodes without."""
    memory = vault.space()
    for text, ref in (
        ("1", ("b", "2")), ("2", None), ("3", ("a",)), ("4", ("b", "10")), ("5", ("a",)), ("6", ("a", "x", "y")),
        ("7", None), ("8", ("ab",)),
    ):  # fmt: skip
        memory.remember(text, ref=ref, user="ada" if ref and ref[0] == "b" else None)
    memory.remember("over", ref=("over",), expires_at="2020-01-01T00:00Z")
    memory.hide(memory.remember("hidden", ref=("hidden",)).id)
    return memory


def test_refs_are_listed_in_their_order(tree: Memory) -> None:
    """Once each, below a prefix, cut to a depth; only those of which a version is neither hidden nor expired."""
    assert tree.refs() == [("a",), ("a", "x", "y"), ("ab",), ("b", "10"), ("b", "2")]
    assert tree.refs(depth=1) == [("a",), ("ab",), ("b",)]
    assert tree.refs(depth=2) == [("a",), ("a", "x"), ("ab",), ("b", "10"), ("b", "2")]
    assert tree.refs(("a",)) == [("a",), ("a", "x", "y")]
    assert tree.refs(("a",), depth=2) == [("a",), ("a", "x")]
    assert tree.refs(("nothing",)) == []
    tree.keep(ref=("hidden",))
    assert ("hidden",) in tree.refs()
    tree.remember("no more", ref=("a",), expires_at="2020-01-01T00:00Z")
    assert ("a",) in tree.refs()
    for node in tree.nodes(under=("a",)):
        tree.hide(node.id)
    assert ("a",) not in tree.refs()


def test_a_view_lists_its_own_refs(tree: Memory) -> None:
    """Of its fields and below its prefix; others are refused."""
    assert tree.view(user="ada").refs() == [("b", "10"), ("b", "2")]
    assert tree.view(under=("a",)).refs() == tree.view(under=("a",)).refs(("a",)) == [("a",), ("a", "x", "y")]
    assert tree.view(under=("a",)).refs(("a", "x")) == [("a", "x", "y")]
    with pytest.raises(ValueError, match="this view is of refs under"):
        tree.view(under=("a",)).refs(("b",))


def test_nodes_in_the_order_of_their_refs(tree: Memory) -> None:
    """Part by part, versions as they were stored, those without a ref last; on from any of them."""
    nodes = list(tree.nodes(order="ref"))
    assert [node.text for node in nodes] == ["3", "5", "6", "8", "4", "1", "2", "7"]
    assert [node.text for node in tree.nodes(order="ref", under=("b",))] == ["4", "1"]
    for place, node in enumerate(nodes):
        assert list(tree.nodes(order="ref", after=node.id, limit=3)) == nodes[place + 1 : place + 4]


def test_there_is_no_place_behind_what_is_not_listed(tree: Memory) -> None:
    """In the order of refs; in the order of storing there is."""
    six = next(node for node in tree.nodes() if node.text == "6")
    with pytest.raises(NotFoundError, match="not among those that are listed; begin again"):
        tree.nodes(order="ref", under=("b",), after=six.id)
    assert [node.text for node in tree.nodes(under=("b",), after=six.id)] == []
    assert [node.text for node in tree.nodes(under=("b",), after=six.id, order="newest")] == ["4", "1"]


# -- views ------------------------------------------------------------------------------------------------------------


def test_a_view_sees_no_version_outside(vault: Vault) -> None:
    """History leaves out what others wrote, also between its own."""
    memory = vault.space()
    one = memory.remember("one", user="ada")
    two = memory.supersede(one.id, "two", user="bo")
    three = memory.supersede(two.id, "three", user="ada")
    ada = memory.view(user="ada")
    assert [node.text for node in memory.history(one.id)] == ["three", "two", "one"]
    assert [node.text for node in ada.history(three.id)] == ["three", "one"]
    with pytest.raises(NotFoundError, match="there is no node"):
        ada.history(two.id)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(where=WHERES | st.none(), user=st.sampled_from(["ada", "bo"]))
def test_every_verb_of_a_view_gives_what_its_filter_says(many: Memory, where: Any, user: str) -> None:
    """And its own fields, of each node."""
    view = many.view(user=user)
    filter_ = parse_filter(where)
    expected = [node.id for node in many.nodes() if node.user == user and matches(filter_, node)]
    assert [node.id for node in view.nodes(where)] == expected
    assert view.count(where) == len(expected)
    assert {hit.id for hit in view.recall("window seat aisle", k=500, where=where)} <= set(expected)
    if where is not None:
        assert list(view.forget(where=where, dry_run=True).ids) == expected
