"""Steps of the state machine of a vault that do something and compare at once."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from mimir_vault.memory import Memory

from .dictionary_space import PAST, Space


def hide(memory: Memory, space: Space, one: str, hidden: bool, grace: bool) -> None:
    """Hide a node, or keep it."""
    if hidden and grace:
        assert memory.forget(one, grace=timedelta(days=3_000)).on_disk == "hidden"
    else:
        node = memory.hide(one) if hidden else memory.keep(one)
        assert replace(node, superseded_by=None) == replace(space.nodes[one].node, superseded_by=None)
    space.change(one, hidden=hidden)
    there = not hidden and space.nodes[one].node.expires_at != PAST
    assert (memory.get(one) is not None) == there


def forgotten(memory: Memory, space: Space, ids: list[str], receipt: Any, on_disk: str = "erased") -> None:
    """Take nodes out of the dictionary and compare the receipt."""
    assert list(receipt.ids) == ids
    assert receipt.on_disk == on_disk
    for one in ids:
        del space.nodes[one]
        assert memory.get(one) is None


def purge(memory: Memory, space: Space) -> None:
    """Take out of the dictionary what closing has forgotten: only what had expired, and nothing hidden for a
    grace that still lasts."""
    with memory._space.read() as connection:
        there = {node_id.hex() for (node_id,) in connection.execute("SELECT id FROM node")}
    for one in [one for one in space.nodes if one not in there]:
        assert space.nodes[one].node.expires_at == PAST
        del space.nodes[one]
