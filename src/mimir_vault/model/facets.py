"""Facets: the fixed-size row of a node that filters and ranking read, packed so that many are read at once."""

from __future__ import annotations

import struct
from typing import NamedTuple

NEVER = (1 << 63) - 1
"""`expires` of a node that does not expire."""

LENGTH_MAX = 0xFFFF
"""`length` saturates here."""

PINNED, HIDDEN, UNINDEXED = 1, 2, 4
"""Bits of `flags`: pinned by its owner; taken out of answers; stored but never recalled."""

FACETS_LAYOUT = (
    ("seq", "q"), ("at", "q"), ("recorded", "q"), ("expires", "q"),
    ("user", "I"), ("agent", "I"), ("speaker", "I"), ("role", "I"), ("kind", "I"), ("session", "I"), ("thread", "I"),
    ("length", "H"), ("windows", "B"), ("flags", "B"),
)  # fmt: skip
"""Name and `struct` code of each facet, little-endian and unpadded, 64 bytes in all. `at`, `recorded` and `expires` are
microseconds since 1970; `user` to `session` are codes of names (0 = none); `thread` numbers the chain of one session
(ref prefix, user, agent, session; 0 = none); `length` counts the terms (saturated), `windows` the vectors."""

FACETS = struct.Struct("<" + "".join(code for _, code in FACETS_LAYOUT))
"""Packs and unpacks one `Facets` row."""


class Facets(NamedTuple):
    """One node's facets, in the order of `FACETS_LAYOUT`."""

    seq: int
    at: int
    recorded: int
    expires: int
    user: int
    agent: int
    speaker: int
    role: int
    kind: int
    session: int
    thread: int
    length: int
    windows: int
    flags: int

    def pack(self) -> bytes:
        """Return the 64 bytes of this row."""
        return FACETS.pack(*self)

    @classmethod
    def unpack(cls, row: bytes) -> Facets:
        """Return the row of 64 bytes as names."""
        return cls._make(FACETS.unpack(row))
