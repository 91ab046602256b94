"""Checking and rebuilding a space: is everything as it was written, and making all that is derived again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import apsw

from mimir_vault.crypto.envelope import node_id
from mimir_vault.errors import MimirError, ModelMismatchError, TamperedError
from mimir_vault.findable import Body, find_by
from mimir_vault.model.codec import decode_values
from mimir_vault.open_space import OpenSpace
from mimir_vault.reading import OpenedNode, open_stored
from mimir_vault.store import audit, feed, freshness, nodes, words
from mimir_vault.store.freshness import MODULUS, Digester
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
    (findable,) = find_by(None, [Body(opened.body if opened.metadata.indexed else "", opened.metadata.speaker)])
    if texts != set(findable.terms):
        yield Finding(name, f"the words of node {node_id} are not those of its text; run `mimir rebuild`")
    decode_values(opened.metadata.values)


def rebuild(space: OpenSpace, progress: Progress | None = None) -> int:
    """Make all derived data of a space again from its envelopes; return how many nodes there are.

    Vectors are made again by the space's embedder, and kept as they are when another one is at hand. One transaction:
    a crash leaves the space as it was.
    """
    with space.store.read() as connection:
        everything = int(fetch(connection, "SELECT count(*) FROM node")[0][0])
        room = int(fetch(connection, "SELECT coalesce(sum(length(payload)), 0) FROM node")[0][0])
        try:
            model = space.model(connection)
        except ModelMismatchError:
            model = None
    with space.store.write(2 * room + everything * 1_024) as writer:
        for table in DERIVED_TABLES:
            writer.connection.execute(f"DELETE FROM {table}")
        if model is not None:
            writer.connection.execute("DELETE FROM vector")
            writer.connection.execute("DELETE FROM passage")
        writer.connection.execute("DELETE FROM derived")
        done = 0
        batch: list[OpenedNode] = []
        for stored in nodes.every(writer.connection):
            batch.append(open_stored(space.store.sealer, stored))
            if len(batch) == REBUILD_BATCH:
                done = _derive(space, writer, batch, model, done, everything, progress)
                batch = []
        done = _derive(space, writer, batch, model, done, everything, progress)
        writer.merge_words()
        feed.note_rebuild(writer.connection, writer.generation)
        writer.audit("rebuilt", space.clock.now(), nodes=done)
        writer.change.recount = True
    space.index.clear()
    space.upkeep.wrote()
    return done


def _derive(
    space: OpenSpace, writer: Writer, batch: list[OpenedNode], model: Model | None, done: int, total: int,
    progress: Progress | None,
) -> int:  # fmt: skip
    bodies = [Body(one.body if one.metadata.indexed else "", one.metadata.speaker) for one in batch]
    findables = find_by(space.embedder if model is not None else None, bodies)
    for opened, findable in zip(batch, findables, strict=True):
        metadata = opened.metadata
        thread = None
        if metadata.session is not None:
            under = opened.state.ref[:-1] if opened.state.ref is not None else ()
            thread = writer.thread(under, metadata.user, metadata.agent, metadata.session)
            thread.length = metadata.order
        writer.derive(opened.stored, metadata, opened.state, findable.by(model), thread)
    writer.write_rows()
    if progress is not None and batch:
        progress(done + len(batch), total)
    return done + len(batch)
