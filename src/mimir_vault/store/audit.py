"""Audit: an append-only chain of security events, one per database; never content, only ids, counts and verbs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import apsw
import msgspec

from mimir_vault.errors import TamperedError
from mimir_vault.store.freshness import Digester
from mimir_vault.store.query import each, fetch


@dataclass(frozen=True, slots=True)
class Event:
    """One event: its place, when (microseconds since 1970 UTC), what, and the facts."""

    place: int
    at: int
    verb: str
    facts: Mapping[str, Any]


def append(connection: apsw.Connection, digester: Digester, at: int, verb: str, facts: Mapping[str, Any]) -> None:
    """Inside a write transaction: add an event; each binds the one before."""
    encoded = msgspec.msgpack.encode((at, verb, dict(facts)))
    last = fetch(connection, "SELECT chain FROM audit ORDER BY place DESC LIMIT 1")
    chain = digester.chain(last[0][0] if last else bytes(32), b"audit" + encoded)
    connection.execute("INSERT INTO audit (at, event, chain) VALUES (?, ?, ?)", (at, encoded, chain))


def events(connection: apsw.Connection, digester: Digester) -> Iterator[Event]:
    """Yield all events, oldest first, checking the chain on the way.

    Raises:
        TamperedError: an event was changed, dropped or moved.
    """
    previous = bytes(32)
    for place, at, encoded, chain in each(connection, "SELECT place, at, event, chain FROM audit ORDER BY place"):
        if digester.chain(previous, b"audit" + encoded) != chain:
            raise TamperedError("the audit chain is broken; restore a backup")
        previous = chain
        moment, verb, facts = msgspec.msgpack.decode(encoded)
        if moment != at:
            raise TamperedError("the audit chain is broken; restore a backup")
        yield Event(place, at, verb, facts)
