"""The shared embedder: made once, checked, and known by its vector of the probe sentence."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from mimir_vault.embed.embedder import PROBE_COSINE, PROBE_SENTENCE, probe
from mimir_vault.shared_embedder import SharedEmbedder
from mimir_vault.testing import HashEmbedder


class Counted(HashEmbedder):
    """A hash embedder that counts what it embeds."""

    def __init__(self) -> None:
        super().__init__()
        self.embedded: list[str] = []

    def embed(self, texts: Sequence[str]) -> Any:
        """Embed, and take note of the texts."""
        self.embedded += texts
        return super().embed(texts)


def test_what_is_given_is_checked_and_kept() -> None:
    """The same checked embedder at every call; what is no embedder is a TypeError."""
    given = HashEmbedder(16)
    shared = SharedEmbedder(given)
    assert shared.get() is shared.get()
    assert (shared.get().inner, shared.get().dimension) == (given, 16)
    with pytest.raises(TypeError, match=r"needs \.name, \.dimension and \.embed"):
        SharedEmbedder(object()).get()  # type: ignore[arg-type]


def test_the_bundled_model_stands_in_where_none_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is made when it is first asked for, once, however many threads ask at the same time."""
    made: list[HashEmbedder] = []

    def make() -> HashEmbedder:
        made.append(HashEmbedder(8))
        return made[-1]

    monkeypatch.setattr("mimir_vault.embed.registry.bundled", make)
    shared = SharedEmbedder(None)
    assert made == []
    threads = [threading.Thread(target=shared.get) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert shared.get().inner is made[0]
    assert len(made) == 1


def test_the_bundled_model_is_known_before_it_is_loaded() -> None:
    """Its name and dimension cost nothing."""
    assert SharedEmbedder(None).get().name == "all-MiniLM-L6-v2"
    assert SharedEmbedder(None).get().dimension == 384


def test_the_probe_is_reckoned_once() -> None:
    """As float32 bytes, little-endian, of the probe sentence's unit vector."""
    given = Counted()
    shared = SharedEmbedder(given)
    assert np.array_equal(np.frombuffer(shared.probe(), "<f4"), probe(HashEmbedder()))
    assert shared.probe() == shared.probe()
    assert given.embedded == [PROBE_SENTENCE]


def test_it_knows_the_object_it_was_given() -> None:
    """Another object that is alike in all is not the same."""
    given = HashEmbedder()
    assert SharedEmbedder(given).is_of(given)
    assert not SharedEmbedder(given).is_of(HashEmbedder())
    assert not SharedEmbedder(None).is_of(given)


def test_it_says_whether_it_is_a_spaces_own() -> None:
    """Home unless a view brought it along."""
    assert SharedEmbedder(None).is_home
    assert not SharedEmbedder(HashEmbedder(), is_home=False).is_home


def test_probes_tell_models_apart() -> None:
    """The same model gives its probe again; another one, of the same or another dimension, does not."""
    stored = probe(HashEmbedder(64))
    assert SharedEmbedder.is_like(stored, probe(HashEmbedder(64, name="renamed")))
    assert not SharedEmbedder.is_like(stored, probe(HashEmbedder(32)))
    assert not SharedEmbedder.is_like(-stored, stored)


@pytest.mark.parametrize(("cosine", "alike"), [(1.0, True), (PROBE_COSINE + 1e-5, True), (PROBE_COSINE - 1e-5, False)])
def test_a_probe_may_differ_as_much_as_the_runtime_does(cosine: float, alike: bool) -> None:
    """Above the bound it is the same model, below another one."""
    stored = np.array([1, 0], np.float32)
    ours = np.array([cosine, (1 - cosine**2) ** 0.5], np.float32)
    assert SharedEmbedder.is_like(stored, ours) is alike
