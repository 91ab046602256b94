"""Passages: the part of a long text that answers the query, as offsets into the text."""

from __future__ import annotations

import re
from collections.abc import Mapping

from mimir_vault.recall.terms import query_terms

PASSAGE_LENGTH = 320
"""Longest passage in characters, about three sentences; a text that is shorter is its own passage."""

_SENTENCE_END = re.compile(r"(?<=[.!?…])[\"'”’)\]]*\s+|(?<=[。！？])|\n+")


def find_passage(text: str, weights: Mapping[str, float], window: tuple[int, int] | None = None) -> tuple[int, int]:
    """Return [start, end) of the passage of a text that matches best, at most `PASSAGE_LENGTH` characters long.

    Args:
        text: the node's text.
        weights: the query's terms and how much each says (idf); empty for none.
        window: [start, end) of the window whose vector matched; the passage lies in it. The whole text otherwise.
    """
    low, high = window if window is not None else (0, len(text))
    low = min(max(0, low), len(text))
    low, high = _trimmed(text, low, min(max(low, high), len(text)))
    if high - low <= PASSAGE_LENGTH:
        return low, high
    spans = _sentences(text, low, high)
    found = [set(query_terms(text[start:end])) & weights.keys() for start, end in spans]
    best, best_weight, best_length = (0, 0), -1.0, 0
    for first in range(len(spans)):
        held: set[str] = set()
        for last in range(first, len(spans)):
            length = spans[last][1] - spans[first][0]
            if length > PASSAGE_LENGTH:
                break
            held |= found[last]
            weight = sum(weights[term] for term in held)
            if weight > best_weight or (weight == best_weight > 0 and length < best_length):
                best, best_weight, best_length = (first, last), weight, length
    first, last = _widened(spans, *best)
    return spans[first][0], spans[last][1]


def _sentences(text: str, low: int, high: int) -> list[tuple[int, int]]:
    """Return the sentences of a part of a text; one that is longer than a passage is cut at spaces."""
    ends = [match.end() for match in _SENTENCE_END.finditer(text, low, high)]
    spans: list[tuple[int, int]] = []
    start = low
    for end in [*ends, high]:
        while end - start > PASSAGE_LENGTH:
            space = text.rfind(" ", start + 1, start + PASSAGE_LENGTH)
            cut = space if space > start else start + PASSAGE_LENGTH
            spans.append(_trimmed(text, start, cut))
            start = cut
        spans.append(_trimmed(text, start, end))
        start = end
    return [span for span in spans if span[1] > span[0]] or [(low, min(high, low + PASSAGE_LENGTH))]


def _widened(spans: list[tuple[int, int]], first: int, last: int) -> tuple[int, int]:
    """Add whole sentences, the following before the preceding, while the passage stays short enough."""
    while True:
        if last + 1 < len(spans) and spans[last + 1][1] - spans[first][0] <= PASSAGE_LENGTH:
            last += 1
        elif first > 0 and spans[last][1] - spans[first - 1][0] <= PASSAGE_LENGTH:
            first -= 1
        else:
            return first, last


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end
