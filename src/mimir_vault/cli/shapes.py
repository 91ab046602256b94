"""Shapes: nodes, hits and receipts as the plain JSON values that `--json` prints."""

from __future__ import annotations

from typing import Any

from mimir_vault.interchange.json_lines import node_value as node_value
from mimir_vault.model.hit import Context, Hit
from mimir_vault.model.receipt import Receipt


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
