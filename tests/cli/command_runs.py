"""What tests of the command share: the passphrase and turns of their vaults, and what a call did."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

PASSPHRASE = "correct horse battery staple"
SECONDS_MAX = 120
TURNS = (
    ("Ada", "user", "s1", "2026-03-01T09:00+00:00", "I prefer window seats on long flights."),
    ("Bo", "assistant", "s1", "2026-03-01T09:01+00:00", "Noted: window seats, and no early departures."),
    ("Ada", "user", "s2", "2026-04-02T18:30+02:00", "The boiler in Oslo was serviced by Henrik."),
    ("Ada", "user", "s2", "2026-04-02T18:31+02:00", "Henrik wants to come back in October."),
    ("Bo", "assistant", "s2", "2026-04-02T18:32+02:00", "October it is; I shall remind you. Grüße!"),
)
"""What the vaults of these tests hold: speaker, role, session, at, text."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What a call of the command did."""

    code: int
    out: str
    err: str

    @property
    def values(self) -> list[Any]:
        """The JSON values on standard output, one a line."""
        return [json.loads(line) for line in self.out.splitlines()]


Run = Callable[..., Ran]
