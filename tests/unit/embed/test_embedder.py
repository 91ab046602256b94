"""The checked embedder: what it refuses, what it makes right, and the probe."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from mimir_vault.embed.embedder import PROBE_COSINE, VECTORS_MAX, CheckedEmbedder, probe
from mimir_vault.embed.minilm import MiniLM
from mimir_vault.testing import HashEmbedder


class Given:
    """An embedder that gives what it was told to give."""

    def __init__(self, result: Any, name: Any = "given", dimension: Any = 2) -> None:
        self.result, self.name, self.dimension = result, name, dimension

    def embed(self, texts: Sequence[str]) -> Any:
        """Return the result."""
        return self.result


class GivenQuestions(Given):
    """The same, with a way of its own for questions."""

    def embed_query(self, text: str) -> Any:
        """Return the result for a question."""
        return self.result


def test_rows_are_made_unit_length() -> None:
    """Any other length and any real type comes out as float32 of length one, in a new array."""
    given = np.array([[3, 4], [0, -2]], np.float64)

    vectors = CheckedEmbedder(Given(given)).embed(["a", "b"])

    assert vectors.dtype == np.float32
    assert np.allclose(vectors, [[0.6, 0.8], [0, -1]])
    assert given[0, 0] == 3


@pytest.mark.parametrize("length", [1e-40, 1e38])
def test_the_smallest_and_largest_lengths_keep_their_direction(length: float) -> None:
    """Neither underflow nor overflow spoils a row."""
    vectors = CheckedEmbedder(Given(np.array([[length, length]], np.float32))).embed(["a"])

    assert np.allclose(vectors, 0.5**0.5, atol=1e-4)


@pytest.mark.parametrize(
    "result",
    [
        np.array([[np.nan, 1]]),
        np.array([[np.inf, 1]]),
        np.array([[0.0, 0.0]]),
        np.ones((2, 2)),
        np.ones((1, 3)),
        np.ones(2),
        np.ones((1, 2), complex),
        np.array([["a", "b"]]),
        None,
    ],
)
def test_bad_vectors_are_refused(result: Any) -> None:
    """NaN, infinity, zero rows, other shapes and what is no number raise ValueError naming the embedder."""
    with pytest.raises(ValueError, match="given"):
        CheckedEmbedder(Given(result)).embed(["a"])
    with pytest.raises(ValueError, match="given"):
        CheckedEmbedder(GivenQuestions(result if result is None or result.ndim > 1 else np.ones(3))).embed_query("a")


@pytest.mark.parametrize(
    ("name", "dimension", "error"),
    [
        ("", 2, ValueError),
        (" ", 2, ValueError),
        (None, 2, TypeError),
        ("given", 0, ValueError),
        ("given", 65_537, ValueError),
        ("given", 2.0, TypeError),
        ("given", True, TypeError),
        ("given", None, TypeError),
    ],
)
def test_bad_embedders_are_refused(name: Any, dimension: Any, error: type[Exception]) -> None:
    """A name or dimension that makes no sense is refused before the first text."""
    with pytest.raises(error):
        CheckedEmbedder(Given(None, name, dimension))


def test_what_cannot_embed_is_refused() -> None:
    """An object without embed() raises TypeError."""
    with pytest.raises(TypeError, match="embed"):
        CheckedEmbedder(object())  # type: ignore[arg-type]


def test_no_texts_do_not_reach_the_embedder() -> None:
    """An empty sequence gives (0, d) without a call."""
    assert CheckedEmbedder(Given(None)).embed([]).shape == (0, 2)


def test_a_question_uses_embed_where_there_is_no_other_way() -> None:
    """Without embed_query() a question is embedded like any text, to shape (d,)."""
    assert np.allclose(CheckedEmbedder(Given([[3, 4]])).embed_query("a"), [0.6, 0.8])


@pytest.mark.parametrize("result", [np.array([3.0, 4.0]), np.array([[3.0, 4.0]])])
def test_a_question_uses_embed_query_where_there_is_one(result: Any) -> None:
    """embed_query() may give (d,) or (1, d); the question's vector is (d,) and has length one."""
    assert np.allclose(CheckedEmbedder(GivenQuestions(result)).embed_query("a"), [0.6, 0.8])


@pytest.mark.parametrize("texts", ["bare", [1]])
def test_what_is_no_text_is_refused(texts: Any) -> None:
    """A bare str and anything but str raise TypeError before the embedder sees them."""
    with pytest.raises(TypeError, match="embed"):
        CheckedEmbedder(Given(None)).embed(texts)
    with pytest.raises(TypeError, match="embed"):
        CheckedEmbedder(GivenQuestions(None)).embed_query(3)  # type: ignore[arg-type]


def test_windows_are_the_inner_embedders_or_the_whole(minilm: MiniLM) -> None:
    """MiniLM's windows pass through; an embedder that has none reads the whole text."""
    text = "harbour " * 600

    assert CheckedEmbedder(HashEmbedder()).windows(text) == [(0, len(text))]
    assert CheckedEmbedder(minilm).windows(text, 'Ada said, "', '"') == minilm.windows(text, 'Ada said, "', '"')


def test_the_probe_is_what_the_model_does() -> None:
    """A unit vector (d,), whatever the embedder is called."""
    stored = probe(HashEmbedder(64))

    assert stored.shape == (64,)
    assert np.isclose(np.linalg.norm(stored), 1, atol=1e-6)
    assert np.array_equal(stored, probe(HashEmbedder(64, name="renamed")))


def test_the_probe_of_the_bundled_model_is_stable(minilm: MiniLM) -> None:
    """Another instance with other settings is known as the same model."""
    assert float(probe(minilm) @ probe(MiniLM(threads=1))) >= PROBE_COSINE


def test_vectors_of_a_caller_become_rows_of_unit_length() -> None:
    """One (d,) or several (n, d), of any real type, lists too; what was given stays as it was."""
    embedder = CheckedEmbedder(Given(None))
    given = np.array([3, 4], np.int64)

    assert np.allclose(embedder.check(given, "vector"), [[0.6, 0.8]])
    assert embedder.check([[3.0, 4.0], [0.0, -2.0]], "vector").dtype == np.float32
    assert np.allclose(embedder.check([[3.0, 4.0], [0.0, -2.0]], "vector"), [[0.6, 0.8], [0, -1]])
    assert given.tolist() == [3, 4]
    assert len(embedder.check(np.ones((VECTORS_MAX, 2)), "vector")) == VECTORS_MAX


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (np.ones(3), r"vector has shape \(3,\).*\(2,\) or \(n, 2\)"),
        (np.ones((1, 1, 2)), "vector has shape"),
        (np.empty((0, 2)), "vector has shape"),
        (np.float32(1), "vector has shape"),
        ([[1.0, 2.0], [1.0]], "vector has shape"),
        (["a", "b"], "vector has shape"),
        ("ab", "vector has shape"),
        (np.ones(2, complex), "vector has shape"),
        ([True, False], "vector has shape"),
        ([np.nan, 1.0], "vector gave a vector with NaN or infinity"),
        ([np.inf, 1.0], "vector gave a vector with NaN or infinity"),
        ([[1.0, 1.0], [0.0, 0.0]], "vector gave a zero vector"),
        (np.ones((VECTORS_MAX + 1, 2)), "vector has 256 vectors, the most is 255"),
    ],
)
def test_bad_vectors_of_a_caller_are_refused(given: Any, sentence: str) -> None:
    """Another shape, no numbers, no direction or too many raise ValueError in one sentence."""
    with pytest.raises(ValueError, match=sentence):
        CheckedEmbedder(Given(None)).check(given, "vector")
