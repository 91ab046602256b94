"""Finding a secret: a file, a command, a prompt, or a sentence that says what was tried."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from mimir_vault import unlocking
from mimir_vault.errors import LockedError
from mimir_vault.unlocking import find_passphrase, read_passphrase, run_passphrase_command, terminal_prompt


def command(code: str) -> str:
    """Return a command that runs Python code."""
    return f'{sys.executable} -c "{code}"'


@pytest.mark.parametrize(
    ("content", "passphrase"),
    [
        (b"secret", b"secret"), (b"secret\n", b"secret"), (b"secret\r\n", b"secret"), (b"secret\n\n", b"secret\n"),
        (b" secret ", b" secret "), (b"\xff\xfe", b"\xff\xfe"), (b"x" * 4_096, b"x" * 4_096), (b"a\nb\n", b"a\nb"),
    ],
)  # fmt: skip
def test_a_file_gives_all_but_one_newline_at_its_end(tmp_path: Path, content: bytes, passphrase: bytes) -> None:
    """Nothing else is trimmed, and what comes back can be wiped."""
    (tmp_path / "secret").write_bytes(content)
    found = read_passphrase(tmp_path / "secret")
    assert isinstance(found, bytearray)
    assert found == passphrase


@pytest.mark.parametrize(
    ("content", "says"), [(b"", "is empty"), (b"\n", "is empty"), (b"x" * 5_000, "longer than 4096 bytes; is it the")]
)
def test_a_file_that_holds_no_passphrase_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    """Empty, or far too long to be one: no more than 4 KiB of it is read."""
    (tmp_path / "secret").write_bytes(content)
    with pytest.raises(LockedError, match=says):
        read_passphrase(tmp_path / "secret")


@pytest.mark.parametrize("name", ["gone", "folder"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    """With the reason of the operating system."""
    (tmp_path / "folder").mkdir()
    with pytest.raises(LockedError, match=f"the passphrase file .*{name} cannot be read: "):
        read_passphrase(tmp_path / name)


def test_a_command_runs_without_a_shell() -> None:
    """Its words are split as a shell would, and nothing is expanded."""
    assert run_passphrase_command(command("print('a  b')")) == b"a  b"
    assert run_passphrase_command(f"{sys.executable} -c 'import sys; print(sys.argv[1])' '$HOME;*'") == b"$HOME;*"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (command("import sys; sys.exit(3)"), "failed with exit code 3"),
        (command("pass"), "printed is empty"),
        (command("print('x' * 5000)"), "printed is longer than 4096 bytes"),
        ("/no/such/program", "could not be run"),
        ("'unbalanced", "could not be run"),
        (" ", "could not be run"),
    ],
)
def test_a_command_that_gives_nothing_is_refused(line: str, says: str) -> None:
    """In a sentence that names the variable, not the output."""
    with pytest.raises(LockedError, match=f"MIMIR_PASSPHRASE_COMMAND.* ?{says}|what MIMIR_PASSPHRASE_COMMAND {says}"):
        run_passphrase_command(line)


def test_a_command_that_takes_for_ever_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the longest time a person may need to touch a device."""
    monkeypatch.setattr(unlocking, "COMMAND_SECONDS_MAX", 0.05)
    with pytest.raises(LockedError, match="could not be run"):
        run_passphrase_command(command("import time; time.sleep(9)"))


def test_the_ways_come_in_their_order(tmp_path: Path) -> None:
    """File, command, prompt; empty variables count as not set."""
    (tmp_path / "secret").write_text("of the file")
    by_file = {"MIMIR_PASSPHRASE_FILE": str(tmp_path / "secret")}
    by_command = {"MIMIR_PASSPHRASE_COMMAND": command("print('of the command')")}

    def ask(question: str) -> bytearray:
        return bytearray(question.encode())

    assert find_passphrase({**by_file, **by_command}, ask) == b"of the file"
    assert find_passphrase({"MIMIR_PASSPHRASE_FILE": "", **by_command}, ask) == b"of the command"
    assert find_passphrase({"MIMIR_PASSPHRASE_COMMAND": ""}, ask) == b"Passphrase: "
    with pytest.raises(
        LockedError, match=r"MIMIR_PASSPHRASE_FILE and MIMIR_PASSPHRASE_COMMAND are not set.*no terminal"
    ):
        find_passphrase({}, None)


def test_without_a_terminal_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """No /dev/tty, no prompt."""

    def refuse(*_: Any) -> int:
        raise OSError(6, "No such device")

    monkeypatch.setattr(unlocking.os, "open", refuse)
    assert terminal_prompt() is None


@pytest.mark.parametrize("where", ["terminal", "notebook"])
def test_a_person_is_asked_without_an_echo(monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """By getpass, on the terminal or in a notebook; bytes that are no UTF-8 come through."""
    questions: list[str] = []

    def answer(question: str) -> str:
        questions.append(question)
        return "pässword\udcff"

    monkeypatch.setattr("getpass.getpass", answer)
    if where == "terminal":
        monkeypatch.setattr(unlocking.os, "open", lambda *_: os.dup(0))
    else:
        monkeypatch.setitem(sys.modules, "ipykernel", sys)
    prompt = terminal_prompt()
    assert prompt is not None
    assert prompt("Passphrase: ") == "pässword".encode() + b"\xff"
    assert questions == ["Passphrase: "]
