"""Databases that keep to generation, pin and size class: creating, opening, writing, filling and closing."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mimir_vault.errors import FormatError, MimirError, ReadOnlyError, RollbackError, TamperedError, VaultBusyError
from mimir_vault.store import padding
from mimir_vault.store.fresh_database import CATALOG, SPACE, FreshDatabase, Kind
from mimir_vault.store.padding import MIB, size_class
from mimir_vault.store.pins import PinOf, Pins

from .conftest import REPLICA, PlainDigester, Seeds

PAGE = 4_096


def create(seeds: Seeds, pins: Pins | None = None, kind: Kind = SPACE, floor: int = MIB) -> FreshDatabase:
    """Make a database."""
    return seeds.closing(
        FreshDatabase.create(
            seeds.folder / "fresh.db", kind, seeds.cipher(), PlainDigester(), PinOf(pins, "fresh", REPLICA),
            seeds.clock, size_floor=floor, name="the fresh database",
        )
    )  # fmt: skip


def reopen(seeds: Seeds, pins: Pins | None = None, kind: Kind = SPACE, **given: Any) -> FreshDatabase:
    """Open it again."""
    return seeds.closing(
        FreshDatabase.open(
            seeds.folder / "fresh.db", kind, seeds.cipher(), PlainDigester(), PinOf(pins, "fresh", REPLICA),
            seeds.clock, size_floor=MIB, name="the fresh database", **given,
        )
    )  # fmt: skip


def setting(fresh: FreshDatabase, name: str, size: int = 1, declared: int | None = None) -> None:
    """Write a setting of a size."""
    with fresh.write(size if declared is None else declared) as change:
        change.connection.execute("INSERT OR REPLACE INTO setting VALUES (?, zeroblob(?))", (name, size))


def settings_in(fresh: FreshDatabase) -> set[str]:
    """Return the names of settings."""
    with fresh.read() as connection:
        return {name for (name,) in connection.execute("SELECT name FROM setting")}


@pytest.mark.parametrize(("kind", "floor"), [(SPACE, MIB), (SPACE, 4 * MIB), (CATALOG, MIB)])
def test_a_new_file_has_its_floor_s_size_and_no_wal(seeds: Seeds, kind: Kind, floor: int) -> None:
    """Right after creation and after a clean close."""
    fresh = create(seeds, kind=kind, floor=floor)
    path = fresh.database.path
    assert path.stat().st_size == floor
    assert fresh.database.wal_bytes() == 0
    fresh.close()
    assert path.stat().st_size == floor
    assert [one.name for one in seeds.folder.iterdir()] == ["fresh.db"]


def test_each_write_raises_generation_and_pin_by_one(seeds: Seeds) -> None:
    """The pin holds the state when the block has ended; a write that raises changes neither."""
    pins = seeds.pins()
    fresh = create(seeds, pins)
    for generation in (1, 2, 3):
        setting(fresh, "a")
        now = fresh.freshness()
        assert now.generation == generation
        assert pins.get("fresh", REPLICA) == (generation, now.chain)

    def failing() -> None:
        with fresh.write() as change:
            change.connection.execute("DELETE FROM setting")
            raise KeyError

    with pytest.raises(KeyError):
        failing()
    assert fresh.freshness().generation == 3
    assert pins.get("fresh", REPLICA) == (3, fresh.freshness().chain)
    assert settings_in(fresh) == {"a"}


def test_an_older_copy_is_a_rollback_unless_it_is_accepted(seeds: Seeds) -> None:
    """Accepting lowers the pin, so that the next opening goes well; a read-only opening lowers and raises nothing."""
    pins = seeds.pins()
    fresh = create(seeds, pins)
    setting(fresh, "a")
    fresh.close()
    older = shutil.copy(fresh.database.path, seeds.folder / "older")
    fresh = reopen(seeds, pins)
    setting(fresh, "b")
    fresh.close()
    shutil.copy(older, fresh.database.path)
    with pytest.raises(RollbackError, match="the fresh database is older than the state last seen"):
        reopen(seeds, pins)
    assert pins.get("fresh", REPLICA) == (2, pins.get("fresh", REPLICA)[1])  # type: ignore[index]
    accepted = reopen(seeds, pins, accept_rollback=True)
    assert settings_in(accepted) == {"a"}
    accepted.close()
    assert pins.get("fresh", REPLICA)[0] == 1  # type: ignore[index]
    assert settings_in(reopen(seeds, pins)) == {"a"}


def test_a_fork_is_a_rollback(seeds: Seeds) -> None:
    """Two copies that went different ways have the same generation and another chain."""
    pins = seeds.pins()
    create(seeds, pins).close()
    path = seeds.folder / "fresh.db"
    older = shutil.copy(path, seeds.folder / "older")
    one = reopen(seeds, pins)
    setting(one, "one")
    one.close()
    shutil.copy(older, path)
    other = reopen(seeds)
    setting(other, "other")
    other.close()
    with pytest.raises(RollbackError, match="went another way"):
        reopen(seeds, pins)


def test_the_first_sight_is_pinned_but_not_by_a_reader(seeds: Seeds) -> None:
    """Opening to write pins what it finds; opening to read leaves no trace."""
    fresh = create(seeds)
    setting(fresh, "a")
    fresh.close()
    pins = seeds.pins()
    reopen(seeds, pins, read_only=True).close()
    assert pins.get("fresh", REPLICA) is None
    reopen(seeds, pins).close()
    assert pins.get("fresh", REPLICA)[0] == 1  # type: ignore[index]


def test_a_reader_writes_nothing(seeds: Seeds) -> None:
    """Writes are refused in one sentence, and closing does not grow the file."""
    create(seeds).close()
    before = (seeds.folder / "fresh.db").read_bytes()
    reader = reopen(seeds, read_only=True)
    with pytest.raises(ReadOnlyError, match="the fresh database was opened read-only"):
        setting(reader, "a")
    reader.close()
    assert (seeds.folder / "fresh.db").read_bytes() == before


def test_a_newer_format_or_another_kind_is_refused(seeds: Seeds) -> None:
    """And the file is left as it was, unlocked."""
    fresh = create(seeds)
    with fresh.database.write() as connection:
        connection.pragma("user_version", 2)
    fresh.close()
    with pytest.raises(FormatError, match=r"the fresh database has format 2.*update Mimir"):
        reopen(seeds)
    with pytest.raises(FormatError):
        reopen(seeds, read_only=True)
    with pytest.raises(FormatError):
        reopen(seeds, kind=CATALOG)


def test_an_older_format_is_brought_up_to_date(seeds: Seeds) -> None:
    """A new migration is applied at opening, rows stay."""
    fresh = create(seeds)
    setting(fresh, "a")
    fresh.close()
    later = Kind((*SPACE.migrations, "CREATE TABLE later (a INTEGER) STRICT"), SPACE.application_id, SPACE.margin_pages)
    newer = reopen(seeds, kind=later)
    with newer.read() as connection:
        assert connection.execute("SELECT count(*) FROM later").fetchall() == [(0,)]
    assert settings_in(newer) == {"a"}


def test_a_database_without_its_state_is_tampered_with(seeds: Seeds) -> None:
    """Opening reads the freshness row first."""
    fresh = create(seeds)
    with fresh.database.write() as connection:
        connection.execute("DELETE FROM freshness")
    fresh.database.close()
    with pytest.raises(TamperedError, match="the freshness of a database is missing"):
        reopen(seeds, seeds.pins())


def page_count(fresh: FreshDatabase) -> int:
    """Return how many pages the file has."""
    with fresh.read() as connection:
        return padding.pages(connection)[0]


@settings(max_examples=12, deadline=None)
@given(st.lists(st.integers(0, 700_000), min_size=1, max_size=4))
def test_a_transaction_that_declared_its_size_never_grows_the_file(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int]
) -> None:
    """Room is made before, so at every commit the file stands at a place on the way to its class, not past it."""
    from mimir_vault.testing import FixedClock

    seeds = Seeds(tmp_path_factory.mktemp("fresh"), FixedClock(step=1))
    fresh = create(seeds)
    for number, size in enumerate(sizes):
        before = page_count(fresh)
        with fresh.write(size) as change:
            room = int(change.connection.pragma("page_count"))
            change.connection.execute("INSERT INTO setting VALUES (?, zeroblob(?))", (f"{number}", size))
            assert int(change.connection.pragma("page_count")) == room
            assert room * PAGE <= size_class(before * PAGE + size + MIB, MIB)
    seeds.close_all()
    written = (seeds.folder / "fresh.db").stat().st_size
    assert size_class(written, MIB) == written
    assert written * 7 // 8 >= sum(sizes)


def test_one_transaction_larger_than_the_reserve_makes_its_room_first(seeds: Seeds) -> None:
    """Five MiB into a file of one: the file ends at the class that holds them and its reserve."""
    fresh = create(seeds)
    setting(fresh, "large", 5 * MIB)
    assert page_count(fresh) * PAGE >= 5 * MIB
    fresh.close()
    assert (seeds.folder / "fresh.db").stat().st_size in (6 * MIB, 8 * MIB)
    assert settings_in(reopen(seeds)) == {"large"}


def test_what_declared_too_little_is_put_right_at_close(seeds: Seeds) -> None:
    """A transaction may outgrow its class by surprise; after close the size is a class again."""
    fresh = create(seeds)
    setting(fresh, "large", 3 * MIB, declared=0)
    fresh.close()
    assert (seeds.folder / "fresh.db").stat().st_size in (4 * MIB, 6 * MIB)


def test_what_holds_nothing_is_not_live(seeds: Seeds) -> None:
    """Live bytes grow with what is written and not with padding."""
    fresh = create(seeds)
    empty = fresh.live_bytes()
    assert 0 < empty < 300_000
    setting(fresh, "a", 400_000)
    assert 400_000 <= fresh.live_bytes() - empty <= 420_000


def test_a_close_that_cannot_fill_leaves_a_good_file(seeds: Seeds, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk at close costs the size class, nothing else."""
    fresh = create(seeds)
    setting(fresh, "a")

    def refuse() -> None:
        raise MimirError("full")

    monkeypatch.setattr(fresh, "fill", refuse)
    fresh.close()
    assert settings_in(reopen(seeds)) == {"a"}


@pytest.mark.parametrize("stuck", ["fill", "write"])
def test_growth_that_makes_no_progress_ends(seeds: Seeds, stuck: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """If padding cannot be added any more, nothing loops: the file is of an odd length and good."""
    fresh = create(seeds)
    monkeypatch.setattr(padding, "missing_pages", lambda *_: 1)
    monkeypatch.setattr(padding, "grow", lambda *_: 1)
    if stuck == "fill":
        fresh.fill()
    setting(fresh, "a", 2 * MIB)
    assert settings_in(fresh) == {"a"}


def test_traces_of_a_busy_file_are_removed_later(seeds: Seeds, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody else's lock is no error of an erasure: the answer is False."""
    fresh = create(seeds)

    def busy(_: int) -> bool:
        raise VaultBusyError

    monkeypatch.setattr(fresh, "checkpoint", busy)
    assert not fresh.remove_traces(None, 0)


def test_a_long_wal_is_restarted_between_the_steps(seeds: Seeds) -> None:
    """Growing by many steps does not leave a WAL as long as all of them."""
    fresh = create(seeds, floor=24 * MIB)
    assert fresh.database.path.stat().st_size == 24 * MIB
    assert fresh.database.wal_bytes() == 0
    peak = 0
    for number in range(6):
        setting(fresh, f"{number}", 4 * MIB)
        peak = max(peak, fresh.database.wal_bytes())
    assert peak < 16 * MIB
    assert isinstance(seeds.folder, Path)
