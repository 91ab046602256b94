"""The tokenizer: cutting, counting and words, on any text."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from mimir_vault.embed.tokenizer import PIECE, SLICE, SPECIAL_TOKENS, Tokenizer


def test_texts_are_cut_at_the_longest_input_and_keep_their_end_token(tokenizer: Tokenizer) -> None:
    """At most 256 ids, [CLS] first and [SEP] last."""
    short, long = tokenizer.encode(["two words", "word " * 5_000])

    assert len(short) == 4
    assert len(long) == 256
    assert (long[0], long[-1]) == (short[0], short[-1]) == (101, 102)


def test_more_texts_than_are_encoded_at_once_keep_their_order(tokenizer: Tokenizer) -> None:
    """Every text has its ids at its place, across the slices of encoding."""
    texts = [f"word {number}" for number in range(SLICE + 3)]

    ids = tokenizer.encode(texts)

    assert len(ids) == len(texts)
    assert ids[-1] == tokenizer.encode(texts[-1:])[0]
    assert ids[SLICE] != ids[SLICE - 1]


def test_counting_cuts_nothing(tokenizer: Tokenizer) -> None:
    """Five thousand words are five thousand tokens."""
    assert tokenizer.count(["word " * 5_000, "", "two words"]) == [5_000, 0, 2]


@given(st.text(max_size=60))
def test_words_and_counts_agree(tokenizer: Tokenizer, text: str) -> None:
    """The words' tokens add up to the count, and encoding adds only the special ones."""
    words = tokenizer.words(text)
    (count,) = tokenizer.count([text])

    assert sum(word.tokens for word in words) == count
    assert len(tokenizer.encode([text])[0]) == count + SPECIAL_TOKENS


@given(st.text(st.characters(codec=None), max_size=60))
def test_words_lie_in_order_inside_the_text(tokenizer: Tokenizer, text: str) -> None:
    """Lone surrogates included, words are ascending, apart and within the text."""
    words = tokenizer.words(text)

    assert all(0 <= word.start < word.end <= len(text) for word in words)
    assert all(before.end <= after.start for before, after in itertools.pairwise(words))


def test_a_long_text_has_the_words_of_its_pieces(tokenizer: Tokenizer) -> None:
    """Splitting at spaces for speed loses no word and shifts none."""
    text = "antidisestablishmentarianism, naturally! " * (PIECE // 10)
    pattern = tokenizer.words(text[:41])

    words = tokenizer.words(text)

    assert len(words) == len(pattern) * (PIECE // 10)
    last = words[-len(pattern) :]
    shift = len(text) - 41
    assert [(word.start - shift, word.end - shift, word.tokens) for word in last] == pattern


def test_an_endless_word_is_one_word(tokenizer: Tokenizer) -> None:
    """Text without any space is not cut in the middle for speed."""
    assert len(tokenizer.words("x" * (3 * PIECE))) == 1
