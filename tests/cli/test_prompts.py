"""Tests of what the command asks at a terminal."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.command_runs import PASSPHRASE, TURNS, Run
from cli.typist import Typist
from mimir_vault.vault import Vault


@pytest.fixture
def asking(environment: dict[str, str]) -> dict[str, str]:
    """Variables of a call that finds no passphrase but by asking."""
    return {name: value for name, value in environment.items() if name != "MIMIR_PASSPHRASE_FILE"}


def test_init_asks_twice_and_checks_the_recovery_code(asking: dict[str, str], tmp_path: Path) -> None:
    """The passphrase is typed twice and never shown, the words are shown once, three are asked back, and both open."""
    typist = Typist("init", "--profile", "interactive", env=asking)
    for typed in ("a first long passphrase", "a frist long passphrase"):
        typist.expect("Passphrase")
        typist.type(typed)
    typist.expect("These two differ")
    for question in ("Passphrase: ", "Passphrase, once more: "):
        typist.expect(question)
        typist.type(PASSPHRASE)
    typist.expect("They are shown this once")
    page = typist.expect("Word ")
    words = {int(number): word for number, word in re.findall(r"(\d+)\. ([a-z]+)", page)}
    assert len(words) == 24
    for place in range(3):
        number = int(typist.expect(", please: "))
        typist.type("wrong" if place == 1 else words[number])
        if place == 1:
            typist.expect("That is not it")
            assert int(typist.expect(", please: ").split("Word ")[1]) == number
            typist.type(words[number].upper())
        if place < 2:
            typist.expect("Word ")
    typist.expect("All three are right")
    typist.expect("Next: mimir remember")
    assert typist.end() == 0

    code = " ".join(words[number] for number in range(1, 25))
    for secret in ({"passphrase": PASSPHRASE}, {"recovery_code": code}):
        Vault.open(tmp_path / "vault", state_folder=tmp_path / "seen", **secret).close()  # type: ignore[arg-type]


def test_unconfirmed_words_are_told(asking: dict[str, str]) -> None:
    """Who cannot say the words is told how to get new ones."""
    typist = Typist("init", "--profile", "interactive", env=asking)
    for question in ("Passphrase: ", "Passphrase, once more: "):
        typist.expect(question)
        typist.type(PASSPHRASE)
    for _ in range(3):
        typist.expect(", please: ")
        typist.type("wrong")
    typist.expect("mimir key add recovery")
    assert typist.end() == 0


def test_the_passphrase_comes_from_the_terminal_while_stdin_is_a_pipe(
    asking: dict[str, str], stored: Callable[[], list[str]]
) -> None:
    """`git log | mimir remember - --lines` reads the pipe as text and asks for the passphrase at the terminal."""
    typist = Typist("remember", "-", "--lines", env=asking, stdin=subprocess.PIPE)
    assert typist.process.stdin is not None
    typist.process.stdin.write(b"piped line one\npiped line two\n")
    typist.process.stdin.close()
    assert PASSPHRASE not in typist.expect("Passphrase: ")
    typist.type(PASSPHRASE)
    typist.expect("remembered 2 lines")
    assert typist.end() == 0
    assert stored()[-2:] == ["piped line one", "piped line two"]


def test_wrong_passphrase_at_the_prompt(asking: dict[str, str], copied_vault: Path) -> None:
    """A wrong passphrase ends with code 3 and is not shown."""
    typist = Typist("list", env=asking)
    typist.expect("Passphrase: ")
    typist.type("not this one")
    shown = typist.expect("does not open this vault")
    assert "not this one" not in shown
    assert typist.end() == 3


@pytest.mark.parametrize(("answer", "left"), [("", len(TURNS)), ("y", len(TURNS) - 2)])
def test_forget_asks(environment: dict[str, str], stored: Callable[[], list[str]], answer: str, left: int) -> None:
    """Only a clear yes forgets."""
    typist = Typist("forget", "--session", "s1", env=environment)
    typist.expect("Forget 2 nodes for ever? [y/N] ")
    typist.type(answer)
    typist.expect("forgot 2 nodes" if answer == "y" else "nothing was forgotten")
    assert typist.end() == 0
    assert len(stored()) == left


def test_end_of_input_at_a_question_changes_nothing(
    environment: dict[str, str], stored: Callable[[], list[str]]
) -> None:
    """Ctrl-D instead of an answer ends with code 130."""
    typist = Typist("forget", "--session", "s1", env=environment)
    typist.expect("[y/N] ")
    typist.type("\x04")
    assert typist.end() == 130
    assert len(stored()) == len(TURNS)


def test_ctrl_c_at_the_passphrase(asking: dict[str, str], copied_vault: Path) -> None:
    """Ctrl-C at the prompt ends with code 130 and one line."""
    typist = Typist("list", env=asking)
    typist.expect("Passphrase: ")
    typist.type("\x03")
    typist.expect("mimir: interrupted")
    assert typist.end() == 130
    assert "Traceback" not in typist.shown


def test_erasing_a_space_wants_its_name(environment: dict[str, str], copied_vault: Path, run: Run) -> None:
    """A wrong name erases nothing, the right one does."""
    for typed, code in (("mian", 2), ("main", 0)):
        typist = Typist("space", "erase", "main", env=environment)
        typist.expect("Type its name to go on: ")
        typist.type(typed)
        assert typist.end() == code
    assert run("space", "list", "--json").out == ""


def test_bars_are_for_terminals(environment: dict[str, str], copied_vault: Path, tmp_path: Path) -> None:
    """A bar is shown on a terminal, on standard error, and not with --quiet."""
    file = tmp_path / "lines.jsonl"
    file.write_text("".join(f'{{"text": "line {number}"}}\n' for number in range(20)))

    typist = Typist("import", str(file), env=environment, stdout=subprocess.PIPE)
    assert typist.end() == 0
    assert "importing" in typist.shown
    assert "lines/s" in typist.shown

    typist = Typist("import", str(file), "--quiet", env=environment)
    assert typist.end() == 0
    assert typist.shown == ""


def test_colours_are_for_terminals_that_want_them(environment: dict[str, str], copied_vault: Path) -> None:
    """NO_COLOR keeps every colour away."""
    for more, coloured in (({}, True), ({"NO_COLOR": "1"}, False)):
        typist = Typist("recall", "window seats", "-k", "1", env=environment | more)
        assert typist.end() == 0
        assert ("\x1b[36m" in typist.shown) is coloured
        assert TURNS[0][4] in typist.shown


@pytest.mark.parametrize(
    ("typed", "code", "says"),
    [("\x04", 3, "the input ended before a passphrase was typed"), ("\n", 3, "no passphrase was typed"),
     ("\x03", 130, "interrupted")],
    ids=["end of input", "nothing", "Ctrl-C"],
)  # fmt: skip
def test_no_passphrase_at_the_prompt(
    asking: dict[str, str], copied_vault: Path, typed: str, code: int, says: str
) -> None:
    """Who ends the input or types nothing is told what was tried; Ctrl-C is an interrupt."""
    typist = Typist("list", env=asking)
    typist.expect("Passphrase: ")
    typist.press(typed)
    typist.expect(says)
    assert typist.end() == code
