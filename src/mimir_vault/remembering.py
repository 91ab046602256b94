"""Remembering: drafts become embedded, sealed and stored nodes, in batches that are whole or not there."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, islice, repeat

import numpy as np
from numpy.typing import NDArray

from mimir_vault.errors import InterruptedBatchError
from mimir_vault.findable import Body, Found, find_by
from mimir_vault.imported import Imported
from mimir_vault.model.draft import Draft, check_draft, metadata_json
from mimir_vault.model.node import Node
from mimir_vault.putting import Putting, Ready
from mimir_vault.transaction import NODES_MAX
from mimir_vault.viewed_space import ViewedSpace

log = logging.getLogger("mimir_vault")
BATCH_NODES = 256
"""Most nodes of one commit: what a crash can take of a long import, and what others wait for."""
EMBEDDED_NODES = 1_024
"""Most drafts of a list embedded at a time: sorted by length they need less padding (8 % faster than 256). The last
are halved down to `BATCH_NODES`, since nothing is embedded beside the storing of the very last. Drafts that come one
by one are not waited for so long."""
BATCH_MICROS = 100_000
"""A commit of many nodes ends after this long, so that others get their turn."""
NODE_BYTES = 1_536
"""Room reckoned for a node besides its text and vectors."""
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A checked draft with all that can be made of it outside a transaction."""

    ready: Ready
    found: Found

    @property
    def bytes_needed(self) -> int:
        """Bytes this node may take in the database, at most."""
        draft = self.ready.draft
        passages = () if isinstance(draft.index, bool) else draft.index
        values = 4 * len(metadata_json(draft.metadata)) + 512 * len(draft.tags)
        sealed = len(draft.data or b"") + 4 * len(draft.text) + sum(4 * len(one) for one in passages) + 2 * values
        vectors = sum(len(one.data) + 64 for one in self.found.vectors)
        if self.ready.vectors is not None:
            vectors += self.ready.vectors.nbytes + 128 * len(self.ready.vectors)
        if self.ready.kept is not None:
            vectors += self.ready.kept.bytes
        return NODE_BYTES + 2 * sealed + vectors + 64 * len(self.found.terms)


def ready(space: ViewedSpace, draft: Draft) -> Ready:
    """Check a draft, fill in what the view says, and check the vector that came with it."""
    checked = check_draft(draft)
    filled = space.view.fill(checked, space.space.random(16).hex())
    return Ready(filled, _vectors(space, filled), mergeable=draft.ref is None and filled.session is None)


def _vectors(space: ViewedSpace, draft: Draft) -> NDArray[np.float32] | None:
    return None if draft.vector is None else space.embedder.get().check(draft.vector, "vector")


def prepare(space: ViewedSpace, batch: Sequence[Ready]) -> list[Prepared]:
    """Count the terms and embed the windows of checked drafts: the work that needs no lock."""
    if any(one.vectors is not None or _is_embedded(one) for one in batch):
        space.embedder.probe()  # So that no transaction has to wait for it.
    embedder = space.embedder.get() if any(_is_embedded(one) for one in batch) else None
    found = find_by(embedder, [_body(one) for one in batch])
    return [Prepared(one, what) for one, what in zip(batch, found, strict=True)]


def _is_embedded(one: Ready) -> bool:
    return one.vectors is None and one.kept is None and any(text.strip() for text in passages_of(one.draft))


def _body(one: Ready) -> Body:
    none = np.empty((0, 1), np.float32) if one.kept is not None else None  # Its vectors are there already.
    return Body(passages_of(one.draft), one.draft.speaker, one.vectors if none is None else none)


def passages_of(draft: Draft) -> tuple[str, ...]:
    """Return what a draft is to be found by."""
    if isinstance(draft.index, bool):
        return (draft.text,) if draft.index else ()
    return tuple(draft.index)


def remember_many(space: ViewedSpace, drafts: Iterable[Draft], progress: Progress | None = None) -> list[Node]:
    """Store drafts in order, one node each; see `Memory.remember_many`."""
    space.check_writable()
    if isinstance(drafts, (str, bytes, Draft)) or not isinstance(drafts, Iterable):
        raise TypeError(f"remember_many takes an iterable of Drafts, not {type(drafts).__name__}")
    total = len(drafts) if isinstance(drafts, Sequence) else 0
    checked: Iterator[Ready] | list[Ready] = (ready(space, draft) for draft in drafts)
    if isinstance(drafts, Sequence):
        checked = list(checked)
    return store_all(space, checked, progress, total)


def store_all(
    space: ViewedSpace, checked: Iterator[Ready] | list[Ready], progress: Progress | None = None, total: int = 0, *,
    imported: Imported | None = None,
) -> list[Node]:  # fmt: skip
    """Embed and store checked drafts; inside a transaction all of them are embedded before the first is stored.

    With `imported` a draft is not stored again that a version of its ref says, and links are those of the file.
    """
    done: list[Node] = []
    transaction = space.space.transaction
    try:
        if transaction is None:
            batches = _prepared_batches(space, checked)
        else:
            checked = list(islice(checked, NODES_MAX + 1))
            transaction.count(len(checked))
            batches = iter([list(chain.from_iterable(_prepared_batches(space, checked)))])
        for batch in batches:
            for committed in _store(space, batch, imported):
                done += committed
                if progress is not None:
                    progress(len(done), max(total, len(done)))
    except Exception as error:
        if not done or transaction is not None:
            raise
        raise InterruptedBatchError(f"after {len(done):,} nodes, which are stored: {error}", done) from error
    finally:
        if transaction is None:
            space.upkeep.wrote()
    return done


def _prepared_batches(space: ViewedSpace, checked: Iterator[Ready] | list[Ready]) -> Iterator[list[Prepared]]:
    """Yield prepared batches; the next one is embedded while the caller stores the one before.

    A draft that cannot be, or an iterable that fails, is raised after all that came before it was yielded.
    """
    portions = _portions(len(checked)) if isinstance(checked, list) else repeat(BATCH_NODES)
    drafts = iter(checked)
    most = next(portions, 0)
    batch, failure = _take(drafts, most)
    if len(batch) < most or (isinstance(checked, list) and len(checked) == most):
        if batch:
            yield prepare(space, batch)
    else:
        with ThreadPoolExecutor(1, thread_name_prefix="mimir-embed") as pool:
            ahead: Future[list[Prepared]] | None = pool.submit(prepare, space, batch)
            while ahead is not None:
                batch, failure = _take(drafts, next(portions, 0)) if failure is None else ([], failure)
                prepared = ahead.result()
                ahead = pool.submit(prepare, space, batch) if batch else None
                yield prepared
    if failure is not None:
        raise failure


def _portions(count: int) -> Iterator[int]:
    """Yield how many of so many drafts to embed at a time: half of what is left, in whole commits, within bounds."""
    while count:
        portion = min(EMBEDDED_NODES, -(-count // (2 * BATCH_NODES)) * BATCH_NODES, count)
        yield portion
        count -= portion


def _take(drafts: Iterator[Ready], most: int) -> tuple[list[Ready], Exception | None]:
    """Return the next batch, and what went wrong if it is short because of that."""
    batch: list[Ready] = []
    try:
        batch.extend(islice(drafts, most))
    except Exception as error:
        return batch, error
    return batch, None


def _store(space: ViewedSpace, batch: Sequence[Prepared], imported: Imported | None) -> Iterator[list[Node]]:
    """Commit a batch, at most `BATCH_NODES` in one transaction, and fewer when that takes long."""
    rest = list(batch)
    whole = space.space.transaction is not None
    while rest:
        part = rest if whole else rest[:BATCH_NODES]
        needed = sum(one.bytes_needed for one in part)
        stored: list[Node] = []
        begin = time.monotonic_ns()
        with space.write(needed) as writer:
            by_model = any(one.found.vectors for one in part)
            model = space.space.new_model(writer.connection, space.embedder) if by_model else None
            merges = any(one.ready.merges for one in part)
            putting = Putting(space, writer, model, imported=imported, merges=merges)
            writer.learn(list(set(chain.from_iterable(one.found.terms for one in part))))
            for one in part:
                stored.append(putting.put(one.ready, one.found))
                if not whole and (time.monotonic_ns() - begin) // 1_000 > BATCH_MICROS:
                    break
        took = (time.monotonic_ns() - begin) / 1e6
        log.debug("%d nodes up to %s were stored in %.1f ms", len(stored), stored[-1].id, took)
        yield stored
        rest = rest[len(stored) :]
