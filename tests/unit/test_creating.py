"""Making a vault: beside its place, then there at once; and what a crash left of such a making."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from mimir_vault import creating as module

HOURS_AGO = 1_777_593_600 - 5 * 3_600  # The tests' clock begins on 2026-05-01.


def age(folder: Path, moment: float = HOURS_AGO) -> None:
    """Make a folder look as if it had lain there for hours."""
    for path in (*folder.rglob("*"), folder):
        os.utime(path, (moment, moment))


@pytest.fixture
def crashed(vaults: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What is left when the machine stops right before a new vault is moved to its place."""
    kept = vaults.folder / "kept"

    def stop(source: Path, _: Path) -> None:
        shutil.copytree(source, kept)
        left.append(source)
        raise KeyboardInterrupt

    left: list[Path] = []
    monkeypatch.setattr(module.os, "rename", stop)
    with pytest.raises(KeyboardInterrupt):
        vaults.create()
    monkeypatch.undo()
    shutil.move(kept, left[0])
    return left[0]


def test_what_a_crash_left_is_swept_by_the_next_creation(vaults: Any, crashed: Path) -> None:
    """Once it is surely nobody's work; a younger one may be another process's and stays."""
    moment = HOURS_AGO + 5 * 3_600
    age(crashed, moment)
    vaults.create().lock()
    assert crashed.exists()
    shutil.rmtree(vaults.path())
    age(crashed)
    vaults.create().lock()
    assert not crashed.exists()


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
