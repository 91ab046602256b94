"""A process is killed while it makes or changes a vault: the change is whole or not there, and nothing is left over."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

import pytest

from crash.killing import run_and_kill
from mimir_vault.errors import WrongKeyError
from quick_vaults import QuickVaults

ROUNDS = int(os.environ.get("MIMIR_CRASH_ROUNDS", "10"))


@pytest.fixture
def moments() -> random.Random:
    """Where the moments of killing come from."""
    return random.Random(89 if ROUNDS <= 10 else None)


def test_create_a_vault(vaults: QuickVaults, tmp_path: Path, moments: random.Random) -> None:
    """A vault is whole or not there: whatever lies at its place opens, with its first space, and takes a node."""
    for _ in range(ROUNDS):
        made = run_and_kill(tmp_path, "create", lines=moments.randrange(1, 3), seconds=moments.random() * 0.04)
        there = [path.name for path in tmp_path.iterdir() if path.name.startswith("vault") and ".new-" not in path.name]
        assert set(made) <= set(there)
        assert len(there) - len(made) <= 1
        for name in there:
            with vaults.open(name) as vault:
                vault.space().remember("the first turn")
                assert not vault.verify(full=True)
            shutil.rmtree(tmp_path / name)
        vaults.create(f"vault {len(made)}").lock()
        shutil.rmtree(tmp_path / f"vault {len(made)}")
        for left in tmp_path.glob("*.new-*"):
            shutil.rmtree(left)


def test_create_spaces(vaults: QuickVaults, tmp_path: Path, moments: random.Random) -> None:
    """A space is whole or not there, and the file of one that is not there is swept away at the next opening."""
    for round_number in range(ROUNDS):
        vaults.create().lock()
        made = run_and_kill(tmp_path, "create_spaces", lines=moments.randrange(1, 6), seconds=moments.random() * 0.04)
        with vaults.open() as vault:
            names = [info.name for info in vault.spaces()]
            assert {"main", *made} <= set(names)
            assert len(names) - 1 - len(made) <= 1
            assert len(list((vault.path / "spaces").glob("*.db"))) == len(names)
            assert not vault.verify(full=True)
            assert all(vault.space(name).count() == 1 for name in made)
        assert {"".join(path.suffixes) for path in (tmp_path / "vault" / "spaces").iterdir()} == {".db"}
        shutil.move(tmp_path / "vault", tmp_path / f"done {round_number}")


def test_erase_spaces(vaults: QuickVaults, tmp_path: Path, moments: random.Random) -> None:
    """An erased space stays erased, one whose erasure was cut is erased or whole, and no file is left without one."""
    for round_number in range(max(2, ROUNDS // 3)):
        with vaults.create() as vault:
            for number in range(8):
                vault.create_space(f"space {number}").remember("a turn")
        gone = run_and_kill(tmp_path, "erase_spaces", lines=moments.randrange(1, 5), seconds=moments.random() * 0.02)
        with vaults.open() as vault:
            names = {info.name for info in vault.spaces()}
            assert not names & set(gone)
            assert len(names) >= 9 - len(gone) - 1
            assert len(list((vault.path / "spaces").glob("*.db"))) == len(names)
            assert not vault.verify(full=True)
        assert len(list((tmp_path / "vault" / "spaces").iterdir())) == len(names)
        shutil.move(tmp_path / "vault", tmp_path / f"done {round_number}")


def test_change_the_passphrase(vaults: QuickVaults, tmp_path: Path, moments: random.Random) -> None:
    """A vault opens with the last acknowledged passphrase or the one after it, and with no other."""
    with vaults.create(profile="interactive") as vault:
        vault.keyslots.add_passphrase("passphrase 0")
    for _ in range(max(2, ROUNDS // 5)):
        said = run_and_kill(tmp_path, "change_passphrases", lines=2, seconds=moments.random() * 0.8)
        last = int(said[-1].split()[1]) if said else 0
        opened = [number for number in range(max(0, last - 1), last + 2) if opens(vaults, f"passphrase {number}")]
        assert opened in ([last], [last + 1])
        with vaults.open(passphrase=f"passphrase {opened[0]}") as vault:
            assert not vault.verify()
            vault.keyslots.change_passphrase("passphrase 0")


def opens(vaults: QuickVaults, passphrase: str) -> bool:
    """Say whether a passphrase opens the vault."""
    try:
        vaults.open(passphrase=passphrase).lock()
    except WrongKeyError:
        return False
    return True
