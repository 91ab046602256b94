"""Nodes as a caller sees them: immutable, equal by value, usable in sets."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from datetime import UTC, datetime

import pytest

from mimir_vault.model.node import Node

NOW = datetime(2026, 5, 1, tzinfo=UTC)


def test_a_node_cannot_be_changed() -> None:
    """A node is what it was when it was read."""
    node = Node("0" * 64, "text", NOW, NOW)
    with pytest.raises(FrozenInstanceError):
        node.text = "other"  # type: ignore[misc]
    assert not hasattr(node, "__dict__")


def test_nodes_with_mappings_inside_can_stand_in_a_set() -> None:
    """The hash is the id's, so metadata (a mapping) does not stand in the way; equality compares all fields."""
    one = Node("0" * 64, "text", NOW, NOW, metadata={"a": 1})
    same = Node("0" * 64, "text", NOW, NOW, metadata={"a": 1})
    other = Node("0" * 64, "text", NOW, NOW, metadata={"a": 2})
    assert {one, same} == {one}
    assert one != other
    assert hash(one) == hash(other)


def test_what_is_not_given_is_empty() -> None:
    """A node without extras is a turn with nothing else to it."""
    node = Node("0" * 64, "text", NOW, NOW)
    assert (node.kind, node.tags, node.links, dict(node.metadata), node.pinned) == ("turn", (), (), {}, False)
    assert (node.speaker, node.role, node.user, node.agent, node.session) == (None,) * 5
    assert (node.ref, node.data, node.superseded_by, node.expires_at) == (None,) * 4
