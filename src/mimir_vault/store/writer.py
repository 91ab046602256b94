"""The writer: all rows of a node put, changed or erased together, inside one write transaction of a space."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import apsw

from mimir_vault.model.codec import Metadata, State, decode, decode_state, decode_values, encode, encode_state
from mimir_vault.model.facets import HIDDEN, LENGTH_MAX, NEVER, PINNED, UNINDEXED, Facets
from mimir_vault.model.link import LINK_KINDS
from mimir_vault.store import attributes, audit, links, nodes, padding, refs, traces, vectors, words
from mimir_vault.store.database import PAGE_BYTES
from mimir_vault.store.freshness import Change
from mimir_vault.store.names import Names, Thread, Threads, thread_identity
from mimir_vault.store.nodes import NODE_TAG, TOMBSTONE_TAG, Sealer, StoredNode
from mimir_vault.store.query import fetch
from mimir_vault.store.vectors import NewVector

FOLLOWS = LINK_KINDS.index("follows")
EraseCodes = Callable[[int, bytes, Sequence[int]], bytes]
"""Takes a model's code, its saved sketch and erased vids; returns the saved sketch without their codes."""


@dataclass(frozen=True, slots=True)
class Findable:
    """What a node is found by: its terms with their counts, and the vectors of its windows by one model."""

    terms: Mapping[str, int] = field(default_factory=dict)
    model: int = 0
    vectors: Sequence[NewVector] = ()


class Writer:
    """One write transaction of a space. Made by `SpaceStore.write`; nothing of it is kept when the block raises."""

    def __init__(self, connection: apsw.Connection, sealer: Sealer, change: Change, words_version: int) -> None:
        self.connection, self.sealer, self.change = connection, sealer, change
        self._words_version = words_version
        self._names, self._threads = Names(connection), Threads(connection)
        self._codes: dict[str, int] = {}
        self._unused: set[int] = set()
        self._ids: dict[int, bytes] = {}
        self._recorded = change.before.recorded
        self._facets: list[tuple[int, bytes]] = []
        self._words: list[tuple[int, bytes]] = []
        self._vectors: list[vectors.VectorRow] = []

    @property
    def generation(self) -> int:
        """The generation that this transaction makes."""
        return self.change.generation

    def recorded(self, now: int) -> int:
        """Return the moment of storing for the next node: now, or just after the newest one if the clock went back."""
        self._recorded = max(now, self._recorded + 1)
        self.change.recorded = self._recorded
        return self._recorded

    def thread(self, under: Sequence[str], user: str | None, agent: str | None, session: str) -> Thread:
        """Return the chain of a session; `length` is the place of its next node, `head` the seq of its newest."""
        return self._threads.get(thread_identity(under, user, agent, session))

    def head(self, thread: Thread) -> bytes | None:
        """Return the id of the newest node of a chain, None where there is none or it was erased."""
        if not thread.head:
            return None
        return self._ids.get(thread.head) or nodes.ids_of(self.connection, [thread.head]).get(thread.head)

    def learn(self, texts: Sequence[str]) -> None:
        """Fetch or make the codes of many terms at once."""
        newest = words.newest_code(self.connection)
        learned = words.codes(self.connection, (t for t in texts if t not in self._codes), create=True)
        self._codes.update(learned)
        self._unused.update(code for code in learned.values() if code > newest)

    def put(
        self, payload: bytes, metadata: Metadata, state: State, findable: Findable, thread: Thread | None, *,
        vectors_of: int = 0,
    ) -> StoredNode:  # fmt: skip
        """Seal a node and write all its rows; with `vectors_of` it gets the vectors of the node of that seq."""
        sealed = self.sealer.seal(payload, encode(metadata), encode_state(state))
        seq = nodes.insert(self.connection, sealed)
        self._ids[seq] = sealed.id
        self.change.put(NODE_TAG, nodes.element(sealed))
        if vectors_of:
            self.write_rows()
            vectors.copy(self.connection, vectors_of, seq)
        self.derive(StoredNode(seq, sealed), metadata, state, findable, thread)
        return StoredNode(seq, sealed)

    def derive(
        self, node: StoredNode, metadata: Metadata, state: State, findable: Findable, thread: Thread | None
    ) -> None:
        """Write the derived rows of a node that has none: facets, words, vectors, links, attributes, ref."""
        seq = node.seq
        if thread is not None:
            self._threads.append(thread, seq)
        self._put_facets(seq, metadata, state, findable, thread)
        if unknown := [term for term in findable.terms if term not in self._codes]:
            self.learn(unknown)
        places = sorted((self._codes[t], min(n, 255)) for t, n in findable.terms.items())
        if places:
            self._words.append((seq, words.pack(places)))
        self._unused.difference_update(code for code, _ in places)
        if findable.vectors:
            self._vectors += vectors.rows_of(seq, findable.model, findable.vectors)
            vectors.put_passages(self.connection, seq, findable.model, findable.vectors)
        if metadata.tags or metadata.values:
            found = attributes.attributes_of(metadata.tags, decode_values(metadata.values))
            attributes.put(self.connection, self._names, seq, found)
        for kind, target in metadata.links:
            if kind != FOLLOWS:
                links.put(self.connection, seq, kind, target)
        if state.ref is not None:
            refs.put(self.connection, state.ref, seq)

    def put_given(self, node: StoredNode, model: vectors.Model, given: Sequence[bytes]) -> None:
        """Seal the vectors that a caller gave for a node: float32 bytes, one per window."""
        sealed = [
            self.sealer.seal_vector(node.sealed, one, vectors.about(model, window)) for window, one in enumerate(given)
        ]
        vectors.put_sealed(self.connection, node.seq, model.code, sealed)

    def make_room(self, bytes_needed: int) -> None:
        """Free padding for what a verb inside a longer transaction is about to write."""
        padding.release(self.connection, -(-bytes_needed // PAGE_BYTES))

    def _put_facets(
        self, seq: int, metadata: Metadata, state: State, findable: Findable, thread: Thread | None
    ) -> None:
        user, agent, speaker, role, kind, session = self._names.codes(
            (metadata.user, metadata.agent, metadata.speaker, metadata.role, metadata.kind, metadata.session)
        )
        facets = Facets(
            seq=seq, at=metadata.at, recorded=metadata.recorded, expires=_ends(state),
            user=user, agent=agent, speaker=speaker, role=role, kind=kind, session=session,
            thread=thread.code if thread is not None else 0,
            length=min(sum(findable.terms.values()), LENGTH_MAX), windows=min(self._windows(seq, findable), 255),
            flags=_flags(metadata, state),
        )  # fmt: skip
        self._facets.append((seq, facets.pack()))

    def write_rows(self) -> None:
        """Write the rows that were gathered: many at a time cost half of one by one. Before reading them, call this."""
        for sql, gathered in (
            ("INSERT INTO facet VALUES (?, ?)", self._facets),
            ("INSERT INTO words VALUES (?, ?)", self._words),
            ("INSERT INTO vector (seq, model, window, data) VALUES (?, ?, ?, ?)", self._vectors),
        ):
            if gathered:
                self.connection.executemany(sql, gathered)
                gathered.clear()

    def _windows(self, seq: int, findable: Findable) -> int:
        """Return how many vectors a node has: those that come with it, or those it kept through a rebuild."""
        if findable.vectors:
            return len(findable.vectors)
        return int(fetch(self.connection, "SELECT count(*) FROM vector WHERE seq = ?", (seq,))[0][0])

    def replace_state(self, node: StoredNode, state: State) -> StoredNode:
        """Give a node another state; its id stays."""
        self.write_rows()
        metadata = decode(Metadata, self.sealer.open_metadata(node.sealed))
        before = decode_state(self.sealer.open_state(node.sealed))
        sealed = self.sealer.replace_state(node.sealed, encode(state))
        self.connection.execute("UPDATE node SET state = ? WHERE seq = ?", (sealed.state, node.seq))
        self.change.take(NODE_TAG, nodes.element(node.sealed))
        self.change.put(NODE_TAG, nodes.element(sealed))
        row = fetch(self.connection, "SELECT data FROM facet WHERE seq = ?", (node.seq,))
        facets = Facets.unpack(row[0][0])._replace(expires=_ends(state), flags=_flags(metadata, state))
        if before.ref != state.ref:
            if before.ref is not None:
                refs.remove(self.connection, before.ref, node.seq)
            if state.ref is not None:
                refs.put(self.connection, state.ref, node.seq)
            facets = facets._replace(thread=self._move_thread(node.seq, metadata, facets.thread, before, state))
        self.connection.execute("UPDATE facet SET data = ? WHERE seq = ?", (facets.pack(), node.seq))
        self.connection.execute("INSERT OR IGNORE INTO change VALUES (?, ?)", (self.generation, node.seq))
        return StoredNode(node.seq, sealed)

    def _move_thread(self, seq: int, metadata: Metadata, code: int, before: State, state: State) -> int:
        """Take a node to the chain of its session under its new ref; return the chain's code."""
        under, was = (one.ref[:-1] if one.ref is not None else () for one in (state, before))
        if metadata.session is None or under == was:
            return code
        self._threads.drop(code, moved=seq)
        thread = self.thread(under, metadata.user, metadata.agent, metadata.session)
        self._threads.join(thread, seq, metadata.order)
        return thread.code

    def erase(self, gone: Sequence[StoredNode], erase_codes: EraseCodes) -> list[int]:
        """Remove nodes, their keys and all derived of them; return the seqs of nodes they had superseded."""
        if not gone:
            return []
        self.write_rows()
        traces.note_due(self.connection)
        seqs = [node.seq for node in gone]
        if words.tail_nodes(self.connection):
            # Terms that stand in the tail alone would look unused, whether or not an erased node is in it.
            words.merge(self.connection, self._words_version)
        words.erase(self.connection, seqs)
        self._codes.clear()  # Terms that nothing uses any more are gone, and their codes may be given again.
        self._erase_codes(vectors.erase(self.connection, seqs), erase_codes)
        current_again: list[int] = []
        for node in gone:
            current_again += self._erase_rows(node)
        return sorted(set(current_again) - set(seqs))

    def _erase_rows(self, node: StoredNode) -> list[int]:
        seq, sealed = node.seq, node.sealed
        metadata = decode(Metadata, self.sealer.open_metadata(sealed))
        state = decode_state(self.sealer.open_state(sealed))
        found = attributes.attributes_of(metadata.tags, decode_values(metadata.values))
        attributes.erase(self.connection, self._names, seq, found)
        superseded, older = links.erase(self.connection, seq, sealed.id)
        self._ids.pop(seq, None)
        for row in fetch(self.connection, "DELETE FROM facet WHERE seq = ? RETURNING data", (seq,)):
            facets = Facets.unpack(row[0])
            for code in (facets.user, facets.agent, facets.speaker, facets.role, facets.kind, facets.session):
                self._names.drop(code)
            self._threads.drop(facets.thread)
        for table in ("change", "sealed_vector", "node"):
            self.connection.execute(f"DELETE FROM {table} WHERE seq = ?", (seq,))
        if state.ref is not None:
            refs.remove(self.connection, state.ref, seq)
        self.connection.execute(
            "INSERT INTO tombstone VALUES (?, ?, ?, ?)", (sealed.id, self.generation, seq, superseded)
        )
        self.change.take(NODE_TAG, nodes.element(sealed))
        self.change.put(TOMBSTONE_TAG, nodes.tombstone_element(sealed.id, self.generation, superseded))
        return older

    def _erase_codes(self, gone: Sequence[tuple[int, int]], erase_codes: EraseCodes) -> None:
        """Overwrite the codes of erased vectors in the saved sketches: a removed code would stay in their bytes."""
        for row in fetch(self.connection, "SELECT kind, version, model, through FROM derived"):
            kind, version, model, through = row
            vids = [vid for code, vid in gone if code == model and vid <= through]
            if kind == vectors.sketch_kind(model) and vids:
                saved = vectors.load_sketch(self.connection, model, version)
                if saved is not None:
                    cleaned = erase_codes(model, saved[1], vids)
                    vectors.save_sketch(self.connection, model, version, through, cleaned)

    def merge_words(self) -> int:
        """Write the postings of nodes that have none yet; return how many there were."""
        self.write_rows()
        return words.merge(self.connection, self._words_version)

    def audit(self, event: str, at: int, **facts: Any) -> None:
        """Add an event to the space's audit chain; facts are ids, counts and names of verbs, never content."""
        audit.append(self.connection, self.sealer, at, event, facts)

    def flush(self) -> None:
        """Write what was gathered and counted up; called once, at the end of the transaction."""
        self.write_rows()
        # Terms of nodes that were not put after all must not stay: no erasure would ever reach them.
        words.drop(self.connection, self._unused)
        self._names.flush()
        self._threads.flush()


def _ends(state: State) -> int:
    """Return when a node is to be forgotten by itself: at its expiry or at the end of its grace."""
    if state.expires is None and state.forget_at is None:
        return NEVER
    return min((one for one in (state.expires, state.forget_at) if one is not None), default=NEVER)


def _flags(metadata: Metadata, state: State) -> int:
    return (PINNED if state.pinned else 0) | (HIDDEN if state.hidden else 0) | (0 if metadata.indexed else UNINDEXED)
