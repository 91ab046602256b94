"""An open space: its model is checked once, its embedder is shared, and after closing it is locked."""

from __future__ import annotations

from typing import Any

import pytest

from mimir_vault import Memory, Vault, errors
from mimir_vault.testing import HashEmbedder


@pytest.fixture
def memory(vault: Vault) -> Memory:
    """An empty space."""
    return vault.space()


def test_the_first_node_decides_the_model(memory: Memory) -> None:
    """Before it there is none; after it the embedder at hand is the one."""
    space = memory._space.space
    with space.read() as connection:
        assert space.model(connection, space.embedder) is None
    assert not space.has_model(space.embedder)
    memory.remember("x")
    assert space.has_model(space.embedder)
    with space.read() as connection:
        model = space.model(connection, space.embedder)
    assert model is not None
    assert (model.code, model.name, model.dimension, model.home) == (1, "hash-64", 64, 1)


def test_what_has_no_vector_decides_no_model(memory: Memory) -> None:
    """Nodes that are only listed leave the choice open."""
    memory.remember("x", index=False)
    memory.remember("", data=b"d")
    assert not memory._space.space.has_model(memory._space.embedder)


def test_the_model_is_checked_once(vaults: Any) -> None:
    """Against the probe sentence, by what the embedder does and not by its name."""

    class Counting(HashEmbedder):
        calls = 0

        def embed(self, texts: Any) -> Any:
            self.calls += 1
            return super().embed(texts)

    vaults.create().space().remember("x")
    vaults.lock_all()
    embedder = Counting()
    memory = vaults.open(embedder=embedder).space()
    memory.recall("x")
    first = embedder.calls
    memory.recall("x")
    memory.recall("y")
    assert embedder.calls == first + 2


def test_a_closed_space_is_locked(memory: Memory) -> None:
    """Closed twice is harmless; index and keys are gone."""
    memory.remember("x")
    space = memory._space.space
    space.close()
    space.close()
    with pytest.raises(errors.LockedError, match="space main is closed; open the vault again"):
        space.check_open()
    assert len(space.index.columns) == 0
    with pytest.raises(errors.LockedError):
        space.store.sealer.page_key()


def test_all_spaces_share_one_embedder(vault: Vault) -> None:
    """A loaded model is large."""
    assert vault.space().embedder is vault.create_space("work").embedder
