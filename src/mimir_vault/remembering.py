"""Remembering: drafts become embedded, sealed and stored nodes, in batches that are whole or not there."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, islice

from mimir_vault.errors import InterruptedBatchError, NotFoundError
from mimir_vault.findable import Body, Found, find_by
from mimir_vault.model.clock import offset_seconds, to_micros
from mimir_vault.model.codec import CODEC_VERSION, Metadata, Payload, State, encode
from mimir_vault.model.draft import Draft, check_draft, metadata_json
from mimir_vault.model.link import LINK_KINDS
from mimir_vault.model.node import Node
from mimir_vault.open_space import OpenSpace
from mimir_vault.reading import OpenedNode, as_node, open_stored
from mimir_vault.store import nodes
from mimir_vault.store.nodes import StoredNode
from mimir_vault.store.query import fetch
from mimir_vault.store.vectors import Model
from mimir_vault.store.writer import Writer, ref_path

BATCH_NODES = 256
"""Most nodes of one commit: what a crash can take of a long import, and what others wait for."""
EMBEDDED_NODES = 1_024
"""Most drafts of a list embedded at a time: sorted by length they need less padding (8 % faster than 256). Drafts that
come one by one are not waited for so long."""
BATCH_MICROS = 100_000
"""A commit of many nodes ends after this long, so that others get their turn."""
NODE_BYTES = 1_536
"""Room reckoned for a node besides its text and vectors."""
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A checked draft with all that can be made of it outside a transaction."""

    draft: Draft
    found: Found

    @property
    def bytes_needed(self) -> int:
        """Bytes this node may take in the database, at most."""
        draft = self.draft
        passages = () if isinstance(draft.index, bool) else draft.index
        values = 4 * len(metadata_json(draft.metadata)) + 512 * len(draft.tags)
        sealed = len(draft.data or b"") + 4 * len(draft.text) + sum(4 * len(one) for one in passages) + 2 * values
        vectors = sum(len(one.data) + 64 for one in self.found.vectors)
        return NODE_BYTES + 2 * sealed + vectors + 64 * len(self.found.terms)


def prepare(space: OpenSpace, drafts: Sequence[Draft]) -> list[Prepared]:
    """Count the terms and embed the windows of checked drafts: the work that needs no lock."""
    space.know_embedder()
    found = find_by(space.embedder, [Body(_body(draft), draft.speaker) for draft in drafts])
    return [Prepared(draft, one) for draft, one in zip(drafts, found, strict=True)]


def _body(draft: Draft) -> str:
    if isinstance(draft.index, bool):
        return draft.text if draft.index else ""
    return "\n\n".join(draft.index)


def remember_many(space: OpenSpace, drafts: Iterable[Draft], progress: Progress | None = None) -> list[Node]:
    """Store drafts in order, one node each; see `Memory.remember_many`."""
    if isinstance(drafts, (str, bytes, Draft)) or not isinstance(drafts, Iterable):
        raise TypeError(f"remember_many takes an iterable of Drafts, not {type(drafts).__name__}")
    total = len(drafts) if isinstance(drafts, Sequence) else 0
    if isinstance(drafts, Sequence):
        drafts = [check_draft(draft) for draft in drafts]
    done: list[Node] = []
    try:
        for batch in _prepared_batches(space, drafts):
            for committed in _store(space, batch):
                done += committed
                if progress is not None:
                    progress(len(done), max(total, len(done)))
    except Exception as error:
        if not done:
            raise
        raise InterruptedBatchError(f"after {len(done):,} nodes, which are stored: {error}", done) from error
    finally:
        space.upkeep.wrote()
    return done


def _prepared_batches(space: OpenSpace, drafts: Iterable[Draft]) -> Iterator[list[Prepared]]:
    """Yield prepared batches; the next one is embedded while the caller stores the one before.

    A draft that cannot be, or an iterable that fails, is raised after all that came before it was yielded.
    """
    checked = (check_draft(draft) for draft in drafts) if not isinstance(drafts, list) else iter(drafts)
    most = EMBEDDED_NODES if isinstance(drafts, list) else BATCH_NODES
    batch, failure = _take(checked, most)
    if len(batch) < most:
        if batch:
            yield prepare(space, batch)
    else:
        with ThreadPoolExecutor(1, thread_name_prefix="mimir-embed") as pool:
            ahead: Future[list[Prepared]] | None = pool.submit(prepare, space, batch)
            while ahead is not None:
                batch, failure = _take(checked, most) if failure is None else ([], failure)
                ready = ahead.result()
                ahead = pool.submit(prepare, space, batch) if batch else None
                yield ready
    if failure is not None:
        raise failure


def _take(drafts: Iterator[Draft], most: int) -> tuple[list[Draft], Exception | None]:
    """Return the next batch, and what went wrong if it is short because of that."""
    batch: list[Draft] = []
    try:
        batch.extend(islice(drafts, most))
    except Exception as error:
        return batch, error
    return batch, None


def _store(space: OpenSpace, batch: Sequence[Prepared]) -> Iterator[list[Node]]:
    """Commit a batch, at most `BATCH_NODES` in one transaction, and fewer when that takes long."""
    rest = list(batch)
    while rest:
        part = rest[:BATCH_NODES]
        needed = sum(one.bytes_needed for one in part)
        stored: list[Node] = []
        begin = time.monotonic_ns()
        with space.store.write(needed) as writer:
            model = space.new_model(writer.connection) if any(one.found.vectors for one in part) else None
            writer.learn(list(set(chain.from_iterable(one.found.terms for one in part))))
            for one in part:
                stored.append(put(space, writer, one, model))
                if (time.monotonic_ns() - begin) // 1_000 > BATCH_MICROS:
                    break
        yield stored
        rest = rest[len(stored) :]


def put(space: OpenSpace, writer: Writer, one: Prepared, model: Model | None) -> Node:
    """Inside a write transaction: store one prepared draft; a taken ref is superseded, unless nothing changed."""
    draft = one.draft
    links = [(LINK_KINDS.index(link.kind), bytes.fromhex(link.target)) for link in draft.links]
    _check_targets(writer, [target for _, target in links])
    old = _holder(space, writer, draft.ref)
    if old is not None:
        if _is_same(old, draft):
            return as_node(old)
        links.append((LINK_KINDS.index("supersedes"), old.stored.sealed.id))
    recorded = writer.recorded(space.clock.now())
    thread = None
    if draft.session is not None:
        under = draft.ref[:-1] if draft.ref is not None else ()
        thread = writer.thread(under, draft.user, draft.agent, draft.session)
        if head := writer.head(thread):
            links.append((LINK_KINDS.index("follows"), head))
    at = draft.at
    metadata = Metadata(
        version=CODEC_VERSION, at=to_micros(at) if isinstance(at, datetime) else recorded,
        offset_s=offset_seconds(at) if isinstance(at, datetime) else 0, recorded=recorded,
        order=thread.length if thread is not None else 0, user=draft.user, agent=draft.agent, session=draft.session,
        speaker=draft.speaker, role=draft.role, kind=draft.kind, tags=tuple(draft.tags),
        links=tuple(dict.fromkeys(links)), values=metadata_json(draft.metadata), indexed=draft.index is not False,
    )  # fmt: skip
    expires = draft.expires_at
    state = State(
        version=CODEC_VERSION, ref=draft.ref, expires=to_micros(expires) if isinstance(expires, datetime) else None,
        pinned=draft.pinned, hidden=False, seen=0, last_seen=None,
    )  # fmt: skip
    payload = Payload(
        CODEC_VERSION, draft.text, draft.data, None if isinstance(draft.index, bool) else tuple(draft.index)
    )
    stored = writer.put(encode(payload), metadata, state, one.found.by(model), thread)
    return as_node(OpenedNode(stored, payload, metadata, state))


def _check_targets(writer: Writer, targets: Sequence[bytes]) -> None:
    if targets:
        known = nodes.seqs_of(writer.connection, targets)
        for target in targets:
            if target not in known:
                raise NotFoundError(f"a link points to node {target.hex()}, which is not in this space")


def _holder(space: OpenSpace, writer: Writer, ref: tuple[str, ...] | None) -> OpenedNode | None:
    """Return the node that a ref points at now."""
    if ref is None:
        return None
    found = fetch(writer.connection, "SELECT seq FROM ref WHERE path = ?", (ref_path(ref),))
    if not found:
        return None
    stored: StoredNode = nodes.by_seq(writer.connection, [found[0][0]])[found[0][0]]
    return open_stored(space.store.sealer, stored)


def _is_same(old: OpenedNode, draft: Draft) -> bool:
    """Say whether a draft brings nothing new to the node that holds its ref."""
    metadata, payload = old.metadata, old.payload
    passages = None if isinstance(draft.index, bool) else tuple(draft.index)
    same_time = not isinstance(draft.at, datetime) or to_micros(draft.at) == metadata.at
    return same_time and (
        payload.text, payload.data, payload.passages, metadata.values, metadata.tags, metadata.kind, metadata.speaker,
        metadata.role, metadata.user, metadata.agent, metadata.session, metadata.indexed,
    ) == (
        draft.text, draft.data, passages, metadata_json(draft.metadata), tuple(draft.tags), draft.kind, draft.speaker,
        draft.role, draft.user, draft.agent, draft.session, draft.index is not False,
    )  # fmt: skip
