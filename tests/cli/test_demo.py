"""Tests of the command `demo`."""

from __future__ import annotations

import shlex
import tempfile
from pathlib import Path

import pytest

from cli.command_runs import Ran, Run
from mimir_vault.cli import demo


@pytest.fixture(scope="module")
def conversation() -> tuple[int, int]:
    """How many turns and questions the bundled conversation has."""
    drafts, questions = demo.conversation()
    return len(drafts), len(questions)


def test_demo_shows_everything_and_leaves_nothing(run: Run, tmp_path: Path, conversation: tuple[int, int]) -> None:
    """It remembers, asks, judges, shows the disk, says what to type next, and removes its folder."""
    temporary, home = tmp_path / "tmp", tmp_path / "home"
    temporary.mkdir()
    home.mkdir()

    ran = run("demo", env={"TMPDIR": str(temporary), "MIMIR_PASSPHRASE_FILE": ""})

    turns, questions = conversation
    assert (ran.code, ran.err) == (0, "")
    assert f"Remembered {turns} turns" in ran.out
    assert ran.out.count("\n? ") == demo.ASKED
    assert "<- evidence" in ran.out
    assert f"Of all {questions} questions" in ran.out
    assert "any@5" in ran.out
    assert ran.out.count("looks like random bytes") == 4
    assert "does not look random" not in ran.out
    assert "is found in these files" in ran.out
    assert ran.out.rstrip().endswith("mimir init")
    assert list(temporary.iterdir()) == []
    assert list(home.iterdir()) == []
    assert not (tmp_path / "state").exists()


def test_demo_may_be_kept(quick: Run, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With --keep the vault stays, and the command it prints last works as it stands."""
    drafts, questions = demo.conversation()
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    monkeypatch.setattr(demo, "conversation", lambda: (drafts[:30], questions[: demo.ASKED]))
    ran: Ran = quick("demo", "--keep")

    program, *words = shlex.split(ran.out.rstrip().splitlines()[-1])
    assert program == "mimir"
    again = run(*words)

    assert again.code == 0, again.err
    assert "hazelnuts" in again.out.lower()


def test_demo_in_figures(quick: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """With --json the figures are one value."""
    drafts, questions = demo.conversation()
    monkeypatch.setattr(demo, "conversation", lambda: (drafts[:20], questions[: demo.ASKED]))

    (value,) = quick("demo", "--json").values

    assert (value["turns"], value["questions"], value["kept"], value["disk"]["found"]) == (20, demo.ASKED, None, 0)
    assert 0 <= value["any@5"] <= value["any@10"] <= 1


def test_questions_are_spread() -> None:
    """The questions asked come from the whole list."""
    _, questions = demo.conversation()
    asked = demo._spread(questions, demo.ASKED)
    places = [questions.index(one) for one in asked]
    assert len(set(places)) == demo.ASKED
    assert places == sorted(places)
    assert places[0] < len(questions) / 4
    assert places[-1] > len(questions) * 3 / 4
