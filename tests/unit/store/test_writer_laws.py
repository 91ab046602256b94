"""Whatever is put, changed and erased: digests, chain and derived tables are those that the nodes alone would give."""

from __future__ import annotations

import json
from typing import Any

import apsw
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from mimir_vault.model.codec import Metadata, Payload, decode, decode_state, encode
from mimir_vault.model.facets import Facets
from mimir_vault.store import audit, feed, freshness, nodes, refs, words
from mimir_vault.store.feed import Seen
from mimir_vault.store.links import SUPERSEDES
from mimir_vault.store.names import all_names
from mimir_vault.store.nodes import StoredNode
from mimir_vault.store.vectors import NewVector
from mimir_vault.store.writer import Findable, Writer

from .conftest import metadata, plain_space, space_sealer, state, writing

NAMES = st.none() | st.sampled_from(["ada", "bo", "cy"])
SESSIONS = st.none() | st.sampled_from(["s1", "s2"])
REFS = st.none() | st.sampled_from([("r",), ("r", "x"), ("q",)])
FINDABLES = st.tuples(
    st.dictionaries(st.sampled_from(["seat", "window", "zebra", "ada"]), st.integers(1, 3), max_size=3),
    st.integers(0, 3),
)
VALUES = st.sampled_from(["", '{"a":1}', '{"a":[1,2]}', '{"b":{"a":null}}', '{"ada":"bo"}'])
TAGS = st.sampled_from([(), ("ada",), ("a", "b")])
ABOUT = 3


def findable(terms: dict[str, int], windows: int) -> Findable:
    """Return what a node is found by."""
    return Findable(terms, 1, [NewVector(n, n, n + 1, bytes([n])) for n in range(windows)])


class Reader:
    """A process that follows the change feed and keeps facets, links and names, as an index in memory does."""

    def __init__(self) -> None:
        self.seen = Seen()
        self.facets: dict[int, bytes] = {}
        self.supersedes: set[tuple[int, int]] = set()
        self.names: dict[int, str] = {}

    def follow(self, connection: apsw.Connection) -> None:
        """Take in what is new; nothing is new twice."""
        news = feed.news(connection, self.seen)
        if news is None:
            return
        for start in range(0, len(news.facets), 64):
            row = news.facets[start : start + 64]
            self.facets[Facets.unpack(row).seq] = row
        self.supersedes |= {(newer, older) for newer, older in news.supersedes.tolist()}
        for seq in news.erased.tolist():
            self.facets.pop(seq, None)
            newer = {one for one, other in self.supersedes if other == seq}
            older = {other for one, other in self.supersedes if one == seq}
            self.supersedes = {pair for pair in self.supersedes if seq not in pair}
            self.supersedes |= {(one, other) for one in newer for other in older}
        self.names |= news.names
        self.seen = news.seen
        assert feed.news(connection, self.seen) is None


class SpaceAgainstItsNodes(RuleBasedStateMachine):
    """Random transactions of a space, compared with what its nodes alone would give."""

    @initialize()
    def begin(self) -> None:
        """Start with an empty space and a reader that has seen nothing."""
        self.connection, self.sealer = plain_space(), space_sealer()
        self.findables: dict[bytes, tuple[dict[str, int], int]] = {}
        self.superseded: dict[bytes, set[bytes]] = {}
        self.events = 0
        self.reader = Reader()

    def live(self) -> list[StoredNode]:
        """Return all live nodes."""
        return list(nodes.every(self.connection))

    def put_one(self, writer: Writer, data: st.DataObject) -> None:
        """Put one node as remembering does: chain, links to older nodes, a ref that supersedes its holder."""
        user, session, ref = data.draw(NAMES), data.draw(SESSIONS), data.draw(REFS)
        links: list[tuple[int, bytes]] = []
        if older := self.live():
            kind = data.draw(st.sampled_from([None, SUPERSEDES, ABOUT]))
            if kind is not None:
                links.append((kind, data.draw(st.sampled_from(older)).sealed.id))
        if ref is not None:
            holders = nodes.ids_of(self.connection, [refs.newest(self.connection, ref)])
            links += [(SUPERSEDES, holder) for holder in holders.values()]
        thread = writer.thread(under(ref), user, None, session) if session is not None else None
        found = data.draw(FINDABLES)
        stored = writer.put(
            encode(Payload(1, "text", None, None)),
            metadata(
                writer.recorded(0), user=user, session=session, tags=data.draw(TAGS), values=data.draw(VALUES),
                links=tuple(dict.fromkeys(links)), order=thread.length if thread is not None else 0,
            ),
            state(ref=ref, pinned=data.draw(st.booleans())), findable(*found), thread,
        )  # fmt: skip
        self.findables[stored.sealed.id] = found
        self.superseded[stored.sealed.id] = {target for kind, target in links if kind == SUPERSEDES}

    @rule(data=st.data(), count=st.integers(1, 3), learned=st.booleans())
    def put(self, data: st.DataObject, count: int, learned: bool) -> None:
        """Put some nodes in one transaction."""
        with writing(self.connection, self.sealer) as writer:
            if learned:
                writer.learn(["zebra", "never"])
            for _ in range(count):
                self.put_one(writer, data)

    @precondition(lambda self: self.live())
    @rule(data=st.data(), audited=st.booleans())
    def erase(self, data: st.DataObject, audited: bool) -> None:
        """Erase some nodes; say which older ones are current again, and compare."""
        live = self.live()
        gone = data.draw(st.lists(st.sampled_from(live), min_size=1, max_size=3, unique_by=lambda node: node.seq))
        with writing(self.connection, self.sealer) as writer:
            again = writer.erase(gone, lambda model, saved, vids: saved)
            if audited:
                writer.audit("nodes forgotten", 0, count=len(gone))
                self.events += 1
        after = {node.sealed.id: node.seq for node in self.live()}
        current = current_of(after, self.superseded) - current_of({node.sealed.id: 0 for node in live}, self.superseded)
        assert again == sorted(after[one] for one in current)

    @precondition(lambda self: self.live())
    @rule(
        data=st.data(), pinned=st.booleans(), hidden=st.booleans(), expires=st.none() | st.integers(0, 9),
        forget_at=st.none() | st.integers(0, 9),
    )  # fmt: skip
    def change(
        self, data: st.DataObject, pinned: bool, hidden: bool, expires: int | None, forget_at: int | None
    ) -> None:
        """Replace the state of a node; it may get another ref, or none any more."""
        node = data.draw(st.sampled_from(self.live()))
        kept = state(ref=data.draw(REFS), pinned=pinned, hidden=hidden, expires=expires, forget_at=forget_at)
        with writing(self.connection, self.sealer) as writer:
            writer.replace_state(node, kept)

    @rule()
    def merge(self) -> None:
        """Merge the words."""
        with writing(self.connection, self.sealer) as writer:
            writer.merge_words()

    @rule(data=st.data())
    def fail(self, data: st.DataObject) -> None:
        """A transaction that raises after it put something leaves everything as it was."""
        before = self.connection.serialize("main")
        known = dict(self.findables)
        try:
            with writing(self.connection, self.sealer) as writer:
                self.put_one(writer, data)
                raise KeyError
        except KeyError:
            pass
        self.findables = known
        assert contents(self.connection) == contents_of(before)

    @rule()
    def follow(self) -> None:
        """Let the reader catch up."""
        self.reader.follow(self.connection)
        self.reader_is_right()

    def reader_is_right(self) -> None:
        """The reader knows the facets of all live nodes, their names, and which supersede which."""
        assert self.reader.facets == dict(self.connection.execute("SELECT seq, data FROM facet"))
        assert all(self.reader.names[code] == text for code, text in all_names(self.connection).items())
        links = self.connection.execute("SELECT newer, older FROM link WHERE kind = ? AND older > 0", (SUPERSEDES,))
        assert self.reader.supersedes == set(links)

    @invariant()
    def digests_and_chain_are_right(self) -> None:
        """Reckoned afresh they are what stands there."""
        now = freshness.read(self.connection)
        count, total = nodes.recompute(self.connection, self.sealer)
        assert (now.count, now.digest) == (count, total % freshness.MODULUS)
        assert now.rows_digest == freshness.recompute_rows(self.connection, self.sealer)
        freshness.check_chain(self.connection)
        assert len(list(audit.events(self.connection, self.sealer))) == self.events

    @invariant()
    def derived_tables_are_right(self) -> None:
        """Made anew from the live nodes, all derived tables hold the same."""
        anew = plain_space()
        for row in self.connection.execute("SELECT * FROM tombstone"):
            anew.execute("INSERT INTO tombstone VALUES (?, ?, ?, ?)", row)
        with writing(anew, self.sealer) as writer:
            for node in self.live():
                opened = decode(Metadata, self.sealer.open_metadata(node.sealed))
                kept = decode_state(self.sealer.open_state(node.sealed))
                row = (node.seq, node.sealed.id, 1, b"", b"", b"", b"")
                anew.execute("INSERT INTO node VALUES (?, ?, ?, ?, ?, ?, ?)", row)
                session = opened.session
                thread = writer.thread(under(kept.ref), opened.user, None, session) if session is not None else None
                writer.derive(node, opened, kept, findable(*self.findables[node.sealed.id]), thread)
        assert derived(self.connection) == derived(anew)
        anew.close()

    def teardown(self) -> None:
        """Close the space and forget its keys."""
        if hasattr(self, "connection"):
            self.connection.close()
            self.sealer.wipe()


def under(ref: tuple[str, ...] | None) -> tuple[str, ...]:
    """Return the part of a ref that tells chains of sessions apart."""
    return ref[:-1] if ref is not None else ()


def current_of(live: dict[bytes, int], superseded: dict[bytes, set[bytes]]) -> set[bytes]:
    """Return the live nodes that no live node supersedes, erased ones in between looked through."""
    replaced: set[bytes] = set()
    for one in live:
        edge = set(superseded[one])
        while edge:
            target = edge.pop()
            replaced.add(target)
            if target not in live:
                edge |= superseded[target]
    return live.keys() - replaced


def contents(connection: apsw.Connection) -> dict[str, list[Any]]:
    """Return all rows of all tables."""
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    return {table: connection.execute(f"SELECT * FROM {table}").fetchall() for table in tables}


def contents_of(image: bytes) -> dict[str, list[Any]]:
    """Return all rows of a serialized database."""
    connection = apsw.Connection(":memory:")
    connection.deserialize("main", image)
    return contents(connection)


def derived(connection: apsw.Connection) -> dict[str, Any]:
    """Return what the derived tables say, with codes replaced by what they stand for."""
    names = all_names(connection)
    texts: dict[int, str] = dict(connection.execute("SELECT code, text FROM term"))
    threads: dict[int, bytes] = dict(connection.execute("SELECT code, identity FROM thread"))

    def shown(row: bytes) -> tuple[Any, ...]:
        facets = Facets.unpack(row)
        told = {
            field: names.get(getattr(facets, field))
            for field in ("user", "agent", "speaker", "role", "kind", "session")
        }
        return (*facets._replace(**dict.fromkeys((*told, "thread"), 0)), json.dumps(told), threads.get(facets.thread))

    def places(data: bytes) -> list[tuple[str, int]]:
        return sorted((texts[int(place["number"])], int(place["times"])) for place in words.unpack(data))

    return {
        "facet": [shown(row) for (row,) in connection.execute("SELECT data FROM facet ORDER BY seq")],
        "name": sorted(connection.execute("SELECT text, uses FROM name")),
        "thread": sorted(connection.execute("SELECT identity, uses FROM thread")),
        "term": sorted(texts.values()),
        "words": {seq: places(data) for seq, data in connection.execute("SELECT seq, data FROM words")},
        "attribute": sorted(connection.execute("SELECT text, value, seq FROM attribute JOIN name ON code = path")),
        "link": sorted(connection.execute("SELECT newer, kind, target, older FROM link")),
        "ref": sorted(connection.execute("SELECT path, seq FROM ref")),
        "vector": sorted(connection.execute("SELECT seq, model, window, data FROM vector")),
        "passage": sorted(connection.execute("SELECT * FROM passage")),
    }


TestSpace = SpaceAgainstItsNodes.TestCase
TestSpace.settings = settings(max_examples=40, stateful_step_count=12, deadline=None)
