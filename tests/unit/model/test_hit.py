"""Hits: forwarded fields, a sequence that is quick to use, and a table in notebooks that runs no markup."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from mimir_vault.model.hit import Context, Hit, Hits, Lane
from mimir_vault.model.node import Node

AT = datetime(2026, 5, 1, 9, 30, tzinfo=UTC)


def hit(number: int, text: str = "I prefer window seats", speaker: str | None = "Ada") -> Hit:
    """Return a hit on a node of that number."""
    node = Node(f"{number:064x}", text, AT, AT, speaker=speaker, metadata={"city": "Turin"})
    return Hit(node, 1 / (1 + number), {"dense": Lane(0.5, 1)}, text[:8], 0, 8)


def test_a_hit_forwards_what_is_asked_most() -> None:
    """Id, text, moment, metadata and speaker are those of the node."""
    one = hit(3)
    assert (one.id, one.text, one.at, one.metadata, one.speaker) == (
        one.node.id, one.node.text, AT, {"city": "Turin"}, "Ada",
    )  # fmt: skip
    assert one.lanes["dense"] == Lane(score=0.5, rank=1)


def test_hits_are_a_list() -> None:
    """Length, places, slices, iteration, membership and comparison are those of a list; a part of hits is hits."""
    plain = [hit(0), hit(1), hit(2)]
    hits = Hits(plain)
    assert isinstance(hits, list)
    assert len(hits) == 3
    assert hits[0] is plain[0]
    assert hits[-1] is plain[2]
    assert isinstance(hits[:2], Hits)
    assert hits[:2] == plain[:2]
    assert list(hits) == plain
    assert list(reversed(hits)) == plain[::-1]
    assert plain[1] in hits
    assert hits == Hits(plain)
    assert hits != Hits(plain[:1])
    assert hits != "hits"
    assert not Hits([])
    assert repr(hits).startswith("[Hit(")
    with pytest.raises(TypeError, match="unhashable"):
        hash(hits)
    with pytest.raises(IndexError):
        hits[3]


def test_a_notebook_shows_a_table_in_which_memories_are_text() -> None:
    """Score, moment, speaker and passage stand in a row; markup in a memory is shown and not obeyed."""
    table = Hits([hit(0), Hit(hit(1, "<script>alert(1)</script>", "<b>Eve</b>").node, 0.25)])._repr_html_()
    assert "<td>1.00</td><td>2026-05-01 09:30</td><td>Ada</td><td>I prefer</td>" in table
    assert "<script>" not in table
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in table
    assert "&lt;b&gt;Eve" in table


def test_a_context_is_its_text_its_hits_and_its_cost() -> None:
    """Three values by name."""
    context = Context("text", Hits([]), 2)
    assert (context.text, list(context.hits), context.tokens) == ("text", [], 2)
