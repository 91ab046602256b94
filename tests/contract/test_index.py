"""One suite over all ways to find vectors: the exact path, the sketch that scans, the sketch with its graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import pytest
from numpy.typing import NDArray

from mimir_vault.index.exact import Exact
from mimir_vault.index.quantise import Frozen, to_rows
from mimir_vault.index.sketch import Sketch

DIMENSION = 384
COUNT = 2_000
CANDIDATES = 200


class Finder(Protocol):
    """What every index can do, by vid."""

    def add(self, vids: Sequence[int], vectors: NDArray[np.float32]) -> None: ...

    def search(self, query: NDArray[np.float32], count: int) -> list[int]: ...

    def remove(self, vids: Sequence[int]) -> None: ...

    def __len__(self) -> int: ...


class ByExact:
    """The exact path, one vector to a node."""

    def __init__(self) -> None:
        self._exact = Exact(DIMENSION)

    def add(self, vids: Sequence[int], vectors: NDArray[np.float32]) -> None:
        self._exact.add(np.array(vids), np.array(vids), to_rows(vectors))

    def search(self, query: NDArray[np.float32], count: int) -> list[int]:
        found: list[int] = self._exact.search(query, count).vids.tolist()
        return found

    def remove(self, vids: Sequence[int]) -> None:
        self._exact.remove(list(vids))

    def __len__(self) -> int:
        return len(self._exact)


class BySketch:
    """The sketch, with a graph from `graph_from` codes on."""

    def __init__(self, graph_from: int) -> None:
        self._frozen = Frozen(np.zeros(DIMENSION, np.float32))
        self._sketch = Sketch(self._frozen.code_bytes, graph_from=graph_from)

    def add(self, vids: Sequence[int], vectors: NDArray[np.float32]) -> None:
        self._sketch.add(list(vids), list(vids), self._frozen.codes(vectors))
        while self._sketch.extend_graph(500):
            pass

    def search(self, query: NDArray[np.float32], count: int) -> list[int]:
        found: list[int] = self._sketch.search(self._frozen.codes(query), count)[0].tolist()
        return found

    def remove(self, vids: Sequence[int]) -> None:
        self._sketch.remove(list(vids))

    def __len__(self) -> int:
        return len(self._sketch)


@pytest.fixture(params=[ByExact, lambda: BySketch(10**9), lambda: BySketch(500)], ids=["exact", "scan", "graph"])
def finder(request: pytest.FixtureRequest) -> Finder:
    make: Callable[[], Finder] = request.param
    return make()


@pytest.fixture(scope="module")
def vectors() -> NDArray[np.float32]:
    """Vectors in clusters, as texts of a few topics are."""
    chance = np.random.default_rng(4)
    centres = chance.standard_normal((40, DIMENSION))
    made = centres[chance.integers(0, 40, COUNT)] + 0.8 * chance.standard_normal((COUNT, DIMENSION))
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)


def test_a_vector_finds_itself(finder: Finder, vectors: NDArray[np.float32]) -> None:
    """What was added is the first to be found by its own vector."""
    finder.add(range(10, 10 + COUNT), vectors)

    assert len(finder) == COUNT
    for place in range(0, COUNT, 97):
        assert finder.search(vectors[place], 3)[0] == place + 10


def test_the_best_are_among_the_candidates(finder: Finder, vectors: NDArray[np.float32]) -> None:
    """At least 97.5 % of the ten best by cosine are among 200 candidates."""
    finder.add(range(COUNT), vectors)
    found = 0
    for place in range(0, COUNT, 20):
        best = np.argsort(-(vectors @ vectors[place]))[:10]
        found += int(np.isin(best, finder.search(vectors[place], CANDIDATES)).sum())

    assert found >= 0.975 * 1_000


def test_what_is_removed_is_not_found(finder: Finder, vectors: NDArray[np.float32]) -> None:
    """Nor is anything lost that was not removed."""
    finder.add(range(COUNT), vectors)
    finder.remove(range(0, COUNT, 10))

    assert len(finder) == COUNT * 9 // 10
    for place in range(0, 200, 5):
        found = finder.search(vectors[place], 20)
        assert not any(vid % 10 == 0 for vid in found)
        assert place % 10 == 0 or found[0] == place


def test_no_more_is_found_than_there_is(finder: Finder, vectors: NDArray[np.float32]) -> None:
    """An empty index finds nothing, a small one all it has, each once."""
    assert finder.search(vectors[0], 5) == []
    finder.add([7, 3], vectors[:2])

    assert sorted(finder.search(vectors[0], 5)) == [3, 7]
    assert finder.search(vectors[0], 0) == []
