"""Putting: what is the same at a ref, links within a view, and vectors that an owner gave."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from mimir_vault import Draft, Link, Memory, Vault, errors
from mimir_vault.putting import Ready
from mimir_vault.testing import FixedClock, HashEmbedder


@pytest.fixture
def memory(vault: Vault) -> Memory:
    """An empty space."""
    return vault.space()


def vector(seed: int = 0, count: int = 1) -> Any:
    """Return vectors, float32 (count, 64)."""
    return np.random.default_rng(seed).normal(size=(count, 64)).astype(np.float32)


def test_only_a_draft_without_a_place_may_be_merged() -> None:
    """And only where its memory or itself says so."""
    merging = Draft("x", duplicates="merge")
    assert Ready(merging, mergeable=True).merges
    assert not Ready(merging, mergeable=False).merges
    assert not Ready(Draft("x"), mergeable=True).merges


# -- refs -------------------------------------------------------------------------------------------------------------


def test_the_same_vector_at_a_ref_is_nothing_new(memory: Memory) -> None:
    """Compared bit for bit, at length 1; without one the text decides."""
    one = memory.remember("x", ref=("r",), vector=vector())
    assert memory.remember("x", ref=("r",), vector=vector()).id == one.id
    assert memory.remember("x", ref=("r",), vector=2 * vector()).id == one.id
    assert memory.remember("x", ref=("r",)).id == one.id
    assert memory.count() == 1


@pytest.mark.parametrize("given", [vector(1), vector(0, 2), -vector()])
def test_another_vector_at_a_ref_is_a_new_version(memory: Memory, given: Any) -> None:
    """Other numbers, or another number of them."""
    one = memory.remember("x", ref=("r",), vector=vector())
    two = memory.remember("x", ref=("r",), vector=given)
    assert two.links == (Link("supersedes", one.id),)


def test_a_vector_where_there_was_none_is_a_new_version(memory: Memory) -> None:
    """And one of another embedder too."""
    one = memory.remember("x", ref=("r",))
    two = memory.remember("x", ref=("r",), vector=vector())
    view = memory.view(embedder=HashEmbedder(64, "other"))
    three = view.remember("x", ref=("r",), vector=vector())
    assert [node.links for node in (two, three)] == [(Link("supersedes", one.id),), (Link("supersedes", two.id),)]
    assert np.array_equal(view.vectors([three.id]), memory.vectors([two.id]))


@pytest.mark.parametrize(
    "change",
    [{"pinned": True}, {"expires_at": "2099-01-01T00:00Z"}, {"index": ["p"]}, {"at": "2026-05-02T00:00Z"}],
)
def test_whatever_a_draft_says_anew_is_a_new_version(memory: Memory, change: dict[str, Any]) -> None:
    """And said again it is none; without a moment of its own it is the same at any time."""
    one = memory.remember("x", ref=("r",), at="2026-05-01T00:00Z")
    assert memory.remember("x", ref=("r",)).id == one.id
    two = memory.remember("x", **{"ref": ("r",), "at": "2026-05-01T00:00Z", **change})
    assert two.id != one.id
    assert memory.remember("x", **{"ref": ("r",), "at": "2026-05-01T00:00Z", **change}).id == two.id


@pytest.mark.parametrize("away", ["hidden", "expired", "graced"])
def test_what_is_gone_for_its_owner_is_not_given_back(memory: Memory, clock: FixedClock, away: str) -> None:
    """The same said again is a new node at the ref, which supersedes it."""
    expires = clock.moment + timedelta(days=1) if away == "expired" else None
    one = memory.remember("x", ref=("r",), expires_at=expires)
    if away == "hidden":
        memory.hide(one.id)
    elif away == "graced":
        memory.forget(one.id, grace=timedelta(days=1))
    else:
        clock.advance(90_000)
    two = memory.remember("x", ref=("r",), expires_at=expires)
    assert two.links == (Link("supersedes", one.id),)
    assert memory.count() == (0 if away == "expired" else 1)


def test_a_ref_of_another_view_is_taken(memory: Memory) -> None:
    """It can neither be given back nor superseded; nothing is stored."""
    memory.view(user="bo").remember("x", ref=("r",))
    with pytest.raises(errors.ExistsError, match=r"the ref \('r',\) is taken by a node outside of this view"):
        memory.view(user="ada").remember("x", ref=("r",))
    assert memory.count() == 1
    assert memory.view(user="bo").remember("y", ref=("r",)).user == "bo"


# -- links ------------------------------------------------------------------------------------------------------------


def test_a_link_points_at_what_the_view_sees(memory: Memory) -> None:
    """A node of somebody else is not there; one that is forgotten is not there for anybody."""
    theirs, mine = memory.remember("x", user="bo"), memory.remember("y", user="ada")
    ada = memory.view(user="ada")
    with pytest.raises(errors.NotFoundError, match=f"a link points to node {theirs.id}, which is not in this space"):
        ada.remember("z", links=[Link("about", theirs.id)])
    assert ada.remember("z", links=[Link("about", mine.id)]).links == (Link("about", mine.id),)
    memory.forget(mine.id)
    with pytest.raises(errors.NotFoundError, match="not in this space"):
        ada.remember("z", links=[Link("about", mine.id)])


def test_chains_of_a_session_are_of_one_view(memory: Memory) -> None:
    """Prefix, user, agent and session: a turn follows none of another's."""
    views = [
        memory.view(user="ada", session="s"), memory.view(user="bo", session="s"), memory.view(agent="a", session="s"),
        memory.view(under=("docs",), session="s"),
    ]  # fmt: skip
    for number in range(3):
        for view in views:
            node = view.remember(f"turn {number}")
            follows = [link.target for link in node.links if link.kind == "follows"]
            previous = [one.id for one in view.nodes(order="newest", limit=2)][1:]
            assert follows == previous
    assert memory.verify(full=True) == []


# -- given vectors ----------------------------------------------------------------------------------------------------


def test_given_vectors_are_found_by(memory: Memory) -> None:
    """In place of the text's own; words find the text all the same."""
    node = memory.remember("a walrus", vector=vector())
    memory.remember("a zebra")
    (hit, *_) = memory.recall("", vector=vector()[0], lanes=["dense"])
    assert hit.id == node.id
    assert hit.lanes["dense"].score == pytest.approx(1.0, abs=0.01)
    assert memory.recall("walrus", lanes=["lexical"])[0].id == node.id
    assert memory.recall("a walrus", lanes=["dense"], k=1)[0].lanes["dense"].score < 0.9


def test_a_vector_may_stand_for_what_has_no_text(memory: Memory) -> None:
    """A picture, say, with bytes and a ref."""
    node = memory.remember("", data=b"picture", ref=("p",), vector=vector())
    assert memory.recall("", vector=vector()[0])[0].id == node.id
    assert memory.recall("picture", lanes=["lexical"]) == []


def test_erasing_takes_given_vectors_along(memory: Memory) -> None:
    """Sealed and derived ones."""
    node = memory.remember("x", vector=vector(0, 3))
    memory.forget(node.id)
    with memory._space.read() as connection:
        for table in ("sealed_vector", "vector", "passage"):
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchall() == [(0,)]
