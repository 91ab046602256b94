"""The bundled model: parity with the float weights, independence of batch and threads, odd texts, loading."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimir_vault.embed.minilm import MiniLM, plan_batches

FOLDER = Path(__file__).parent
SENTENCES = (FOLDER / "sentences.txt").read_text(encoding="utf-8").splitlines()
LEAST_PARITY = 0.985
"""Cosine to the float vectors; 0.9900 ("Yes.") was the least measured on these sentences."""


def test_vectors_are_those_of_the_published_weights(minilm: MiniLM) -> None:
    """Rounding to int8 turns no sentence's vector away from the one the float weights give."""
    references = np.load(FOLDER / "references.npy").astype(np.float32)

    cosines = (minilm.embed(SENTENCES) * references).sum(axis=1)

    assert cosines.min() >= LEAST_PARITY
    assert cosines.mean() >= 0.995


def test_vectors_are_float32_unit_rows(minilm: MiniLM) -> None:
    """The shape is (n, 384) and every row has length one."""
    vectors = minilm.embed(SENTENCES)

    assert vectors.dtype == np.float32
    assert vectors.shape == (len(SENTENCES), 384)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_a_vector_does_not_depend_on_its_batch_mates(minilm: MiniLM) -> None:
    """A text alone and among others, longer ones included, has the same vector."""
    alone = np.concatenate([minilm.embed([sentence]) for sentence in SENTENCES])

    assert (minilm.embed(SENTENCES) * alone).sum(axis=1).min() >= 0.9999


def test_order_threads_and_batch_size_change_nothing(minilm: MiniLM) -> None:
    """Rows come in the order of the texts, whatever runs side by side."""
    small = MiniLM(threads=1, batch_tokens=1)

    forward, backward = minilm.embed(SENTENCES * 8), small.embed(SENTENCES[::-1])

    assert (forward[: len(SENTENCES)] * backward[::-1]).sum(axis=1).min() >= 0.9999


def test_no_texts_give_no_rows(minilm: MiniLM) -> None:
    """An empty sequence gives an array of shape (0, 384)."""
    assert minilm.embed([]).shape == (0, 384)


def test_what_goes_beyond_the_longest_input_is_not_read(minilm: MiniLM) -> None:
    """Of 254 words and more after them, the first 254 count."""
    head = "harbour " * 254

    first, second = minilm.embed([head, head + "entirely different matter " * 50])

    assert np.array_equal(first, second)


@pytest.mark.parametrize("text", ["", " ", "\0", "a\0b", "\ud800", "x\udfffy", "x" * 10_000, "é" * 300, "한" * 300])
def test_odd_texts_have_vectors(minilm: MiniLM, text: str) -> None:
    """Empty texts, NUL, lone surrogates and endless words give unit vectors, no crash."""
    assert np.isclose(np.linalg.norm(minilm.embed([text])), 1, atol=1e-5)


def test_meaning_counts_more_than_words(minilm: MiniLM) -> None:
    """A question lies closer to its answer than to a sentence that shares its words."""
    question, answer, other = minilm.embed(
        ["Where does Ada like to sit?", "I prefer a place beside the window, Ada said.", "Ada does not like to cook."]
    )

    assert question @ answer > question @ other


@pytest.mark.parametrize("texts", ["a bare text", [b"bytes"], [None]])
def test_what_is_no_text_is_refused(minilm: MiniLM, texts: list[str]) -> None:
    """A bare str and anything but str raise TypeError."""
    with pytest.raises(TypeError, match="embed"):
        minilm.embed(texts)


@pytest.mark.parametrize("options", [{"threads": 0}, {"threads": -1}, {"batch_tokens": 0}])
def test_impossible_settings_are_refused(options: dict[str, int]) -> None:
    """Fewer than one thread or token raises ValueError."""
    with pytest.raises(ValueError, match="at least 1"):
        MiniLM(**options)


def test_loading_is_quiet_and_needs_no_network() -> None:
    """A fresh process embeds with sockets blocked and writes nothing to its error stream."""
    script = (
        "import socket\n"
        "def refuse(*given, **named): raise AssertionError('network')\n"
        "socket.socket = refuse\n"
        "from mimir_vault.embed.minilm import MiniLM\n"
        "print(MiniLM().embed(['quiet']).shape)\n"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert (done.stdout, done.stderr) == ("(1, 384)\n", "")


@given(st.lists(st.integers(2, 256), max_size=200), st.integers(1, 2_000))
def test_batches_hold_each_row_once_and_keep_to_the_limit(lengths: list[int], limit: int) -> None:
    """Every row is in one batch, and only a single row may exceed the limit."""
    batches = plan_batches(lengths, limit)

    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(lengths[row] for row in batch) <= limit
