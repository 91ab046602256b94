"""What a space keeps in memory to be searched: columns, names, vectors or sketch, and the words not yet in postings."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress

import apsw
import numpy as np
from numpy.typing import NDArray

from mimir_vault.errors import FormatError
from mimir_vault.index.columns import Columns
from mimir_vault.index.exact import Exact
from mimir_vault.index.filtering import Masks, Names, evaluate
from mimir_vault.index.planner import EXACT_VECTORS_MAX
from mimir_vault.index.quantise import Frozen, from_rows
from mimir_vault.index.sketch import Sketch
from mimir_vault.model.filter import EVERYTHING, NAME_FIELDS, Filter
from mimir_vault.store import attributes, feed, vectors, words
from mimir_vault.store.feed import News, Seen
from mimir_vault.store.vectors import Model

PORTION = 4_096
"""Vectors read at a time."""
SKETCH_VERSION = 1
"""Changes whenever a saved sketch of an older release must be made anew."""


class DenseIndex:
    """The vectors of one model: all of them compared while they are few; their 1-bit codes when they are many."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.exact = Exact(model.dimension)
        self.frozen: Frozen | None = Frozen.from_bytes(model.frozen) if model.frozen is not None else None
        self.sketch: Sketch | None = None
        self.through = 0
        self.unsaved = 0
        self.seen = -1

    @property
    def count(self) -> int:
        """How many vectors can be found."""
        return len(self.exact) if self.sketch is None else len(self.sketch)

    def refresh(self, connection: apsw.Connection) -> None:
        """Take in the vectors that are new."""
        while self.take_portion(connection):
            pass

    def take_portion(self, connection: apsw.Connection) -> bool:
        """Take in a portion of the vectors that are new, at first the saved sketch; return whether there was any."""
        if self.through == 0 and self.frozen is not None and _many(connection, self.model):
            self.sketch, self.through = load_sketch(connection, self.model, self.frozen)
        rows = vectors.after(connection, self.model.code, self.through, PORTION)
        if not len(rows.vids):
            return False
        if self.sketch is None or self.frozen is None:
            self.exact.add(rows.vids, rows.seqs, rows.data)
        else:
            self.sketch.add(rows.vids, rows.seqs, self.frozen.codes(from_rows(rows.data)))
            self.unsaved += len(rows.vids)
        self.through = int(rows.vids[-1])
        return True

    def remove(self, seqs: NDArray[np.int64]) -> None:
        """Take the vectors of erased nodes out of those that are compared."""
        self.exact.remove(seqs)
        if self.sketch is not None:
            self.sketch.remove_nodes(seqs)


def _many(connection: apsw.Connection, model: Model) -> bool:
    return vectors.count(connection, model.code) > EXACT_VECTORS_MAX


def load_sketch(connection: apsw.Connection, model: Model, frozen: Frozen) -> tuple[Sketch, int]:
    """Return the saved sketch of a model and the vid it reaches to; an empty one where none (or a damaged one) is."""
    saved = vectors.load_sketch(connection, model.code, SKETCH_VERSION)
    if saved is not None:
        with suppress(FormatError):  # It is derived: what does not decode is made again from the vectors.
            return Sketch.load(saved[1]), saved[0]
    return Sketch(frozen.code_bytes), 0


class SpaceIndex:
    """Everything in memory, fed from the change feed. Whoever uses it holds `lock` for as long as row numbers live."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        with self.lock:
            self.columns = Columns()
            self.texts = Names()
            self.dense: dict[int, DenseIndex] = {}
            self.has_supersedes = False
            self._seen = Seen()
            self._words_through = -1
            self._words_newest = 0
            self._tail_seqs = np.empty(0, np.int64)
            self._tail_places = np.empty(0, words.PLACE)
            self._tail_by_term: tuple[NDArray[np.uint32], NDArray[np.int64]] | None = None

    @property
    def is_fed(self) -> bool:
        """Whether it was brought up to date before, so that doing it again costs little."""
        return self._seen.generation >= 0

    @property
    def names(self) -> Mapping[str, Names]:
        """The names of each field by code; all fields share one table."""
        return dict.fromkeys(NAME_FIELDS, self.texts)

    def refresh(self, connection: apsw.Connection, model: Model | None = None) -> None:
        """Inside a read transaction: take in what any process did since the last time; vectors, given a model."""
        news = feed.news(connection, self._seen)
        if news is not None and news.anew:
            self.clear()
        if news is not None:
            self._take(connection, news)
        if model is None:
            return
        dense = self.dense.get(model.code)
        if dense is None:
            # What the caller knows of the model may be older than its first sketch.
            newest = next((one for one in vectors.models(connection) if one.code == model.code), model)
            dense = self.dense[model.code] = DenseIndex(newest)
        if dense.seen != self._seen.generation:
            dense.refresh(connection)
            dense.seen = self._seen.generation

    def masks(self, connection: apsw.Connection, filter_: Filter) -> Masks:
        """Return which rows of the columns may pass a filter, and which surely do."""
        if filter_ == EVERYTHING:
            return Masks(self.columns.live, self.columns.live)
        return evaluate(filter_, self.columns, self.names, lambda one: attributes.lookup(connection, one))

    def _take(self, connection: apsw.Connection, news: News) -> None:
        for code, text in news.names.items():
            self.texts.add(code, text)
        self.columns.upsert(news.facets)
        if len(news.erased):
            self.columns.remove(news.erased)
            for dense in self.dense.values():
                dense.remove(news.erased)
        if len(news.supersedes):
            self.has_supersedes = True
            self.columns.add_supersedes(news.supersedes[:, 0], news.supersedes[:, 1])
        self._refresh_words(connection, news.erased)
        self._seen = news.seen

    def _refresh_words(self, connection: apsw.Connection, erased: NDArray[np.int64]) -> None:
        through = words.through(connection)
        if through != self._words_through:
            self._tail_seqs, self._tail_places = words.tail(connection, through)
        else:
            seqs, places = words.tail(connection, self._words_newest)
            self._tail_seqs = np.concatenate([self._tail_seqs, seqs])
            self._tail_places = np.concatenate([self._tail_places, places])
        if len(erased) and len(self._tail_seqs):
            kept = ~np.isin(self._tail_seqs, erased)
            self._tail_seqs, self._tail_places = self._tail_seqs[kept], self._tail_places[kept]
        self._tail_by_term = None
        self._words_through = through
        self._words_newest = int(self._tail_seqs[-1]) if len(self._tail_seqs) else through

    def tail_of(self, code: int) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
        """Return seqs and counts of a term among the nodes that the postings do not hold yet."""
        if self._tail_by_term is None:  # One sort, however many terms are asked for: a scan for each took longer.
            numbers = np.ascontiguousarray(self._tail_places["number"])
            order = np.argsort(numbers, kind="stable")
            self._tail_by_term = numbers[order], order
        numbers, order = self._tail_by_term
        begin, end = np.searchsorted(numbers, np.array([code, code + 1], np.uint32))
        here = order[begin:end]
        return self._tail_seqs[here], self._tail_places["times"][here]

    def terms_in(self, connection: apsw.Connection, terms: Sequence[str]) -> tuple[dict[str, int], dict[str, int]]:
        """Return the code of each known term, and in how many nodes it stands."""
        codes: dict[str, int] = {}
        counts: dict[str, int] = dict.fromkeys(terms, 0)
        for term, (code, merged) in words.frequencies(connection, terms).items():
            codes[term] = code
            counts[term] = merged + len(self.tail_of(code)[0])
        return codes, counts
