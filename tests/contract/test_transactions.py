"""What the contract says of batches and transactions: what is committed when, and what is all or nothing."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest

import mimir_vault as mimir
from mimir_vault import Draft, Memory, Vault
from mimir_vault.testing import HashEmbedder
from quick_vaults import QuickVaults


@pytest.fixture
def memory(vault: Vault) -> Memory:
    """The one space of an empty vault."""
    return vault.space()


def texts(found: Any) -> list[str]:
    """Return the texts of nodes or hits."""
    return [one.text for one in found]


def in_another_thread(call: Callable[[], object]) -> Any:
    """Return what a call gives in a thread of its own."""
    given: list[object] = []
    thread = threading.Thread(target=lambda: given.append(call()))
    thread.start()
    thread.join(30)
    assert given, "it waits"
    return given[0]


def test_batches_commit_as_they_go(memory: Memory) -> None:
    """Outside a transaction others see what `progress` has told, before the batch is through."""
    seen: list[tuple[int, int]] = []
    drafts = [Draft(f"{number}") for number in range(600)]
    memory.remember_many(drafts, lambda done, total: seen.append((done, in_another_thread(memory.count))))
    assert len(seen) > 2
    assert all(done == there for done, there in seen)


def test_an_error_of_a_batch_in_a_transaction_stores_nothing(memory: Memory) -> None:
    """There is nothing done to carry: the error itself comes, and all is taken back."""

    def drafts() -> Any:
        yield from (Draft(f"{number}") for number in range(600))
        raise OSError("the file broke off")

    def block() -> None:
        with memory.transaction():
            memory.remember_many(drafts())

    with pytest.raises(OSError, match="the file broke off"):
        block()
    assert memory.count() == 0


def test_a_transaction_is_all_or_nothing_over_all_verbs(memory: Memory) -> None:
    """Remember, batch, supersede, move, forget, hide, keep and import: seen inside at once, by others at its end."""
    kept, gone, hidden = memory.remember_many([Draft("kept", ref=("k",)), Draft("gone"), Draft("hidden")])
    memory.hide(hidden.id)
    before = texts(memory.nodes())

    def everything() -> None:
        memory.remember("one")
        memory.remember_many([Draft("two")])
        memory.supersede(kept.id, "changed")
        memory.move(("k",), ("moved",))
        assert memory.forget(gone.id).on_disk == "pending"
        memory.keep(hidden.id)
        memory.import_from(io.StringIO('{"text": "three"}\n'))
        expected = ["kept", "hidden", "one", "two", "changed", "three"]
        assert texts(memory.nodes()) == expected
        assert texts(memory.recall("changed", lanes=["lexical"])) == ["changed"]
        assert ("moved",) in memory.refs()
        assert in_another_thread(lambda: texts(memory.nodes())) == before

    def failing() -> None:
        with memory.transaction():
            everything()
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        failing()
    assert (texts(memory.nodes()), memory.refs()) == (before, [("k",)])
    with memory.transaction():
        everything()
    assert texts(memory.nodes()) == ["kept", "hidden", "one", "two", "changed", "three"]
    assert memory.get(gone.id) is None
    assert memory.verify(full=True) == []


def test_a_transaction_holds_at_most_ten_thousand_nodes(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    """All its verbs together; one more is a ValueError before anything is embedded, and nothing of it is stored."""

    def too_many() -> None:
        with memory.transaction():
            memory.remember("one")
            memory.remember_many([Draft(f"{number}") for number in range(10_000)])

    with pytest.raises(ValueError, match="at most 10,000 nodes"):
        too_many()
    assert memory.count() == 0
    for name in ("transaction", "remembering"):
        monkeypatch.setattr(f"mimir_vault.{name}.NODES_MAX", 3)
    with memory.transaction():
        memory.remember_many([Draft("one"), Draft("two")])
        memory.remember("three")
    assert memory.count() == 3


class Watching(HashEmbedder):
    """An embedder that does something whenever it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile: Callable[[], object] = lambda: None

    def embed(self, texts: Sequence[str]) -> Any:
        """Do it, and embed."""
        self.meanwhile()
        return super().embed(texts)


def test_embedding_happens_before_the_transaction_holds_others_up(vaults: QuickVaults) -> None:
    """While the drafts of its first verb are embedded, others still write."""
    embedder = Watching()
    memory = vaults.create(embedder=embedder).space()
    memory.remember("so that the model is known")
    written: list[object] = []

    def write() -> None:
        if threading.current_thread().name != "writer" and not written:
            written.append(None)
            writer = threading.Thread(target=lambda: written.append(memory.hide(first.id)), name="writer")
            writer.start()
            writer.join(10)

    first = memory.remember("first")
    embedder.meanwhile = write
    with memory.transaction():
        memory.remember_many([Draft("one"), Draft("two")])
        assert len(written) == 2, "the other writer had to wait"
    assert texts(memory.nodes()) == ["so that the model is known", "one", "two"]


def test_a_verb_that_failed_takes_the_whole_with_it(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a verb is never stored: also where the caller went on, the end of the block says that nothing is."""

    def broken(*given: object, **named: object) -> None:
        raise mimir.DiskFullError

    def block() -> None:
        with memory.transaction():
            memory.remember("one")
            with monkeypatch.context() as patched:
                patched.setattr("mimir_vault.store.writer.Writer.write_rows", broken)
                with pytest.raises(mimir.DiskFullError):
                    memory.remember("two")
            with pytest.raises(mimir.MimirError, match="nothing of it is stored"):
                memory.remember("three")

    with pytest.raises(mimir.MimirError, match="nothing of this transaction is stored"):
        block()
    assert memory.count() == 0


def test_a_refused_argument_spoils_no_transaction(memory: Memory) -> None:
    """A programmer's nonsense is refused before anything is written; the rest is stored."""
    with memory.transaction():
        memory.remember("one")
        with pytest.raises(ValueError, match="empty"):
            memory.remember("")
        memory.remember("two")
    assert texts(memory.nodes()) == ["one", "two"]


def test_a_view_that_only_reads_has_no_transaction(memory: Memory) -> None:
    """It would change nothing."""
    with pytest.raises(mimir.ReadOnlyError):
        memory.view(read_only=True).transaction().__enter__()


def test_what_is_read_inside_is_not_changed_by_others_before_it_is_written(memory: Memory) -> None:
    """A counter that eight threads raise loses nothing."""
    memory.remember("0", ref=("n",), index=False)

    def raise_it() -> None:
        for _ in range(5):
            with memory.transaction():
                node = memory.get(ref=("n",))
                assert node is not None
                memory.remember(str(int(node.text) + 1), ref=("n",), index=False)

    threads = [threading.Thread(target=raise_it) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    node = memory.get(ref=("n",))
    assert node is not None
    assert (node.text, len(memory.history(node.id))) == ("40", 41)
