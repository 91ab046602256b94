"""What nodes are found by: terms of the text and its speaker, and one vector for each window."""

from __future__ import annotations

from typing import Any

import numpy as np

from mimir_vault.embed.embedder import CheckedEmbedder
from mimir_vault.findable import SPEAKER_SHOWN, Body, embedded_form, find_by
from mimir_vault.index.quantise import cosines
from mimir_vault.store.vectors import Model
from mimir_vault.testing import HashEmbedder


class Noting(HashEmbedder):
    """An embedder that notes what it is asked, and reads ten characters at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[list[str]] = []

    def embed(self, texts: Any) -> Any:
        """Note and embed."""
        self.asked.append(list(texts))
        return super().embed(texts)

    def windows(self, text: str, prefix: str, suffix: str) -> list[tuple[int, int]]:
        """Return windows of ten characters."""
        return [(start, min(start + 10, len(text))) for start in range(0, len(text), 10)]


def test_a_text_is_embedded_with_who_said_it() -> None:
    """In quotes; a long name is cut; without a speaker the bare text."""
    assert embedded_form("Ada") == ('Ada said, "', '"')
    assert embedded_form(None) == ("", "")
    assert embedded_form("") == ("", "")
    assert len(embedded_form("x" * 500)[0]) < SPEAKER_SHOWN + 20


def test_all_windows_of_all_texts_are_embedded_in_one_call() -> None:
    """Each in its form; vectors go to their nodes in order, with their places."""
    inner = Noting()
    bodies = [Body("short", None), Body("", "Ada"), Body("a text of 24 characters.", "Ada"), Body(" \n", None)]
    found = find_by(CheckedEmbedder(inner), bodies)
    assert inner.asked == [["short", 'Ada said, "a text of "', 'Ada said, "24 charact"', 'Ada said, "ers."']]
    assert [len(one.vectors) for one in found] == [1, 0, 3, 0]
    assert [(one.window, one.start, one.stop) for one in found[2].vectors] == [(0, 0, 10), (1, 10, 20), (2, 20, 24)]
    wanted = inner.embed(['Ada said, "24 charact"'])[0]
    stored = np.frombuffer(found[2].vectors[1].data, np.uint8)[None]
    assert cosines(wanted, stored)[0] > 0.99


def test_terms_are_counted_of_text_and_speaker() -> None:
    """Nothing for no text."""
    found = find_by(None, [Body("seat by the window seat", None), Body("hello", "Zenobia"), Body("", "Zenobia")])
    assert found[0].terms["seat"] == 2
    assert any("zenob" in term for term in found[1].terms)
    assert found[2].terms == {}


def test_without_an_embedder_there_are_no_vectors() -> None:
    """As a rebuild with another one at hand needs it."""
    assert [one.vectors for one in find_by(None, [Body("text", None)])] == [()]
    assert find_by(None, []) == []


def test_what_is_found_by_is_given_to_the_writer_with_its_model() -> None:
    """The code of the model, 0 for none."""
    (found,) = find_by(CheckedEmbedder(HashEmbedder()), [Body("text", None)])
    model = Model(7, "hash-64", 64, "", b"", None)
    assert found.by(model).model == 7
    assert found.by(model).vectors == found.vectors
    assert found.by(None).model == 0
