"""Windows: the several vectors of a long text, reduced to one score for its node before anything is cut."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

WINDOW_DISCOUNT = 0.1
"""Taken off the best window's cosine, times ln(number of windows): the best of many is high by chance alone. On long
technical chats the best of all windows finds 0.51 of the evidence, the first alone 0.59, the discounted best 0.62."""


class NodeScores(NamedTuple):
    """Nodes with their dense score and the vector that gave it; arrays of one length, best first or by seq."""

    seqs: NDArray[np.int64]
    scores: NDArray[np.float32]
    vids: NDArray[np.int64]

    def best(self, count: int) -> NodeScores:
        """Return the `count` highest, best first; of equal ones the newer first."""
        if len(self.seqs) > count > 0:
            kept = self.scores >= np.partition(self.scores, -count)[-count]
            found = self.among(kept)
        else:
            found = self
        order = np.lexsort((-found.seqs, -found.scores))[: max(count, 0)]
        return NodeScores(found.seqs[order], found.scores[order], found.vids[order])

    def among(self, kept: NDArray[np.bool_]) -> NodeScores:
        """Return the nodes that a mask (n,) keeps, in the same order."""
        return NodeScores(self.seqs[kept], self.scores[kept], self.vids[kept])


def no_scores() -> NodeScores:
    """Return no node at all."""
    return NodeScores(np.empty(0, np.int64), np.empty(0, np.float32), np.empty(0, np.int64))


def discount(windows: NDArray[Any]) -> NDArray[np.float32]:
    """Return what is taken off the best cosine of nodes with so many windows each; nothing for one."""
    if bool((windows <= 1).all()):
        return np.zeros(len(windows), np.float32)
    taken: NDArray[np.float32] = (WINDOW_DISCOUNT * np.log(np.maximum(windows, 1))).astype(np.float32)
    return taken


def reduce_windows(
    seqs: NDArray[np.int64], cosines: NDArray[np.float32], vids: NDArray[np.int64], windows: NDArray[Any]
) -> NodeScores:
    """Return one score per node, by ascending seq: the best cosine of its vectors less the discount.

    Args:
        seqs, cosines, vids: one of each per vector, (n,), in any order; a node may come with some of its vectors only.
        windows: how many vectors the node of each vector has in all, (n,).
    """
    if len(seqs) > 1 and not bool((seqs[1:] > seqs[:-1]).all()):
        order = np.lexsort((-cosines, seqs))
        first = np.concatenate([[True], seqs[order][1:] != seqs[order][:-1]])
        best = order[first]
        seqs, cosines, vids, windows = seqs[best], cosines[best], vids[best], windows[best]
    return NodeScores(seqs, (cosines - discount(windows)).astype(np.float32), vids)
