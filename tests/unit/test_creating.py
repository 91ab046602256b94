"""Making a vault: beside its place, then there at once, and without touching what others have there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

HOURS_AGO = 1_777_593_600 - 5 * 3_600  # The tests' clock begins on 2026-05-01.


def age(folder: Path, moment: float = HOURS_AGO) -> None:
    """Make a folder look as if it had lain there for hours."""
    for path in (*folder.rglob("*"), folder):
        os.utime(path, (moment, moment))


@pytest.mark.parametrize(
    "name", ["vault.new-projects", "vault.new-20251101", "vault.new-deadbeef", "vault.newer", "vault.new-"]
)
def test_a_folder_of_somebody_else_s_is_never_removed(vaults: Any, name: str) -> None:
    """Whatever it is called: only a making that was cut short is Mimir's to remove."""
    folder = vaults.path(name)
    folder.mkdir()
    (folder / "letter.txt").write_text("mine")
    age(folder)
    vaults.create().lock()
    assert (folder / "letter.txt").read_text() == "mine"


@pytest.mark.parametrize("name", ["vault.new-20251101", "vault.new-deadbeef"])
def test_a_whole_vault_is_never_removed(vaults: Any, name: str) -> None:
    """A copy under such a name opens afterwards as it did before."""
    vault = vaults.create("other")
    vault.space().remember("hello")
    vault.lock()
    os.rename(vaults.path("other"), vaults.path(name))
    age(vaults.path(name))
    vaults.create().lock()
    assert vaults.open(name).space().count() == 1


def test_names_with_wildcards_sweep_nothing_of_others(vaults: Any) -> None:
    """A vault called `*` is no pattern."""
    folder = vaults.path("other.new-deadbeef")
    folder.mkdir()
    age(folder)
    vaults.create("*").lock()
    assert folder.exists()
