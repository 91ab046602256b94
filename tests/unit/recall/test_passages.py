"""Passages: the part of a long text that answers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mimir_vault.recall.passages import PASSAGE_LENGTH, find_passage

FILLER = "The weather was mild and nobody said much about it. " * 20


def test_a_short_text_is_its_own_passage() -> None:
    """Without the space around it."""
    assert find_passage("  I like it. ", {}) == (2, 12)


def test_the_sentence_with_the_rare_words_is_found() -> None:
    """Whole sentences, with as much around them as fits."""
    text = f"{FILLER}Ada keeps the spare key under the blue pot. {FILLER}"
    start, end = find_passage(text, {"spar": 4.0, "key": 3.0, "the": 0.1})

    assert "spare key under the blue pot." in text[start:end]
    assert end - start <= PASSAGE_LENGTH
    assert text[start - 2 : start] == ". "


def test_the_passage_lies_in_the_window() -> None:
    """The window whose vector matched bounds the search."""
    text = f"The key is here. {FILLER}The key is there. {FILLER}"
    place = text.index("The key is there")
    start, end = find_passage(text, {"key": 2.0}, (place - 400, len(text)))

    assert start >= place - 400
    assert "is there" in text[start:end]


@given(st.text(alphabet="ab. !\n。é ", max_size=1_500), st.tuples(st.integers(-5, 1_600), st.integers(-5, 1_600)))
def test_offsets_always_name_a_part_of_the_text(text: str, window: tuple[int, int]) -> None:
    """Any text and window give offsets inside the text, in order and not too far apart."""
    start, end = find_passage(text, {"ab": 1.0}, (min(window), max(window)))

    assert 0 <= start <= end <= len(text) or not text
    assert end - start <= PASSAGE_LENGTH
    assert text[start:end] == text[start:end].strip()
