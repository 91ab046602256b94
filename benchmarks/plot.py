"""The plot: latency, bytes a node and memory of all contenders, as SVG that reads well in light and in dark."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape
from typing import Any

Row = dict[str, Any]
LABELS, PANEL, GAP, LINE, TOP = 170, 230, 26, 24, 74
"""Widths of the names, of a panel and between panels; height of a contender and above the first, in pixels."""
STYLE = """
  text { font: 12px system-ui, sans-serif; fill: #24292f }
  .ground { fill: #ffffff } .small { font-size: 11px; fill: #57606a } .head { font-weight: 600 }
  .grid { stroke: #d0d7de; stroke-width: 1 }
  .sealed { fill: #1a7f64 } .open { fill: #8c959f } .tail { opacity: .45 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .ground { fill: #0d1117 } .small { fill: #9198a1 } .grid { stroke: #3d444d }
    .sealed { fill: #3fb68b } .open { fill: #7d8590 }
  }
"""
SEALED = ("Mimir", "Compartment")
"""Contenders that encrypt; the others do not."""
PANELS: tuple[tuple[str, Callable[[Row, int], tuple[float, float]], Sequence[float]], ...] = (
    ("recall, ms: median and p95", lambda row, nodes: (row["whole"]["p50"], row["whole"]["p95"]), (1, 10, 100, 1_000)),
    ("on disk, bytes a node", lambda row, nodes: _twice((row["live"] or row["disk"]) / row.get("taken", nodes)),
     (100, 1_000, 10_000)),
    ("memory, MiB", lambda row, nodes: _twice(max(1.0, row["rss_growth"] / 2**20)), (1, 10, 100, 1_000)),
)  # fmt: skip
"""Title, what is drawn of a row (the strong part and the whole), and the marks of a logarithmic axis."""


def draw(results: Row) -> str:
    """Return the plot of a run as SVG."""
    sizes = results["sizes"]
    width = LABELS + len(PANELS) * (PANEL + GAP) + GAP
    parts, top = [], 0
    for size in sizes:
        parts.append(_size(size, top, results["utterances"]))
        top += TOP + LINE * len(size["rows"]) + 22
    height = top + 34
    key = (
        f'<rect class="sealed" x="{LABELS}" y="{height - 26}" width="12" height="12"/>'
        f'<text class="small" x="{LABELS + 18}" y="{height - 16}">encrypted</text>'
        f'<rect class="open" x="{LABELS + 100}" y="{height - 26}" width="12" height="12"/>'
        f'<text class="small" x="{LABELS + 118}" y="{height - 16}">not encrypted; scales are logarithmic</text>'
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" aria-label="Latency, size and memory of all contenders">\n<style>{STYLE}</style>\n'
        f'<rect class="ground" width="{width}" height="{height}"/>\n' + "\n".join(parts) + f"\n{key}\n</svg>\n"
    )


def _size(size: Row, top: int, kind: str) -> str:
    rows = size["rows"]
    lines = [f'<text class="head" x="14" y="{top + 26}">{size["nodes"]:,} {kind} utterances</text>']
    for place, name in enumerate(rows):
        y = top + TOP + LINE * place
        lines.append(f'<text x="{LABELS - 10}" y="{y + 12}" text-anchor="end">{escape(name)}</text>')
    for place in range(len(PANELS)):
        lines.append(_panel(size, top, place))
    return "\n".join(lines)


def _panel(size: Row, top: int, number: int) -> str:
    title, value, marks = PANELS[number]
    left, rows = LABELS + number * (PANEL + GAP), size["rows"]
    values = {name: value(row, size["nodes"]) for name, row in rows.items()}
    low, high = math.log10(marks[0]), math.log10(max(marks[-1], *(whole for _, whole in values.values())) * 1.6)
    bottom = top + TOP + LINE * len(rows)

    def x(amount: float) -> float:
        return left + PANEL * (math.log10(max(amount, marks[0])) - low) / (high - low)

    lines = [f'<text class="small" x="{left}" y="{top + 46}">{escape(title)}</text>']
    for mark in marks:
        lines.append(f'<line class="grid" x1="{x(mark):.1f}" y1="{top + 56}" x2="{x(mark):.1f}" y2="{bottom}"/>')
        lines.append(f'<text class="small" x="{x(mark):.1f}" y="{bottom + 14}" text-anchor="middle">{mark:,}</text>')
    for place, (name, (strong, whole)) in enumerate(values.items()):
        y, kind = top + TOP + LINE * place, "sealed" if name in SEALED else "open"
        for amount, extra in ((whole, " tail"), (strong, "")):
            lines.append(
                f'<rect class="{kind}{extra}" x="{left}" y="{y}" width="{x(amount) - left:.1f}" height="15" rx="2"/>'
            )
        shown = f"{whole:,.0f}" if whole >= 100 else f"{whole:.1f}"
        lines.append(f'<text class="small" x="{x(whole) + 5:.1f}" y="{y + 12}">{shown}</text>')
    return "\n".join(lines)


def _twice(amount: float) -> tuple[float, float]:
    return amount, amount
