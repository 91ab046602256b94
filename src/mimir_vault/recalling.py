"""Recalling: from a query to hits, through lanes, fusion and the opening of no more envelopes than needed."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

import apsw
import numpy as np
from numpy.typing import NDArray

from mimir_vault.index import quantise
from mimir_vault.index.planner import Plan, plan
from mimir_vault.index.windows import NodeScores, discount, no_scores, reduce_windows
from mimir_vault.model.filter import EVERYTHING, Filter
from mimir_vault.model.hit import Hit, Hits, Lane
from mimir_vault.reading import OpenedNode, as_node, open_stored, plain_text
from mimir_vault.recall import lexical, ranking
from mimir_vault.recall.neighbours import RADIUS
from mimir_vault.recall.passages import find_passage
from mimir_vault.recall.terms import query_terms
from mimir_vault.space_index import DenseIndex, SpaceIndex
from mimir_vault.store import nodes, vectors, words
from mimir_vault.viewed_space import ViewedSpace

log = logging.getLogger("mimir_vault")
LANES = ("dense", "lexical")
Vector = NDArray[np.float32]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Query:
    """A recall as asked: moments in microseconds since 1970, `filter_` parsed within the view, `k` at least 1; `vector`
    is the query's unit vector (d,) where the caller gave one."""

    text: str
    k: int
    filter_: Filter = EVERYTHING
    vector: Vector | None = None
    as_of: int | None = None
    known_at: int | None = None
    lanes: tuple[str, ...] = LANES
    min_score: float | None = None
    collapse: bool = False
    explain: bool = False


def recall(space: ViewedSpace, query: Query) -> Hits:
    """Return the best hits of a query, best first."""
    begin = time.monotonic_ns()
    vector = None
    asked = "dense" in query.lanes and (query.vector is not None or bool(query.text.strip()))
    if asked and space.space.has_model(space.embedder):
        vector = query.vector if query.vector is not None else space.embedder.get().embed_query(query.text)
    with space.search(dense=vector is not None) as (connection, index):
        hits = Hits(_Search(space, connection, index, query, vector).hits())
    if log.isEnabledFor(logging.DEBUG):
        took, first = (time.monotonic_ns() - begin) / 1e6, " ".join(hit.id for hit in hits[:10])
        log.debug("recall took %.1f ms for %d hits: %s", took, len(hits), first)
    return hits


class _Search:
    """One recall inside its read transaction, with the index locked."""

    def __init__(
        self, space: ViewedSpace, connection: apsw.Connection, index: SpaceIndex, query: Query, vector: Vector | None
    ) -> None:
        self.space, self.connection, self.index = space, connection, index
        self.query, self.vector = query, vector
        model = space.space.model(connection, space.embedder) if vector is not None else None
        self.dense: DenseIndex | None = index.dense.get(model.code) if model is not None else None
        self.columns = index.columns
        self.now = space.clock.now()
        self.weights: dict[str, float] = {}

    def hits(self) -> list[Hit]:
        """Run the lanes, rank, and open nodes in order until enough pass the filter."""
        visible = self.columns.visible(self.now, self.query.as_of, self.query.known_at)
        if self.space.view.filter_ != EVERYTHING:  # Nothing outside the view may lend anything to what is inside.
            visible = visible & self.index.masks(self.connection, self.space.view.filter_).maybe
        masks = self.index.masks(self.connection, self.query.filter_)
        allowed = visible & masks.maybe
        if not allowed.any():
            return []
        return self._open(self._rank(visible, allowed, masks.exact))

    def _rank(self, visible: Mask, allowed: Mask, decided: bool) -> ranking.Ranking:
        depth = ranking.lane_depth(self.query.k)
        columns = self.columns
        dense_scores, dense_rows, complete = self._dense_lane(allowed, depth)
        lexical_scores, idf_sum = self._lexical_lane()
        lexical_rows = lexical.best_rows(lexical_scores, allowed, depth)
        around = columns.neighbours(ranking.seeds(dense_rows, lexical_rows), RADIUS)
        pool = ranking.make_pool(dense_rows, lexical_rows, np.where((around >= 0) & visible[around], around, -1))
        if not complete:
            self._fetch_missing(dense_scores, pool.rows)
        evidence = ranking.Evidence(
            dense=dense_scores[pool.rows],
            lexical=lexical_scores[pool.rows],
            lengths=columns.facet("length")[pool.rows],
            at=columns.facet("at")[pool.rows],
            neighbours=columns.neighbours(pool.rows, RADIUS),
            eligible=allowed[pool.rows],
            threads=columns.facet("thread")[pool.rows],
        )
        moment = self.now if self.query.as_of is None else self.query.as_of
        ranked = ranking.rank(pool, evidence, moment, idf_sum=idf_sum, lanes=self.query.lanes)
        if decided:
            return ranked
        # Opening decides the filter, and may let none of the pool through: go on with all that a lane can find.
        rest = allowed & (lexical_scores > 0) if self.vector is None else allowed.copy()
        rest[pool.rows] = False
        rows = np.flatnonzero(rest)
        return ranked.followed_by(rows[np.lexsort((-rows, -np.nan_to_num(dense_scores[rows], nan=-1.0)))])

    # -- the dense lane -------------------------------------------------------------------------------------------

    def _dense_lane(self, allowed: Mask, depth: int) -> tuple[Vector, NDArray[np.int64], bool]:
        """Return the dense score of every row (NaN: not known), the best allowed rows, and whether all are known."""
        scores = np.full(self.columns.rows_count, np.nan, np.float32)
        none = np.empty(0, np.int64)
        dense = self.dense
        if self.vector is None or dense is None:
            return scores, none, True
        chosen = plan(dense.count, len(self.columns), int(allowed.sum()))
        if chosen.path == "none":
            return scores, none, True
        complete = chosen.path == "exact" or dense.sketch is None
        if complete:
            found = dense.exact.scores(self.vector)
        elif chosen.path == "fetched":
            found = self._fetched(dense, self.columns.seqs[allowed])
        else:
            found = self._sketched(dense, chosen, allowed)
        rows = self.columns.rows(found.seqs)
        known = rows >= 0
        scores[rows[known]] = found.scores[known]
        kept = NodeScores(rows, found.scores, found.vids).among(known & allowed[rows])
        return scores, kept.best(depth).seqs, complete

    def _fetched(self, dense: DenseIndex, seqs: NDArray[np.int64]) -> NodeScores:
        assert self.vector is not None
        return self._scored(vectors.by_seq(self.connection, dense.model.code, seqs))

    def _sketched(self, dense: DenseIndex, chosen: Plan, allowed: Mask) -> NodeScores:
        """Return the candidates of the sketch by their exact cosines."""
        assert self.vector is not None
        assert dense.sketch is not None
        assert dense.frozen is not None
        code = dense.frozen.query_code(self.vector)
        vids, _ = dense.sketch.search(code, chosen.candidates, self._allowing(allowed) if chosen.filtered else None)
        return self._scored(vectors.by_vid(self.connection, vids))

    def _allowing(self, allowed: Mask) -> Callable[[NDArray[np.int64]], Mask]:
        """Return what says of each seq whether its node may be found."""

        def known(seqs: NDArray[np.int64]) -> Mask:
            rows = self.columns.rows(seqs)
            return (rows >= 0) & allowed[rows]

        return known

    def _scored(self, rows: vectors.VectorRows) -> NodeScores:
        """Return the exact scores of stored vectors, one per node."""
        assert self.vector is not None
        if not len(rows.vids):
            return no_scores()
        cosines = quantise.cosines(self.vector, rows.data)
        places = self.columns.rows(rows.seqs)
        known = places >= 0
        windows = self.columns.facet("windows")[places[known]]
        return reduce_windows(rows.seqs[known], cosines[known], rows.vids[known], windows)

    def _fetch_missing(self, scores: Vector, pool: NDArray[np.int64]) -> None:
        """Fill in the dense scores of members of the pool that the dense lane did not bring up."""
        dense = self.dense
        missing = pool[np.isnan(scores[pool])]
        if dense is not None and len(missing):
            fetched = self._fetched(dense, self.columns.seqs[missing])
            scores[self.columns.rows(fetched.seqs)] = fetched.scores

    # -- the lexical lane -----------------------------------------------------------------------------------------

    def _lexical_lane(self) -> tuple[Vector, float]:
        """Return the BM25 score of every row, and the sum of the idf of the query's terms."""
        count = len(self.columns)
        if "lexical" not in self.query.lanes:
            return np.zeros(self.columns.rows_count, np.float32), 0.0
        terms = query_terms(self.query.text)
        codes, counts = self.index.terms_in(self.connection, terms)
        self.weights = {term: lexical.inverse_frequency(held, max(count, held)) for term, held in counts.items()}
        chosen = lexical.choose_terms(counts, count)
        merged = words.postings(self.connection, [codes[term] for term in chosen])
        parts = [self._places(merged.get(codes[term]), codes[term]) for term in chosen]
        rows = self.columns.rows(np.concatenate([seqs for seqs, _ in parts])) if parts else np.empty(0, np.int64)
        ends = np.cumsum([len(seqs) for seqs, _ in parts], dtype=np.int64)
        postings = [
            lexical.TermPostings(rows[end - len(times) : end], times)
            for end, (_, times) in zip(ends, parts, strict=True)
        ]
        scores = lexical.score_terms(postings, self.columns.facet("length"), count)
        return scores, lexical.idf_mass(list(counts.values()), count)

    def _places(self, merged: words.Places | None, code: int) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
        """Return the seqs of the nodes that hold a term, and how often each does."""
        seqs, times = self.index.tail_of(code)
        if merged is None:
            return seqs, times
        return np.concatenate([merged["number"].astype(np.int64), seqs]), np.concatenate([merged["times"], times])

    # -- opening --------------------------------------------------------------------------------------------------

    def _open(self, ranked: ranking.Ranking) -> list[Hit]:
        """Open nodes in order of rank until k of them pass the filter, which is asked again of the opened node."""
        chosen: list[tuple[int, OpenedNode]] = []
        seen: set[str] = set()
        for place, opened in self._opened(ranked):
            if self.query.min_score is not None and ranked.scores[place] < self.query.min_score:
                break
            if not self.space.passes(self.query.filter_, opened):
                continue
            if self.query.collapse:
                text = plain_text(opened.payload.text)
                if text in seen:
                    continue
                seen.add(text)
            chosen.append((place, opened))
            if len(chosen) == self.query.k:
                break
        seqs = [opened.stored.seq for _, opened in chosen] if self.index.has_supersedes else []
        newer = self.space.successors(self.connection, seqs)
        return [self._hit(ranked, place, opened, newer.get(opened.stored.seq)) for place, opened in chosen]

    def _opened(self, ranked: ranking.Ranking) -> Iterator[tuple[int, OpenedNode]]:
        step = max(self.query.k, 16)
        for begin in range(0, len(ranked.rows), step):
            seqs = self.columns.seqs[ranked.rows[begin : begin + step]].tolist()
            stored = nodes.by_seq(self.connection, seqs)
            for offset, seq in enumerate(seqs):
                if seq in stored:
                    yield begin + offset, open_stored(self.space.store.sealer, stored[seq])

    def _hit(self, ranked: ranking.Ranking, place: int, opened: OpenedNode, newer: bytes | None) -> Hit:
        score, node = float(ranked.scores[place]), as_node(opened, newer)
        lanes: dict[str, Lane] = {}
        if ranked.dense_ranks[place]:
            windows = int(self.columns.facet("windows")[ranked.rows[place]])
            cosine = float(ranked.dense[place]) + (float(discount(np.array([windows]))[0]) if windows > 1 else 0.0)
            lanes["dense"] = Lane(min(max(cosine, -1.0), 1.0), int(ranked.dense_ranks[place]))  # Rounding goes beyond.
        if ranked.lexical_ranks[place]:
            lanes["lexical"] = Lane(float(ranked.lexical[place]), int(ranked.lexical_ranks[place]))
        start, stop = find_passage(opened.body, self.weights, self._window(opened, int(ranked.rows[place])))
        body = opened.body
        own = opened.payload.passages is None
        return Hit(
            node=node, score=score, lanes=lanes, passage=body[start:stop], start=start if own else 0,
            end=stop if own else 0, why=ranked.why(place) if self.query.explain else {},
        )  # fmt: skip

    def _window(self, opened: OpenedNode, row: int) -> tuple[int, int]:
        """Return the window whose vector matched best, the whole text where there is one window."""
        seq, dense = opened.stored.seq, self.dense
        whole = (0, len(opened.body))
        if self.vector is None or dense is None or self.columns.facet("windows")[row] <= 1:
            return whole
        rows = vectors.by_seq(self.connection, dense.model.code, np.array([seq], np.int64))
        best = int(rows.windows[int(np.argmax(quantise.cosines(self.vector, rows.data)))])
        return vectors.passages(self.connection, dense.model.code, [seq]).get((seq, best), whole)


def check_lanes(lanes: Collection[str] | None) -> tuple[str, ...]:
    """Return the lanes asked for, all of them for None (ValueError for an unknown one)."""
    if lanes is None:
        return LANES
    if isinstance(lanes, str) or not isinstance(lanes, Collection) or not lanes:
        raise ValueError(f"lanes is a list of {', '.join(LANES)}")
    for lane in lanes:
        if lane not in LANES:
            raise ValueError(f"there is no lane {str(lane)[:40]!r}; there are {', '.join(LANES)}")
    return tuple(lane for lane in LANES if lane in lanes)
