"""A space as a plain dictionary: what a vault should say, worked out the simple way."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from mimir_vault.model.node import Node

PAST = datetime(2020, 1, 1, tzinfo=UTC)
"""When all that expires at all has expired."""


@dataclass
class Known:
    """A node as the dictionary knows it: its value, its word, the nodes it superseded (ids, erased ones too), and
    whether it is hidden."""

    node: Node
    word: str
    superseded: set[str] = field(default_factory=set)
    hidden: bool = False


class Space:
    """A space as a plain dictionary."""

    def __init__(self) -> None:
        self.nodes: dict[str, Known] = {}
        self.ways: dict[str, set[str]] = {}

    def add(self, known: Known) -> None:
        """Take in a node."""
        self.nodes[known.node.id] = known
        self.ways[known.node.id] = known.superseded

    def copy(self) -> Space:
        """Return the same again."""
        again = Space()
        again.nodes, again.ways = dict(self.nodes), dict(self.ways)
        return again

    def change(self, node_id: str, **given: Any) -> None:
        """Replace what is known of a node, at its place."""
        self.nodes[node_id] = replace(self.nodes[node_id], **given)

    def holder(self, ref: tuple[str, ...] | None) -> str | None:
        """Return the id of the newest node of a ref."""
        found = [one for one, known in self.nodes.items() if ref is not None and known.node.ref == ref]
        return found[-1] if found else None

    def pointed_at(self, ref: tuple[str, ...] | None) -> str | None:
        """Return the id of the newest current node of a ref: what the ref points at."""
        found = [known.node.id for known in self.current() if ref is not None and known.node.ref == ref]
        return found[-1] if found else None

    def older(self, node_id: str) -> set[str]:
        """Return all that a node replaces, through others, erased or not."""
        edge, found = set(self.ways[node_id]), set()
        while edge:
            one = edge.pop()
            if one not in found:
                found.add(one)
                edge |= self.ways[one]
        return found

    def current(self) -> list[Known]:
        """Return what is neither hidden nor expired, oldest first."""
        return [known for known in self.nodes.values() if known.node.expires_at != PAST and not known.hidden]

    def visible(self, as_of: datetime | None = None, known_at: datetime | None = None) -> set[str]:
        """Return what a recall may give: current, there at that moment, and replaced by nothing that is."""
        there = [
            known.node.id
            for known in self.current()
            if (as_of is None or known.node.at <= as_of) and (known_at is None or known.node.recorded_at <= known_at)
        ]
        return set(there).difference(*(self.older(one) for one in there))

    def versions(self, node_id: str) -> list[str]:
        """Return the ids of all versions of a node but hidden ones, newest first."""
        found = {node_id}
        while True:
            more = {one for one in self.nodes if one in found or found & (self.older(one) | {one})}
            more |= {one for other in found for one in self.older(other) if one in self.nodes}
            if more <= found:
                return [one for one in reversed(self.nodes) if one in found and not self.nodes[one].hidden]
            found |= more
