"""The contract of an embedder, run over every embedder there is."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from mimir_vault.embed.embedder import CheckedEmbedder, Embedder, probe
from mimir_vault.embed.registry import NAMES, bundled
from mimir_vault.shared_embedder import SharedEmbedder
from mimir_vault.testing import HashEmbedder

TEXTS = ["The ferry leaves at noon.", "Le bac part à midi.", "", "The ferry leaves at noon.", "naïve 日本 " * 200]
EMBEDDERS: dict[str, Callable[[], Embedder]] = {
    **{name: lambda name=name: bundled(name) for name in NAMES},
    "checked bundled": lambda: CheckedEmbedder(bundled()),
    "checked stand-in": lambda: CheckedEmbedder(HashEmbedder()),
    "stand-in": HashEmbedder,
}


@pytest.fixture(scope="module", params=list(EMBEDDERS))
def embedder(request: pytest.FixtureRequest) -> Embedder:
    """Each embedder in turn."""
    return EMBEDDERS[request.param]()


def test_it_says_what_it_is(embedder: Embedder) -> None:
    """A name that is not empty and a dimension of at least one, the same at every look."""
    assert isinstance(embedder.name, str)
    assert embedder.name == embedder.name.strip() != ""
    assert embedder.dimension >= 1


def test_each_text_has_one_finite_row(embedder: Embedder) -> None:
    """float32 of shape (n, d), rows in the order of the texts and none of them zero."""
    vectors = embedder.embed(TEXTS)

    assert vectors.dtype == np.float32
    assert vectors.shape == (len(TEXTS), embedder.dimension)
    assert np.isfinite(vectors).all()
    assert (np.linalg.norm(vectors, axis=1) > 0).all()


def test_no_texts_have_no_rows(embedder: Embedder) -> None:
    """An empty sequence gives (0, d)."""
    assert embedder.embed([]).shape == (0, embedder.dimension)


def test_the_same_text_has_the_same_vector(embedder: Embedder) -> None:
    """Twice in a batch, alone, and in another order: cosine 0.999 at the least."""
    vectors = embedder.embed(TEXTS)
    backward = embedder.embed(TEXTS[::-1])[::-1]
    alone = np.concatenate([embedder.embed([text]) for text in TEXTS])

    for other in (backward, alone, vectors[[3, 1, 2, 0, 4]]):
        cosines = (vectors * other).sum(axis=1) / np.linalg.norm(vectors, axis=1) / np.linalg.norm(other, axis=1)
        assert cosines.min() >= 0.999


def test_it_is_known_again_by_its_probe(embedder: Embedder) -> None:
    """The probe sentence's vector identifies the model."""
    assert SharedEmbedder.is_like(probe(embedder), probe(embedder))
    assert np.isclose(np.linalg.norm(probe(embedder)), 1, atol=1e-5)
