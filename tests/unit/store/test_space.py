"""The store of a space: nodes survive closing, keys do not."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from mimir_vault.errors import LockedError, ReadOnlyError, RollbackError
from mimir_vault.model.codec import Payload, decode, encode
from mimir_vault.store import nodes
from mimir_vault.store.nodes import StoredNode
from mimir_vault.store.space import SpaceStore
from mimir_vault.store.writer import Findable

from .conftest import REPLICA, Seeds, metadata, state


def put(store: SpaceStore, text: str, **given: Any) -> StoredNode:
    """Put a node with this text."""
    with store.write(len(text)) as writer:
        payload = encode(Payload(1, text, None, None))
        return writer.put(payload, metadata(writer.recorded(0), user=text, **given), state(), Findable({text: 1}), None)


def texts(store: SpaceStore) -> list[str]:
    """Return the texts of all nodes, opened."""
    with store.read() as connection:
        return [decode(Payload, store.sealer.open_node(node.sealed)[0]).text for node in nodes.every(connection)]


def test_nodes_are_there_after_opening_again(seeds: Seeds) -> None:
    """Sealed bytes, facets and freshness; the file has its class and no WAL."""
    pins = seeds.pins()
    store = seeds.create_space(pins)
    put(store, "one")
    put(store, "two")
    before = store.freshness()
    store.close()
    assert (seeds.folder / "space.db").stat().st_size == 1 << 20
    assert not (seeds.folder / "space.db-wal").exists()
    again = seeds.open_space(pins)
    assert texts(again) == ["one", "two"]
    assert again.freshness() == before
    assert (before.generation, before.count, before.recorded) == (2, 2, 2)
    assert not again.read_only


def test_a_transaction_that_raises_leaves_nothing(seeds: Seeds) -> None:
    """Neither a node nor a name nor a generation."""
    store = seeds.create_space()
    put(store, "one")

    def fail() -> None:
        with store.write() as writer:
            writer.put(b"", metadata(writer.recorded(0), user="never"), state(), Findable({"never": 1}), None)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    with store.read() as connection:
        assert {text for (text,) in connection.execute("SELECT text FROM name")} == {"one", "turn"}
        assert {text for (text,) in connection.execute("SELECT text FROM term")} == {"one"}
    assert store.freshness().generation == 1
    assert texts(store) == ["one"]


def test_closing_forgets_the_keys(seeds: Seeds) -> None:
    """Sealer and pages are locked afterwards."""
    store = seeds.create_space()
    node = put(store, "one")
    store.close()
    with pytest.raises(LockedError):
        store.sealer.open_node(node.sealed)
    with pytest.raises(LockedError):
        texts(store)


def test_a_read_only_space_reads(seeds: Seeds) -> None:
    """And says that it may not be written."""
    store = seeds.create_space()
    put(store, "one")
    store.close()
    reader = seeds.open_space(read_only=True)
    assert reader.read_only
    assert texts(reader) == ["one"]
    with pytest.raises(ReadOnlyError, match="space test was opened read-only"):
        put(reader, "two")


def test_an_older_space_is_a_rollback(seeds: Seeds) -> None:
    """Until it is accepted."""
    pins = seeds.pins()
    store = seeds.create_space(pins)
    store.close()
    older = (seeds.folder / "space.db").read_bytes()
    newer = seeds.open_space(pins)
    put(newer, "one")
    newer.close()
    (seeds.folder / "space.db").write_bytes(older)
    with pytest.raises(RollbackError, match="space test is older"):
        seeds.open_space(pins)
    assert texts(seeds.open_space(pins, accept_rollback=True)) == []
    assert pins.get("space", REPLICA) is not None


def test_erased_text_is_in_no_page_and_not_in_the_wal(seeds: Seeds) -> None:
    """After an erasure its traces are removed, and that this is done is noted."""
    store = seeds.create_space()
    for number in range(60):
        put(store, f"word{number}")
    with store.read() as connection:
        node = list(nodes.every(connection))[30]
    with store.write() as writer:
        node = writer.replace_state(node, state(pinned=True))
    with store.write() as writer:
        writer.change.erased = set()
        writer.erase([node], lambda *_: b"")
        erased = writer.change.erased
    assert b"word30" in erased
    assert store.fresh.remove_traces(erased, 1_000)
    image = store.fresh.database.connection().serialize("main")
    assert b"word29" in image
    for piece in (b"word30", node.sealed.wrap, node.sealed.payload[:32], node.sealed.state[8:40]):
        assert piece not in image
    assert store.fresh.database.wal_bytes() == 0
    assert len(texts(store)) == 59


def test_an_erasure_that_a_reader_holds_back_is_finished_at_close(seeds: Seeds) -> None:
    """`remove_traces` says False while a reader is open; the next close makes it good."""
    store = seeds.create_space()
    node = put(store, "secret")
    other = seeds.open_space()
    ready, done = threading.Event(), threading.Event()

    def hold() -> None:
        with other.read():
            ready.set()
            done.wait(20)

    reader = threading.Thread(target=hold)
    reader.start()
    ready.wait(20)
    with store.write() as writer:
        writer.erase([node], lambda *_: b"")
    assert not store.fresh.remove_traces(set(), 10)
    done.set()
    reader.join()
    other.close()
    store.close()
    again = seeds.open_space()
    assert b"secret" not in again.fresh.database.connection().serialize("main")
    assert texts(again) == []
    assert again.freshness().count == 1
