"""What an import knows of the nodes it has brought so far: which line stands for which node, for links and versions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import sha256

import apsw

from mimir_vault.model.link import LINK_KINDS, Link
from mimir_vault.model.view import FIELDS, View
from mimir_vault.store import nodes, refs
from mimir_vault.viewed_space import ViewedSpace

IMPORT_ID = "import_id"
"""Name in the metadata of an imported node that says which import brought it; it is no part of what the node says."""
MADE = "import:"
"""How the last part of a ref begins that an import made for a node that had none."""
FOLLOWS = LINK_KINDS.index("follows")
_ORIGIN_BYTES = 16
"""So much of an id tells the nodes of one file apart."""


class Imported:
    """The state of one import. Inside a write transaction it is told of every node, in the order of the file."""

    def __init__(self, space: ViewedSpace) -> None:
        self._space = space
        self._scope = scope_of(space.view)
        self._seqs: dict[bytes, int] = {}
        self._claimed = bytearray()
        self.links_left_out = 0
        self.found_late = 0
        """Lines whose node somebody else stored between the first look and the write."""

    def ref_of(self, name: str) -> tuple[str, ...]:
        """Return the ref of a node that came without one.

        It has one part below the view's own: such a node is in the same chain of its session as those without a ref.
        """
        return (*self._space.view.under, f"{MADE}{name}{self._scope}")

    def seq_of(self, origin: bytes) -> int | None:
        """Return the node that a line of this id, with a ref of its own, stood for before."""
        return self._seqs.get(origin[:_ORIGIN_BYTES])

    def is_made_for(self, origin: bytes | None, ref: tuple[str, ...]) -> bool:
        """Say whether a ref was made of the id that a node had where it was exported."""
        return origin is not None and ref == self.ref_of(origin.hex())

    def note(self, origin: bytes | None, ref: tuple[str, ...], seq: int) -> None:
        """Take note of the node that a line stands for: no other line stands for it too."""
        place, bit = divmod(seq, 8)
        if place >= len(self._claimed):
            self._claimed.extend(bytes(place + 1024 - len(self._claimed)))
        self._claimed[place] |= 1 << bit
        if origin is not None and not self.is_made_for(origin, ref):
            self._seqs[origin[:_ORIGIN_BYTES]] = seq

    def is_noted(self, seq: int) -> bool:
        """Say whether a line that came before stands for the node of this seq."""
        place, bit = divmod(seq, 8)
        return place < len(self._claimed) and bool(self._claimed[place] >> bit & 1)

    def links(self, connection: apsw.Connection, links: Sequence[Link], session: str | None) -> list[tuple[int, bytes]]:
        """Return links as (kind, id) to the nodes that their targets have become; others are left out and counted.

        That a turn follows one that did not come need not be counted: it follows the one before by itself.
        """
        found: list[tuple[int, bytes]] = []
        for link in links:
            kind, target = LINK_KINDS.index(link.kind), self._target(connection, bytes.fromhex(link.target))
            if target is not None:
                found.append((kind, target))
            elif kind != FOLLOWS or session is None:
                self.links_left_out += 1
        return found

    def _target(self, connection: apsw.Connection, origin: bytes) -> bytes | None:
        """Return the id of what a node has become: noted by this run, imported by an earlier one, or here all along."""
        noted = self.seq_of(origin)
        there = [noted] if noted is not None else refs.versions(connection, self.ref_of(origin.hex()))[:1]
        there += nodes.seqs_of(connection, [origin]).values()
        for seq in there:
            seen = self._space.opened(connection, [seq])
            if seq in seen:
                return seen[seq].stored.sealed.id
        return None


def is_made(ref: Sequence[str]) -> bool:
    """Say whether an import made this ref for a node that had none."""
    return bool(ref) and ref[-1].startswith(MADE)


def scope_of(view: View) -> str:
    """Return what refs of imports into this view end in: two views may import one file without sharing its nodes."""
    fixed = {name: getattr(view, name) for name in FIELDS if getattr(view, name) is not None}
    return ":" + sha256(json.dumps(fixed, sort_keys=True).encode()).hexdigest()[:16] if fixed else ""
