"""Ranking: the pool, its order, and scores that mean something."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mimir_vault.recall.ranking import LANE_DEPTH, Evidence, Pool, Ranking, lane_depth, make_pool, rank, seeds


def rows(*values: int) -> np.ndarray:  # type: ignore[type-arg]
    return np.array(values, np.int64)


def ranked(
    dense: list[float], lexical: list[float], *, at: list[int] | None = None, eligible: list[bool] | None = None,
    lanes: tuple[str, ...] = ("dense", "lexical"), around: list[list[int]] | None = None, idf_sum: float = 10.0,
    threads: list[int] | None = None,
) -> Ranking:  # fmt: skip
    count = len(dense)
    pool = Pool(np.arange(count) + 100, np.ones(count, np.bool_))
    evidence = Evidence(
        np.array(dense, np.float32), np.array(lexical, np.float32), np.full(count, 10),
        np.array(at or [0] * count, np.int64),
        np.array(around if around is not None else [[-1] * 4] * count, np.int64).reshape(count, 4),
        np.array(eligible or [True] * count, np.bool_), np.array(threads or [0] * count),
    )  # fmt: skip
    return rank(pool, evidence, 0, idf_sum=idf_sum, lanes=lanes)


def test_the_pool_holds_each_node_once() -> None:
    """Found by both lanes or next to one's best, a node is one member; neighbours come after the core."""
    pool = make_pool(rows(5, 3), rows(3, 8), rows(-1, 3, 4, 4))

    assert pool.rows.tolist() == [3, 5, 8, 4]
    assert pool.core.tolist() == [True, True, True, False]


def test_seeds_are_the_best_of_each_lane() -> None:
    """Only they bring their neighbours."""
    assert seeds(np.arange(100), np.arange(200, 300)).tolist() == [*range(20), *range(200, 220)]
    assert (lane_depth(1), lane_depth(500)) == (LANE_DEPTH, 1_000)


def test_both_lanes_together_beat_one() -> None:
    """A node that both lanes find stands before those that one finds better."""
    found = ranked([0.6, 0.5, 0.1, 0.1], [0.0, 4.0, 5.0, 0.0])

    assert found.rows[0] == 101
    assert found.dense_ranks[0] == 2
    assert found.lexical_ranks[0] == 2
    assert found.lexical_ranks[found.rows.tolist().index(100)] == 0


def test_a_lane_that_is_not_asked_for_says_nothing() -> None:
    """`lanes` restricts to the lanes named."""
    assert ranked([0.9, 0.1], [0, 9], lanes=("lexical",)).rows[0] == 101
    assert ranked([0.9, 0.1], [0, 9], lanes=("dense",)).rows[0] == 100
    assert not np.nan_to_num(ranked([0.9, 0.1], [0, 9], lanes=("lexical",)).dense).any()


def test_a_neighbour_lifts_a_turn_over_a_stranger() -> None:
    """Of two equal turns the one beside a good hit comes first, and `why` says so."""
    found = ranked([0.9, 0.3, 0.3, 0.1], [0] * 4, around=[[-1] * 4, [-1] * 4, [-1, 100, -1, -1], [-1] * 4])

    assert found.rows.tolist()[:3] == [100, 102, 101]
    assert found.why(1)["neighbours"] > found.why(2)["neighbours"] == 0


def test_a_good_session_lifts_its_other_turns() -> None:
    """Of two equal turns the one from the session of the best hit comes first."""
    found = ranked([0.9, 0.3, 0.3, 0.1], [0] * 4, threads=[7, 8, 7, 8])

    assert found.rows.tolist()[:3] == [100, 102, 101]
    assert found.why(1)["session"] > found.why(2)["session"]


def test_those_who_may_not_be_hits_still_lend() -> None:
    """A filtered-out neighbour is in no answer, and its evidence is not lost."""
    around = [[-1] * 4, [-1] * 4, [-1, 100, -1, -1]]
    found = ranked([0.9, 0.3, 0.3], [0] * 3, eligible=[False, True, True], around=around)

    assert found.rows.tolist() == [102, 101]
    assert sorted(found.dense_ranks.tolist()) == [1, 2]


def test_of_equal_nodes_the_newer_comes_first() -> None:
    """By when it happened; at the same moment by when it came."""
    day = 86_400_000_000

    assert ranked([0.5, 0.5], [1, 1], at=[0, -90 * day]).rows.tolist() == [100, 101]
    assert ranked([0.5, 0.5], [1, 1]).rows.tolist() == [101, 100]


def test_scores_say_how_well_the_first_hit_matches() -> None:
    """A query that nothing answers gets low scores throughout."""
    good, bad = ranked([0.9, 0.2], [9.0, 0.0]), ranked([0.1, 0.0], [0.0, 0.0])

    assert good.scores[0] > 0.9
    assert bad.scores[0] < 0.2


def test_an_empty_pool_gives_no_hit() -> None:
    """Nothing found is an answer."""
    assert len(ranked([], []).rows) == 0


MEMBERS = st.tuples(st.floats(-1, 1) | st.just(float("nan")), st.floats(0, 50), st.booleans())


@given(st.lists(MEMBERS, min_size=1, max_size=20), st.floats(0, 100))
def test_scores_lie_between_0_and_1_and_fall(members: list[tuple[float, float, bool]], idf_sum: float) -> None:
    """Whatever the evidence: every eligible member once, scores never rising, and `why` adds up to the order."""
    dense, lexical, eligible = (list(part) for part in zip(*members, strict=True))
    found = ranked(dense, lexical, eligible=eligible, idf_sum=idf_sum)
    sums = [sum(found.why(place).values()) for place in range(len(found.rows))]

    assert sorted(found.rows.tolist()) == [place + 100 for place, may in enumerate(eligible) if may]
    assert all(0 <= score <= 1 for score in found.scores.tolist())
    assert all(a >= b - 1e-4 for a, b in pairwise(sums))
    assert (np.diff(found.scores) <= 1e-6).all()
