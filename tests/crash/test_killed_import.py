"""A process is killed while it imports: run again it goes on, and each node is there once."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

import pytest

from crash.killing import run_and_kill
from exports import comparable, exported
from mimir_vault import Draft, Link, Memory
from quick_vaults import QuickVaults

ROUNDS = int(os.environ.get("MIMIR_CRASH_ROUNDS", "1"))
KILLS_MAX = 40
"""So often at most one import is killed before it may end."""


@pytest.fixture
def moments() -> random.Random:
    """Where the moments of killing come from."""
    return random.Random(71 if ROUNDS <= 10 else None)


def fill(memory: Memory) -> None:
    """Remember sessions that take turns, versions of a few refs that say the same now and then, and links to both."""
    for number in range(16):
        turns = memory.remember_many([Draft(f"turn {number} of {name}", session=name) for name in ("one", "two")])
        link = Link("derived_from", turns[number % 2].id)
        memory.remember(f"fact {number % 3}", ref=("fact", str(number % 2)), links=[link], at="2026-04-01T09:00Z")
        if number % 5 == 0:
            memory.supersede(turns[1].id, f"turn {number}, said better")


def told(memory: Memory) -> list[tuple[str, str | None]]:
    """Return id and successor of every node."""
    return [(node.id, node.superseded_by) for node in memory.nodes()]


def test_an_import_that_is_killed_goes_on(vaults: QuickVaults, tmp_path: Path, moments: random.Random) -> None:
    """However often it is killed, in the end it is as if it had not been; and one undoing takes all of it away."""
    with vaults.create("source") as source:
        fill(source.space())
        source.space().export_to(tmp_path / "lines.jsonl")
        file = exported(source.space())
    with vaults.create() as vault:
        memory = vault.space()
        memory.remember("a turn that was there", session="one")
        memory.remember("a fact that was there", ref=("fact", "1"))
        before = told(memory)
    shutil.copytree(tmp_path / "vault", tmp_path / "untouched")
    for _ in range(ROUNDS):
        kills = 0
        while "whole" not in run_and_kill(
            tmp_path, "import_file", lines=moments.randrange(1, 6) if kills < KILLS_MAX else 1_000,
            seconds=moments.random() * 0.03,
        ):  # fmt: skip
            kills += 1
        assert kills > 3
        with vaults.open() as vault:
            memory = vault.space()
            again = memory.import_from(tmp_path / "lines.jsonl")
            assert (again.stored, again.known) == (0, len(file.splitlines()))
            brought = exported(memory, where=again.undo)
            assert comparable(brought, follows=False) == comparable(file, follows=False)
            assert vault.verify(full=True) == []
            assert memory.get(ref=("fact", "1")).text != "a fact that was there"  # type: ignore[union-attr]
            receipt = memory.forget(where=again.undo)
            assert len(receipt.ids) == again.known
            assert told(memory) == before
        shutil.rmtree(tmp_path / "vault")
        shutil.copytree(tmp_path / "untouched", tmp_path / "vault")
        shutil.rmtree(tmp_path / "state", ignore_errors=True)
