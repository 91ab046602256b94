"""The bars: what the design demands of each figure, beside what was measured, met or missed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from processes import MATRIX, MIMIR, NAIVE

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Bar:
    """One demand: a figure with its unit, and the most (or with `at_least` the least) it may be.

    `medians` is the same of medians, told beside it: a busy machine moves a 95th percentile first.
    """

    nodes: int
    name: str
    measured: float
    bound: float
    unit: str = ""
    digits: int = 2
    at_least: bool = False
    medians: float | None = None

    @property
    def met(self) -> bool:
        """Whether the figure keeps to its bar."""
        return self.measured >= self.bound if self.at_least else self.measured <= self.bound

    def cells(self) -> list[str]:
        """Return the bar as a row of a table."""
        unit = f" {self.unit}" if self.unit else ""
        sign = "≥" if self.at_least else "≤"
        beside = "" if self.medians is None else f" (medians {self.medians:,.{self.digits}f})"
        return [
            self.name,
            f"{self.nodes:,}",
            f"{self.measured:,.{self.digits}f}{unit}{beside}",
            f"{sign} {self.bound:g}{unit}",
            "met" if self.met else "missed",
        ]


LATENCY = {10_000: (12.0, 1.3), 100_000: (20.0, 0.7)}
"""Nodes -> the most milliseconds of a recall (p95, embedding included), and its greatest ratio to the NumPy matrix."""
NAIVE_AT, NAIVE_RATIO = 10_000, 0.2
SEARCH_AT, SEARCH_MS = 100_000, 8.0
OPENING_AT, OPENING_MS = 100_000, 400.0
OVERHEAD_MS, OVERHEAD_SHARE = 0.5, 5.0
LIVE_RATIO, LIVE_BYTES = 0.7, 1_300
INGEST_SHARE, REMEMBER_MS = 90.0, 20.0


def bars_of(size: Row) -> list[Bar]:
    """Return the bars of one size that its rows allow to judge; bars of another size are left out."""
    return [*_latency(size), *_encryption(size), *_rest(size)]


def _latency(size: Row) -> Iterator[Bar]:
    nodes, rows = size["nodes"], size["rows"]
    ours = rows[MIMIR.name]
    if nodes in LATENCY:
        most, ratio = LATENCY[nodes]
        whole = ours["whole"]
        yield Bar(nodes, "recall p95, embedding included, hybrid", whole["p95"], most, "ms", 1, medians=whole["p50"])
        yield from _ratio(size, MATRIX.name, "… to the NumPy matrix, dense only, p95", ratio)
    if nodes == NAIVE_AT:
        yield from _ratio(size, NAIVE.name, "… to naive SQLite, p95", NAIVE_RATIO)
    if nodes == SEARCH_AT:
        alone = ours["search"]
        yield Bar(nodes, "search without embedding, p95", alone["p95"], SEARCH_MS, "ms", 1, medians=alone["p50"])


def _ratio(size: Row, rival: str, name: str, most: float) -> Iterator[Bar]:
    """Yield the ratio of Mimir's latency to a rival's, where the rival was measured."""
    if rival in size["rows"]:
        ours, theirs = size["rows"][MIMIR.name]["whole"], size["rows"][rival]["whole"]
        ratios = {rank: ours[rank] / theirs[rank] for rank in ("p50", "p95")}
        yield Bar(size["nodes"], name, ratios["p95"], most, medians=ratios["p50"])


def _encryption(size: Row) -> Iterator[Bar]:
    nodes, overhead = size["nodes"], size["overhead"]
    searching, recall = overhead["searching"]["difference"], overhead["embedding"]["recall"]
    ingest, storing = overhead["ingest"], overhead["storing"]["difference"]
    yield Bar(nodes, "encryption: opening 10 hits", overhead["opening"]["difference"], OVERHEAD_MS, "ms")
    yield Bar(nodes, "encryption: a whole search of k = 10", searching, OVERHEAD_MS, "ms")
    yield Bar(nodes, "… as a share of a recall", 100 * searching / recall, OVERHEAD_SHARE, "%", 1)
    yield Bar(nodes, "encryption: share of ingest, storing alone", 100 * storing / ingest["node_ms"], OVERHEAD_SHARE,
              "%", 1)  # fmt: skip
    yield Bar(nodes, "… whole ingests compared", 100 * ingest["difference_share"], OVERHEAD_SHARE, "%", 1)


def _rest(size: Row) -> Iterator[Bar]:
    nodes, rows = size["nodes"], size["rows"]
    ours = rows[MIMIR.name]
    live, remember = ours["live"] / nodes, ours["remember"]
    yield Bar(nodes, "live bytes a node", live, LIVE_BYTES, "B", 0)
    if NAIVE.name in rows:
        yield Bar(nodes, "… to naive SQLite", live / (rows[NAIVE.name]["disk"] / nodes), LIVE_RATIO)
    yield Bar(nodes, "ingest, share of the bare embedder", 100 * ours["ingest_share"], INGEST_SHARE, "%", 1, True)
    yield Bar(nodes, "one durable remember, p95", remember["p95"], REMEMBER_MS, "ms", 1, medians=remember["p50"])
    if nodes == OPENING_AT:
        yield Bar(nodes, "unlock to first answer, Argon2 apart", ours["first_answer_by_key"], OPENING_MS, "ms", 0)
