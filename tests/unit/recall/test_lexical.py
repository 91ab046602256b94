"""The lexical lane: which terms are fetched, and BM25 against a plain computation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimir_vault.recall.lexical import (
    COMMON_FROM,
    K1,
    LENGTH_PIVOT,
    B,
    TermPostings,
    best_rows,
    choose_terms,
    idf_mass,
    inverse_frequency,
    score_terms,
)  # fmt: skip


def postings(*found: tuple[int, int]) -> TermPostings:
    return TermPostings(np.array([row for row, _ in found], np.int64), np.array([n for _, n in found], np.uint8))


@given(st.lists(st.dictionaries(st.integers(0, 9), st.integers(1, 255), min_size=1), max_size=4))
def test_scores_are_those_of_bm25(terms: list[dict[int, int]]) -> None:
    """The vectorised sum equals the formula, term by term."""
    lengths = np.arange(10) * 40
    expected = np.zeros(10)
    for term in terms:
        idf = math.log(1 + (10 - len(term) + 0.5) / (len(term) + 0.5))
        for row, count in term.items():
            norm = K1 * (1 - B + B * lengths[row] / LENGTH_PIVOT)
            expected[row] += idf * count * (K1 + 1) / (count + norm)
    found = score_terms([postings(*term.items()) for term in terms], lengths, 10)

    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_nodes_that_are_gone_are_passed_over() -> None:
    """A row of -1 adds nothing to any node."""
    assert score_terms([postings((-1, 3), (1, 1))], np.array([5, 5, 5]), 3).nonzero()[0].tolist() == [1]


def test_rare_terms_go_first_and_the_budget_ends_them() -> None:
    """What falls out is what says least; at least one term is always sought."""
    counts = {"common": 900, "rare": 2, "some": 50, "unknown": 0}

    assert choose_terms(counts, 2_000, budget=100) == ["rare", "some"]
    assert choose_terms(counts, 2_000, budget=1) == ["rare"]
    assert choose_terms({}, 10) == []


@pytest.mark.parametrize(("nodes", "expected"), [(COMMON_FROM - 1, ["ada"]), (COMMON_FROM, [])])
def test_terms_in_half_of_all_nodes_are_left_out_of_large_spaces(nodes: int, expected: list[str]) -> None:
    """In a small space they cost nothing and still tell speakers apart."""
    assert choose_terms({"ada": nodes * 6 // 10}, nodes) == expected


def test_best_rows_are_allowed_positive_and_in_order() -> None:
    """Equal scores put the newer node first."""
    scores = np.array([0, 2, 5, 2, 9], np.float32)
    allowed = np.array([True, True, True, True, False])

    assert best_rows(scores, allowed, 2).tolist() == [2, 3]
    assert best_rows(scores, None, 9).tolist() == [4, 2, 3, 1]


def test_rare_terms_weigh_more_than_common_ones() -> None:
    """And a term that stands nowhere weighs most, for the query asked for it in vain."""
    assert inverse_frequency(1, 100) > inverse_frequency(50, 100) > inverse_frequency(100, 100) > 0
    assert idf_mass([0], 100) > idf_mass([1], 100)
    assert idf_mass([5, 3], 2) == pytest.approx(inverse_frequency(5, 5) + inverse_frequency(3, 3))
