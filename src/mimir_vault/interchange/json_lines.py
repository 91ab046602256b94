"""Nodes as JSON Lines: an export has one node a line, with every field that a caller sees."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mimir_vault.model.node import Node

if TYPE_CHECKING:
    from mimir_vault.reading import OpenedNode

FIRST_BYTES = b'{"id": "'
"""Every export begins so."""
_HIDDEN = re.compile("[\x7f-\x9f\u2028\u2029]")
"""Control characters that JSON would let through to a terminal, and line ends that only some programs know."""


def node_value(node: Node) -> dict[str, Any]:
    """Return every field of a node as plain JSON values; moments are ISO 8601, data is base64."""
    return {
        "id": node.id,
        "text": node.text,
        "at": node.at.isoformat(),
        "recorded_at": node.recorded_at.isoformat(),
        "kind": node.kind,
        "speaker": node.speaker,
        "role": node.role,
        "user": node.user,
        "agent": node.agent,
        "session": node.session,
        "tags": list(node.tags),
        "metadata": dict(node.metadata),
        "links": [{"kind": link.kind, "target": link.target} for link in node.links],
        "ref": None if node.ref is None else list(node.ref),
        "data": None if node.data is None else base64.b64encode(node.data).decode("ascii"),
        "superseded_by": node.superseded_by,
        "expires_at": None if node.expires_at is None else node.expires_at.isoformat(),
        "pinned": node.pinned,
    }


def line_of(node: Node, opened: OpenedNode, vectors: Mapping[tuple[str, int], Sequence[bytes]]) -> bytes:
    """Return the line of a node: its fields, `index` where it is not found by its text, and its owner's vectors.

    Args:
        node, opened: the same node, as a caller sees it and as it was sealed.
        vectors: by (name, dimension) of an embedder, the float32 bytes of each window.
    """
    value = node_value(node)
    if not opened.metadata.indexed:
        value["index"] = False
    elif opened.payload.passages is not None:
        value["index"] = list(opened.payload.passages)
    if vectors:
        value["vectors"] = [
            {"model": name, "dimension": dimension, "float32": base64.b64encode(b"".join(rows)).decode("ascii")}
            for (name, dimension), rows in vectors.items()
        ]
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return _HIDDEN.sub(lambda found: f"\\u{ord(found.group()):04x}", text).encode() + b"\n"
