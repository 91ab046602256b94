"""One old page put back: authentic, sealed with the right key, at its own place. Only digests and pins can tell."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from forensics import pages
from forensics.damage import Aged, examine, nothing_moves, put_page
from mimir_vault.errors import RollbackError, TamperedError
from mimir_vault.model.draft import Draft
from mimir_vault.store.schema import CATALOG_MIGRATIONS, SPACE_MIGRATIONS

PAGES_OF_A_TABLE = 4
"""At most so many pages of one table are put back, one at a time."""
HARMLESS = {"lease", "padding"}
"""Tables without data: who may do the upkeep for the next half minute, and what fills a file up to its size class."""
IMPLIED = {"sqlite_schema", "sqlite_sequence"}
"""Tables that SQLite keeps by itself."""


def tables_of(migrations: tuple[str, ...]) -> list[str]:
    """Return the names of the tables that a kind of database has."""
    words = " ".join(migrations).replace("(", " ").split()
    made = [words[at + 2] for at in range(len(words) - 2) if words[at : at + 2] == ["CREATE", "TABLE"]]
    return sorted({*made, *IMPLIED})


SPACE_TABLES, CATALOG_TABLES = tables_of(SPACE_MIGRATIONS), tables_of(CATALOG_MIGRATIONS)


def changed_pages(aged: Aged, file: str, table: str) -> list[int]:
    """Return the pages that belong to a table at both moments and hold something else."""
    key = aged.page_keys[file]
    old, new = aged.older / "vault" / file, aged.newer / "vault" / file
    owned_old, owned_new = pages.owners(old, key), pages.owners(new, key)
    opened_old, opened_new = (pages.open_file(path.read_bytes(), key) for path in (old, new))
    return [
        number for number in sorted(owned_old)
        if owned_old[number] == table == owned_new.get(number) and opened_old[number - 1] != opened_new[number - 1]
    ]  # fmt: skip


def test_every_table_is_tried() -> None:
    """The tables named by the schema are those that the tests below go through."""
    assert {
        "node", "facet", "words", "posting", "vector", "sketch", "name", "thread", "link", "attribute", "term", "ref",
        "tombstone", "freshness", "chain", "audit", "setting", "derived", "change", "model", "sealed_vector",
    } <= set(SPACE_TABLES)  # fmt: skip
    assert {"space", "setting", "audit"} <= set(CATALOG_TABLES)


@pytest.mark.parametrize("seen", ["seen", "never seen"])
@pytest.mark.parametrize("table", [table for table in SPACE_TABLES if table not in HARMLESS])
def test_old_page_of_a_space(aged: Aged, tmp_path: Path, table: str, seen: str) -> None:
    """An old page of any table of a space is refused at open or found by verify, with a pin and without one."""
    put_back(aged, tmp_path, aged.space_file, table, seen)


@pytest.mark.parametrize("seen", ["seen", "never seen"])
@pytest.mark.parametrize("table", [table for table in CATALOG_TABLES if table not in HARMLESS])
def test_old_page_of_the_catalog(aged: Aged, tmp_path: Path, table: str, seen: str) -> None:
    """An old page of any table of the catalog is refused at open or found by verify, with a pin and without one."""
    put_back(aged, tmp_path, "catalog.db", table, seen)


def put_back(aged: Aged, folder: Path, file: str, table: str, seen: str) -> None:
    """Put the changed pages of a table back one at a time and see that each is noticed."""
    changed = changed_pages(aged, file, table)
    assert changed, f"no page of {table} changed, so nothing was tried"
    for number in random.Random(5).sample(changed, min(PAGES_OF_A_TABLE, len(changed))):
        place = folder / str(number)
        vaults = aged.copy(place, state="newer" if seen == "seen" else None)
        put_page(place / "vault" / file, aged.older / "vault" / file, number)
        outcome = examine(vaults)
        assert outcome.noticed, f"page {number} of {table} was put back and nobody noticed"
        if outcome.refused is not None:
            assert isinstance(outcome.refused, TamperedError)


@pytest.mark.parametrize("table", sorted(HARMLESS))
def test_old_page_without_data(aged: Aged, tmp_path: Path, table: str) -> None:
    """An old page of a table that holds no data is noticed, or all nodes are as they were and more can be written."""
    name = aged.space_file
    changed = changed_pages(aged, name, table)
    assert changed
    for number in changed:
        vaults = aged.copy(tmp_path / str(number))
        put_page(tmp_path / str(number) / "vault" / name, aged.older / "vault" / name, number)
        outcome = examine(vaults)
        if not outcome.noticed:
            assert outcome.held == aged.held
            with vaults.open() as vault:
                vault.space().remember_many([Draft(f"{'more ' * 400}{place}") for place in range(200)])
                for place in range(20):
                    vault.create_space(f"more {place}")
                assert not vault.verify(full=True)
                assert vault.space().count() == len(aged.held["main"]) + 200


def test_old_freshness_with_its_chain(aged: Aged, tmp_path: Path) -> None:
    """Old pages of freshness and chain together, which agree with one another, do not pass for an older space."""
    for name in ("newer", None):
        place = tmp_path / str(name)
        vaults = aged.copy(place, state=name)
        for table in ("freshness", "chain", "setting", "audit"):
            for number in changed_pages(aged, aged.space_file, table):
                put_page(place / "vault" / aged.space_file, aged.older / "vault" / aged.space_file, number)
        outcome = examine(vaults)
        assert outcome.noticed
        assert name is None or isinstance(outcome.refused, RollbackError)


def test_page_at_another_place(aged: Aged, tmp_path: Path) -> None:
    """A page moved to another number, or from the file of another space, does not open."""
    file = aged.space_file
    other = next(name for name in aged.page_keys if name.startswith("spaces/") and name != file)
    owned = sorted(pages.owners(aged.newer / "vault" / file, aged.page_keys[file]))
    for place, source, from_page in (("moved", file, owned[8]), ("foreign", other, owned[5])):
        vaults = aged.copy(tmp_path / place)
        raw = (aged.newer / "vault" / source).read_bytes()[(from_page - 1) * pages.PAGE : from_page * pages.PAGE]
        with (tmp_path / place / "vault" / file).open("r+b") as target:
            target.seek((owned[5] - 1) * pages.PAGE)
            target.write(raw)
        assert examine(vaults).noticed


def test_numbers_of_forgotten_nodes_are_not_given_again(aged: Aged, tmp_path: Path) -> None:
    """Where the newest nodes were forgotten, an old count of the numbers given out is noticed as well."""
    vaults = aged.copy(tmp_path, "older", state="older")
    with vaults.open() as vault, nothing_moves():
        memory = vault.space()
        for node in memory.remember_many([Draft(f"{place} for a short time") for place in range(5)]):
            memory.forget(node.id)
    file = tmp_path / "vault" / aged.space_file
    owned = pages.owners(file, aged.page_keys[aged.space_file])
    (number,) = (number for number, table in owned.items() if table == "sqlite_sequence")
    put_page(file, aged.older / "vault" / aged.space_file, number)
    assert examine(vaults).noticed
