"""A viewed space: nothing outside of the view is given or changed through it."""

from __future__ import annotations

import pytest

from mimir_vault import Memory, Vault, errors
from mimir_vault.model.filter import EVERYTHING, parse_filter
from mimir_vault.model.view import View
from mimir_vault.store import nodes
from mimir_vault.viewed_space import ViewedSpace


@pytest.fixture
def memory(vault: Vault) -> Memory:
    """Two nodes of Ada's and one of Bo's."""
    memory = vault.space()
    for text, user in (("one", "ada"), ("two", "bo"), ("three", "ada")):
        memory.remember(text, user=user)
    return memory


@pytest.fixture
def ada(memory: Memory) -> ViewedSpace:
    """Ada's view."""
    return memory.view(user="ada")._space


def test_it_hands_on_what_the_space_has(memory: Memory, ada: ViewedSpace) -> None:
    """Name, store, clock, index and upkeep are the space's."""
    space = ada.space
    assert space is memory._space.space
    assert (ada.name, ada.store, ada.clock) == (space.name, space.store, space.clock)
    assert (ada.index, ada.upkeep) == (space.index, space.upkeep)


def test_nodes_are_opened_within_the_view(memory: Memory, ada: ViewedSpace) -> None:
    """Those outside are left out as those that are gone."""
    with ada.read() as connection:
        assert sorted(ada.opened(connection, [1, 2, 3, 99])) == [1, 3]
        assert sorted(memory._space.opened(connection, [3, 2, 1])) == [1, 2, 3]
        assert ada.opened(connection, []) == {}
        opened = memory._space.opened(connection, [1, 2])
    assert [ada.sees(opened[seq]) for seq in (1, 2)] == [True, False]
    assert [memory._space.sees(opened[seq]) for seq in (1, 2)] == [True, True]
    two = parse_filter({"text": "two"})
    assert [ada.passes(two, opened[seq]) for seq in (1, 2)] == [False, True]
    assert all(ada.passes(EVERYTHING, one) for one in opened.values())


def test_a_node_is_found_within_the_view(memory: Memory, ada: ViewedSpace) -> None:
    """By its id or its beginning; outside there is none."""
    mine, theirs = list(memory.nodes())[:2]
    with ada.read() as connection:
        for digits in (mine.id, mine.id[:8], f" {mine.id[:20].upper()} "):
            opened = ada.find(connection, digits)
            assert opened is not None
            assert opened.payload.text == "one"
        assert ada.find(connection, theirs.id) is None
        assert ada.find(connection, "0" * 64) is None
        with pytest.raises(TypeError, match="a node id is text, not bytes"):
            ada.find(connection, b"0" * 64)  # type: ignore[arg-type]
        with pytest.raises(errors.NotFoundError, match="is no node id"):
            ada.find(connection, "0" * 7)


def test_a_view_that_only_reads_gives_no_writer(memory: Memory) -> None:
    """Before any lock is taken; what may be written is committed at the end of the block."""
    only = memory.view(read_only=True)._space
    only.check_open()
    with pytest.raises(errors.ReadOnlyError, match="only reads"):
        only.check_writable()
    with pytest.raises(errors.ReadOnlyError, match="only reads"), only.write():
        pass
    space = memory._space
    with space.write(4_096) as writer:
        writer.audit("rebuilt", 1)
        generation = writer.generation
    assert space.store.freshness().generation == generation


def test_a_search_holds_an_index_of_one_state(memory: Memory, ada: ViewedSpace) -> None:
    """With the vectors of the view's embedder when asked for."""
    with ada.search() as (connection, index):
        assert index is ada.index
        assert len(index.columns) == len(list(nodes.every(connection))) == 3
        assert index.dense == {}
    with ada.search(dense=True) as (_, index):
        assert index.dense[1].count == 3


def test_the_bare_space_is_a_view_of_everything(memory: Memory) -> None:
    """With the embedder of the vault."""
    assert memory._space.view == View()
    assert memory._space.embedder is memory._space.space.embedder
