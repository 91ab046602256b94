"""The memory: arguments are checked before anything is done, and every verb goes to its space."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from mimir_vault import Memory, Vault
from mimir_vault import readable_memory as module
from mimir_vault.errors import NotFoundError
from mimir_vault.readable_memory import CONTEXT_HITS, K_MAX, QUERY_BYTES_MAX


@pytest.fixture
def memory(vault: Vault) -> Memory:
    """An empty space."""
    return vault.space()


def test_a_memory_knows_its_name_vault_and_embedder(memory: Memory, vault: Vault) -> None:
    """And follows a new name."""
    assert (memory.name, memory.vault, memory.embedder.name) == ("main", vault, "hash-64")
    vault.rename_space("main", "first")
    assert memory.name == "first"
    assert repr(memory) == "<Memory 'first'>"


def test_closing_a_memory_leaves_its_vault_open(memory: Memory, vault: Vault) -> None:
    """Unless it came from `mimir.open()`, which opened the vault for it."""
    memory.close()
    with memory:
        pass
    assert memory.count() == 0
    owner = vault.memory_that_owns("main")
    with owner:
        assert owner.count() == 0
    assert vault._closed


def test_the_limits_are_accepted(memory: Memory) -> None:
    """The largest k and the longest query."""
    memory.remember("x")
    assert len(memory.recall("x", k=K_MAX)) == 1
    assert memory.recall("x " * (QUERY_BYTES_MAX // 2), k=1)
    assert memory.recall("x", k=1, min_score=0)
    assert memory.context("x", budget=10_000_000).tokens > 0


def test_moments_are_parsed_for_the_recall(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    """As microseconds since 1970, None for none; everything else goes through as given."""
    asked: list[Any] = []
    monkeypatch.setattr(module.recalling, "recall", lambda space, query: asked.append(query))
    memory.recall(
        "x", k=3, as_of="1970-01-01T00:00:01Z", known_at=datetime(1970, 1, 1, 0, 0, 2, tzinfo=UTC), explain=True
    )
    memory.recall("y", lanes=["dense"], min_score=0.5, collapse=True)
    one, two = asked
    assert (one.text, one.k, one.as_of, one.known_at, one.explain) == ("x", 3, 1_000_000, 2_000_000, True)
    assert (one.lanes, one.min_score, one.collapse) == (("dense", "lexical"), None, False)
    assert (two.k, two.as_of, two.known_at, two.lanes, two.min_score, two.collapse) == (
        10,
        None,
        None,
        ("dense",),
        0.5,
        True,
    )


def test_a_context_is_built_from_collapsed_hits(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a recall with as many hits as a budget may take."""
    asked: list[Any] = []
    real = module.recalling.recall
    monkeypatch.setattr(module.recalling, "recall", lambda space, query: asked.append(query) or real(space, query))
    memory.remember("x")
    memory.context("x", user="ada")
    assert (asked[0].k, asked[0].collapse) == (CONTEXT_HITS, True)


def test_superseding_of_what_was_forgotten_meanwhile_is_not_found(memory: Memory) -> None:
    """The node has to be there."""
    node = memory.remember("x")
    memory.forget(node.id)
    with pytest.raises(NotFoundError, match="there is no node"):
        memory.supersede(node.id, "y")
