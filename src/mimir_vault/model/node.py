"""Nodes: one immutable memory each, as a caller sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from mimir_vault.model.link import Link


@dataclass(frozen=True, slots=True)
class Node:
    """One memory: what was remembered, when it happened (`at`) and when it was stored (`recorded_at`)."""

    id: str
    text: str
    at: datetime
    recorded_at: datetime
    kind: str = "turn"
    speaker: str | None = None
    role: str | None = None
    user: str | None = None
    agent: str | None = None
    session: str | None = None
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    links: tuple[Link, ...] = ()
    ref: tuple[str, ...] | None = None
    data: bytes | None = None
    superseded_by: str | None = None
    expires_at: datetime | None = None
    pinned: bool = False

    def __hash__(self) -> int:
        return hash(self.id)
