"""Transactions: all of it or nothing, seen inside at once and by others after the end."""
# ruff: noqa: PT012, SIM117 - what is tested here are blocks with more than one statement.

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from mimir_vault import Draft, Link, Memory, MimirError, Vault, errors
from mimir_vault import transaction as module
from mimir_vault.testing import HashEmbedder
from quick_vaults import QuickVaults


@pytest.fixture(autouse=True)
def upkeep_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start no thread: upkeep is done when a test says so."""
    monkeypatch.setattr("mimir_vault.upkeep.Upkeep.wrote", lambda _: None)


@pytest.fixture
def memory(upkeep_by_hand: None, vault: Vault) -> Memory:
    """A space with one node, which holds a ref."""
    memory = vault.space()
    memory.remember("the first seat", ref=("first",), user="ada", session="s")
    return memory


def texts(memory: Memory) -> list[str]:
    """Return the texts of all nodes."""
    return [node.text for node in memory.nodes()]


def generation(memory: Memory) -> int:
    """Return the generation of the space."""
    return memory._space.store.freshness().generation


def contents(memory: Memory) -> dict[str, list[Any]]:
    """Return all rows of all tables but the padding."""
    with memory._space.store.read() as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        return {
            table: connection.execute(f"SELECT * FROM {table}").fetchall() for table in tables if table != "padding"
        }


# -- all of it --------------------------------------------------------------------------------------------------------


def test_all_that_a_block_does_is_one_generation(memory: Memory) -> None:
    """However many verbs there are, of views too."""
    before = generation(memory)
    with memory.transaction() as same:
        assert same is memory
        one = memory.remember("one", ref=("one",))
        memory.remember_many([Draft(f"many {number}") for number in range(600)])
        memory.view(user="bo").remember("of a view")
        two = memory.supersede(one.id, "two")
        memory.move(("first",), ("moved",))
        memory.hide(ref=("moved",))
        memory.keep(ref=("moved",))
        assert generation(memory) == before
    assert generation(memory) == before + 1
    assert memory.count() == 604
    assert memory.get(ref=("one",)) == two
    assert memory.view(user="bo").count() == 1
    assert memory.get(ref=("moved",)) is not None
    assert memory.verify(full=True) == []


def test_turns_of_a_session_follow_one_another_across_verbs(memory: Memory) -> None:
    """The newest turn is known inside before it is stored."""
    with memory.transaction():
        one = memory.remember("one", session="t")
        two, three = memory.remember_many([Draft("two", session="t"), Draft("three", session="t")])
    assert [node.links for node in (one, two, three)] == [(), (Link("follows", one.id),), (Link("follows", two.id),)]


def test_a_block_that_only_reads_stores_nothing(memory: Memory) -> None:
    """What is there stays as it is."""
    before = contents(memory)
    with memory.transaction():
        pass
    with memory.transaction():
        assert memory.count() == 1
        assert memory.recall("seat")[0].text == "the first seat"
    after = contents(memory)
    assert {name for name in after if after[name] != before[name]} <= {"freshness", "chain"}
    assert memory.verify(full=True) == []


# -- or nothing -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [KeyError, KeyboardInterrupt, errors.NotFoundError, GeneratorExit])
def test_a_block_that_fails_leaves_everything_as_it_was(memory: Memory, error: type[BaseException]) -> None:
    """Whatever was done in it, and whatever ends it; the error passes through."""
    before = contents(memory)
    node = next(memory.nodes())
    with pytest.raises(error), memory.transaction():
        memory.remember("in vain", tags=["t"], user="bo")
        memory.supersede(node.id, "in vain too")
        memory.forget(node.id)
        memory.view(embedder=HashEmbedder(16, "other")).remember("a model in vain")
        raise error
    assert contents(memory) == before
    assert texts(memory) == ["the first seat"]
    assert memory.recall("vain", lanes=["lexical"]) == []
    memory.remember("afterwards")
    assert memory.verify(full=True) == []


def failing(memory: Memory) -> dict[str, Callable[[], object]]:
    """Return verbs that fail while they write."""
    return {
        "a link to nowhere": lambda: memory.remember("x", links=[Link("about", "0" * 64)]),
        "a ref of another view": lambda: memory.view(user="bo").remember("x", ref=("first",)),
        "a place that is taken": lambda: (memory.remember("y", ref=("taken",)), memory.move(("first",), ("taken",))),
        "nothing to hide": lambda: memory.hide("0" * 64),
    }


@pytest.mark.parametrize("name", failing(None))  # type: ignore[arg-type]
def test_a_verb_that_fails_while_it_writes_dooms_the_block(memory: Memory, name: str) -> None:
    """Also where its error is caught: nothing more is done, and the end says that nothing is stored."""
    before = contents(memory)
    with pytest.raises(MimirError, match="nothing of this transaction is stored: ") as caught:
        with memory.transaction():
            memory.remember("in vain")
            with pytest.raises(MimirError) as first:
                failing(memory)[name]()
            for verb in (memory.count, lambda: memory.remember("more"), lambda: memory.recall("seat")):
                with pytest.raises(MimirError, match=r"this transaction has failed .*; end its block"):
                    verb()
    assert caught.value.__cause__ is first.value
    assert str(first.value) in str(caught.value)
    assert contents(memory) == before


@pytest.mark.parametrize(
    "refused",
    [
        lambda memory: memory.remember(""),
        lambda memory: memory.remember_many([Draft("good"), Draft("")]),
        lambda memory: memory.supersede("0" * 64, "x"),
        lambda memory: memory.forget("0" * 64),
        lambda memory: memory.view(read_only=True).remember("x"),
        lambda memory: memory.recall("x", k=0),
        lambda memory: memory.get("xyz"),
    ],
)
def test_a_verb_that_is_refused_before_it_writes_does_no_harm(memory: Memory, refused: Callable[[Memory], Any]) -> None:
    """What the block did besides is stored."""
    with memory.transaction():
        memory.remember("one")
        with pytest.raises((ValueError, MimirError)):
            refused(memory)
        memory.remember("two")
    assert texts(memory) == ["the first seat", "one", "two"]


def test_an_iterable_that_fails_stores_nothing_of_it(memory: Memory) -> None:
    """Inside a transaction there are no batches: the error itself comes, and what was before stays possible."""

    def broken() -> Iterator[Draft]:
        yield Draft("one")
        raise KeyError("it broke off")

    with memory.transaction():
        memory.remember("before")
        with pytest.raises(KeyError, match="it broke off"):
            memory.remember_many(broken())
    assert texts(memory) == ["the first seat", "before"]


def test_a_full_disk_in_the_middle_leaves_nothing(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not one word of what was written stays."""
    before = contents(memory)
    real, calls = memory._space.space.store.sealer.seal, [0]

    def full(*given: Any) -> Any:
        calls[0] += 1
        if calls[0] == 4:
            raise errors.DiskFullError
        return real(*given)

    monkeypatch.setattr(memory._space.space.store.sealer, "seal", full)
    with pytest.raises(errors.DiskFullError), memory.transaction():
        memory.remember("one")
        memory.remember_many([Draft(f"unique{number}") for number in range(5)])
    monkeypatch.undo()
    assert contents(memory) == before


# -- joining ----------------------------------------------------------------------------------------------------------


def test_a_block_inside_joins(memory: Memory) -> None:
    """It is stored with the outer one, whichever memory of the space it is of."""
    before = generation(memory)
    with memory.transaction():
        memory.remember("outer")
        with memory.view(user="ada").transaction() as inner:
            inner.remember("inner")
        assert generation(memory) == before
    assert generation(memory) == before + 1
    assert texts(memory) == ["the first seat", "outer", "inner"]


def test_a_block_inside_that_fails_dooms_the_outer_one(memory: Memory) -> None:
    """It is all or nothing as well, and a part cannot be taken back."""
    with pytest.raises(MimirError, match="nothing of this transaction is stored: KeyError"):
        with memory.transaction():
            memory.remember("outer")
            with pytest.raises(KeyError), memory.transaction():
                memory.remember("inner")
                raise KeyError
    assert texts(memory) == ["the first seat"]


def test_spaces_have_transactions_of_their_own(memory: Memory, vault: Vault) -> None:
    """What one block does elsewhere is stored there, whatever becomes of the block."""
    work = vault.create_space("work")
    with pytest.raises(KeyError), memory.transaction():
        memory.remember("in vain")
        work.remember("at work")
        raise KeyError
    assert texts(memory) == ["the first seat"]
    assert texts(work) == ["at work"]


def test_a_transaction_follows_another(memory: Memory) -> None:
    """A failed one leaves nothing behind that would disturb."""
    for number in range(3):
        with pytest.raises(KeyError), memory.transaction():
            memory.remember(f"in vain {number}")
            raise KeyError
        with memory.transaction():
            memory.remember(f"stored {number}")
    assert texts(memory) == ["the first seat", "stored 0", "stored 1", "stored 2"]


# -- limits and what comes after --------------------------------------------------------------------------------------


def test_a_transaction_has_a_bound(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused before anything of the verb is done; what was before stays possible."""
    assert module.NODES_MAX == 10_000
    monkeypatch.setattr(module, "NODES_MAX", 5)
    monkeypatch.setattr("mimir_vault.remembering.NODES_MAX", 5)
    with memory.transaction():
        memory.remember_many([Draft(f"{number}") for number in range(4)])
        for given in ([Draft("a"), Draft("b")], iter([Draft("a"), Draft("b")])):
            with pytest.raises(ValueError, match="a transaction holds at most 5 nodes; remember them in several"):
                memory.remember_many(given)
        memory.remember("the fifth")
        with pytest.raises(ValueError, match="at most 5 nodes"):
            memory.supersede(next(memory.nodes()).id, "the sixth")
    assert memory.count() == 6


def test_an_endless_iterable_is_not_read_to_its_end(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more drafts are taken than one above the bound."""
    monkeypatch.setattr(module, "NODES_MAX", 5)
    monkeypatch.setattr("mimir_vault.remembering.NODES_MAX", 5)
    taken = [0]

    def endless() -> Iterator[Draft]:
        while True:
            taken[0] += 1
            yield Draft(f"{taken[0]}")

    with pytest.raises(ValueError, match="at most 5 nodes"), memory.transaction():
        memory.remember_many(endless())
    assert taken == [6]


def test_embedding_comes_before_the_lock(vaults: QuickVaults) -> None:
    """Of a first verb: nobody waits with the write lock held; a list is embedded before its first node is stored."""
    held: list[bool] = []

    class Asking(HashEmbedder):
        def embed(self, given: Any) -> Any:
            with memory._space.store.read() as connection:
                held.append(connection.in_transaction and connection.txn_state() == 2)
            return super().embed(given)

    memory = vaults.create("asked", embedder=Asking()).space()
    with memory.transaction():
        memory.remember_many([Draft(f"{number}") for number in range(600)])
    assert held
    assert not any(held)


def test_what_is_forgotten_is_gone_from_the_disk_after_the_end(memory: Memory) -> None:
    """The receipt says "pending", for until then it could come back; then nothing of it is in any page."""
    node = memory.remember("unique31 words", tags=["t31"])
    with memory.transaction():
        receipt = memory.forget(node.id)
        image = memory._space.store.fresh.database.connection().serialize("main")
        later = memory.remember("later")
    assert (receipt.on_disk, receipt.ids) == ("pending", (node.id,))
    assert receipt.generation_after == receipt.generation_before + 1
    image = memory._space.store.fresh.database.connection().serialize("main")
    assert b"unique31" not in image
    assert b"t31" not in image
    assert memory.get(later.id) is not None
    assert memory._space.store.fresh.database.wal_bytes() == 0


def test_what_comes_after_is_not_done_when_the_block_fails(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was erased, so nothing is to be removed."""
    done: list[int] = []
    monkeypatch.setattr(type(memory._space.store.fresh), "remove_traces", lambda *_, **__: done.append(1))
    node = next(memory.nodes())
    with pytest.raises(KeyError), memory.transaction():
        memory.forget(node.id)
        raise KeyError
    assert done == []
    with memory.transaction():
        memory.forget(node.id)
        assert done == []
    assert done == [1]
    monkeypatch.undo()


def test_a_grace_may_begin_in_a_transaction(memory: Memory) -> None:
    """And not begin, where the block fails."""
    node = next(memory.nodes())
    with pytest.raises(KeyError), memory.transaction():
        assert memory.forget(node.id, grace=timedelta(days=1)).on_disk == "hidden"
        assert memory.get(node.id) is None
        raise KeyError
    assert memory.get(node.id) is not None
    with memory.transaction():
        memory.forget(node.id, grace=timedelta(days=1))
    assert memory.get(node.id) is None
    assert [one.id for one in memory.nodes(hidden=True)] == [node.id]


def test_upkeep_is_told_once_at_the_end(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would only wait for the lock before; of a block that failed or only read it hears nothing."""
    told: list[bool] = []
    space = memory._space.space
    monkeypatch.setattr("mimir_vault.upkeep.Upkeep.wrote", lambda _: told.append(space.transaction is None))
    node = next(memory.nodes())
    with memory.transaction():
        memory.remember("one")
        memory.hide(node.id)
        memory.keep(node.id)
        memory.forget(node.id, grace=timedelta(days=1))
        memory.move(("first",), ("second",))
        memory.forget(node.id)
        assert told == []
    assert told == [True]
    with memory.transaction():
        memory.count()
    with pytest.raises(KeyError), memory.transaction():
        memory.remember("two")
        raise KeyError
    assert told == [True]


# -- what a transaction is not for ------------------------------------------------------------------------------------


def test_checking_and_rebuilding_are_refused_inside(memory: Memory) -> None:
    """What is written so far is not whole: it would be taken for damage."""
    with memory.transaction():
        memory.remember("one")
        for verb in (memory.verify, memory.rebuild, memory.vault.verify, memory.vault.rebuild):
            with pytest.raises(ValueError, match="works on what is stored; call it outside of the transaction"):
                verb()
    assert texts(memory) == ["the first seat", "one"]
    assert memory.verify(full=True) == []


def test_a_vault_that_is_locked_inside_stores_nothing(memory: Memory, vaults: QuickVaults) -> None:
    """And says so in its own words."""
    with pytest.raises(errors.LockedError, match="closed"), memory.transaction():
        memory.remember("in vain")
        memory.vault.lock()
    with pytest.raises(errors.LockedError), memory.transaction():
        pass
    assert texts(vaults.open().space()) == ["the first seat"]


def test_who_only_reads_has_no_transaction(memory: Memory, vaults: QuickVaults) -> None:
    """Neither a view that only reads nor, at its first writing verb, a vault opened to read."""
    with pytest.raises(errors.ReadOnlyError, match="only reads"), memory.view(read_only=True).transaction():
        pass
    memory.vault.lock()
    reader = vaults.open(read_only=True).space()
    with pytest.raises(errors.ReadOnlyError), reader.transaction():
        reader.remember("x")
