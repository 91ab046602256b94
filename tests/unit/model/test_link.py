"""Links: four kinds, and targets that are whole ids."""

from __future__ import annotations

import pytest

from mimir_vault.model.link import LINK_KINDS, Link, is_node_id

ID = "0123456789abcdef" * 4


def test_the_order_of_the_kinds_is_what_is_stored() -> None:
    """A kind's number is on disk in every node, so the order is fixed."""
    assert LINK_KINDS == ("follows", "derived_from", "supersedes", "about")


@pytest.mark.parametrize("kind", LINK_KINDS)
def test_a_link_keeps_kind_and_target(kind: str) -> None:
    """Every kind makes a link, and equal links are one in a set."""
    assert Link(kind, ID).target == ID
    assert {Link(kind, ID), Link(kind, ID)} == {Link(kind, ID)}


@pytest.mark.parametrize("kind", ["", "knows", "FOLLOWS", None, 0])
def test_an_unknown_kind_is_refused(kind: object) -> None:
    """The sentence names the kinds there are."""
    with pytest.raises(ValueError, match="one of follows, derived_from, supersedes, about"):
        Link(kind, ID)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "target", ["", ID[:-1], ID + "0", ID.upper(), "g" * 64, bytes(32), None, 5, "x" * 9_999, "\n" * 64, "٣" * 64]
)
def test_a_target_that_is_no_whole_id_is_refused(target: object) -> None:
    """Shortened, upper-case, long and non-text targets are a ValueError of one short sentence."""
    with pytest.raises(ValueError, match="64 hexadecimal digits") as caught:
        Link("about", target)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300
    assert not is_node_id(target)


def test_a_whole_id_is_one() -> None:
    """64 lowercase hexadecimal digits."""
    assert is_node_id(ID)
