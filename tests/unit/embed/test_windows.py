"""Windows: they fit the model, cover the text, overlap and cost nothing for short texts."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mimir_vault.embed.tokenizer import SPECIAL_TOKENS, Tokenizer
from mimir_vault.embed.windows import EXPANSION, LEAST_ROOM, OVERLAP, cut

FORMS = [
    ("", ""),
    ('Ada said, "', '"'),
    ('Maximilian Featherstonehaugh-Cholmondeley wrote to Ada: "', '" (in a letter)'),
]
LONG_TEXTS = st.lists(
    st.one_of(
        st.sampled_from(["harbour", "naïve", "x" * 99, "co-operation", "日本語", "한국어를", "1,284.50", "\0", "?!"]),
        st.text(),
    ),
    min_size=60,
    max_size=400,
).map(" ".join)


class Untouched(Tokenizer):
    """A tokenizer that must not be asked."""

    def __init__(self) -> None:
        self.max_tokens = 256


@settings(max_examples=60, deadline=None)
@given(LONG_TEXTS, st.sampled_from(FORMS))
def test_every_window_fits_with_prefix_and_suffix(tokenizer: Tokenizer, text: str, form: tuple[str, str]) -> None:
    """Prefix, window and suffix together never exceed the model's 256 tokens."""
    prefix, suffix = form

    windows = cut(tokenizer, text, prefix, suffix)

    counts = tokenizer.count([f"{prefix}{text[start:end]}{suffix}" for start, end in windows])
    assert max(counts) + SPECIAL_TOKENS <= tokenizer.max_tokens


@settings(max_examples=60, deadline=None)
@given(LONG_TEXTS)
def test_windows_cover_every_word_in_order(tokenizer: Tokenizer, text: str) -> None:
    """No word is left out or cut in two, and both ends of the windows go forward."""
    windows = cut(tokenizer, text)

    assert all(a[0] < b[0] and a[1] < b[1] for a, b in itertools.pairwise(windows))
    for word in tokenizer.words(text):
        assert any(start <= word.start and word.end <= end for start, end in windows)


def test_neighbours_share_the_overlap_and_are_even(tokenizer: Tokenizer) -> None:
    """A thousand one-token words: each window repeats 32 words of the one before, none is a short rest."""
    text = "harbour " * 1_000

    windows = cut(tokenizer, text)

    assert len(windows) == 5
    assert all((a[1] + 1 - b[0]) // 8 == OVERLAP for a, b in itertools.pairwise(windows))
    assert min(end - start for start, end in windows) > 0.9 * max(end - start for start, end in windows)


def test_without_overlap_windows_only_touch(tokenizer: Tokenizer) -> None:
    """With overlap 0 the next window begins at the next word."""
    windows = cut(tokenizer, "harbour " * 600, overlap=0)

    assert all(a[1] + 1 == b[0] for a, b in itertools.pairwise(windows))


@pytest.mark.parametrize("text", ["", "short", "s" * 254, "é" * (254 // EXPANSION)])
def test_obviously_short_texts_are_not_tokenised(text: str) -> None:
    """Where the number of characters settles it, the whole text is the window and the tokenizer is not asked."""
    assert cut(Untouched(), text) == [(0, len(text))]


def test_many_characters_may_be_few_tokens(tokenizer: Tokenizer) -> None:
    """A text of 2,000 characters that fits is one window."""
    text = "harbour " * 250

    assert cut(tokenizer, text) == [(0, len(text))]


@pytest.mark.parametrize("text", [" " * 5_000, "x" * 5_000, "\0" * 5_000])
def test_texts_without_words_to_cut_at_are_one_window(tokenizer: Tokenizer, text: str) -> None:
    """Blanks, control characters and one endless word give the whole text."""
    assert cut(tokenizer, text) == [(0, len(text))]


def test_characters_that_decompose_are_counted_in_parts(tokenizer: Tokenizer) -> None:
    """Two hundred syllables of Hangul, fewer than the tokens there is room for, fill more than one window."""
    text = "대한민국 " * 50

    (count,) = tokenizer.count([text])

    assert count > 254
    assert len(cut(tokenizer, text)) > 1


def test_a_form_that_leaves_no_room_is_refused(tokenizer: Tokenizer) -> None:
    """Prefix and suffix of more than the model reads raise ValueError."""
    prefix = "name " * (254 - LEAST_ROOM)

    assert cut(tokenizer, "harbour " * 300, prefix)
    with pytest.raises(ValueError, match="prefix and suffix"):
        cut(tokenizer, "harbour " * 300, prefix + "one ")


def test_an_overlap_is_at_most_a_quarter_of_a_window(tokenizer: Tokenizer) -> None:
    """A larger overlap would only multiply the windows; a negative one raises ValueError."""
    text = "harbour " * 1_000

    assert cut(tokenizer, text, overlap=10_000) == cut(tokenizer, text, overlap=254 // 4)
    with pytest.raises(ValueError, match="overlap"):
        cut(tokenizer, text, overlap=-1)
