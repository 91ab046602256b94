"""Migrations: a database is brought to the newest version, and refused when it is newer or of another kind."""

from __future__ import annotations

import apsw
import pytest

from mimir_vault.errors import FormatError
from mimir_vault.store import schema

KINDS = {
    "space": (schema.SPACE_MIGRATIONS, schema.SPACE_APPLICATION_ID),
    "catalog": (schema.CATALOG_MIGRATIONS, schema.CATALOG_APPLICATION_ID),
    "pins": (schema.PINS_MIGRATIONS, schema.PINS_APPLICATION_ID),
}


@pytest.fixture
def fresh() -> apsw.Connection:
    """An empty database."""
    return apsw.Connection(":memory:")


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_database_is_brought_to_the_newest_version(kind: str, fresh: apsw.Connection) -> None:
    """Tables are there, version and mark are set, and a second migration changes nothing."""
    migrations, application_id = KINDS[kind]
    assert not schema.is_current(fresh, migrations, application_id, "it")
    schema.migrate(fresh, migrations, application_id, "it")
    assert schema.is_current(fresh, migrations, application_id, "it")
    tables = fresh.execute("SELECT sql FROM sqlite_schema ORDER BY name").fetchall()
    schema.migrate(fresh, migrations, application_id, "it")
    assert fresh.execute("SELECT sql FROM sqlite_schema ORDER BY name").fetchall() == tables
    assert fresh.pragma("user_version") == len(migrations)
    assert fresh.pragma("application_id") == application_id


def test_later_migrations_are_applied_in_order(fresh: apsw.Connection) -> None:
    """A database of version 1 gets what versions 2 and 3 add, and keeps its rows."""
    first = ("CREATE TABLE one (a INTEGER)",)
    schema.migrate(fresh, first, 7, "it")
    fresh.execute("INSERT INTO one VALUES (5)")
    later = (*first, "ALTER TABLE one ADD COLUMN b INTEGER DEFAULT 1", "UPDATE one SET b = b + 1")
    assert not schema.is_current(fresh, later, 7, "it")
    schema.migrate(fresh, later, 7, "it")
    assert fresh.execute("SELECT a, b FROM one").fetchall() == [(5, 2)]


@pytest.mark.parametrize("check", [schema.migrate, schema.is_current])
def test_a_newer_version_is_refused(check: object, fresh: apsw.Connection) -> None:
    """What a newer release wrote is a FormatError that says to update, and stays as it is."""
    fresh.pragma("user_version", 2)
    with pytest.raises(FormatError, match="space main has format 2, this version of Mimir knows up to 1; update Mimir"):
        check(fresh, schema.SPACE_MIGRATIONS, schema.SPACE_APPLICATION_ID, "space main")  # type: ignore[operator]
    assert fresh.pragma("user_version") == 2
    assert fresh.execute("SELECT count(*) FROM sqlite_schema").fetchall() == [(0,)]


@pytest.mark.parametrize("check", [schema.migrate, schema.is_current])
def test_another_kind_of_database_is_refused(check: object, fresh: apsw.Connection) -> None:
    """A catalog in the place of a space is a FormatError."""
    schema.migrate(fresh, *KINDS["catalog"], "it")
    with pytest.raises(FormatError, match="space main is a database of another kind"):
        check(fresh, schema.SPACE_MIGRATIONS, schema.SPACE_APPLICATION_ID, "space main")  # type: ignore[operator]


def test_every_table_is_digested_or_has_a_reason_not_to_be(fresh: apsw.Connection) -> None:
    """A new table cannot be forgotten: it counts into `rows_digest` or stands in the list of exceptions."""
    names = set()
    for migrations, application_id in (KINDS["space"], KINDS["catalog"]):
        connection = apsw.Connection(":memory:")
        schema.migrate(connection, migrations, application_id, "it")
        names |= {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    exceptions = {"node", "tombstone", "freshness", "chain", "lease", "padding", "sqlite_sequence"}
    assert names - exceptions == set(schema.DIGESTED_TABLES)
    assert len(schema.DIGESTED_TABLES) == len(set(schema.DIGESTED_TABLES))


def test_numbers_of_nodes_names_and_vectors_are_never_used_twice(fresh: apsw.Connection) -> None:
    """The tables whose numbers others keep are AUTOINCREMENT: an erased newest row's number does not come back."""
    schema.migrate(fresh, *KINDS["space"], "it")
    for insert, table in (
        ("INSERT INTO name (text, uses) VALUES ('a', 0) RETURNING code", "name"),
        ("INSERT INTO term (text, nodes) VALUES ('a', 0) RETURNING code", "term"),
        ("INSERT INTO vector (seq, model, window, data) VALUES (1, 1, 0, x'') RETURNING vid", "vector"),
        ("INSERT INTO node (id, epoch, wrap, payload, metadata, state) VALUES (x'', 1, x'', x'', x'', x'')"
         " RETURNING seq", "node"),
        ("INSERT INTO thread (identity, length, uses, head) VALUES (x'', 0, 0, 0) RETURNING code", "thread"),
    ):  # fmt: skip
        (first,) = fresh.execute(insert).fetchall()[0]
        fresh.execute(f"DELETE FROM {table}")
        (second,) = fresh.execute(insert).fetchall()[0]
        assert second == first + 1
