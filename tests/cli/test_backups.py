"""Tests of the commands `backup`, `restore`, `adopt` and `compact`, in processes of their own."""

from __future__ import annotations

import shutil
from pathlib import Path

from cli.command_runs import TURNS, Run


def test_back_up_and_restore(run: Run, copied_vault: Path, tmp_path: Path) -> None:
    """A backup, a second one that goes on from it, and a vault made of it elsewhere that holds the same."""
    file = tmp_path / "mimir.backup"
    first = run("backup", str(file))
    assert (first.code, first.err) == (0, "")
    assert first.out.startswith(f"backed up {len(TURNS)} nodes (all written anew) to {file}, ")
    assert run("remember", "One more turn").code == 0
    second = run("backup", str(file), "--json").values[0]
    assert (second["nodes"], second["added"], second["incremental"]) == (len(TURNS) + 1, 1, True)
    before = run("list", "--json").values

    restored = run("restore", str(file), "--vault", str(tmp_path / "restored"))

    assert (restored.code, restored.err) == (0, "")
    assert restored.out == f"restored {len(TURNS) + 1} nodes to {tmp_path / 'restored'}; every one was checked\n"
    assert run("list", "--json", "--vault", str(tmp_path / "restored")).values == before
    assert run("verify", "--full", "--vault", str(tmp_path / "restored")).out == "all is well\n"


def test_what_is_there_is_never_overwritten(run: Run, copied_vault: Path, tmp_path: Path) -> None:
    """Neither by a backup nor by a restore: one sentence, and what was there stays."""
    (tmp_path / "letter.txt").write_text("Dear Bo")
    refused = run("backup", str(tmp_path / "letter.txt"))
    assert refused.code == 1
    assert refused.err.count("\n") == 1
    assert (tmp_path / "letter.txt").read_text() == "Dear Bo"
    assert run("backup", str(tmp_path / "b")).code == 0
    again = run("restore", str(tmp_path / "b"))
    assert again.code == 1
    assert "choose another place with --vault" in again.err


def test_a_damaged_backup_is_refused(run: Run, copied_vault: Path, tmp_path: Path) -> None:
    """With code 5, and nothing is left at the place."""
    file = tmp_path / "b"
    assert run("backup", str(file)).code == 0
    content = bytearray(file.read_bytes())
    content[100_000] ^= 1
    file.write_bytes(content)
    refused = run("restore", str(file), "--vault", str(tmp_path / "restored"))
    assert refused.code == 5
    assert not (tmp_path / "restored").exists()
    assert run("restore", str(tmp_path / "none"), "--vault", str(tmp_path / "restored")).code == 4


def test_adopt_an_older_copy(run: Run, copied_vault: Path, tmp_path: Path) -> None:
    """An older copy that was put back is refused until it is adopted."""
    shutil.copytree(copied_vault, tmp_path / "older")
    assert run("remember", "Newer than the copy").code == 0
    shutil.rmtree(copied_vault)
    shutil.copytree(tmp_path / "older", copied_vault)
    refused = run("list")
    assert (refused.code, refused.out) == (5, "")
    assert run("adopt").out == f"adopted the vault at {copied_vault}\n"
    assert len(run("list", "--json").values) == len(TURNS)


def test_compact(run: Run, copied_vault: Path) -> None:
    """It says from how much to how much, for each space; nothing is lost."""
    assert run("space", "create", "work").code == 0
    ran = run("compact")
    assert [line.split(":")[0] for line in ran.out.splitlines()] == ["main", "work"]
    assert run("compact", "--space", "work", "--json").values[0]["space"] == "work"
    assert len(run("list", "--json").values) == len(TURNS)
