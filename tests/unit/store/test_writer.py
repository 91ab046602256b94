"""The writer: all rows of a node put, changed or erased together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import apsw
import pytest

from mimir_vault.crypto.sealer import SpaceSealer
from mimir_vault.errors import TamperedError
from mimir_vault.model.codec import Metadata, Payload, State, decode, encode
from mimir_vault.model.facets import HIDDEN, NEVER, PINNED, UNINDEXED, Facets
from mimir_vault.store import audit, nodes, refs, vectors, words
from mimir_vault.store.links import SUPERSEDES
from mimir_vault.store.names import all_names
from mimir_vault.store.nodes import StoredNode
from mimir_vault.store.vectors import NewVector
from mimir_vault.store.writer import FOLLOWS, Findable, Writer

from .conftest import metadata, space_sealer, state, writing

PAYLOAD = encode(Payload(1, "text", None, None))


@pytest.fixture
def sealer() -> SpaceSealer:
    """The sealer of the space."""
    return space_sealer()


def same(model: int, saved: bytes, vids: Sequence[int]) -> bytes:
    """Return a saved sketch as it is."""
    return saved


def put(writer: Writer, findable: Findable | None = None, kept: State | None = None, **given: Any) -> StoredNode:
    """Put a node with these fields."""
    return writer.put(PAYLOAD, metadata(writer.recorded(100), **given), kept or state(), findable or Findable(), None)


def facets(connection: apsw.Connection, seq: int) -> Facets:
    """Return a node's facets."""
    return Facets.unpack(connection.execute("SELECT data FROM facet WHERE seq = ?", (seq,)).fetchall()[0][0])


def test_a_node_that_is_put_opens_again(plain: apsw.Connection, sealer: SpaceSealer) -> None:
    """Its envelopes give back the values, its facets name them by codes."""
    with writing(plain, sealer) as writer:
        assert writer.generation == 1
        node = put(
            writer, Findable({"seat": 300, "ada": 2}, 1, [NewVector(0, 0, 4, b"v")]), state(pinned=True, expires=9_000),
            at=50, user="ada", agent="travel", session="s1", speaker="Ada", role="user", kind="fact", tags=("a",),
        )  # fmt: skip
    stored = nodes.by_seq(plain, [node.seq])[node.seq]
    payload, opened, kept = sealer.open_node(stored.sealed)
    assert decode(Payload, payload).text == "text"
    assert decode(Metadata, opened).user == "ada"
    assert decode(State, kept).pinned
    row, names = facets(plain, node.seq), all_names(plain)
    assert (row.at, row.recorded, row.expires, row.length, row.windows, row.flags) == (50, 100, 9_000, 302, 1, PINNED)
    told = [names[code] for code in (row.user, row.agent, row.session, row.speaker, row.role, row.kind)]
    assert told == ["ada", "travel", "s1", "Ada", "user", "fact"]


def test_what_is_not_given_is_code_0_and_never(plain: apsw.Connection, sealer: SpaceSealer) -> None:
    """A node without names has no codes; one that is not indexed or hidden is marked."""
    with writing(plain, sealer) as writer:
        bare = put(writer, kept=state(hidden=True), indexed=False)
    row = facets(plain, bare.seq)
    assert (row.user, row.agent, row.session, row.speaker, row.role, row.thread) == (0, 0, 0, 0, 0, 0)
    assert (row.expires, row.flags, row.length, row.windows) == (NEVER, HIDDEN | UNINDEXED, 0, 0)


def test_long_nodes_saturate_their_facets(plain: apsw.Connection, sealer: SpaceSealer) -> None:
    """Length stops at 65,535, windows at 255, a term's count at 255."""
    with writing(plain, sealer) as writer:
        node = put(writer, Findable({"a": 70_000}, 1, [NewVector(n, n, n + 1, b"v") for n in range(300)]))
    row = facets(plain, node.seq)
    assert (row.length, row.windows) == (0xFFFF, 255)
    assert words.unpack(plain.execute("SELECT data FROM words").fetchall()[0][0])["times"].tolist() == [255]


def test_the_moment_of_storing_always_rises(plain: apsw.Connection, sealer: SpaceSealer) -> None:
    """One microsecond after the newest when the clock stands or goes back, also in the next transaction."""
    with writing(plain, sealer) as writer:
        assert [writer.recorded(now) for now in (500, 500, 400, 600)] == [500, 501, 502, 600]
    with writing(plain, sealer) as writer:
        assert writer.recorded(10) == 601


def test_a_chain_of_a_session_has_order_and_head(plain: apsw.Connection, sealer: SpaceSealer) -> None:
    """The head is the newest node's id, also across transactions; where it was erased there is none."""
    with writing(plain, sealer) as writer:
        thread = writer.thread((), "ada", None, "s1")
        assert writer.head(thread) is None
        first = writer.put(PAYLOAD, metadata(1, session="s1"), state(), Findable(), thread)
        assert writer.head(thread) == first.sealed.id
        assert thread.length == 1
    with writing(plain, sealer) as writer:
        thread = writer.thread((), "ada", None, "s1")
        assert writer.head(thread) == first.sealed.id
        assert writer.thread((), None, None, "s1") is not thread
        second = writer.put(PAYLOAD, metadata(2, session="s1", order=1), state(), Findable(), thread)
    with writing(plain, sealer) as writer:
        assert writer.erase([second], same) == []
    with writing(plain, sealer) as writer:
        thread = writer.thread((), "ada", None, "s1")
        assert (thread.length, thread.uses, writer.head(thread)) == (2, 1, None)


def test_links_but_follows_have_rows(plain: apsw.Connection, sealer: SpaceSealer) -> None:
    """`follows` is kept by the chain; another link knows its older node, or 0 when it is not here."""
    with writing(plain, sealer) as writer:
        old = put(writer)
        new = put(writer, links=((FOLLOWS, old.sealed.id), (SUPERSEDES, old.sealed.id), (3, bytes(32))))
    rows = plain.execute("SELECT newer, kind, target, older FROM link ORDER BY kind").fetchall()
    assert rows == [(new.seq, SUPERSEDES, old.sealed.id, old.seq), (new.seq, 3, bytes(32), 0)]


def test_erasing_a_successor_makes_the_older_node_current(plain: apsw.Connection, sealer: SpaceSealer) -> None:
    """Its seq is returned, unless it is erased as well; a ref goes back to it."""
    ref = ("prefs", "seat")
    with writing(plain, sealer) as writer:
        old = put(writer, kept=state(ref=ref))
        new = put(writer, kept=state(ref=ref), links=((SUPERSEDES, old.sealed.id),))
    assert refs.versions(plain, ref) == [old.seq, new.seq]
    with writing(plain, sealer) as writer:
        assert writer.erase([new], same) == [old.seq]
    assert refs.versions(plain, ref) == [old.seq]
    with writing(plain, sealer) as writer:
        newest = put(writer, kept=state(ref=ref), links=((SUPERSEDES, old.sealed.id),))
        assert writer.erase([newest, old], same) == []
    assert plain.execute("SELECT count(*) FROM ref").fetchall() == [(0,)]


def test_what_was_erased_may_be_put_again_in_one_transaction(plain: apsw.Connection, sealer: SpaceSealer) -> None:
    """Its terms get codes anew, its names are counted again, and the next turn does not follow what is gone."""
    found = Findable({"seat": 1, "window": 2})
    with writing(plain, sealer) as writer:
        kept = put(writer, Findable({"window": 1}))
        thread = writer.thread((), "ada", None, "s")
        gone = writer.put(PAYLOAD, metadata(5, user="ada", session="s", tags=("t",)), state(), found, thread)
        assert writer.head(thread) == gone.sealed.id
        writer.erase([gone], same)
        assert writer.head(thread) is None
        again = writer.put(PAYLOAD, metadata(6, user="ada", session="s", tags=("t",)), state(), found, thread)
    terms = dict(plain.execute("SELECT code, text FROM term"))
    held = {
        seq: {terms[int(code)] for code in words.unpack(data)["number"]}
        for seq, data in plain.execute("SELECT seq, data FROM words")
    }
    assert held == {kept.seq: {"window"}, again.seq: {"seat", "window"}}
    assert sorted(terms.values()) == ["seat", "window"]
    assert sorted(plain.execute("SELECT text, uses FROM name")) == [("ada", 1), ("s", 1), ("tags", 1), ("turn", 2)]
    assert plain.execute("SELECT uses, head FROM thread").fetchall() == [(1, again.seq)]


def test_erasing_the_older_node_leaves_a_link_to_nowhere(plain: apsw.Connection, sealer: SpaceSealer) -> None:
    """The successor keeps its link (it is part of its id), and nothing becomes current."""
    with writing(plain, sealer) as writer:
        old = put(writer)
        put(writer, links=((SUPERSEDES, old.sealed.id),))
        assert writer.erase([old], same) == []
    assert plain.execute("SELECT target, older FROM link").fetchall() == [(old.sealed.id, 0)]


def test_erasing_leaves_a_tombstone_and_nothing_else(plain: apsw.Connection, sealer: SpaceSealer) -> None:
    """Node, key, facets, names, words, vectors, passages, links, attributes and ref are gone."""
    with writing(plain, sealer) as writer:
        writer.learn(["never", "put"])
        node = put(
            writer, Findable({"seat": 1}, 1, [NewVector(0, 0, 2, b"v"), NewVector(1, 2, 4, b"w")]), state(ref=("r",)),
            user="ada", session="s", tags=("a",), values='{"a":{"b":[1]}}', links=((3, bytes(32)),),
        )  # fmt: skip
        kept = writer.replace_state(node, state(ref=("r",), pinned=True))
    with writing(plain, sealer) as writer:
        writer.erase([kept], same)
        assert writer.erase([], same) == []
        generation = writer.generation
    assert plain.execute("SELECT id, generation, seq FROM tombstone").fetchall() == [(node.sealed.id, generation, 1)]
    empty = (
        "node", "facet", "name", "words", "term", "posting", "vector", "passage", "link", "attribute", "ref", "thread",
        "change", "sealed_vector",
    )  # fmt: skip
    counts = {table: plain.execute(f"SELECT count(*) FROM {table}").fetchall()[0][0] for table in empty}
    assert counts == dict.fromkeys(empty, 0)


def test_a_state_is_replaced_in_place(plain: apsw.Connection, sealer: SpaceSealer) -> None:
    """The id stays, the facets follow, the change feed hears of it, and the ref moves."""
    with writing(plain, sealer) as writer:
        node = put(writer, kept=state(ref=("a",)))
    with writing(plain, sealer) as writer:
        changed = writer.replace_state(node, state(ref=("b",), pinned=True, hidden=True, expires=5))
        writer.replace_state(changed, state(ref=("b",), hidden=True, expires=5))
        generation = writer.generation
    stored = nodes.by_seq(plain, [node.seq])[node.seq]
    assert stored.sealed.id == node.sealed.id
    assert decode(State, sealer.open_state(stored.sealed)) == state(ref=("b",), hidden=True, expires=5)
    row = facets(plain, node.seq)
    assert (row.flags, row.expires) == (HIDDEN, 5)
    assert plain.execute("SELECT generation, seq FROM change").fetchall() == [(generation, node.seq)]
    assert plain.execute("SELECT path, seq FROM ref").fetchall() == [(refs.path_of(("b",)), node.seq)]
    with writing(plain, sealer) as writer:
        writer.replace_state(stored, state())
    assert plain.execute("SELECT count(*) FROM ref").fetchall() == [(0,)]


def test_codes_of_erased_vectors_are_overwritten_in_the_saved_sketch(
    plain: apsw.Connection, sealer: SpaceSealer
) -> None:
    """Only for the model they belong to, and only those the sketch holds."""
    with writing(plain, sealer) as writer:
        one = put(writer, Findable({}, 1, [NewVector(0, 0, 1, b"v")]))
        two = put(writer, Findable({}, 1, [NewVector(0, 0, 1, b"v")]))
        three = put(writer, Findable({}, 2, [NewVector(0, 0, 1, b"v")]))
        vectors.save_sketch(plain, 1, 1, 1, b"codes of the first")
        vectors.save_sketch(plain, 3, 1, 9, b"codes of another model")
    asked: list[tuple[int, bytes, list[int]]] = []

    def overwrite(model: int, saved: bytes, vids: Sequence[int]) -> bytes:
        asked.append((model, saved, list(vids)))
        return b"zeros"

    with writing(plain, sealer) as writer:
        writer.erase([one, two, three], overwrite)
    assert asked == [(1, b"codes of the first", [1])]
    assert vectors.load_sketch(plain, 1, 1) == (1, b"zeros")
    assert vectors.load_sketch(plain, 3, 1) == (9, b"codes of another model")


def test_terms_that_no_node_took_do_not_stay(plain: apsw.Connection, sealer: SpaceSealer) -> None:
    """Words learned for nodes that were not put after all are in no table; those known before stay."""
    with writing(plain, sealer) as writer:
        put(writer, Findable({"known": 1}))
    with writing(plain, sealer) as writer:
        writer.learn(["known", "taken", "left"])
        put(writer, Findable({"taken": 1}))
    assert {text for (text,) in plain.execute("SELECT text FROM term")} == {"known", "taken"}


def test_words_are_merged_when_asked(plain: apsw.Connection, sealer: SpaceSealer) -> None:
    """The number of nodes in the tail is returned."""
    with writing(plain, sealer) as writer:
        put(writer, Findable({"a": 1}))
        put(writer, Findable({"a": 1, "b": 1}))
        assert writer.merge_words() == 2
        assert writer.merge_words() == 0
    assert words.stored_version(plain) == 1


def test_events_are_audited_in_the_same_transaction(plain: apsw.Connection, sealer: SpaceSealer) -> None:
    """What is rolled back is not in the audit either."""
    with writing(plain, sealer) as writer:
        writer.audit("nodes forgotten", 7, count=1)

    def failing() -> None:
        with writing(plain, sealer) as writer:
            writer.audit("rebuilt", 8)
            raise KeyError

    with pytest.raises(KeyError):
        failing()
    assert [(event.verb, event.at, event.facts) for event in audit.events(plain, sealer)] == [
        ("nodes forgotten", 7, {"count": 1})
    ]


# -- states that change -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expires", "forget_at", "ends"), [(None, None, NEVER), (5, None, 5), (None, 7, 7), (5, 7, 5), (7, 5, 5)]
)
def test_a_node_ends_at_its_expiry_or_with_its_grace(
    plain: apsw.Connection, sealer: SpaceSealer, expires: int | None, forget_at: int | None, ends: int
) -> None:
    """Whichever is first, when it is put and when its state is replaced."""
    kept = state(expires=expires, forget_at=forget_at)
    with writing(plain, sealer) as writer:
        put(writer, kept=kept)
        writer.replace_state(put(writer), kept)
    assert [facets(plain, seq).expires for seq in (1, 2)] == [ends, ends]


def test_a_node_that_moves_takes_its_place_in_another_chain(plain: apsw.Connection, sealer: SpaceSealer) -> None:
    """The chain of its session under its new ref; one that is left without nodes goes, its head is its newest."""
    with writing(plain, sealer) as writer:
        thread = writer.thread(("a",), None, None, "s")
        first, second = (
            writer.put(
                PAYLOAD, metadata(order + 1, session="s", order=order), state(ref=("a", name)), Findable(), thread
            )
            for order, name in enumerate("12")
        )
    with writing(plain, sealer) as writer:
        writer.replace_state(second, state(ref=("b", "2")))
    with writing(plain, sealer) as writer:
        old, new = writer.thread(("a",), None, None, "s"), writer.thread(("b",), None, None, "s")
        assert (old.length, old.uses, writer.head(old)) == (2, 1, None)
        assert (new.length, new.uses, writer.head(new)) == (2, 1, second.sealed.id)
        assert [facets(plain, one.seq).thread for one in (first, second)] == [old.code, new.code]
    with writing(plain, sealer) as writer:
        writer.replace_state(first, state(ref=("b", "1")))
    with writing(plain, sealer) as writer:
        new = writer.thread(("b",), None, None, "s")
        assert (new.length, new.uses, writer.head(new)) == (2, 2, second.sealed.id)
    assert plain.execute("SELECT count(*) FROM thread").fetchall() == [(1,)]


def test_a_node_that_is_renamed_stays_in_its_chain(plain: apsw.Connection, sealer: SpaceSealer) -> None:
    """Only what stands above the last part of a ref tells chains apart; without a session there is none."""
    with writing(plain, sealer) as writer:
        thread = writer.thread(("a",), None, None, "s")
        node = writer.put(PAYLOAD, metadata(1, session="s"), state(ref=("a", "1")), Findable(), thread)
        bare = put(writer, kept=state(ref=("a", "3")))
    with writing(plain, sealer) as writer:
        writer.replace_state(node, state(ref=("a", "2")))
        writer.replace_state(bare, state(ref=("b", "3")))
    assert (facets(plain, node.seq).thread, facets(plain, bare.seq).thread) == (thread.code, 0)
    assert plain.execute("SELECT length, uses, head FROM thread").fetchall() == [(1, 1, node.seq)]


def test_a_state_is_replaced_in_the_transaction_that_put_it(plain: apsw.Connection, sealer: SpaceSealer) -> None:
    """Rows that were only gathered are written before they are changed."""
    with writing(plain, sealer) as writer:
        node = put(writer, Findable({"seat": 1}))
        writer.replace_state(node, state(hidden=True))
    assert facets(plain, node.seq).flags == HIDDEN


# -- vectors ----------------------------------------------------------------------------------------------------------


def test_a_successor_may_have_the_vectors_of_the_node_before(plain: apsw.Connection, sealer: SpaceSealer) -> None:
    """Of all models, with their passages; its windows are counted; also where both are put in one transaction."""
    with writing(plain, sealer) as writer:
        old = put(writer, Findable({}, 1, [NewVector(0, 0, 2, b"v"), NewVector(1, 2, 4, b"w")]))
        new = writer.put(PAYLOAD, metadata(writer.recorded(0)), state(), Findable(), None, vectors_of=old.seq)
    assert plain.execute("SELECT seq, model, window, data FROM vector ORDER BY vid").fetchall() == [
        (old.seq, 1, 0, b"v"), (old.seq, 1, 1, b"w"), (new.seq, 1, 0, b"v"), (new.seq, 1, 1, b"w"),
    ]  # fmt: skip
    assert vectors.passages(plain, 1, [new.seq]) == {(new.seq, 0): (0, 2), (new.seq, 1): (2, 4)}
    assert facets(plain, new.seq).windows == 2


def test_given_vectors_are_sealed_to_their_node_model_and_window(plain: apsw.Connection, sealer: SpaceSealer) -> None:
    """They open again as they were given, and nowhere else."""
    model = vectors.put_model(plain, "other", 2, "", b"")
    with writing(plain, sealer) as writer:
        node, other = put(writer), put(writer)
        writer.put_given(node, model, [b"one", b"two"])
    sealed = vectors.sealed_of(plain, [node.seq, other.seq])
    assert list(sealed) == [(node.seq, model.code)]
    first, second = sealed[node.seq, model.code]
    assert sealer.open_vector(node.sealed, first, vectors.about(model, 0)) == b"one"
    assert sealer.open_vector(node.sealed, second, vectors.about(model, 1)) == b"two"
    assert b"one" not in first
    for mixed, kept, window in ((first, node, 1), (first, other, 0), (second, node, 0)):
        with pytest.raises(TamperedError):
            sealer.open_vector(kept.sealed, mixed, vectors.about(model, window))
