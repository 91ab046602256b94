#!/usr/bin/env python3
"""What finding and ranking are worth and what they cost, without a vault: quality on judged data, speed at scale.

    python benchmarks/retrieval.py DATA [--sets NAME ...] [--groups N] [--scale N] [--cache FOLDER]

DATA is a folder of judged sets (docs.jsonl, queries.jsonl, qrels.tsv each) and, for the scale part, dialogue/*.jsonl.
Everything runs through the same functions as a recall does, with vectors from the bundled model and postings held in
RAM. Without DATA there is nothing to measure, and that is said. `--cache` keeps the vectors for the next run.
"""

from __future__ import annotations

import argparse
import collections
import json
import math
import pathlib
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mimir_vault.embed.minilm import MiniLM
from mimir_vault.index.columns import Columns
from mimir_vault.index.exact import Exact
from mimir_vault.index.planner import CANDIDATES
from mimir_vault.index.quantise import Frozen, cosines, to_rows
from mimir_vault.index.sketch import Sketch
from mimir_vault.index.windows import NodeScores, reduce_windows
from mimir_vault.model.facets import NEVER, Facets
from mimir_vault.recall.lexical import TermPostings, best_rows, choose_terms, idf_mass, score_terms
from mimir_vault.recall.neighbours import RADIUS
from mimir_vault.recall.ranking import Evidence, Ranking, lane_depth, make_pool, rank, seeds
from mimir_vault.recall.terms import count_terms, query_terms

Rows = list[dict[str, Any]]
NOW = 1_767_225_600_000_000


class Space:
    """One space in RAM: what a memory keeps, with postings in a dictionary in place of the store."""

    def __init__(self, turns: Rows, vectors: NDArray[np.float32], owners: NDArray[np.int64]) -> None:
        windows = np.bincount(owners, minlength=len(turns))
        sessions: dict[Any, int] = {}
        places: dict[str, list[tuple[int, int]]] = collections.defaultdict(list)
        packed = []
        for row, turn in enumerate(turns):
            counts = count_terms(turn["text"], turn.get("speaker"))
            length = min(65_535, sum(counts.values()))
            session = turn.get("session")
            thread = 0 if session is None else sessions.setdefault(session, len(sessions) + 1)
            facets = (row + 1, 0, 0, NEVER, 0, 0, 0, 0, 0, thread, thread, length, min(255, int(windows[row])), 0)
            packed.append(Facets(*facets).pack())
            for term, count in counts.items():
                places[term].append((row, count))
        self.columns = Columns()
        self.columns.upsert(b"".join(packed))
        self.exact = Exact(vectors.shape[1])
        self.rows = to_rows(vectors)
        self.exact.add(np.arange(len(vectors)), owners + 1, self.rows)
        self.postings = {
            term: TermPostings(np.array([row for row, _ in found]), np.array([n for _, n in found], np.uint8))
            for term, found in places.items()
        }

    def recall(
        self, text: str, vector: NDArray[np.float32], k: int, lanes: tuple[str, ...], found: NodeScores | None = None
    ) -> Ranking:
        """Rank as a memory does: on the exact path, or with what a sketch found, of which only the pool is compared."""
        columns, depth = self.columns, lane_depth(k)
        allowed = columns.visible(NOW)
        known = self.exact.scores(vector) if found is None else found
        dense = np.full(columns.rows_count, np.nan, np.float32)
        dense[columns.rows(known.seqs)] = known.scores
        dense_rows = columns.rows(known.best(depth).seqs) if "dense" in lanes else np.empty(0, np.int64)
        lexical, idf_sum = self.lexical(text)
        lexical_rows = best_rows(lexical, allowed, depth) if "lexical" in lanes else np.empty(0, np.int64)
        pool = make_pool(dense_rows, lexical_rows, columns.neighbours(seeds(dense_rows, lexical_rows), RADIUS))
        missing = pool.rows[np.isnan(dense[pool.rows])]
        if found is not None and len(missing):
            dense[missing] = cosines(vector, self.rows[missing])
        evidence = Evidence(
            dense[pool.rows], lexical[pool.rows], columns.facet("length")[pool.rows], columns.facet("at")[pool.rows],
            columns.neighbours(pool.rows, RADIUS), allowed[pool.rows], columns.facet("thread")[pool.rows],
        )  # fmt: skip
        return rank(pool, evidence, NOW, idf_sum=idf_sum, lanes=lanes)

    def lexical(self, text: str) -> tuple[NDArray[np.float32], float]:
        """Score the lexical lane over all rows."""
        counts = {term: len(self.postings[term].rows) if term in self.postings else 0 for term in query_terms(text)}
        nodes = len(self.columns)
        chosen = [self.postings[term] for term in choose_terms(counts, nodes)]
        return score_terms(chosen, self.columns.facet("length"), nodes), idf_mass(list(counts.values()), nodes)


def read(path: pathlib.Path) -> Iterator[dict[str, Any]]:
    """Yield the lines of a JSON Lines file."""
    with open(path, encoding="utf-8") as lines:
        yield from (json.loads(line) for line in lines)


def embed_turns(model: MiniLM, turns: Rows) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return the vectors of all windows of turns and the turn each belongs to."""
    forms, owners = [], []
    for number, turn in enumerate(turns):
        prefix, suffix = (f'{turn["speaker"]} said, "', '"') if turn.get("speaker") else ("", "")
        for start, end in model.windows(turn["text"], prefix, suffix):
            forms.append(prefix + turn["text"][start:end] + suffix)
            owners.append(number)
    return model.embed(forms), np.array(owners)


def cached(folder: pathlib.Path | None, name: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return arrays from the cache folder, or make and keep them."""
    path = folder / f"retrieval-{name}.npz" if folder else None
    if path is not None and path.exists():
        with np.load(path) as kept:
            return dict(kept)
    made = make()
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, **made)
    return made


def load_set(folder: pathlib.Path, groups_max: int | None) -> tuple[dict[str, Rows], Rows, dict[str, set[str]]]:
    """Return the turns of each group in order, the queries, and the gold turns of each query."""
    gold: dict[str, set[str]] = collections.defaultdict(set)
    for line in (folder / "qrels.tsv").read_text(encoding="utf-8").splitlines():
        query, doc, grade = line.split("\t")
        if int(grade) > 0:
            gold[query].add(doc)
    groups: dict[str, Rows] = collections.defaultdict(list)
    for doc in read(folder / "docs.jsonl"):
        if doc.get("caption"):
            doc["text"] += f" [shares a picture: {doc['caption']}]"
        if doc["text"].strip():
            groups[doc["group"]].append(doc)
    kept = {name: sorted(groups[name], key=lambda doc: doc.get("seq", 0)) for name in sorted(groups)[:groups_max]}
    return kept, [query for query in read(folder / "queries.jsonl") if query["group"] in kept], gold


def figures(ranked: list[dict[str, Any]], gold: set[str], sessions: set[Any]) -> dict[str, float]:
    """Return recall@1, recall@10, any@10, nDCG@10 and session@10 of one query."""
    ids = [turn["id"] for turn in ranked]
    hits = [name in gold for name in ids[:10]]
    gain = sum(1 / math.log2(place + 2) for place, hit in enumerate(hits) if hit)
    row = {
        "recall@1": sum(hits[:1]) / len(gold),
        "recall@10": sum(hits) / len(gold),
        "any@10": float(any(hits)),
        "ndcg@10": gain / sum(1 / math.log2(place + 2) for place in range(min(10, len(gold)))),
    }
    if sessions:
        seen = list(dict.fromkeys(turn["session"] for turn in ranked if turn.get("session") is not None))[:10]
        row["session@10"] = len(sessions & set(seen)) / len(sessions)
    return row


def quality(folder: pathlib.Path, groups_max: int | None, cache: pathlib.Path | None) -> None:
    """Print a table of lanes for one judged set."""
    groups, queries, gold = load_set(folder, groups_max)
    model = MiniLM()
    rows: dict[str, list[dict[str, float]]] = collections.defaultdict(list)
    by_group: dict[str, list[float]] = collections.defaultdict(list)
    for name, turns in groups.items():
        asked = [query for query in queries if query["group"] == name and gold.get(query["id"])]

        def make(turns: Rows = turns, asked: Rows = asked) -> dict[str, Any]:
            vectors, owners = embed_turns(model, turns)
            return {"v": vectors, "o": owners, "q": model.embed([query["text"] for query in asked])}

        arrays = cached(cache, f"{folder.name}-{name}", make)
        space = Space(turns, arrays["v"], arrays["o"])
        known = {turn["id"]: turn for turn in turns}
        for query, vector in zip(asked, arrays["q"], strict=True):
            wanted = gold[query["id"]] & known.keys()
            if not wanted:
                continue
            sessions = {known[doc].get("session") for doc in wanted} - {None}
            for tag, lanes in (("dense", ("dense",)), ("lexical", ("lexical",)), ("default", ("dense", "lexical"))):
                if tag == "default":
                    order = space.recall(query["text"], vector, 50, lanes).rows[:50]
                else:
                    order = _lane_alone(space, query["text"], vector, tag)
                rows[tag].append(figures([turns[row] for row in order], wanted, sessions))
            by_group[name].append(rows["default"][-1]["recall@10"])
    print(f"\n{folder.name}: {len(rows['default'])} queries, {len(groups)} groups")
    for tag, found in rows.items():
        names = list(dict.fromkeys(name for row in found for name in row))
        means = {name: statistics.fmean(row[name] for row in found if name in row) for name in names}
        print(f"  {tag:8s} " + "  ".join(f"{name} {value:.4f}" for name, value in means.items()))
    if 1 < len(by_group) <= 12:
        print("  by group " + "  ".join(f"{name} {statistics.fmean(values):.3f}" for name, values in by_group.items()))


def _lane_alone(space: Space, text: str, vector: NDArray[np.float32], lane: str) -> NDArray[np.int64]:
    if lane == "dense":
        return space.columns.rows(space.exact.search(vector, 50).seqs)
    return best_rows(space.lexical(text)[0], None, 50)


def scale(data: pathlib.Path, count: int, cache: pathlib.Path | None) -> None:
    """Print recall and time of the sketch path against the exact one, over real utterances."""
    queries = 1_000
    turns: Rows = []
    seen: set[str] = set()
    for path in sorted((data / "dialogue").glob("*.jsonl")):
        for row in read(path):
            if len(row["text"]) >= 8 and row["text"] not in seen and len(turns) < count + queries:
                seen.add(row["text"])
                turns.append({"text": row["text"], "speaker": row["speaker"], "session": row["conv"]})
    model = MiniLM()
    arrays = cached(cache, f"dialogue-{count}", lambda: {"v": embed_turns(model, turns)[0]})
    order = np.random.default_rng(1).permutation(len(turns))
    asked, kept = order[:queries], np.sort(order[queries:])
    vectors = arrays["v"][kept]
    space = Space([turns[place] for place in kept], vectors, np.arange(len(kept)))
    frozen = Frozen.shipped(model.name) or Frozen.learn(vectors[:1_000])
    begin = time.perf_counter()
    sketch = Sketch(frozen.code_bytes)
    sketch.add(np.arange(len(kept)), np.arange(len(kept)) + 1, frozen.codes(vectors))
    print(f"\nscale: {len(kept):,} utterances, sketch built in {time.perf_counter() - begin:.1f} s")
    found, times = 0, collections.defaultdict(list)
    # A query is embedded as it is asked, without the form of a turn: it lies farther from its answers than a turn does.
    texts = [turns[place]["text"] for place in asked]
    for text, query in zip(texts, model.embed(texts), strict=True):
        best = space.exact.search(query, 10).seqs
        marks = [time.perf_counter()]
        vids, _ = sketch.search(frozen.query_code(query), CANDIDATES)
        marks.append(time.perf_counter())
        near = reduce_windows(vids + 1, cosines(query, space.rows[vids]), vids, np.ones(len(vids)))
        marks.append(time.perf_counter())
        space.lexical(text)
        marks.append(time.perf_counter())
        space.recall(text, query, 10, ("dense", "lexical"), near)
        marks.append(time.perf_counter())
        found += int(np.isin(best, near.best(10).seqs).sum())
        sketched, ranked, lexed, everything = np.diff(marks)
        for name, seconds in (("sketch", sketched), ("re-rank", ranked), ("lexical lane", lexed)):
            times[name].append(seconds)
        times["all but embedding and database"].append(sketched + ranked + everything)
    print(f"  recall@10 of the sketch path {found / queries / 10:.4f}")
    for name, seconds in times.items():
        middle, high = np.percentile(seconds, [50, 95]) * 1e3
        print(f"  {name:32s} p50 {middle:.2f} ms  p95 {high:.2f} ms")
    stored = len(sketch.save()) / len(kept)
    print(f"  bytes per node: in RAM {sketch.memory_bytes / len(kept):.0f}, saved {stored:.0f}")


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", type=pathlib.Path)
    parser.add_argument("--sets", nargs="*", default=["locomo_dev", "beam_100k_dev", "xquad_en", "vaswani"])
    parser.add_argument("--groups", type=int, default=None, help="only the first N groups of each set")
    parser.add_argument("--scale", type=int, default=0, help="so many utterances in the scale part; 0 leaves it out")
    parser.add_argument("--cache", type=pathlib.Path, default=None, help="keep vectors in this folder")
    args = parser.parse_args()
    if args.data is None or not args.data.is_dir():
        print("retrieval: skipped, give the folder of judged data as argument", file=sys.stderr)
        return
    for name in args.sets:
        if (args.data / name).is_dir():
            quality(args.data / name, args.groups, args.cache)
        else:
            print(f"retrieval: {name} skipped, it is not in {args.data}", file=sys.stderr)
    if args.scale:
        scale(args.data, args.scale, args.cache)


if __name__ == "__main__":
    main()
