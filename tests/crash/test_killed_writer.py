"""A process is killed while it writes: what it acknowledged is there, what it did not is whole or not there.

Ten rounds by default; MIMIR_CRASH_ROUNDS=1000 makes a long run.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from crash.killing import run_and_kill
from crash.writing import TEXT
from forensics import pages, scanning
from forensics.building import page_keys
from quick_vaults import QuickVaults

ROUNDS = int(os.environ.get("MIMIR_CRASH_ROUNDS", "10"))
BATCH = 40


@pytest.fixture
def moments() -> random.Random:
    """Where the moments of killing come from: other ones in every run of a long series, the same ones in a short."""
    return random.Random(83 if ROUNDS <= 10 else None)


def left_files(folder: Path) -> set[str]:
    """Return the endings of what lies in the folder of spaces."""
    return {"".join(path.suffixes) for path in (folder / "vault" / "spaces").iterdir()}


def test_remember_one_by_one(vaults: QuickVaults, tmp_path: Path, moments: random.Random) -> None:
    """Every acknowledged node is there, at most one more in each round, and everything verifies."""
    vaults.create().lock()
    acknowledged: set[str] = set()
    extra = 0
    for _ in range(ROUNDS):
        acknowledged |= set(
            run_and_kill(tmp_path, "remember", lines=moments.randrange(1, 20), seconds=moments.random() * 0.05)
        )
        with vaults.open() as vault:
            memory = vault.space()
            there = {node.id for node in memory.nodes()}
            assert acknowledged <= there
            assert len(there - acknowledged) <= extra + 1
            extra = len(there - acknowledged)
            assert not vault.verify(full=True)
            if there:
                hit = memory.recall(TEXT.format(0, "Ada"), k=1)[0]
                assert hit.text == TEXT.format(0, "Ada")
        assert left_files(tmp_path) == {".db"}


def test_remember_in_batches(vaults: QuickVaults, tmp_path: Path, moments: random.Random) -> None:
    """Acknowledged batches are there in order, of the batch that was cut a beginning at most."""
    vaults.create().lock()
    for _ in range(max(2, ROUNDS // 3)):
        with vaults.open() as vault:
            before = vault.space().count()
        lines = run_and_kill(tmp_path, "remember_many", lines=moments.randrange(1, 5), seconds=moments.random() * 0.1)
        acknowledged = [node_id for line in lines for node_id in line.split()]
        with vaults.open() as vault:
            assert not vault.verify(full=True)
            there = [node.id for node in vault.space().nodes()][before:]
            assert there[: len(acknowledged)] == acknowledged
            assert len(there) - len(acknowledged) <= BATCH


def test_forget(vaults: QuickVaults, tmp_path: Path, moments: random.Random) -> None:
    """What a receipt named is gone for ever, at most one more; after a clean close no page holds a forgotten key."""
    with vaults.create() as vault:
        for number in range(60):
            vault.space().remember(TEXT.format(number, number), speaker="Ada", session="talk")
    for _ in range(max(2, ROUNDS // 3)):
        with vaults.open() as vault:
            before = [node.id for node in vault.space().nodes()]
            keys = page_keys(vault)
            wraps = wraps_of(vault)
        forgotten = run_and_kill(tmp_path, "forget", lines=moments.randrange(1, 8), seconds=moments.random() * 0.02)
        with vaults.open() as vault:
            there = [node.id for node in vault.space().nodes()]
            assert not vault.verify(full=True)
        assert there == before[len(before) - len(there) :]
        assert 0 <= len(before) - len(there) - len(forgotten) <= 1
        name = next(name for name in keys if name.startswith("spaces/"))
        opened = {"pages": b"".join(pages.open_file((tmp_path / "vault" / name).read_bytes(), keys[name]))}
        assert not scanning.search(opened, "wrap", [(one, wraps[one]) for one in before if one not in there])


def wraps_of(vault: object) -> dict[str, bytes]:
    """Return the wrapped key of every node of the first space."""
    with vault.space()._space.store.read() as connection:  # type: ignore[attr-defined]
        return {node_id.hex(): wrap for node_id, wrap in connection.execute("SELECT id, wrap FROM node")}


def test_rebuild(vaults: QuickVaults, tmp_path: Path, moments: random.Random) -> None:
    """A rebuild that was cut leaves the space as it was: every node is there, found and verified."""
    with vaults.create() as vault:
        for number in range(30):
            vault.space().remember(TEXT.format(number, number), speaker="Ada", session="talk", tags=["a tag"])
        before = list(vault.space().nodes())
    for _ in range(max(2, ROUNDS // 3)):
        run_and_kill(tmp_path, "rebuild", lines=moments.randrange(1, 4), seconds=moments.random() * 0.05)
        with vaults.open() as vault:
            assert not vault.verify(full=True)
            assert list(vault.space().nodes()) == before
            assert vault.space().recall(TEXT.format(7, 7), k=1)[0].text == TEXT.format(7, 7)
            assert vault.space().count({"tags": {"contains": "a tag"}}) == 30
