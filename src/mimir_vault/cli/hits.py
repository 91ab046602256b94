"""Hits and nodes for people: a dated line with score and id, and the text with the passage that matched."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mimir_vault.cli.text import moment, one_line, printable, short_id

if TYPE_CHECKING:
    from rich.text import Text

    from mimir_vault.cli.output import Output
    from mimir_vault.model.hit import Hit
    from mimir_vault.model.node import Node

TEXT_SHOWN_MAX = 600
"""Longer texts are shown around their passage only; `mimir show ID` shows them whole."""
AROUND = 80
"""Characters shown before and after the passage of a long text."""


def write_hit(output: Output, hit: Hit, *, explain: bool = False, mark: str = "") -> None:
    """Write a hit: score, date, speaker and id; its text with the passage; with `explain` what found it."""
    from rich.text import Text

    output.styled(_head(hit, mark))
    output.indented(_passage(hit))
    if explain:
        output.indented(Text(_why(hit), style="dim"))


def _head(hit: Hit, mark: str) -> Text:
    from rich.text import Text

    shown = Text()
    shown.append(f"{hit.score:.2f}", style="bold green")
    shown.append(f" {moment(hit.at)}", style="cyan")
    if hit.speaker:
        shown.append(f"  {one_line(hit.speaker, 40)}", style="bold")
    if hit.node.session:
        shown.append(f"  {one_line(hit.node.session, 40)}", style="dim")
    shown.append(f"  {short_id(hit.id)}", style="dim")
    if mark:
        shown.append(f"  {mark}", style="bold yellow")
    if hit.node.superseded_by:
        shown.append(f"  (superseded by {short_id(hit.node.superseded_by)})", style="dim")
    return shown


def node_line(node: Node, width: int) -> Text:
    """Return a node as one line: id, date, speaker and the beginning of its text."""
    from rich.text import Text

    shown = Text(no_wrap=True, overflow="ellipsis")
    shown.append(short_id(node.id), style="dim")
    shown.append(f"  {moment(node.at)}", style="cyan")
    if node.speaker:
        shown.append(f"  {one_line(node.speaker, 40)}", style="bold")
    shown.append(f"  {one_line(node.text, max(20, width - shown.cell_len - 2))}")
    return shown


def node_rows(node: Node) -> list[tuple[str, str]]:
    """Return every field of a node that says something, as (name, text)."""
    import json

    rows = [
        ("id", node.id), ("at", node.at.isoformat()), ("recorded at", node.recorded_at.isoformat()),
        ("kind", node.kind), ("speaker", node.speaker), ("role", node.role), ("session", node.session),
        ("user", node.user), ("agent", node.agent), ("tags", ", ".join(node.tags)),
        ("metadata", json.dumps(dict(node.metadata), ensure_ascii=False) if node.metadata else None),
        ("ref", " / ".join(node.ref) if node.ref else None),
        *((f"link: {link.kind}", link.target) for link in node.links),
        ("superseded by", node.superseded_by),
        ("expires at", node.expires_at.isoformat() if node.expires_at else None),
        ("pinned", "yes" if node.pinned else None),
        ("data", f"{len(node.data):,} bytes" if node.data is not None else None),
    ]  # fmt: skip
    return [(name, one_line(text)) for name, text in rows if text]


def _passage(hit: Hit) -> Text:
    """Return the text with its passage set off; a long text only around its passage."""
    from rich.text import Text

    start, end = max(0, hit.start), min(len(hit.text), hit.end)
    whole = not 0 <= start < end or (start, end) == (0, len(hit.text))
    if whole:
        start, end = 0, 0 if len(hit.text) <= TEXT_SHOWN_MAX else TEXT_SHOWN_MAX
    shown = Text()
    if len(hit.text) <= TEXT_SHOWN_MAX:
        before, after = hit.text[:start], hit.text[end:]
    else:
        first, last = max(0, start - AROUND), min(len(hit.text), end + AROUND)
        before = ("…" if first else "") + hit.text[first:start]
        after = hit.text[end:last] + ("…" if last < len(hit.text) else "")
    shown.append(printable(before))
    shown.append(printable(hit.text[start:end]), style="" if whole else "underline")
    shown.append(printable(after))
    return shown


def _why(hit: Hit) -> str:
    lanes = [f"{name} rank {lane.rank}, score {lane.score:.3f}" for name, lane in hit.lanes.items()]
    shares = [f"{name} {share:+.3f}" for name, share in hit.why.items()]
    return "; ".join((*lanes, *shares)) or "found by no lane of its own, only by its neighbours"
