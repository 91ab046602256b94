"""Pins: the newest state seen of each database, which is raised and never lowered by itself."""

from __future__ import annotations

import contextlib
import logging
from typing import Any

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimir_vault.errors import RollbackError, StorageError
from mimir_vault.store import freshness, schema
from mimir_vault.store.database import Database
from mimir_vault.store.freshness import Freshness
from mimir_vault.store.pins import PinOf, Pins

from .conftest import REPLICA, PlainDigester, Seeds


def state(generation: int, chain: bytes = b"c" * 32) -> Freshness:
    """Return a state at a generation."""
    return Freshness(generation, 0, 0, 0, chain, 0)


def test_a_pin_comes_back_after_opening_again(seeds: Seeds) -> None:
    """Generation and chain value are kept per database and replica."""
    pins = seeds.pins()
    assert pins.get("space", REPLICA) is None
    pins.put("space", REPLICA, 7, b"x" * 32, 0)
    pins.put("catalog", REPLICA, 2, b"y" * 32, 0)
    pins.put("space", b"other" * 3, 1, b"z" * 32, 0)
    pins.close()
    again = seeds.pins()
    assert again.get("space", REPLICA) == (7, b"x" * 32)
    assert again.get("catalog", REPLICA) == (2, b"y" * 32)
    assert again.get("space", b"other" * 3) == (1, b"z" * 32)


@given(st.lists(st.tuples(st.integers(0, 20), st.sampled_from([False] * 9 + [True])), max_size=12))
def test_a_pin_is_never_lowered_unless_told_to(moves: list[tuple[int, bool]]) -> None:
    """Whatever comes in whatever order, the pin is the highest since it was last set on purpose."""
    pins, expected = memory_pins(), None
    for number, (generation, lower) in enumerate(moves):
        chain = number.to_bytes(32, "big")
        pins.put("space", REPLICA, generation, chain, number, lower=lower)
        if expected is None or lower or generation > expected[0]:
            expected = (generation, chain)
    assert pins.get("space", REPLICA) == expected


class InMemory:
    """An unencrypted database in memory, for many quick examples."""

    def __init__(self) -> None:
        self.connection = apsw.Connection(":memory:")
        schema.migrate(self.connection, schema.PINS_MIGRATIONS, schema.PINS_APPLICATION_ID, "pins")

    def read(self) -> Any:
        """Hold nothing."""
        return contextlib.nullcontext(self.connection)

    write = read

    def restart_long_wal(self) -> None:
        """Do nothing."""


def memory_pins() -> Pins:
    """Return pins in memory."""
    pins = Pins.__new__(Pins)
    pins._read_only = False
    pins._database = InMemory()  # type: ignore[assignment]
    return pins


def test_a_pin_that_is_forgotten_is_a_first_sight_again(seeds: Seeds) -> None:
    """Erasing a space drops its pin, and only its."""
    pins = seeds.pins()
    pins.put("space", REPLICA, 7, b"x" * 32, 0)
    pins.put("catalog", REPLICA, 7, b"x" * 32, 0)
    PinOf(pins, "space", REPLICA).drop()
    assert pins.get("space", REPLICA) is None
    assert pins.get("catalog", REPLICA) is not None


@pytest.fixture
def database(seeds: Seeds) -> Database:
    """A database at generation 5."""
    made = seeds.database(create=True)
    with made.write() as connection:
        schema.migrate(connection, schema.CATALOG_MIGRATIONS, schema.CATALOG_APPLICATION_ID, "it")
        freshness.begin(connection)
    for _ in range(5):
        commit(made)
    return made


def commit(database: Database) -> Freshness:
    """Commit an empty change; return the state."""
    with database.write() as connection:
        with freshness.changing(connection, PlainDigester()):
            pass
        return freshness.read(connection)


def test_the_first_sight_of_a_database_is_no_alarm(seeds: Seeds, database: Database) -> None:
    """Without a pin `check` says True; after `hold` it says False."""
    pin = PinOf(seeds.pins(), "space", REPLICA)
    assert pin.check(database, "space main")
    pin.hold(commit(database), 0)
    assert not pin.check(database, "space main")


def test_a_database_ahead_of_its_pin_is_fine_if_it_went_that_way(seeds: Seeds, database: Database) -> None:
    """A crash between commit and pin leaves the pin behind: the chain holds its value."""
    pin = PinOf(seeds.pins(), "space", REPLICA)
    pin.hold(commit(database), 0)
    for _ in range(3):
        commit(database)
    assert not pin.check(database, "space main")


def test_a_database_behind_its_pin_is_a_rollback(seeds: Seeds, database: Database) -> None:
    """The sentence names both generations and how to accept."""
    pin = PinOf(seeds.pins(), "space", REPLICA)
    pin.hold(state(9), 0)
    with pytest.raises(RollbackError, match=r"generation 5, seen 9.*accept_rollback"):
        pin.check(database, "space main")


@pytest.mark.parametrize("generation", [5, 3])
def test_a_database_that_went_another_way_is_a_rollback(generation: int, seeds: Seeds, database: Database) -> None:
    """The same generation, or a later one whose chain lacks the pinned value, is a fork."""
    pin = PinOf(seeds.pins(), "space", REPLICA)
    pin.hold(state(generation, b"another chain".ljust(32)), 0)
    with pytest.raises(RollbackError, match=r"space main went another way since .*generation \d.*accept_rollback"):
        pin.check(database, "space main")


def test_a_pin_older_than_the_chain_that_is_kept_cannot_be_checked(
    seeds: Seeds, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the chain no longer holds is refused, not believed."""
    pin = PinOf(seeds.pins(), "space", REPLICA)
    pin.hold(commit(database), 0)
    monkeypatch.setattr(freshness, "CHAIN_KEPT", 2)
    for _ in range(3):
        commit(database)
    with pytest.raises(RollbackError):
        pin.check(database, "space main")


def test_without_a_place_for_pins_nothing_is_guarded(database: Database) -> None:
    """`PinOf(None, …)` checks, holds and drops nothing."""
    pin = PinOf(None, "space", REPLICA)
    assert not pin.check(database, "space main")
    pin.hold(state(1), 0)
    pin.drop()


def test_a_pin_that_cannot_be_written_warns(
    seeds: Seeds, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The commit stands; the warning says what could not be noted."""
    pins = seeds.pins()

    def refuse(*_: Any, **__: Any) -> None:
        raise StorageError("the disk is gone")

    monkeypatch.setattr(pins, "put", refuse)
    with caplog.at_level(logging.WARNING, "mimir_vault"):
        PinOf(pins, "space", REPLICA).hold(state(1), 0)
    assert "the newest state of space could not be noted outside the vault: the disk is gone" in caplog.text


def test_the_folder_of_pins_is_private(seeds: Seeds) -> None:
    """The state folder is made with mode 0700, and the file shows nothing."""
    pins = seeds.pins()
    pins.put("space main", REPLICA, 1, b"x" * 32, 0)
    pins.close()
    assert pins.path.parent.stat().st_mode & 0o777 == 0o700
    assert b"space main" not in pins.path.read_bytes()


def test_a_reader_of_pins_changes_none(seeds: Seeds) -> None:
    """It compares and never puts."""
    pins = seeds.pins()
    pins.put("space", REPLICA, 3, b"x" * 32, 0)
    pins.close()
    before = pins.path.read_bytes()
    reader = seeds.closing(Pins(pins.path, seeds.cipher(3), read_only=True))
    reader.put("space", REPLICA, 9, b"y" * 32, 0)
    assert reader.get("space", REPLICA) == (3, b"x" * 32)
    reader.close()
    assert pins.path.read_bytes() == before


def test_a_state_file_that_a_crash_left_empty_is_made(seeds: Seeds) -> None:
    """Nothing was ever kept in it."""
    path = seeds.folder / "state" / "pins.db"
    path.parent.mkdir()
    path.touch()
    pins = seeds.pins()
    pins.put("space", REPLICA, 1, b"x" * 32, 0)
    assert pins.get("space", REPLICA) == (1, b"x" * 32)


def test_a_journal_beside_a_good_state_file_costs_no_pin(seeds: Seeds) -> None:
    """What is kept stays kept, or a stray file would switch the guard off."""
    pins = seeds.pins()
    pins.put("space", REPLICA, 3, b"x" * 32, 0)
    pins.close()
    pins.path.with_name("pins.db-journal").touch()
    assert seeds.pins().get("space", REPLICA) == (3, b"x" * 32)
