"""Figures from measured values: medians, percentiles, shares, and how they are written in a table."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

TIE = 1e-6
"""Cosines closer than this are equal: which of two equal ones comes first is nobody's fault."""


def median(values: Sequence[float]) -> float:
    """Return the median."""
    return statistics.median(values)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least `share` of all values do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-round(share * len(ordered) * 1e6) // 1_000_000) - 1))]


def p50_p95(values: Sequence[float]) -> dict[str, float]:
    """Return median and 95th percentile."""
    return {"p50": median(values), "p95": percentile(values, 0.95)}


def recall_of_exact(
    found: Sequence[Sequence[str]], rows: dict[str, int], vectors: NDArray[np.float32], queries: NDArray[np.float32],
    k: int,
) -> float:  # fmt: skip
    """Return the share of the `k` exactly best (float32, all compared) that was found, over all queries.

    Args:
        found: the texts found for each query; rows: the row of each text.
        vectors: (n, d) unit vectors; queries: (m, d). A text as near as the k-th best counts as one of the best.
    """
    shares = []
    for texts, query in zip(found, queries, strict=True):
        scores = vectors @ query
        least = np.partition(scores, -k)[-k] - TIE
        shares.append(sum(text in rows and scores[rows[text]] >= least for text in texts[:k]) / k)
    return float(statistics.mean(shares))


def bytes_a_node(row: dict[str, Any], nodes: int) -> float:
    """Return the bytes that one node takes of a contender, without the padding of its file where there is one."""
    held, taken = row["live"] or row["disk"], row.get("taken", nodes)
    return float(held / taken)


def written(value: float | None, digits: int = 1) -> str:
    """Return a figure as a table shows it; a dash where there is none."""
    if value is None:
        return "–"
    return f"{value:,.{digits}f}" if abs(value) < 1_000 else f"{value:,.0f}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return columns aligned by blanks, the first to the left and all others to the right."""
    lines = [head, *rows]
    widths = [max(len(line[place]) for line in lines) for place in range(len(head))]
    shown = [
        "  ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    return "\n".join([shown[0], "-" * max(map(len, shown)), *shown[1:]])


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return the same as a table of Markdown."""
    line = "|" + "|".join(["---"] + ["---:"] * (len(head) - 1)) + "|"
    return "\n".join(["| " + " | ".join(head) + " |", line, *("| " + " | ".join(row) + " |" for row in rows)])
