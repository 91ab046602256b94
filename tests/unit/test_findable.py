"""What nodes are found by: terms of the text and its speaker, and one vector for each window."""

from __future__ import annotations

from typing import Any

import numpy as np

from mimir_vault.embed.embedder import CheckedEmbedder
from mimir_vault.findable import SPEAKER_SHOWN, Body, embedded_form, find_by
from mimir_vault.index.quantise import cosines
from mimir_vault.store.vectors import Model
from mimir_vault.testing import HashEmbedder

LONG = "a text of 24 characters."


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
    bodies = [Body((text,), by) for text, by in (("short", None), ("", "Ada"), (LONG, "Ada"), (" \n", None))]
    found = find_by(CheckedEmbedder(inner), bodies)
    assert inner.asked == [["short", 'Ada said, "a text of "', 'Ada said, "24 charact"', 'Ada said, "ers."']]
    assert [len(one.vectors) for one in found] == [1, 0, 3, 0]
    assert [(one.window, one.start, one.stop) for one in found[2].vectors] == [(0, 0, 10), (1, 10, 20), (2, 20, 24)]
    wanted = inner.embed(['Ada said, "24 charact"'])[0]
    stored = np.frombuffer(found[2].vectors[1].data, np.uint8)[None]
    assert cosines(wanted, stored)[0] > 0.99


def test_terms_are_counted_of_text_and_speaker() -> None:
    """Nothing for no text."""
    bodies = [Body(("seat by the window seat",), None), Body(("hello",), "Zenobia"), Body(("",), "Zenobia")]
    found = find_by(None, [*bodies, Body((), "Zenobia")])
    assert found[0].terms["seat"] == 2
    assert any("zenob" in term for term in found[1].terms)
    assert found[2].terms == found[3].terms == {}


def test_without_an_embedder_there_are_no_vectors() -> None:
    """As a rebuild with another one at hand needs it."""
    assert [one.vectors for one in find_by(None, [Body(("text",), None)])] == [()]
    assert find_by(None, []) == []


def test_what_is_found_by_is_given_to_the_writer_with_its_model() -> None:
    """The code of the model, 0 for none."""
    (found,) = find_by(CheckedEmbedder(HashEmbedder()), [Body(("text",), None)])
    model = Model(7, "hash-64", 64, "", b"", None)
    assert found.by(model).model == 7
    assert found.by(model).vectors == found.vectors
    assert found.by(None).model == 0


def test_passages_are_embedded_one_by_one() -> None:
    """No window reaches from one to the next; offsets are into all of them joined; blank ones have none."""
    inner = Noting()
    body = Body(("one passage", "two", " ", "three"), None)
    assert body.text == "one passage\n\ntwo\n\n \n\nthree"
    (found,) = find_by(CheckedEmbedder(inner), [body])
    assert inner.asked == [["one passag", "e", "two", "three"]]
    shown = [body.text[one.start : one.stop] for one in found.vectors]
    assert shown == inner.asked[0]
    assert [one.window for one in found.vectors] == [0, 1, 2, 3]
    assert set(found.terms) == set(find_by(None, [Body(("one passage two three",), None)])[0].terms)


def given(count: int) -> Any:
    """Return unit vectors, (count, 64)."""
    return HashEmbedder().embed([f"{number}" for number in range(count)])


def test_given_vectors_stand_in_place_of_the_embedders() -> None:
    """The embedder is not asked for them, while others of the same call are embedded as ever."""
    inner = Noting()
    vectors = given(2)
    found = find_by(
        CheckedEmbedder(inner), [Body(("first",), None), Body(("text",), None, vectors), Body(("last",), None)]
    )
    assert inner.asked == [["first", "last"]]
    assert [len(one.vectors) for one in found] == [1, 2, 1]
    for number, one in enumerate(found[1].vectors):
        assert cosines(vectors[number], np.frombuffer(one.data, np.uint8)[None])[0] > 0.999
    wanted = inner.embed(["last"])[0]
    assert cosines(wanted, np.frombuffer(found[2].vectors[0].data, np.uint8)[None])[0] > 0.999
    assert find_by(None, [Body(("text",), None, vectors)])[0].vectors == found[1].vectors


def test_given_vectors_stand_for_passages_where_there_are_as_many() -> None:
    """One for each; otherwise each stands for the whole body."""
    body = Body(("one", "two!"), None, given(2))
    (found,) = find_by(None, [body])
    assert [body.text[one.start : one.stop] for one in found.vectors] == ["one", "two!"]
    for passages, count in ((("one", "two!"), 3), (("one", "two!"), 1), (("one",), 2), (("one",), 1), ((), 1)):
        body = Body(passages, None, given(count))
        (found,) = find_by(None, [body])
        assert [(one.window, one.start, one.stop) for one in found.vectors] == [
            (number, 0, len(body.text)) for number in range(count)
        ]


def test_a_node_whose_vectors_are_there_gets_none() -> None:
    """An empty array in place of vectors: it is not embedded."""
    inner = Noting()
    (found,) = find_by(CheckedEmbedder(inner), [Body(("text",), None, np.empty((0, 1), np.float32))])
    assert (found.vectors, inner.asked) == ((), [])
    assert found.terms
