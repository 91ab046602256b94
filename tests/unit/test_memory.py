"""The memory: views, and that every verb that changes something goes through them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mimir_vault import Draft, Memory, Vault, errors
from mimir_vault.testing import HashEmbedder


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


# -- views ------------------------------------------------------------------------------------------------------------


def test_a_view_is_a_memory_of_the_same_space(memory: Memory) -> None:
    """What it fills and sees is its own; the index, the store and the upkeep are shared."""
    ada = memory.view(user="ada")
    assert isinstance(ada, Memory)
    assert (ada.name, ada.vault) == (memory.name, memory.vault)
    assert ada._space.space is memory._space.space
    assert ada.embedder is memory.embedder
    node = ada.remember("x")
    assert node.user == "ada"
    assert memory.get(node.id) == node


def test_closing_a_view_closes_nothing(vault: Vault) -> None:
    """Not even one of a memory that owns its vault."""
    owner = vault.memory_that_owns("main")
    with owner.view(user="ada"):
        pass
    assert owner.count() == 0


def test_a_view_of_a_view_has_its_embedder(memory: Memory) -> None:
    """Until it is given another one."""
    view = memory.view(embedder=HashEmbedder(8, "brought"))
    assert view.view(user="ada").embedder.name == "brought"
    assert view.view(embedder=HashEmbedder(16, "other")).embedder.name == "other"
    assert memory.embedder.name == "hash-64"


def writing(memory: Memory) -> dict[str, Callable[[], object]]:
    """Return every verb that changes something, by its name."""
    node = memory.remember("x", ref=("r",))
    only = memory.view(read_only=True)
    return {
        "remember": lambda: only.remember("y"), "remember_many": lambda: only.remember_many([Draft("y")]),
        "supersede": lambda: only.supersede(node.id, "y"), "move": lambda: only.move(("r",), ("s",)),
        "forget": lambda: only.forget(node.id), "dry run": lambda: only.forget(node.id, dry_run=True),
        "forget a ref": lambda: only.forget(ref=("r",)), "hide": lambda: only.hide(node.id),
        "keep": lambda: only.keep(node.id),
        "rebuild": only.rebuild, "transaction": lambda: only.transaction().__enter__(),
        "further view": lambda: only.view(user="ada", read_only=False).remember("y"),
    }  # fmt: skip


def test_a_view_that_only_reads_changes_nothing(memory: Memory) -> None:
    """Every verb says so; reading goes on, verifying too."""
    verbs = writing(memory)
    before = list(memory.nodes())
    for name, verb in verbs.items():
        with pytest.raises(
            errors.ReadOnlyError, match="this view of space main only reads; take one without read_only"
        ):
            pytest.fail(f"{name}: {verb()}")
    only = memory.view(read_only=True)
    assert list(only.nodes()) == before
    assert only.recall("x")[0].node == before[0]
    assert only.verify(full=True) == []


def test_a_closed_vault_locks_its_views(memory: Memory) -> None:
    """As all its memories."""
    view = memory.view(user="ada")
    memory.vault.lock()
    for verb in (view.count, lambda: view.remember("x"), lambda: view.view(agent="a"), lambda: memory.view(user="b")):
        with pytest.raises(errors.LockedError, match="space main is closed"):
            verb()


@pytest.mark.parametrize(
    "given",
    [
        {"user": "ada"}, {"agent": "travel"}, {"session": "s"}, {"under": ("docs",)}, {"where": {"tags": "t"}},
        {"where": {"kind": "fact"}, "user": "ada"},
    ],
)  # fmt: skip
def test_every_reading_verb_takes_the_same_filter(memory: Memory, given: dict[str, Any]) -> None:
    """And forget reaches just what nodes lists."""
    fields = {"user": "ada", "agent": "travel", "session": "s", "tags": ["t"], "kind": "fact"}
    node = memory.remember("a walrus", ref=("docs", "1"), **fields)  # type: ignore[arg-type]
    memory.remember("a walrus too")
    assert [one.id for one in memory.nodes(**given)] == [node.id]
    assert memory.count(**given) == 1
    assert [hit.id for hit in memory.recall("walrus", **given)] == [node.id]
    for query in ("walrus", None):
        assert [hit.id for hit in memory.context(query, **given).hits] == [node.id]
    assert memory.forget(**given, dry_run=True).ids == (node.id,)


def test_a_dry_run_says_what_forgetting_does(memory: Memory) -> None:
    """By id, ref, prefix and filter."""
    node = memory.remember("x", ref=("r",), tags=["t"])
    for given in ({"node_id": node.id}, {"ref": ("r",)}, {"under": ("r",)}, {"where": {"tags": "t"}}):
        receipt = memory.forget(**given, dry_run=True)
        assert (receipt.ids, receipt.dry_run) == ((node.id,), True)
    assert memory.get(node.id) == node
