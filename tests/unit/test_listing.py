"""Listing: nodes by id, ref, filter and order, opened as they are asked for."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mimir_vault import Draft, Link, Memory, Vault
from mimir_vault import listing as module
from mimir_vault.listing import BATCH_NODES, newest_hits
from mimir_vault.model.filter import EVERYTHING, matches, parse_filter
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
