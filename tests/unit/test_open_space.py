"""An open space: its model is checked once, its embedder is shared, and after closing it is locked."""

from __future__ import annotations

from typing import Any

import pytest

from mimir_vault import Memory, Vault, errors
from mimir_vault.open_space import BROUGHT_MAX
from mimir_vault.store import vectors
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


# -- models -----------------------------------------------------------------------------------------------------------


def models(memory: Memory) -> list[tuple[str, int, int]]:
    """Return name, dimension and home of each model of the space."""
    with memory._space.read() as connection:
        return [(one.name, one.dimension, one.home) for one in vectors.models(connection)]


def test_each_embedder_has_a_model_of_its_own(memory: Memory) -> None:
    """The vault's own is at home, those that views bring along are not; each finds by its own vectors alone."""
    views = [memory.view(embedder=HashEmbedder(size, f"brought {size}")) for size in (8, 16)]
    for number, one in enumerate([memory, *views]):
        one.remember(f"of embedder {number}")
    assert models(memory) == [("hash-64", 64, 1), ("brought 8", 8, 0), ("brought 16", 16, 0)]
    for number, one in enumerate([memory, *views]):
        assert [hit.text for hit in one.recall("of embedder", lanes=["dense"])] == [f"of embedder {number}"]
        assert len(one.recall("embedder", lanes=["lexical"])) == 3
    assert memory.verify(full=True) == []


def test_a_model_is_known_by_its_probe(vaults: Any) -> None:
    """An embedder of the name that does something else is refused, by all that needs vectors; words still serve."""

    class Other(HashEmbedder):
        def embed(self, texts: Any) -> Any:
            return -super().embed(texts)

    vaults.create().space().remember("said")
    vaults.lock_all()
    memory = vaults.open(embedder=Other()).space()
    says = r"space main holds vectors of the model hash-64 \(64 dimensions\), the embedder at hand is hash-64 \(64\)"
    for verb in (
        lambda: memory.recall("said"), lambda: memory.remember("x"), lambda: memory.context("said"),
        lambda: memory.recall("", vector=[1.0] * 64), lambda: memory.vectors([next(memory.nodes()).id]),
        lambda: memory.remember("x", vector=[1.0] * 64), lambda: memory.supersede(next(memory.nodes()).id, "y"),
        lambda: memory.view(embedder=Other()),
    ):  # fmt: skip
        with pytest.raises(errors.ModelMismatchError, match=says):
            verb()
    assert memory.recall("said", lanes=["lexical"])[0].text == "said"
    assert memory.remember("listed", index=False).text == "listed"
    assert memory.count() == 2
    assert memory.view(embedder=HashEmbedder()).recall("said", lanes=["dense"])[0].text == "said"


def test_a_vault_with_another_embedder_is_told(vaults: Any) -> None:
    """A space has one of its own: another name is no second home; a view may bring it along."""
    vaults.create().space().remember("said")
    vaults.lock_all()
    memory = vaults.open(embedder=HashEmbedder(16, "other")).space()
    for verb in (lambda: memory.recall("said"), lambda: memory.remember("x")):
        with pytest.raises(errors.ModelMismatchError, match=r"the embedder at hand is other \(16\); hand in"):
            verb()
    view = memory.view(embedder=HashEmbedder(16, "other"))
    view.remember("brought")
    assert models(memory) == [("hash-64", 64, 1), ("other", 16, 0)]
    assert memory.view(embedder=HashEmbedder()).recall("said", lanes=["dense"])[0].text == "said"


def test_an_embedder_that_is_brought_first_leaves_the_home_open(memory: Memory) -> None:
    """The vault's own comes when it is needed."""
    view = memory.view(embedder=HashEmbedder(8, "brought"))
    view.remember("x")
    assert memory.recall("x", lanes=["dense"]) == []
    memory.remember("y")
    assert models(memory) == [("brought", 8, 0), ("hash-64", 64, 1)]


def test_the_same_embedder_brought_along_is_the_same_model(memory: Memory) -> None:
    """Known by name and probe, whichever object it is."""
    memory.remember("x")
    view = memory.view(embedder=HashEmbedder())
    view.remember("y")
    assert models(memory) == [("hash-64", 64, 1)]
    assert len(memory.recall("x y", lanes=["dense"])) == len(view.recall("x y", lanes=["dense"])) == 2


def test_an_embedder_that_is_brought_often_is_asked_once(memory: Memory) -> None:
    """For the probe: a server makes many views with one embedder; only so many are remembered."""
    embedder = HashEmbedder(8, "brought")
    space = memory._space.space
    shared = [memory.view(embedder=embedder)._space.embedder for _ in range(3)]
    assert shared[0] is shared[1] is shared[2]
    for number in range(BROUGHT_MAX):
        memory.view(embedder=HashEmbedder(8, f"brought {number}"))
    assert memory.view(embedder=embedder)._space.embedder is not shared[0]
    assert not space.brought(embedder).is_home


def test_what_is_no_embedder_is_refused_when_the_view_is_made(memory: Memory) -> None:
    """And not remembered."""
    for bad in ("MiniLM", object(), 5):
        with pytest.raises(TypeError, match=r"needs \.name"):
            memory.view(embedder=bad)  # type: ignore[arg-type]
    assert len(memory._space.space._brought) == 0


# -- in another process -----------------------------------------------------------------------------------------------


def test_a_forked_child_is_told(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before any lock is taken, by every verb; closing there does nothing."""
    memory.remember("x")
    space = memory._space.space
    monkeypatch.setattr(space, "_process", -1)
    for verb in (
        lambda: memory.recall("x"), memory.count, lambda: memory.remember("y"), lambda: memory.forget("0" * 64),
        lambda: memory.view(user="ada"), lambda: memory.move(("a",), ("b",)), lambda: memory.hide("0" * 64),
        memory.refs, lambda: memory.vectors([]), memory.verify, lambda: memory.transaction().__enter__(),
    ):  # fmt: skip
        with pytest.raises(errors.LockedError, match="forked; open the vault again in the child"):
            verb()
    space.close()
    monkeypatch.undo()
    assert memory.count() == 1
