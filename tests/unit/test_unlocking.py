"""Finding a passphrase: in a file, by a command, from a person; or a sentence that says why there is none."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mimir_vault import unlocking
from mimir_vault.errors import LockedError
from mimir_vault.unlocking import (
    Prompt,
    find_passphrase,
    from_person,
    read_passphrase,
    run_passphrase_command,
    terminal_prompt,
)


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


def test_a_new_vault_takes_the_file_before_the_command(tmp_path: Path) -> None:
    """Empty variables count as not set."""
    (tmp_path / "secret").write_text("of the file")
    by_file = {"MIMIR_PASSPHRASE_FILE": str(tmp_path / "secret")}
    by_command = {"MIMIR_PASSPHRASE_COMMAND": command("print('of the command')")}
    assert find_passphrase({**by_file, **by_command}) == b"of the file"
    assert find_passphrase({"MIMIR_PASSPHRASE_FILE": "", **by_command}) == b"of the command"
    assert find_passphrase({"MIMIR_PASSPHRASE_COMMAND": ""}) is None


def test_a_person_who_is_not_there_or_types_nothing_gives_no_passphrase() -> None:
    """Who is not there is no failure, who types nothing is one."""
    assert from_person(None) is None
    with pytest.raises(LockedError, match="no passphrase was typed"):
        from_person(lambda question: bytearray())
    assert from_person(lambda question: bytearray(question.encode())) == b"Passphrase: "


def test_without_a_terminal_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """No /dev/tty, no prompt; a library of notebooks that was merely imported does not change that."""

    def refuse(*_: Any) -> int:
        raise OSError(6, "No such device")

    monkeypatch.setattr(unlocking.os, "open", refuse)
    assert terminal_prompt() is None
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: None))
    monkeypatch.setitem(sys.modules, "ipykernel", SimpleNamespace())
    assert terminal_prompt() is None


@pytest.fixture(params=["terminal", "notebook"])
def prompt(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Prompt:
    """The prompt of a terminal, and of a Jupyter kernel without one."""
    if request.param == "terminal":
        monkeypatch.setattr(unlocking.os, "open", lambda *_: os.dup(0))
    else:
        monkeypatch.setattr(unlocking.os, "open", None)
        shell = SimpleNamespace(kernel="here")
        monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    found = terminal_prompt()
    assert found is not None
    return found


def test_a_person_is_asked_without_an_echo(monkeypatch: pytest.MonkeyPatch, prompt: Prompt) -> None:
    """By getpass, on the terminal or in a notebook; bytes that are no UTF-8 come through."""
    questions: list[str] = []

    def answer(question: str) -> str:
        questions.append(question)
        return "pässword\udcff"

    monkeypatch.setattr("getpass.getpass", answer)
    assert prompt("Passphrase: ") == "pässword".encode() + b"\xff"
    assert questions == ["Passphrase: "]


@pytest.mark.parametrize(
    ("raised", "expected", "says"),
    [
        (EOFError(), LockedError, "the input ended before a passphrase was typed"),
        (OSError(5, "Input/output error"), LockedError, "nobody can be asked"),
        (NotImplementedError("getpass was called, but this frontend does not support it"), LockedError, "nobody can"),
        (KeyboardInterrupt(), KeyboardInterrupt, "^$"),
    ],
    ids=["input ended", "terminal gone", "no front end", "interrupted"],
)
def test_a_prompt_that_is_cut_short(
    monkeypatch: pytest.MonkeyPatch, prompt: Prompt, raised: BaseException, expected: type[BaseException], says: str
) -> None:
    """An end of input is an answer like no passphrase; an interrupt goes through, for it is meant for the program."""

    def cut(question: str) -> str:
        raise raised

    monkeypatch.setattr("getpass.getpass", cut)
    with pytest.raises(expected, match=says):
        prompt("Passphrase: ")


def test_a_pipe_is_read_to_its_end() -> None:
    """What /dev/fd/3 leads to comes in pieces."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb", buffering=0) as pipe:
        pipe.write(b"correct horse ")
        thread = threading.Timer(0.05, lambda: (pipe.write(b"battery staple\n"), pipe.close()))
        thread.start()
        found = read_passphrase(Path(f"/dev/fd/{reading}"))
        thread.join()
    os.close(reading)
    assert found == b"correct horse battery staple"
