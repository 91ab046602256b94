"""What nodes are found by: the terms of their text, and the vectors of its windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mimir_vault.embed.embedder import CheckedEmbedder
from mimir_vault.index.quantise import to_rows
from mimir_vault.recall.terms import count_terms
from mimir_vault.store.vectors import Model, NewVector
from mimir_vault.store.writer import Findable

SPEAKER_SHOWN = 64
"""Characters of a speaker's name that are embedded with the text."""


@dataclass(frozen=True, slots=True)
class Body:
    """A text to be found by ("" for none), and who said it."""

    text: str
    speaker: str | None


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
    """Count the terms and embed the windows of texts, all in one call; without an embedder there are no vectors."""
    forms = [embedded_form(body.speaker) for body in bodies]
    windows = [
        embedder.windows(body.text, *form) if embedder is not None and body.text.strip() else []
        for body, form in zip(bodies, forms, strict=True)
    ]
    texts = [
        f"{prefix}{body.text[start:stop]}{suffix}"
        for body, (prefix, suffix), cut in zip(bodies, forms, windows, strict=True)
        for start, stop in cut
    ]
    rows = to_rows(embedder.embed(texts)) if embedder is not None and texts else np.empty((0, 0), np.uint8)
    found: list[Found] = []
    place = 0
    for body, cut in zip(bodies, windows, strict=True):
        made = (
            NewVector(number, start, stop, rows[place + number].tobytes()) for number, (start, stop) in enumerate(cut)
        )
        found.append(Found(count_terms(body.text, body.speaker) if body.text else {}, tuple(made)))
        place += len(cut)
    return found
