"""The catalog: spaces by name, settings, and the audit of the vault, all inside the vault's lock."""

from __future__ import annotations

import pytest

from mimir_vault.errors import ExistsError, NotFoundError, RollbackError
from mimir_vault.store import audit
from mimir_vault.store.catalog import HEADER_EPOCH, SPACE_FLOOR, Catalog, SpaceRow
from mimir_vault.store.pins import PinOf, Pins

from .conftest import REPLICA, PlainDigester, Seeds


def row(name: str, number: int = 1) -> SpaceRow:
    """Return a space of that name."""
    return SpaceRow(bytes([number] * 16), name, f"{number:032x}.db", b"ring" * 20, 1 << 20, number)


def create(seeds: Seeds, pins: Pins | None = None) -> Catalog:
    """Make a catalog."""
    return seeds.closing(
        Catalog.create(
            seeds.folder / "catalog.db", seeds.cipher(), PlainDigester(), PinOf(pins, "catalog", REPLICA), seeds.clock
        )
    )


def reopen(seeds: Seeds, pins: Pins | None = None, accept_rollback: bool = False, read_only: bool = False) -> Catalog:
    """Open it again."""
    return seeds.closing(
        Catalog.open(
            seeds.folder / "catalog.db", seeds.cipher(), PlainDigester(), PinOf(pins, "catalog", REPLICA), seeds.clock,
            read_only=read_only, accept_rollback=accept_rollback,
        )
    )  # fmt: skip


@pytest.fixture
def catalog(seeds: Seeds) -> Catalog:
    """A new catalog."""
    return create(seeds)


def add(catalog: Catalog, *rows: SpaceRow) -> None:
    """Name spaces."""
    with catalog.write() as change:
        for one in rows:
            catalog.add_space(change, one)


def test_spaces_come_back_oldest_first(catalog: Catalog, seeds: Seeds) -> None:
    """With every field, after opening again too; the file has its class."""
    add(catalog, row("later", 9), row("main", 1))
    assert catalog.spaces() == [row("main", 1), row("later", 9)]
    assert catalog.space("later") == row("later", 9)
    catalog.close()
    assert (seeds.folder / "catalog.db").stat().st_size == 1 << 20
    assert reopen(seeds, read_only=True).spaces() == [row("main", 1), row("later", 9)]


def test_a_name_is_taken_once(catalog: Catalog) -> None:
    """A second space of that name is an ExistsError, and nothing of its transaction stays."""
    add(catalog, row("main"))
    with pytest.raises(ExistsError, match="this vault has a space 'main' already"):
        add(catalog, row("other", 2), row("main", 3))
    assert [one.name for one in catalog.spaces()] == ["main"]


def test_an_unknown_space_is_not_found(catalog: Catalog) -> None:
    """The sentence says how to see those there are."""
    with pytest.raises(NotFoundError, match="no space 'main'; `mimir space list` shows"):
        catalog.space("main")


def test_a_space_gets_another_name(catalog: Catalog) -> None:
    """All else stays; taken and unknown names are told apart."""
    add(catalog, row("main", 1), row("other", 2))
    with catalog.write() as change:
        catalog.rename_space(change, "main", "first")
    assert catalog.space("first").id == bytes([1] * 16)
    with pytest.raises(ExistsError, match="a space 'other' already"), catalog.write() as change:
        catalog.rename_space(change, "first", "other")
    with pytest.raises(NotFoundError, match="no space 'gone'"), catalog.write() as change:
        catalog.rename_space(change, "gone", "new")
    assert [one.name for one in catalog.spaces()] == ["first", "other"]


def test_a_removed_space_is_gone_with_its_ring(catalog: Catalog, seeds: Seeds) -> None:
    """Its row, the only copy of its keys, is nowhere."""
    add(catalog, row("main", 1), row("other", 2))
    with catalog.write() as change:
        catalog.remove_space(change, "main")
    assert [one.name for one in catalog.spaces()] == ["other"]


def test_settings_are_numbers(catalog: Catalog) -> None:
    """0 where never set; the last value counts."""
    assert catalog.setting(HEADER_EPOCH) == 0
    with catalog.write() as change:
        catalog.put_setting(change, HEADER_EPOCH, 5)
        catalog.put_setting(change, SPACE_FLOOR, 1 << 40)
        catalog.put_setting(change, HEADER_EPOCH, 6)
    assert (catalog.setting(HEADER_EPOCH), catalog.setting(SPACE_FLOOR)) == (6, 1 << 40)


def test_events_stand_in_the_audit(catalog: Catalog) -> None:
    """With the moment of the clock and their facts."""
    with catalog.write() as change:
        catalog.audit(change, "vault created", profile="moderate")
    with catalog.fresh.read() as connection:
        (event,) = audit.events(connection, PlainDigester())
    assert (event.verb, event.facts) == ("vault created", {"profile": "moderate"})


def test_an_older_catalog_is_a_rollback(seeds: Seeds) -> None:
    """Like a space: refused, or accepted on purpose."""
    pins = seeds.pins()
    catalog = create(seeds, pins)
    catalog.close()
    older = (seeds.folder / "catalog.db").read_bytes()
    newer = reopen(seeds, pins)
    add(newer, row("main"))
    newer.close()
    (seeds.folder / "catalog.db").write_bytes(older)
    with pytest.raises(RollbackError, match="the catalog is older"):
        reopen(seeds, pins)
    assert reopen(seeds, pins, accept_rollback=True).spaces() == []
