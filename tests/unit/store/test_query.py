"""Typed reads."""

from __future__ import annotations

import apsw

from mimir_vault.store.query import each, fetch


def test_rows_come_one_by_one_or_all_at_once(plain: apsw.Connection) -> None:
    """`each` yields rows lazily, `fetch` returns them in a list; bindings are used."""
    plain.execute("INSERT INTO name (text, uses) VALUES ('a', 1), ('b', 2), ('c', 3)")
    rows = each(plain, "SELECT text FROM name WHERE uses > ? ORDER BY code", (1,))
    assert next(rows) == ("b",)
    assert list(rows) == [("c",)]
    assert fetch(plain, "SELECT uses FROM name ORDER BY code") == [(1,), (2,), (3,)]
    assert fetch(plain, "SELECT uses FROM name WHERE uses > 3") == []
