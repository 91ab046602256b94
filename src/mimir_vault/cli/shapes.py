"""Shapes: nodes, hits and receipts as the plain JSON values that `--json` prints."""

from __future__ import annotations

import base64
from typing import Any

from mimir_vault.model.hit import Context, Hit
from mimir_vault.model.node import Node
from mimir_vault.model.receipt import Receipt


def node_value(node: Node) -> dict[str, Any]:
    """Return every field of a node; moments are ISO 8601, data is base64."""
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


def hit_value(hit: Hit) -> dict[str, Any]:
    """Return a hit: its score and why, and its node."""
    return {
        "score": float(hit.score),
        "passage": hit.passage,
        "start": hit.start,
        "end": hit.end,
        "lanes": {name: {"score": float(lane.score), "rank": lane.rank} for name, lane in hit.lanes.items()},
        "why": {name: float(share) for name, share in hit.why.items()},
        **node_value(hit.node),
    }


def context_value(context: Context) -> dict[str, Any]:
    """Return a context: its text, what it costs and the ids it holds."""
    return {"text": context.text, "tokens": context.tokens, "ids": [hit.id for hit in context.hits]}


def receipt_value(receipt: Receipt) -> dict[str, Any]:
    """Return every field of a receipt."""
    return {
        "ids": list(receipt.ids),
        "at": receipt.at,
        "generation_before": receipt.generation_before,
        "generation_after": receipt.generation_after,
        "digest": receipt.digest,
        "on_disk": receipt.on_disk,
        "current_again": list(receipt.current_again),
        "dry_run": receipt.dry_run,
        "due": receipt.due,
        "out_of_reach": receipt.out_of_reach,
    }
