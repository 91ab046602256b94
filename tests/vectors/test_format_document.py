"""The tables of docs/FORMAT.md say what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from mimir_vault.crypto.envelope import Role
from mimir_vault.crypto.keys import KdfProfile, Label
from mimir_vault.keyslots.slot import SlotKind

FORMAT = (Path(__file__).resolve().parents[2] / "docs" / "FORMAT.md").read_text(encoding="utf-8")


def rows_under(first_column: str) -> list[list[str]]:
    """Return the cells of the table whose first heading begins so."""
    table = re.search(rf"^\| {re.escape(first_column)}.*\n\|[-|]+\n((?:\|.*\n)+)", FORMAT, re.MULTILINE)
    assert table is not None, first_column
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in table[1].splitlines()]


def test_the_table_of_labels_is_whole() -> None:
    """Every label of the code stands in the document, and no other."""
    documented = {name for row in rows_under("label") for name in re.findall(r"`([a-z-]+)`", row[0])}

    assert documented == {label.value[len(b"mimir/v1/") : -1].decode() for label in Label}


def test_the_table_of_roles_is_whole() -> None:
    """Number and suite of every role."""
    documented = {int(row[0]): int(row[2]) for row in rows_under("role")}

    assert documented == {role.value: role.suite.value for role in Role}


def test_the_table_of_profiles_is_whole() -> None:
    """Byte, name and cost of every profile."""
    documented = {(int(row[0]), row[1].split(",")[0], row[2]) for row in rows_under("byte")}
    sizes = {64 * 1024: "64 MiB", 256 * 1024: "256 MiB", 1024 * 1024: "1 GiB"}

    assert documented == {
        (each.value, each.name.lower(), f"{sizes[each.cost.memory_kib]}, {each.cost.passes}, {each.cost.lanes}")
        for each in KdfProfile
    }


def test_the_table_of_kinds_is_whole() -> None:
    """Number and name of every kind of slot."""
    documented = {int(row[0]): row[1] for row in rows_under("kind")}

    assert documented == {kind.value: kind.name.lower().replace("_", " ") for kind in SlotKind}
