"""Nodes as Markdown for people: grouped by session, then by ref, every passage with its date and who said it."""

from __future__ import annotations

import json
import re

import numpy as np
from numpy.typing import NDArray

from mimir_vault.imported import is_made
from mimir_vault.model.node import Node
from mimir_vault.store import refs
from mimir_vault.viewed_space import ViewedSpace

FIRST_BYTES = b"# Export of the space "
"""Every export begins so."""
SHORT_ID_DIGITS = 12
"""Digits of an id that are shown: as many as the command line shows."""
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\u2028\u2029]")
"""Characters that steer a terminal, or make a line read otherwise than it is."""
_MARKUP = re.compile(r"([\\`*_\[\]<>#|])")
Group = tuple[str, ...]


def grouped(space: ViewedSpace, seqs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return nodes session by session, in the order in which sessions began; then by ref, then those without one."""
    with space.search() as (connection, index):
        places = index.columns.rows(seqs)
        threads = np.where(places >= 0, index.columns.facet("thread")[places], 0)
        rows = [(path, seq) for path, seq in refs.rows_under(connection, space.view.under) if _is_given(path)]
    in_session = threads != 0
    _, first, which = np.unique(threads[in_session], return_index=True, return_inverse=True)
    sessions = seqs[in_session][np.argsort(first[which], kind="stable")]
    alone = seqs[~in_session]
    by_ref = np.fromiter((seq for _, seq in rows), np.int64)
    by_ref = by_ref[np.isin(by_ref, alone)]
    return np.concatenate([sessions, by_ref, alone[~np.isin(alone, by_ref)]])


def _is_given(path: bytes) -> bool:
    return not is_made(refs.ref_of(path))


def title(space_name: str) -> bytes:
    """Return the first line."""
    return FIRST_BYTES + _inline(space_name).encode() + b"\n"


def group_of(node: Node) -> Group:
    """Return what a node stands under: its session, its ref, or nothing."""
    ref = () if node.ref is None or is_made(node.ref) else node.ref
    if node.session is not None:
        under = " / ".join(ref[:-1])
        return ("Session", node.session, f"user {node.user}" if node.user else "",
                f"agent {node.agent}" if node.agent else "", f"under {under}" if under else "")  # fmt: skip
    return ("Ref", " / ".join(ref)) if ref else ("Without session or ref",)


def heading(group: Group) -> bytes:
    """Return the heading of a group."""
    about = [part for part in group[2:] if part]
    more = f" ({_inline(', '.join(about))})" if about else ""
    return f"\n## {' '.join(_inline(part) for part in group[:2])}{more}\n".encode()


def passage(node: Node) -> bytes:
    """Return a node: a line that says when, who and what it is, and its text as a quotation."""
    parts = [f"**{node.at:%Y-%m-%d %H:%M} {node.at.isoformat()[-6:] if node.at.utcoffset() else 'UTC'}**"]
    parts += [_inline(name) for name in (node.speaker, node.role) if name is not None]
    if node.kind != "turn":
        parts.append(_inline(node.kind))
    parts.append(f"`{node.id[:SHORT_ID_DIGITS]}`")
    if node.session is not None and node.ref is not None and not is_made(node.ref):
        parts.append(f"ref {_inline(' / '.join(node.ref))}")
    if node.superseded_by is not None:
        parts.append(f"superseded by `{node.superseded_by[:SHORT_ID_DIGITS]}`")
    if node.pinned:
        parts.append("pinned")
    if node.tags:
        parts.append(f"tags {_inline(', '.join(node.tags))}")
    if node.expires_at is not None:
        parts.append(f"expires {node.expires_at:%Y-%m-%d %H:%M} UTC")
    if node.metadata:
        parts.append(f"metadata {_inline(json.dumps(dict(node.metadata), ensure_ascii=False))}")
    if node.data is not None:
        parts.append(f"{len(node.data):,} bytes of data that are not shown")
    quoted = "".join(f"> {line}".rstrip() + "\n" for line in _visible(node.text).replace("<", "\\<").split("\n"))
    return f"\n{' · '.join(parts)}\n\n{quoted if node.text else ''}".encode()


def _visible(text: str) -> str:
    return _CONTROL.sub(_spelled, text.replace("\r\n", "\n"))


def _inline(text: str) -> str:
    """Return a text on one line that Markdown shows as it is."""
    return _MARKUP.sub(r"\\\1", " ".join(_visible(text).split()))


def _spelled(found: re.Match[str]) -> str:
    code = ord(found.group())
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
