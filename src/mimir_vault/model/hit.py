"""Hits: recalled nodes with their scores and why, and the context built of them."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, SupportsIndex, overload

from mimir_vault.model.node import Node


@dataclass(frozen=True, slots=True)
class Lane:
    """How one lane found a node: its raw score there (dense: cosine; lexical: BM25) and its rank, 1 for the best."""

    score: float
    rank: int


@dataclass(frozen=True, slots=True)
class Hit:
    """A recalled node: `score` 0..1 falls with rank and compares within one query; `passage` is what matched.

    `start` and `end` are character offsets of the passage in `node.text`.
    """

    node: Node
    score: float
    lanes: Mapping[str, Lane] = field(default_factory=dict)
    passage: str = ""
    start: int = 0
    end: int = 0
    why: Mapping[str, float] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The node's id."""
        return self.node.id

    @property
    def text(self) -> str:
        """The node's whole text."""
        return self.node.text

    @property
    def at(self) -> datetime:
        """When it happened."""
        return self.node.at

    @property
    def metadata(self) -> Mapping[str, Any]:
        """The node's metadata."""
        return self.node.metadata

    @property
    def speaker(self) -> str | None:
        """Who said it."""
        return self.node.speaker


class Hits(list[Hit]):
    """The hits of one recall, best first: a list that notebooks show as a table."""

    @overload
    def __getitem__(self, place: SupportsIndex) -> Hit: ...
    @overload
    def __getitem__(self, place: slice) -> Hits: ...
    def __getitem__(self, place: SupportsIndex | slice) -> Hit | Hits:
        return Hits(super().__getitem__(place)) if isinstance(place, slice) else super().__getitem__(place)

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{hit.score:.2f}</td><td>{hit.at:%Y-%m-%d %H:%M}</td><td>{html.escape(hit.speaker or '')}</td>"
            f"<td>{html.escape(hit.passage or hit.text)}</td></tr>"
            for hit in self
        )
        return f"<table><tr><th>score</th><th>at</th><th>speaker</th><th>passage</th></tr>{rows}</table>"


@dataclass(frozen=True, slots=True)
class Context:
    """Passages for a prompt: `text` holds them dated and quoted, `tokens` is what the text costs."""

    text: str
    hits: Hits
    tokens: int
