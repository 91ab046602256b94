"""The plot: latency, bytes a node and memory of all contenders, as SVG that reads well in light and in dark."""

from __future__ import annotations

import math
from collections.abc import Callable
from html import escape
from typing import Any, NamedTuple

from figures import bytes_a_node

Row = dict[str, Any]
LABELS, PANEL, ROOM, GAP, LINE, TOP = 170, 240, 195, 26, 24, 74
"""In pixels: widths of the names, a panel, its longest bar and between panels; heights of a contender and above all."""
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


class Panel(NamedTuple):
    """A title, what is drawn of a row (the strong part and the whole), and the scale: logarithmic from 1, or linear."""

    title: str
    value: Callable[[Row, int], tuple[float, float]]
    logarithmic: bool


PANELS = (
    Panel("recall, ms: median and p95 (logarithmic)", lambda row, _: (row["whole"]["p50"], row["whole"]["p95"]), True),
    Panel("bytes a node, padding apart", lambda row, nodes: 2 * (bytes_a_node(row, nodes),), False),
    Panel("memory, MiB", lambda row, _: 2 * (max(0.0, row["rss_growth"] / 2**20),), False),
)


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
        f'<text class="small" x="{LABELS + 118}" y="{height - 16}">not encrypted</text>'
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
    panel, rows = PANELS[number], size["rows"]
    left, bottom = LABELS + number * (PANEL + GAP), top + TOP + LINE * len(rows)
    values = {name: panel.value(row, size["nodes"]) for name, row in rows.items()}
    most = max(whole for _, whole in values.values())
    marks = _marks(most, panel.logarithmic)

    def x(amount: float) -> float:
        if panel.logarithmic:
            return left + ROOM * math.log10(max(amount, 1)) / math.log10(max(most, 10))
        return left + ROOM * amount / most

    lines = [f'<text class="small" x="{left}" y="{top + 46}">{escape(panel.title)}</text>']
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


def _marks(most: float, logarithmic: bool) -> list[int]:
    """Return where the lines of a scale up to `most` stand: at powers of ten, or at two to five round steps."""
    if logarithmic:
        return [10**power for power in range(max(1, int(math.log10(max(most, 10)))) + 1)]
    rough = max(1.0, most / 3)
    power = 10 ** int(math.log10(rough))
    step = max(factor * power for factor in (1, 2, 5) if factor * power <= rough)
    return list(range(0, int(most) + 1, step))
