"""The audit: an append-only chain in which no event can be changed, dropped or moved unseen."""

from __future__ import annotations

import apsw
import pytest

from mimir_vault.errors import TamperedError
from mimir_vault.store import audit
from mimir_vault.store.audit import Event

from .conftest import PlainDigester

DIGESTER = PlainDigester()


@pytest.fixture
def told(plain: apsw.Connection) -> apsw.Connection:
    """A database with three events."""
    for number, verb in enumerate(("space created", "nodes forgotten", "rebuilt"), 1):
        audit.append(plain, DIGESTER, 100 * number, verb, {"count": number, "ids": [b"id"]})
    return plain


def test_events_come_back_in_order(told: apsw.Connection) -> None:
    """Place, moment, verb and facts."""
    assert list(audit.events(told, DIGESTER)) == [
        Event(1, 100, "space created", {"count": 1, "ids": [b"id"]}),
        Event(2, 200, "nodes forgotten", {"count": 2, "ids": [b"id"]}),
        Event(3, 300, "rebuilt", {"count": 3, "ids": [b"id"]}),
    ]


def test_no_events_are_a_whole_chain(plain: apsw.Connection) -> None:
    """An empty audit is fine."""
    assert list(audit.events(plain, DIGESTER)) == []


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM audit WHERE place = 1",
        "DELETE FROM audit WHERE place = 2",
        "UPDATE audit SET at = 201 WHERE place = 2",
        "UPDATE audit SET event = (SELECT event FROM audit WHERE place = 3) WHERE place = 2",
        "UPDATE audit SET chain = zeroblob(32) WHERE place = 3",
        "UPDATE audit SET place = 9 WHERE place = 1",
    ],
)
def test_what_was_changed_dropped_or_moved_is_noticed(told: apsw.Connection, damage: str) -> None:
    """Each event binds all before it."""
    told.execute(damage)
    with pytest.raises(TamperedError, match="the audit chain is broken; restore a backup"):
        list(audit.events(told, DIGESTER))


def test_another_key_gives_another_chain(told: apsw.Connection) -> None:
    """Without the key nobody can extend it."""

    class Other(PlainDigester):
        def chain(self, previous: bytes, digest: bytes) -> bytes:
            return super().chain(previous, b"other" + digest)

    with pytest.raises(TamperedError):
        list(audit.events(told, Other()))
