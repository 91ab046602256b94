"""What a memory can be asked: arguments are checked and parsed before anything is done."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from mimir_vault import Memory, Vault
from mimir_vault import readable_memory as module
from mimir_vault.model.filter import EVERYTHING
from mimir_vault.model.view import under_condition
from mimir_vault.readable_memory import CONTEXT_HITS, K_MAX, QUERY_BYTES_MAX, check_count


@pytest.fixture
def memory(vault: Vault) -> Memory:
    """An empty space."""
    return vault.space()


def test_the_limits_are_accepted(memory: Memory) -> None:
    """The largest k and the longest query."""
    memory.remember("x")
    assert len(memory.recall("x", k=K_MAX)) == 1
    assert memory.recall("x " * (QUERY_BYTES_MAX // 2), k=1)
    assert memory.recall("x", k=1, min_score=0)
    assert memory.context("x", budget=10_000_000).tokens > 0


def test_moments_are_parsed_for_the_recall(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    """As microseconds since 1970, None for none; everything else goes through as given."""
    asked: list[Any] = []
    monkeypatch.setattr(module.recalling, "recall", lambda space, query: asked.append(query))
    memory.recall(
        "x", k=3, as_of="1970-01-01T00:00:01Z", known_at=datetime(1970, 1, 1, 0, 0, 2, tzinfo=UTC), explain=True
    )
    memory.recall("y", lanes=["dense"], min_score=0.5, collapse=True)
    one, two = asked
    assert (one.text, one.k, one.as_of, one.known_at, one.explain) == ("x", 3, 1_000_000, 2_000_000, True)
    assert (one.lanes, one.min_score, one.collapse) == (("dense", "lexical"), None, False)
    assert (two.k, two.as_of, two.known_at, two.lanes, two.min_score, two.collapse) == (
        10,
        None,
        None,
        ("dense",),
        0.5,
        True,
    )


def test_a_context_is_built_from_collapsed_hits(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a recall with as many hits as a budget may take."""
    asked: list[Any] = []
    real = module.recalling.recall
    monkeypatch.setattr(module.recalling, "recall", lambda space, query: asked.append(query) or real(space, query))
    memory.remember("x")
    memory.context("x", user="ada")
    assert (asked[0].k, asked[0].collapse) == (CONTEXT_HITS, True)


def test_a_vector_is_checked_for_the_recall(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    """It goes on as one unit vector (d,); without one there is none."""
    asked: list[Any] = []
    monkeypatch.setattr(module.recalling, "recall", lambda space, query: asked.append(query))
    memory.recall("x", vector=[3.0] + 63 * [0.0])
    memory.recall("x", vector=np.full((1, 64), 2, np.int64))
    memory.recall("x")
    assert asked[0].vector.tolist() == [1.0] + 63 * [0.0]
    assert asked[1].vector.shape == (64,)
    assert np.isclose(np.linalg.norm(asked[1].vector), 1)
    assert asked[2].vector is None


def test_filters_are_parsed_within_the_view(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    """By recall, context, nodes and count alike."""
    asked: list[Any] = []
    monkeypatch.setattr(module.recalling, "recall", lambda space, query: asked.append(query.filter_) or [])
    monkeypatch.setattr(module.listing, "iterate", lambda space, filter_, *_, **__: asked.append(filter_))
    monkeypatch.setattr(module.listing, "count", lambda space, filter_: asked.append(filter_))
    monkeypatch.setattr(module.listing, "newest_hits", lambda space, filter_, *_: asked.append(filter_) or [])
    for given, expected in (({}, EVERYTHING), ({"under": ("a",)}, under_condition(("a",)))):
        asked.clear()
        memory.recall("x", **given)
        memory.context("x", **given)
        memory.context(**given)
        memory.nodes(**given)
        memory.count(**given)
        assert asked == [expected] * 5


@pytest.mark.parametrize("value", [1, 5])
def test_a_count_within_its_bounds_passes(value: int) -> None:
    """Both ends are in."""
    check_count(value, "k", 5)


@pytest.mark.parametrize(("value", "error"), [(0, ValueError), (6, ValueError), (True, TypeError), (1.0, TypeError)])
def test_a_count_outside_of_its_bounds_is_refused(value: Any, error: type[Exception]) -> None:
    """By its name."""
    with pytest.raises(error, match="k must be"):
        check_count(value, "k", 5)
