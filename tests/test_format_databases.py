"""The tables and layouts of the section `Databases` in docs/FORMAT.md are those of the code."""

from __future__ import annotations

import re
from pathlib import Path

import apsw
import pytest

from mimir_vault.model.codec import Metadata, Payload, State
from mimir_vault.model.facets import FACETS
from mimir_vault.model.link import LINK_KINDS
from mimir_vault.store import database, freshness, padding, schema, vectors, words
from mimir_vault.store.cipher import CLEAR_FIELDS

SECTION = (Path(__file__).resolve().parent.parent / "docs" / "FORMAT.md").read_text(encoding="utf-8")
SECTION = SECTION[SECTION.index("## Databases") :]


def documented() -> dict[str, list[str]]:
    """Return the columns of every table that the section lists, by the table's name."""
    rows = re.findall(r"^\| `(\w+)` \| ([\w, ]+) \| [^|]+ \|$", SECTION, re.MULTILINE)
    return {table: columns.split(", ") for table, columns in rows}


def made(migrations: tuple[str, ...]) -> dict[str, list[str]]:
    """Return the columns of every table that the migrations make."""
    connection = apsw.Connection(":memory:")
    for migration in migrations:
        connection.execute(migration)
    tables = [str(name) for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    return {
        table: [str(row[1]) for row in connection.execute(f"PRAGMA table_info({table})")]
        for table in tables
        if not table.startswith("sqlite_")
    }


def test_every_table_and_column_is_documented() -> None:
    """Spaces, catalog and pins have the listed tables with the listed columns in that order, and no others."""
    code = made(schema.SPACE_MIGRATIONS) | made(schema.CATALOG_MIGRATIONS) | made(schema.PINS_MIGRATIONS)

    assert documented() == code


def test_all_rows_are_in_one_digest_or_exempt() -> None:
    """The exemptions from `rows_digest` are those the section names."""
    every = made(schema.SPACE_MIGRATIONS).keys() | made(schema.CATALOG_MIGRATIONS).keys()

    assert every - set(schema.DIGESTED_TABLES) == {
        "node", "tombstone", "freshness", "chain", "lease", "padding",
    }  # fmt: skip
    assert "but freshness, chain, lease and padding" in SECTION


@pytest.mark.parametrize("kind", [Payload, Metadata, State])
def test_envelopes_have_as_many_elements_as_documented(kind: type) -> None:
    """The list of elements in the row of an envelope is as long as the encoded array."""
    row = re.search(rf"^\| {kind.__name__.lower()} \| (version 1, .+) \|$", SECTION, re.MULTILINE)
    assert row is not None
    plain = re.sub(r"\([^)]*\)|\[[^]]*\]", "", row[1])

    assert len(plain.split(", ")) == len(kind.__struct_fields__)  # type: ignore[attr-defined]


def test_numbers_in_the_text_are_those_of_the_code() -> None:
    """Sizes, limits and marks."""
    said = {
        "64 bytes, little-endian: seq": FACETS.size == 64,
        f"`{schema.SPACE_APPLICATION_ID:x}` (`MimS`)": True,
        f"`{schema.CATALOG_APPLICATION_ID:x}` (`MimC`)": True,
        f"`{schema.PINS_APPLICATION_ID:x}` (`MimP`)": True,
        f"the salt and `{CLEAR_FIELDS.hex()}`": True,
        f"Pages have {database.PAGE_BYTES:,} bytes": True,
        f"the newest {freshness.CHAIN_KEPT:,} values of the chain": True,
        f"5 bytes a place, ascending: seq (`u32`, little-endian), how often (`u8`), at most {words.BLOCK_PLACES}": True,
        "in rows of 256 KiB": vectors.PART_BYTES == 256 << 10,
        "longer than 8 MiB": database.WAL_RESTART_PAGES * database.PAGE_BYTES == 8 << 20,
        "up to 256 MiB, and above that a multiple of 128 MiB": (padding.LARGE, padding.LARGE_STEP)
        == (256 << 20, 128 << 20),
        "in transactions of at most 2 MiB": padding.STEP == 2 << 20,
        "at least an eighth of its class": padding.RESERVE_SHARE == 8,
        ", ".join(f"{number} `{kind}`" for number, kind in enumerate(LINK_KINDS)): True,
    }

    assert [text for text, holds in said.items() if not (holds and text in SECTION)] == []
    assert words.PLACE.itemsize == 5
    assert len(schema.SPACE_MIGRATIONS) == len(schema.CATALOG_MIGRATIONS) == len(schema.PINS_MIGRATIONS) == 1
