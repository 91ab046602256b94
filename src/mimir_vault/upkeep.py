"""Upkeep: what a space does in the background so that no recall and no remember has to wait for it."""

from __future__ import annotations

import logging
import os
import threading
import time
from dataclasses import replace

from mimir_vault import erasing
from mimir_vault.errors import MimirError
from mimir_vault.index.planner import EXACT_VECTORS_MAX
from mimir_vault.index.quantise import FROZEN_FROM, Frozen, from_rows
from mimir_vault.model.clock import Clock
from mimir_vault.space_index import SKETCH_VERSION, DenseIndex, SpaceIndex
from mimir_vault.store import freshness, nodes, vectors, words
from mimir_vault.store.freshness import last_check, note_check
from mimir_vault.store.space import SpaceStore
from mimir_vault.store.vectors import Model

log = logging.getLogger("mimir_vault")

IDLE_SECONDS = 2.0
"""So long after the last commit the WAL is moved into the file."""
WORDS_TAIL_MAX = 2_000
"""Nodes whose terms are not in the postings yet; a recall looks through their lists, 1 ms for so many."""
SAVE_CHANGES = 10_000
"""After so many additions the sketch is saved; a crash costs at most the making of these again."""
SAVE_AT_CLOSE = 1_000
"""At close it is saved from so many on; the next opening makes fewer again in 10 ms."""
CHECK_EVERY = 86_400_000_000
"""Microseconds between two comparisons of a space with its digests."""
LEASE_SECONDS = 30
"""How long the upkeep of a space belongs to one process without a sign of life."""
BYTES_PER_TAIL_NODE = 600
"""Room reckoned for the postings of one node."""


class Upkeep:
    """A thread that is started by the first write and ended by `stop`; `run_now` does the same work at once."""

    def __init__(self, store: SpaceStore, index: SpaceIndex, clock: Clock) -> None:
        self._store, self._index, self._clock = store, index, clock
        self._owner = os.urandom(16)
        self._wake = threading.Condition()
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._last_write, self._news = 0.0, False

    def wrote(self) -> None:
        """Say that something was committed."""
        with self._wake:
            self._last_write, self._news = time.monotonic(), True
            if self._thread is None and not self._stopping and not self._store.read_only:
                self._thread = threading.Thread(target=self._loop, name="mimir-upkeep", daemon=True)
                self._thread.start()
            self._wake.notify()

    def _loop(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(self._is_due, timeout=IDLE_SECONDS if self._last_write else None)
                if self._stopping:
                    return
                written, self._news = self._last_write, False
            idle = written > 0 and time.monotonic() - written >= IDLE_SECONDS
            try:
                self.run_now()
                if idle:
                    self._purge()
                    self._check_digests()
                if idle and self._store.fresh.checkpoint():
                    with self._wake:
                        if self._last_write == written:
                            self._last_write = 0.0
            except MimirError as error:
                log.debug("upkeep put off: %s", error)

    def _is_due(self) -> bool:
        return self._stopping or self._news

    def run_now(self, *, at_close: bool = False) -> None:
        """Merge words, turn vectors into a sketch where they have become many, and save it now and then."""
        if self._store.read_only:
            return
        with self._store.read() as connection:
            tail = words.tail_nodes(connection)
        if tail >= WORDS_TAIL_MAX and self._take_lease():
            with self._store.write(tail * BYTES_PER_TAIL_NODE) as writer:
                writer.merge_words()
        with self._store.read() as connection:
            many = [
                one for one in vectors.models(connection) if vectors.count(connection, one.code) > EXACT_VECTORS_MAX
            ]
        for model in many:
            dense = self._sketch(model)
            if dense.unsaved >= (SAVE_AT_CLOSE if at_close else SAVE_CHANGES):
                self._save(dense)
        if at_close and self._index.is_fed:
            self._purge()

    def _purge(self) -> None:
        """Forget what has expired, or whose grace is over.

        Only where the newest node was stored after that moment too: a clock that jumps ahead deletes nothing.
        """
        now = self._clock.now()
        with self._store.read() as connection, self._index.lock:
            self._index.refresh(connection)
            columns = self._index.columns
            ended = columns.live & (columns.facet("expires") <= min(now, freshness.read(connection).recorded))
            seqs = columns.seqs[ended].tolist()
        if not seqs or not self._take_lease():
            return
        traces: list[set[bytes]] = []
        for begin in range(0, len(seqs), erasing.BATCH_NODES):
            part = seqs[begin : begin + erasing.BATCH_NODES]
            with self._store.write(len(part) * erasing.BYTES_PER_NODE) as writer:
                erasing.erase(writer, part, "nodes expired", now)
                traces.append(writer.change.erased or set())  # Names that go with them are added at the commit.
        log.info("%d nodes had expired and are forgotten", len(seqs))
        self._store.fresh.remove_traces(set().union(*traces), erasing.CHECKPOINT_WAIT_MS)

    def _check_digests(self) -> None:
        """Once a day, compare what the space holds with its digests; on a mismatch nothing more is read or written."""
        now = self._clock.now()
        with self._store.read() as connection:
            checked = last_check(connection)
        if now - checked < CHECK_EVERY or not self._take_lease():
            return
        with self._store.read() as connection:
            state = freshness.read(connection)
            count, total = nodes.recompute(connection, self._store.sealer)
            rows = freshness.recompute_rows(connection, self._store.sealer)
        if (count, total % freshness.MODULUS, rows) != (state.count, state.digest, state.rows_digest):
            log.error("a space is not what was last written to it; run `mimir verify` and restore a backup")
            self._store.fresh.database.distrust()
            return
        with self._store.write() as writer:
            note_check(writer.connection, now)

    def _take_lease(self) -> bool:
        """Say whether the upkeep of this space is ours: nobody else gave a sign of life lately."""
        now = self._clock.now()
        with self._store.fresh.database.write() as connection:
            connection.execute(
                "INSERT INTO lease VALUES (1, ?, ?) ON CONFLICT (one) DO UPDATE SET owner = excluded.owner,"
                " deadline = excluded.deadline WHERE lease.owner = excluded.owner OR lease.deadline < ?",
                (self._owner, now + LEASE_SECONDS * 1_000_000, now),
            )
            return connection.changes() == 1

    def _sketch(self, model: Model) -> DenseIndex:
        """Make the sketch of many vectors; they are compared one by one until it is whole."""
        with self._store.read() as connection, self._index.lock:
            self._index.refresh(connection, model)
            dense = self._index.dense[model.code]
        if dense.sketch is None:
            dense = self._make_sketch(dense.model)
        while dense.sketch is not None and not self._stopping and dense.sketch.extend_graph():
            time.sleep(0)
        return dense

    def _make_sketch(self, model: Model) -> DenseIndex:
        """Fill a sketch beside the index in use, portion by portion, then put it in its place."""
        fresh = DenseIndex(replace(model, frozen=self._freeze(model).to_bytes()))
        more = True
        while more:
            with self._store.read() as connection:
                more = fresh.take_portion(connection)
        with self._index.lock, self._store.read() as connection:
            fresh.refresh(connection)
            self._index.dense[model.code] = fresh
        return fresh

    def _freeze(self, model: Model) -> Frozen:
        """Return mean and rotation of the space's model, fixing them at the first sketch."""
        with self._store.write() as writer:
            kept = next(one.frozen for one in vectors.models(writer.connection) if one.code == model.code)
            if kept is not None:
                return Frozen.from_bytes(kept)
            frozen = Frozen.shipped(model.name)
            if frozen is None or frozen.dimension != model.dimension:
                first = vectors.after(writer.connection, model.code, 0, FROZEN_FROM)
                frozen = Frozen.learn(from_rows(first.data))
            vectors.freeze(writer.connection, model.code, frozen.to_bytes())
            return frozen

    def _save(self, dense: DenseIndex) -> None:
        """Save a sketch of this process, without what others erased meanwhile, if the upkeep is ours."""
        if dense.sketch is None or not self._take_lease():
            return
        with self._index.lock:
            sketch, size = dense.sketch, 64 * len(dense.sketch) + dense.sketch.memory_bytes
        with self._store.write(size) as writer:
            with self._index.lock:
                dense.refresh(writer.connection)
                sketch.retain(vectors.all_vids(writer.connection, dense.model.code))
                image, through = sketch.save(), dense.through
                dense.unsaved = 0
            vectors.save_sketch(writer.connection, dense.model.code, SKETCH_VERSION, through, image)

    def stop(self) -> None:
        """End the thread; save what it had gathered."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        if self._thread is not None:
            self._thread.join()
        try:
            self.run_now(at_close=True)
        except MimirError as error:
            log.debug("upkeep left for the next opening: %s", error)
