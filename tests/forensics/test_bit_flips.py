"""Single-bit flips: in the header all refused or mended, in databases all refused or found, never wrong data.

By default 240 flips in headers and 2,400 in databases are tried; MIMIR_FLIPS=20 tries twenty times as many.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from forensics import pages
from forensics.building import make_sketch, page_keys, remember_turns, sketch_from
from forensics.damage import Outcome, change_state, contents, examine, flip
from forensics.invented import Inventor
from mimir_vault.errors import FormatError, TamperedError, WrongKeyError
from mimir_vault.model.draft import Draft
from mimir_vault.model.node import Node
from mimir_vault.vault import Vault
from quick_vaults import QuickVaults

TIMES = int(os.environ.get("MIMIR_FLIPS", "1"))
HEADER_FLIPS, SPACE_FLIPS, CATALOG_FLIPS = 80 * TIMES, 1_900 * TIMES, 500 * TIMES
HEADER_BITS = 8 * 65_536
CHECKSUM = 65_536 - 64
FREE, TRUNK = "free", "free list"
"""What a page is called that belongs to no table: one that holds nothing, or one that lists those."""


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> tuple[QuickVaults, dict[str, bytes], dict[str, list[Node]]]:
    """A small closed vault with rows in every table, its page keys, and what its spaces hold."""
    folder = tmp_path_factory.mktemp("flipped")
    vaults = QuickVaults(folder, folder / "state")
    with sketch_from(6), vaults.create() as vault:
        memory, inventor = vault.space(), Inventor(53)
        remember_turns(memory, inventor, 8)
        first = list(memory.nodes())
        memory.forget(first[2].id)
        memory.supersede(first[3].id, inventor.word())
        change_state(memory, first[4])
        make_sketch(memory)
        return vaults, page_keys(vault), contents(vault)


def classes_of(path: Path, key: bytes) -> dict[str, list[int]]:
    """Return the pages of a database by the table they belong to, and those that belong to none; each stands once."""
    found: dict[str, list[int]] = {}
    for number, table in pages.owners(path, key).items():
        found.setdefault(table, []).append(number)
    opened = pages.open_file(path.read_bytes(), key)
    found[TRUNK], found[FREE] = pages.free_list(opened)
    assert sorted(number for numbers in found.values() for number in numbers) == list(range(1, len(opened) + 1))
    return {table: numbers for table, numbers in found.items() if numbers}


def sampled(classes: dict[str, list[int]], count: int, rng: random.Random) -> Iterator[tuple[str, int]]:
    """Yield (table, bit of the file): every bit of the 24 clear bytes, then tables in turn, free pages least often."""
    for bit in range(8 * pages.CLEAR):
        yield "sqlite_schema", bit
    tables = sorted(classes)
    for number in range(count - 8 * pages.CLEAR):
        table = tables[number % len(tables)]
        page = rng.choice(classes[table])
        yield table, 8 * pages.PAGE * (page - 1) + rng.randrange(8 * pages.PAGE)


@pytest.fixture
def header_bits() -> list[int]:
    """Bits of a header to flip: some of the clear part, the others anywhere."""
    rng = random.Random(61)
    clear = rng.sample(range(8 * 64), HEADER_FLIPS // 4)
    return clear + [rng.randrange(HEADER_BITS) for _ in range(HEADER_FLIPS - len(clear))]


@pytest.mark.parametrize("name", ["header", "header.copy"])
def test_flip_in_one_header(closed: tuple[QuickVaults, object, object], header_bits: list[int], name: str) -> None:
    """A flip in one copy of the header is mended from the other, whatever it hit."""
    vaults, _, held = closed
    path = vaults.path() / name
    before = path.read_bytes()
    for bit in header_bits:
        flip(path, bit)
        with vaults.open() as vault:
            assert contents(vault) == held
        assert path.read_bytes() == before


def test_flip_in_both_headers(closed: tuple[QuickVaults, object, object], header_bits: list[int]) -> None:
    """The same flip in both copies of the header is refused, and so is one whose checksum was made to fit."""
    vaults, _, _ = closed
    paths = [vaults.path() / name for name in ("header", "header.copy")]
    before = paths[0].read_bytes()
    for bit in header_bits:
        changed = bytearray(before)
        changed[bit // 8] ^= 1 << bit % 8
        fitting = (
            bytes(changed[:CHECKSUM]) + hashlib.sha256(changed[:CHECKSUM]).digest() + bytes(changed[CHECKSUM + 32 :])
        )
        for raw in (bytes(changed), fitting):
            for path in paths:
                path.write_bytes(raw)
            if raw != before:
                with pytest.raises((TamperedError, FormatError, WrongKeyError)):
                    vaults.open()
    for path in paths:
        path.write_bytes(before)
    assert not examine(vaults).noticed


def test_flips_in_a_space(closed: tuple[QuickVaults, dict[str, bytes], dict[str, list[Node]]]) -> None:
    """A flip in any page of a space that belongs to a table is refused or found; in a free page nothing changes."""
    vaults, keys, held = closed
    name = next(name for name in keys if name.startswith("spaces/"))
    path = vaults.path() / name
    classes, before = classes_of(path, keys[name]), path.read_bytes()
    assert {"node", "vector", "sketch", "term", "posting", "tombstone", "freshness", TRUNK, FREE} <= set(classes)
    noticed: Counter[tuple[str, bool]] = Counter()
    with vaults.open() as vault:
        for table, bit in sampled(classes, SPACE_FLIPS, random.Random(67)):
            flip(path, bit)
            outcome = examine_space(vault)
            flip(path, bit)
            noticed[table, outcome.noticed] += 1
            assert outcome.noticed or (table == FREE and outcome.held == held), f"{table}: bit {bit} went unnoticed"
    assert path.read_bytes() == before
    assert sum(noticed.values()) >= SPACE_FLIPS
    assert sum(count for (table, seen), count in noticed.items() if table != FREE and seen) > 0.9 * SPACE_FLIPS


def examine_space(vault: Vault) -> Outcome:
    """Open the first space of an open vault anew, verify it in full and read all of it."""
    vault._spaces.close()
    outcome = Outcome()
    try:
        outcome.findings = vault.space().verify(full=True)
        if not outcome.findings:
            outcome.held = contents(vault)
    except TamperedError as error:
        outcome.refused = error
    return outcome


def test_flips_in_the_catalog(closed: tuple[QuickVaults, dict[str, bytes], dict[str, list[Node]]]) -> None:
    """A flip in any page of the catalog that belongs to a table is refused or found; in a free page nothing changes."""
    vaults, keys, held = closed
    path = vaults.path() / "catalog.db"
    classes, before = classes_of(path, keys["catalog.db"]), path.read_bytes()
    tried = 0
    for table, bit in sampled(classes, CATALOG_FLIPS, random.Random(71)):
        flip(path, bit)
        outcome = examine(vaults)
        flip(path, bit)
        tried += 1
        assert outcome.noticed or (table == FREE and outcome.held == held), f"{table}: bit {bit} went unnoticed"
        assert outcome.refused is None or isinstance(outcome.refused, TamperedError)
    assert tried >= CATALOG_FLIPS
    assert path.read_bytes() == before


def test_writing_after_flips_in_free_pages(
    closed: tuple[QuickVaults, dict[str, bytes], dict[str, list[Node]]], tmp_path: Path
) -> None:
    """A flip in every page that holds nothing does no harm: what is written there later replaces it."""
    vaults, keys, held = closed
    name = next(name for name in keys if name.startswith("spaces/"))
    for part in ("vault", "state"):
        shutil.copytree(vaults.folder / part, tmp_path / part)
    copied, path = QuickVaults(tmp_path, tmp_path / "state"), tmp_path / "vault" / name
    free = classes_of(path, keys[name])[FREE]
    assert len(free) > 50
    for number in free:
        flip(path, 8 * pages.PAGE * (number - 1) + 12_345)
    with copied.open() as vault:
        vault.space().remember_many([Draft(f"turn {number} " + "of words " * 60) for number in range(300)])
        assert not vault.verify(full=True)
        assert list(vault.space().nodes())[: len(held["main"])] == held["main"]
        assert vault.space().count() == len(held["main"]) + 300
    with copied.open() as vault:
        assert not vault.verify(full=True)
