"""Files that others put into a vault, or that an older catalog does not know: opening destroys nothing of theirs."""

from __future__ import annotations

import shutil
import struct
from pathlib import Path

import pytest

from forensics.damage import Aged, contents, examine
from mimir_vault.errors import MimirError
from quick_vaults import QuickVaults

JOURNAL_MAGIC = bytes.fromhex("d9d505f920a163d7")
ODD_NAMES = ("a b?mode=ro&immutable=1#x", "100%41 Vögel\u00e9", "it's; DROP", "-", "\u202ename")


def test_other_files_are_left_alone(vaults: QuickVaults) -> None:
    """Notes, folders and copies made by a sync tool inside the vault's folders neither vanish nor hold it up."""
    with vaults.create() as vault:
        vault.space().remember("a turn")
    (own,) = (vaults.path() / "spaces").iterdir()
    conflicted = own.with_name(f"{own.stem} (conflicted copy).db")
    strays = [vaults.path() / "notes.txt", own.with_name("notes.txt"), conflicted]
    for stray in strays:
        stray.write_text("mine")
    folder = own.with_name("a folder.db")
    folder.mkdir()
    with vaults.open() as vault:
        assert vault.space().count() == 1
        assert not vault.verify(full=True)
    assert [stray.read_text() for stray in strays] == ["mine"] * 3
    assert folder.is_dir()


@pytest.mark.parametrize("how", ["never seen", "accepted"])
def test_an_older_catalog_destroys_no_space(aged: Aged, tmp_path: Path, how: str) -> None:
    """The files of spaces that an older catalog does not know yet stay, so that the newer one can be put back."""
    vaults = aged.copy(tmp_path, state="newer" if how == "accepted" else None)
    folder = tmp_path / "vault"
    names = ("catalog.db", "header", "header.copy")
    for name in names:
        shutil.copyfile(aged.older / "vault" / name, folder / name)
    before = {path.name: path.read_bytes() for path in (folder / "spaces").iterdir()}
    try:
        with vaults.open(accept_rollback=how == "accepted") as vault:
            assert [info.name for info in vault.spaces()] == ["main"]
    except MimirError:
        assert how == "never seen"
    assert {path.name: path.read_bytes() for path in (folder / "spaces").glob("*.db")} == before
    for name in names:
        shutil.copyfile(aged.newer / "vault" / name, folder / name)
    assert examine(vaults, accept_rollback=True).held == aged.held


def test_planted_journal(aged: Aged, tmp_path: Path) -> None:
    """A rollback journal planted beside a database, naming a file of the user's, harms neither that file nor a node."""
    for name in ("catalog.db", aged.space_file):
        place = tmp_path / Path(name).name
        vaults = aged.copy(place)
        target, victim = place / "vault" / name, place / "important.txt"
        victim.write_text("not to be touched")
        head = JOURNAL_MAGIC + struct.pack(">IIIII", 0, 7, target.stat().st_size // 4_096, 512, 4_096)
        named = str(victim).encode()
        end = struct.pack(">I", (1 << 30) // 4_096 + 1) + named + struct.pack(">II", len(named), sum(named))
        end += JOURNAL_MAGIC
        Path(f"{target}-journal").write_bytes(head.ljust(512, b"\0") + end)
        outcome = examine(vaults)
        assert outcome.noticed or outcome.held == aged.held
        assert victim.read_text() == "not to be touched"


@pytest.mark.parametrize("name", ODD_NAMES)
def test_odd_names_of_vaults(aged: Aged, tmp_path: Path, name: str) -> None:
    """A vault whose folder's name looks like a query, an escape or a command opens like any other."""
    vaults = aged.copy(tmp_path)
    (tmp_path / "vault").rename(tmp_path / name)
    with vaults.open(tmp_path / name) as vault:
        assert contents(vault) == aged.held
        vault.space().remember("one more")
    with vaults.open(tmp_path / name, read_only=True) as vault:
        assert vault.space().count() == len(aged.held["main"]) + 1
    assert {path.name for path in tmp_path.iterdir()} == {name, "state"}
