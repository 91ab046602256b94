"""Moving: one ref or a subtree, all versions of it, in one transaction or not at all."""

from __future__ import annotations

from typing import Any

import pytest

from mimir_vault import Draft, Link, Memory, Vault, errors
from mimir_vault.store import audit
from quick_vaults import QuickVaults


@pytest.fixture
def memory(vault: Vault) -> Memory:
    """A tree of refs: two versions of one, others below and beside it, and a node without."""
    memory = vault.space()
    refs = [("a",), ("a", "1"), ("a", "1"), ("a", "2", "x"), ("ab",), ("b", "1")]
    memory.remember_many([Draft(f"node {number}", ref=ref) for number, ref in enumerate(refs)])
    memory.remember("without")
    return memory


def told(memory: Memory) -> list[tuple[str, tuple[str, ...] | None]]:
    """Return text and ref of every node."""
    return [(node.text, node.ref) for node in memory.nodes()]


def test_a_ref_moves_with_all_below_it(memory: Memory) -> None:
    """Its versions too; what only begins alike stays; ids and history do not change."""
    before = [node.id for node in memory.nodes()]
    versions = [node.id for node in memory.history(before[2])]
    assert memory.move(("a",), ("c", "d")) == 3
    assert told(memory) == [
        ("node 0", ("c", "d")), ("node 1", ("c", "d", "1")), ("node 2", ("c", "d", "1")),
        ("node 3", ("c", "d", "2", "x")), ("node 4", ("ab",)), ("node 5", ("b", "1")), ("without", None),
    ]  # fmt: skip
    assert [node.id for node in memory.nodes()] == before
    assert [node.id for node in memory.history(before[2])] == versions
    assert memory.get(ref=("c", "d", "1")).text == "node 2"  # type: ignore[union-attr]
    assert memory.get(ref=("a", "1")) is None
    assert memory.refs() == [("ab",), ("b", "1"), ("c", "d"), ("c", "d", "1"), ("c", "d", "2", "x")]
    assert memory.verify(full=True) == []


def test_one_ref_moves_alone(memory: Memory) -> None:
    """Into a subtree that is there already too."""
    assert memory.move(("a", "1"), ("b", "2")) == 1
    assert memory.refs(("b",)) == [("b", "1"), ("b", "2")]
    assert [node.text for node in memory.nodes(under=("b", "2"))] == ["node 1", "node 2"]


def test_versions_go_on_at_the_new_place(memory: Memory) -> None:
    """The next node of the ref supersedes the newest; the old place is free."""
    newest = memory.get(ref=("a", "1"))
    assert newest is not None
    memory.move(("a",), ("c",))
    node = memory.remember("new", ref=("c", "1"))
    assert node.links == (Link("supersedes", newest.id),)
    assert memory.remember("new", ref=("a", "1")).links == ()


def test_everybody_follows(memory: Memory, vaults: QuickVaults) -> None:
    """Filters of this handle and of another, before and after a rebuild."""
    other = vaults.open().space()
    for where in (memory, other):
        assert where.count(under=("a",)) == 4
    memory.move(("a",), ("c",))
    for where in (memory, other):
        assert (where.count(under=("a",)), where.count(under=("c",))) == (0, 4)
        assert {hit.node.text for hit in where.recall("node", k=9, under=("c",))} == {"node 0", "node 2", "node 3"}
    memory.rebuild()
    for where in (memory, other):
        assert (where.count(under=("a",)), where.count(under=("c",))) == (0, 4)


def test_a_session_goes_with_its_prefix(vault: Vault) -> None:
    """A chain is of one prefix: turns that move are linked with those of their new place from then on."""
    memory = vault.space()
    old = memory.view(under=("old",), session="s")
    turns = [old.remember(f"turn {number}") for number in range(3)]
    memory.move(("old",), ("new",))
    new = memory.view(under=("new",), session="s")
    assert new.remember("turn 3").links == (Link("follows", turns[2].id),)
    assert old.remember("begun anew").links == ()
    memory.move(turns_ref(new, 0), ("old", "first"))
    assert new.remember("turn 4").links != ()
    memory.rebuild()
    before = list(memory.nodes())
    assert [node.text for node in before if node.ref and node.ref[0] == "new"] == [f"turn {n}" for n in (1, 2, 3, 4)]
    newest = next(node for node in before if node.text == "turn 4")
    assert new.remember("turn 5").links == (Link("follows", newest.id),)
    assert memory.verify(full=True) == []


def turns_ref(memory: Memory, number: int) -> tuple[str, ...]:
    """Return the ref of one turn."""
    ref = list(memory.nodes())[number].ref
    assert ref is not None
    return ref


def test_what_is_hidden_or_expired_moves_too(memory: Memory) -> None:
    """It comes back at the new place."""
    memory.hide(ref=("a", "2", "x"))
    memory.remember("expired", ref=("a", "3"), expires_at="2020-01-01T00:00Z")
    assert memory.move(("a",), ("c",)) == 4
    assert memory.keep(ref=("c", "2", "x")).ref == ("c", "2", "x")
    assert memory.forget(ref=("c", "3")).ids != ()


@pytest.mark.parametrize(
    ("old", "new", "error", "says"),
    [
        (("x",), ("y",), errors.NotFoundError, "nothing has the ref .'x',. or one below it"),
        (("a", "9"), ("y",), errors.NotFoundError, "nothing has the ref"),
        (("a", "1"), ("ab",), errors.ExistsError, "the ref .'ab',. is taken; move it away or forget it first"),
        (("a",), ("b",), errors.ExistsError, "the ref .'b', '1'. is taken"),
        (("a",), ("a",), ValueError, "cannot be moved into itself"),
        (("a",), ("a", "deeper"), ValueError, "cannot be moved into itself"),
        (("a", "1"), ("a",), ValueError, "or onto what holds it"),
        (("a",), ("x",) * 64, ValueError, "at most 64 parts"),
        (("a",), ("x" * 1_023,), ValueError, "1024 characters in all"),
    ],
)
def test_a_move_that_cannot_be_moves_nothing(
    memory: Memory, old: tuple[str, ...], new: tuple[str, ...], error: type[Exception], says: str
) -> None:
    """Also where it is found in the middle of a subtree."""
    before = told(memory)
    with pytest.raises(error, match=says) as caught:
        memory.move(old, new)
    assert type(caught.value) is error
    assert "\n" not in str(caught.value)
    assert told(memory) == before
    assert memory.verify(full=True) == []


def test_a_view_moves_what_it_sees(memory: Memory) -> None:
    """Refs are given whole; its own prefix and what lies outside stay where they are."""
    docs = memory.view(under=("a",))
    assert docs.move(("a", "1"), ("a", "one")) == 1
    for old, new in ((("a",), ("a", "x")), (("a", "one"), ("a",))):
        with pytest.raises(ValueError, match="a view cannot move its own prefix"):
            docs.move(old, new)
    for old, new in ((("b", "1"), ("a", "b")), (("a", "one"), ("c",))):
        with pytest.raises(ValueError, match="this view is of refs under"):
            docs.move(old, new)
    with pytest.raises(errors.NotFoundError, match="nothing has the ref"):
        memory.view(user="ada").move(("b",), ("c",))
    with pytest.raises(errors.ReadOnlyError, match="only reads"):
        memory.view(read_only=True).move(("b",), ("c",))
    assert docs.refs() == [("a",), ("a", "2", "x"), ("a", "one")]


def test_a_move_is_audited_by_a_count(memory: Memory) -> None:
    """Refs are content: the event names none."""
    memory.move(("a",), ("c",))
    with memory._space.read() as connection:
        event = list(audit.events(connection, memory._space.store.sealer))[-1]
    facts: dict[str, Any] = event.facts
    assert (event.verb, facts) == ("nodes moved", {"count": 4})
