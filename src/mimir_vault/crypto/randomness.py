"""The one way to draw from the source of randomness that is handed in: never fewer bytes than were asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

Random: TypeAlias = Callable[[int], bytes]  # `os.urandom` in use, a seeded source where vectors are made


def draw(random: Random, length: int) -> bytes:
    """Return `length` bytes of `random`; a short answer would become a short nonce or a guessable key."""
    drawn = random(length)
    if len(drawn) != length:
        raise ValueError(f"The source of randomness gave {len(drawn)} bytes where {length} were asked for.")
    return drawn
