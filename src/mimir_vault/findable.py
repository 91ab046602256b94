"""What nodes are found by: the terms of their text, and the vectors of its windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mimir_vault.embed.embedder import CheckedEmbedder
from mimir_vault.embed.windows import Window
from mimir_vault.index.quantise import to_rows
from mimir_vault.model.draft import BETWEEN_PASSAGES
from mimir_vault.recall.terms import count_terms
from mimir_vault.store.vectors import Model, NewVector
from mimir_vault.store.writer import Findable

SPEAKER_SHOWN = 64
"""Characters of a speaker's name that are embedded with the text."""


@dataclass(frozen=True, slots=True)
class Body:
    """What a node is found by: its text, or the passages given in its place (none for a node that is never found); who
    said it; and the unit vectors that its owner gave for it, float32 (n, d), in place of the embedder's."""

    passages: tuple[str, ...]
    speaker: str | None
    vectors: NDArray[np.float32] | None = None

    @property
    def text(self) -> str:
        """All of it, as passages are cut out of it."""
        return BETWEEN_PASSAGES.join(self.passages)


@dataclass(frozen=True, slots=True)
class Found:
    """Terms with their counts, and vectors as they are stored."""

    terms: dict[str, int]
    vectors: tuple[NewVector, ...]

    def by(self, model: Model | None) -> Findable:
        """Return this for the writer, with vectors of the given model."""
        return Findable(self.terms, model.code if model is not None else 0, self.vectors)


def embedded_form(speaker: str | None) -> tuple[str, str]:
    """Return prefix and suffix of the form a text is embedded in: `Ada said, "…"` finds 0.51 of the evidence in
    conversations where the bare text finds 0.32 (docs/decisions/0005-ranking.md)."""
    return (f'{speaker[:SPEAKER_SHOWN]} said, "', '"') if speaker else ("", "")


def find_by(embedder: CheckedEmbedder | None, bodies: Sequence[Body]) -> list[Found]:
    """Count the terms and embed the windows of texts, all in one call; without an embedder none is embedded."""
    windows: list[list[Window]] = []
    texts: list[str] = []
    for body in bodies:
        text, (prefix, suffix) = body.text, embedded_form(body.speaker)
        embedded = embedder is not None and body.vectors is None
        cut = _windows(embedder, body) if embedder is not None and embedded else []
        texts += [f"{prefix}{text[start:stop]}{suffix}" for start, stop in cut]
        windows.append(cut)
    rows = to_rows(embedder.embed(texts)) if embedder is not None and texts else np.empty((0, 0), np.uint8)
    found: list[Found] = []
    place = 0
    for body, cut in zip(bodies, windows, strict=True):
        if body.vectors is not None:
            vectors = _given(body, body.vectors)
        else:
            vectors = [NewVector(number, *window, rows[place + number].tobytes()) for number, window in enumerate(cut)]
            place += len(cut)
        found.append(Found(count_terms(body.text, body.speaker) if body.text else {}, tuple(vectors)))
    return found


def _windows(embedder: CheckedEmbedder, body: Body) -> list[Window]:
    """Return the windows to embed, as offsets into the whole body; no window reaches from one passage to the next."""
    form = embedded_form(body.speaker)
    cut: list[Window] = []
    begin = 0
    for passage in body.passages:
        if passage.strip():
            cut += [(begin + start, begin + stop) for start, stop in embedder.windows(passage, *form)]
        begin += len(passage) + len(BETWEEN_PASSAGES)
    return cut


def _given(body: Body, vectors: NDArray[np.float32]) -> list[NewVector]:
    """Return the owner's vectors: one for each passage where there are as many, else all of them for the whole body."""
    spans = [(0, len(body.text))] * len(vectors)
    if len(vectors) == len(body.passages) > 1:
        starts = np.cumsum([0, *(len(one) + len(BETWEEN_PASSAGES) for one in body.passages)]).tolist()
        spans = [(start, start + len(one)) for start, one in zip(starts[:-1], body.passages, strict=True)]
    rows = to_rows(vectors)
    return [NewVector(number, *span, rows[number].tobytes()) for number, span in enumerate(spans)]
