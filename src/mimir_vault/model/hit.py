"""Hits: recalled nodes with their scores and why, and the context built of them."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, overload

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


class Hits(Sequence[Hit]):
    """The hits of one recall, best first: a sequence that notebooks show as a table."""

    def __init__(self, hits: Sequence[Hit]) -> None:
        self._hits = tuple(hits)

    def __len__(self) -> int:
        return len(self._hits)

    @overload
    def __getitem__(self, place: int) -> Hit: ...
    @overload
    def __getitem__(self, place: slice) -> Hits: ...
    def __getitem__(self, place: int | slice) -> Hit | Hits:
        return Hits(self._hits[place]) if isinstance(place, slice) else self._hits[place]

    def __iter__(self) -> Iterator[Hit]:
        return iter(self._hits)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Hits):
            return self._hits == other._hits
        return isinstance(other, list) and list(self._hits) == other

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"[{', '.join(repr(hit) for hit in self._hits)}]"

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{hit.score:.2f}</td><td>{hit.at:%Y-%m-%d %H:%M}</td><td>{html.escape(hit.speaker or '')}</td>"
            f"<td>{html.escape(hit.passage or hit.text)}</td></tr>"
            for hit in self._hits
        )
        return f"<table><tr><th>score</th><th>at</th><th>speaker</th><th>passage</th></tr>{rows}</table>"


@dataclass(frozen=True, slots=True)
class Context:
    """Passages for a prompt: `text` holds them dated and quoted, `tokens` is what the text costs."""

    text: str
    hits: Hits
    tokens: int
