"""Checking and rebuilding a space: is everything as it was written, and making all that is derived again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import apsw
import numpy as np
from numpy.typing import NDArray

from mimir_vault.crypto.envelope import node_id
from mimir_vault.errors import MimirError, ModelMismatchError, TamperedError
from mimir_vault.findable import Body, find_by
from mimir_vault.model.codec import decode_values
from mimir_vault.open_space import OpenSpace
from mimir_vault.reading import OpenedNode, given_vectors, open_stored
from mimir_vault.store import audit, feed, freshness, nodes, vectors, words
from mimir_vault.store.freshness import MODULUS, Digester
from mimir_vault.store.names import Thread
from mimir_vault.store.nodes import StoredNode
from mimir_vault.store.query import each, fetch
from mimir_vault.store.vectors import Model
from mimir_vault.store.writer import Writer

Progress = Callable[[int, int], None]
DERIVED_TABLES = (
    "change", "facet", "name", "thread", "ref", "link", "attribute", "term", "words", "posting", "sketch",
)  # fmt: skip
"""Tables that a rebuild empties and fills again; vectors follow when their embedder is at hand."""
REBUILD_BATCH = 256
"""Nodes embedded at a time by a rebuild."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be: where, and what to do about it."""

    space: str
    what: str


def check_database(connection: apsw.Connection, digester: Digester, name: str) -> Iterator[Finding]:
    """Yield what is wrong with pages, chain, digests or audit of a database."""
    try:
        for (problem,) in each(connection, "PRAGMA integrity_check(8)"):
            if problem != "ok":
                yield Finding(name, f"the database is damaged ({problem}); restore a backup")
        freshness.check_chain(connection)
        state = freshness.read(connection)
        if freshness.recompute_rows(connection, digester) != state.rows_digest:
            yield Finding(name, "derived data or settings are not those last written; run `mimir rebuild`")
        for _ in audit.events(connection, digester):
            pass
    except apsw.Error as error:
        yield Finding(name, f"the database cannot be read through ({type(error).__name__}); restore a backup")
    except MimirError as error:
        yield Finding(name, str(error))


def verify(space: OpenSpace, *, full: bool = False, progress: Progress | None = None) -> list[Finding]:
    """Check a space: pages, chain, set digests, every id against its envelopes; with `full` open every node too."""
    space.check_no_transaction("verify")
    name = f"space {space.name}"
    with space.store.read() as connection:
        found = list(check_database(connection, space.store.sealer, name))
        try:
            found += _verify_nodes(space, connection, name, full, progress)
        except apsw.Error as error:
            found.append(Finding(name, f"nodes cannot be read ({type(error).__name__}); restore a backup"))
    return found


def _verify_nodes(
    space: OpenSpace, connection: apsw.Connection, name: str, full: bool, progress: Progress | None
) -> Iterator[Finding]:
    state, sealer = freshness.read(connection), space.store.sealer
    count, total = nodes.recompute(connection, sealer)
    if (count, total % MODULUS) != (state.count, state.digest):
        yield Finding(name, "the nodes are not those last written; restore a backup")
    newest = fetch(connection, "SELECT coalesce(max(seq), 0) FROM node")[0][0]
    given = fetch(connection, "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'node'")[0][0]
    if given < newest:
        yield Finding(name, "the numbers of nodes went back; restore a backup")
    everything = fetch(connection, "SELECT count(*) FROM node")[0][0]
    for number, stored in enumerate(nodes.every(connection), 1):
        try:
            if full:
                yield from _compare(connection, open_stored(sealer, stored), name)
            else:
                _check_id(stored)
        except TamperedError as error:
            yield Finding(name, f"node {stored.sealed.id.hex()}: {error}")
        if progress is not None and (number % 256 == 0 or number == everything):
            progress(number, everything)


def _check_id(stored: StoredNode) -> None:
    if node_id(stored.sealed.payload, stored.sealed.metadata) != stored.sealed.id:
        raise TamperedError("its envelopes are not those its id names; restore a backup")


def _compare(connection: apsw.Connection, opened: OpenedNode, name: str) -> Iterator[Finding]:
    """Compare what is derived of a node with what its envelopes say."""
    seq, node_id = opened.stored.seq, opened.stored.sealed.id.hex()
    row = fetch(connection, "SELECT data FROM words WHERE seq = ?", (seq,))
    codes = words.unpack(row[0][0])["number"].tolist() if row else []
    texts = {text for code in codes for (text,) in fetch(connection, "SELECT text FROM term WHERE code = ?", (code,))}
    (findable,) = find_by(None, [Body(opened.passages, opened.metadata.speaker)])
    if texts != set(findable.terms):
        yield Finding(name, f"the words of node {node_id} are not those of its text; run `mimir rebuild`")
    decode_values(opened.metadata.values)


def rebuild(space: OpenSpace, progress: Progress | None = None) -> int:
    """Make all derived data of a space again from its envelopes; return how many nodes there are.

    Vectors that an owner gave are made of what was sealed; others again by the space's own embedder, and kept as they
    are where another embedder made them or ours is not at hand. One transaction: a crash leaves the space as it was.
    """
    space.check_no_transaction("rebuild")
    with space.store.read() as connection:
        everything = int(fetch(connection, "SELECT count(*) FROM node")[0][0])
        room = int(fetch(connection, "SELECT coalesce(sum(length(payload)), 0) FROM node")[0][0])
        try:
            model = space.model(connection, space.embedder)
        except ModelMismatchError:
            model = None
    with space.store.write(2 * room + everything * 1_024) as writer:
        rebuilding = _Rebuilding(space, writer, model)
        done = 0
        for batch in _batches(nodes.every(writer.connection), REBUILD_BATCH):
            rebuilding.derive([open_stored(space.store.sealer, stored) for stored in batch])
            done += len(batch)
            if progress is not None:
                progress(done, everything)
        writer.merge_words()
        feed.note_rebuild(writer.connection, writer.generation)
        writer.audit("rebuilt", space.clock.now(), nodes=done)
        writer.change.recount = True
    space.index.clear()
    space.upkeep.wrote()
    return done


def _batches(stored: Iterator[StoredNode], size: int) -> Iterator[list[StoredNode]]:
    while batch := list(islice(stored, size)):
        yield batch


class _Rebuilding:
    """Empties what is derived, then derives it of nodes, batch by batch, inside one write transaction."""

    def __init__(self, space: OpenSpace, writer: Writer, model: Model | None) -> None:
        self._space, self._writer, self._model = space, writer, model
        connection = writer.connection
        for table in DERIVED_TABLES:
            connection.execute(f"DELETE FROM {table}")
        connection.execute("DELETE FROM derived")
        for table in ("vector", "passage"):
            connection.execute(f"DELETE FROM {table} WHERE seq IN (SELECT seq FROM sealed_vector)")
            if model is not None:
                connection.execute(f"DELETE FROM {table} WHERE model = ?", (model.code,))
        self._models = {one.code: one for one in vectors.models(connection)}

    def derive(self, batch: Sequence[OpenedNode]) -> None:
        """Write everything derived of these nodes."""
        connection, embedder = self._writer.connection, self._space.embedder
        seqs = [opened.stored.seq for opened in batch]
        kept, sealed = vectors.models_of(connection, seqs), vectors.sealed_of(connection, seqs)
        given = {seq: (self._models[code], rows) for (seq, code), rows in sealed.items()}
        bodies = []
        for opened in batch:
            seq = opened.stored.seq
            rows = self._opened(opened, *given[seq]) if seq in given else None
            if rows is None and seq in kept:
                rows = np.empty((0, 1), np.float32)  # Another embedder's, and there already.
            bodies.append(Body(opened.passages, opened.metadata.speaker, rows))
        findables = find_by(embedder.get() if self._model is not None else None, bodies)
        for opened, findable in zip(batch, findables, strict=True):
            seq, metadata = opened.stored.seq, opened.metadata
            model = given[seq][0] if seq in given else self._model
            self._writer.derive(opened.stored, metadata, opened.state, findable.by(model), self._thread(opened))
        self._writer.write_rows()

    def _opened(self, opened: OpenedNode, model: Model, rows: Sequence[bytes]) -> NDArray[np.float32]:
        plain = given_vectors(self._space.store.sealer, opened, model, rows)
        return np.frombuffer(b"".join(plain), "<f4").reshape(len(plain), model.dimension)

    def _thread(self, opened: OpenedNode) -> Thread | None:
        metadata = opened.metadata
        if metadata.session is None:
            return None
        under = opened.state.ref[:-1] if opened.state.ref is not None else ()
        thread = self._writer.thread(under, metadata.user, metadata.agent, metadata.session)
        thread.length = max(thread.length, metadata.order)
        return thread
