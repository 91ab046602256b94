"""Tests of the command as a process: exit codes, pipes, signals, passphrases, disks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.command_runs import PASSPHRASE, SECONDS_MAX, TURNS, Run


def test_help_and_version(run: Run) -> None:
    """`mimir` alone and --help show the same page; --version says one line."""
    page = run("--help")
    assert (page.code, page.err) == (0, "")
    assert "mimir remember" in page.out
    assert run().out == page.out
    assert run("--version").out.startswith("mimir ")
    assert run("key").out == run("key", "--help").out


def test_real_question_gets_the_right_turn(run: Run, copied_vault: Path) -> None:
    """With passphrase and model as a person has them, a question finds the turn that answers it."""
    hits = run("recall", "who repaired the heating?", "--json").values
    assert hits[0]["text"] == TURNS[2][4]


def test_options_stand_before_or_after_the_command(run: Run, copied_vault: Path, environment: dict[str, str]) -> None:
    """Options of every command are understood on both sides, and win over the environment."""
    elsewhere = {"MIMIR_VAULT": "/nowhere", "MIMIR_SPACE": "none", "MIMIR_USER": "nobody"}
    options = ("--vault", str(copied_vault), "--space", "main")

    assert run("list", env=elsewhere).code == 4
    assert run(*options, "--json", "list", env=elsewhere).out == ""
    assert len(run("--json", "list", *options, env={"MIMIR_SPACE": "none"}).values) == len(TURNS)
    assert run("list", env={"MIMIR_SPACE": "none"}).code == 4


def test_wrong_passphrase(run: Run, copied_vault: Path, tmp_path: Path) -> None:
    """A wrong passphrase ends with code 3, as JSON where asked for."""
    wrong = tmp_path / "wrong"
    wrong.write_text("not this one\n")
    wrong.chmod(0o600)

    ran = run("list", "--json", "--passphrase-file", str(wrong))

    assert (ran.code, ran.out) == (3, "")
    assert json.loads(ran.err)["error"] == "WrongKeyError"


def test_no_passphrase_and_no_terminal(run: Run, copied_vault: Path) -> None:
    """Nothing to unlock with: code 3, and the sentence lists what was tried."""
    ran = run("list", env={"MIMIR_PASSPHRASE_FILE": ""})

    assert (ran.code, ran.err.count("\n")) == (3, 1)
    for tried in ("MIMIR_PASSPHRASE_FILE", "MIMIR_PASSPHRASE_COMMAND", "terminal", "--passphrase-file"):
        assert tried in ran.err


def test_other_ways_to_give_the_passphrase(
    run: Run, environment: dict[str, str], copied_vault: Path, passphrase_file: Path
) -> None:
    """A command and an open file descriptor work."""
    nothing = {"MIMIR_PASSPHRASE_FILE": ""}
    command = {"MIMIR_PASSPHRASE_COMMAND": f"cat {passphrase_file}"}
    assert run("space", "list", env=nothing | command).code == 0
    with passphrase_file.open("rb") as file:
        done = subprocess.run(
            [sys.executable, "-m", "mimir_vault", "space", "list", "--passphrase-file", f"/dev/fd/{file.fileno()}"],
            env=environment | nothing, pass_fds=[file.fileno()], timeout=SECONDS_MAX, capture_output=True, check=False,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")


def test_passphrases_are_no_arguments(run: Run, copied_vault: Path) -> None:
    """There is no option and no variable that takes a passphrase itself."""
    assert run("--passphrase", PASSPHRASE, "list").code == 2
    assert run("list", env={"MIMIR_PASSPHRASE_FILE": "", "MIMIR_PASSPHRASE": PASSPHRASE}).code == 3


def test_bytes_that_are_no_text_are_refused(run: Run, copied_vault: Path) -> None:
    """An argument in another encoding is refused with one sentence."""
    ran = run(b"remember", b"caf\xe9")
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert "lone surrogate" in ran.err


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_closed_pipe_ends_quietly(environment: dict[str, str], copied_vault: Path, unbuffered: str) -> None:
    """`mimir list | head -1` writes no error, whether the pipe is found closed at a line or at the end."""
    with subprocess.Popen(
        [sys.executable, "-m", "mimir_vault", "list"], env=environment | {"PYTHONUNBUFFERED": unbuffered},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=SECONDS_MAX) == 0


def test_full_output_is_an_error(environment: dict[str, str], copied_vault: Path) -> None:
    """Results that cannot be written are not lost silently."""
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "mimir_vault", "list"], env=environment, stdout=full, stderr=subprocess.PIPE,
            timeout=SECONDS_MAX, check=False,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (7, b"mimir: No space left on device\n")


def test_ctrl_c_says_what_was_done(environment: dict[str, str], stored: Callable[[], list[str]]) -> None:
    """An interrupted `remember -` ends with code 130, says how far it came, and that much is there."""
    with subprocess.Popen(
        [sys.executable, "-m", "mimir_vault", "remember", "-", "--lines", "--json"], env=environment,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    ) as process:  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(b"one\ntwo\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["text"] == "one"
        assert json.loads(process.stdout.readline())["text"] == "two"
        process.send_signal(signal.SIGINT)
        error = json.loads(process.stderr.read())
        process.stdin.close()
        assert process.wait(timeout=SECONDS_MAX) == 130
    assert error["message"] == "interrupted after 2 lines; they are remembered"
    assert stored()[-2:] == ["one", "two"]


def test_output_survives_a_narrow_encoding(run: Run, copied_vault: Path) -> None:
    """Output that cannot be encoded is spelled out instead of ending the command."""
    narrow = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    assert run("list", "--json", env=narrow).values[-1]["text"] == TURNS[-1][4]
    assert "Gr\\xfc\\xdfe" in run("list", env=narrow).out


def test_completion(run: Run) -> None:
    """The shell is offered commands and options."""
    ask = {"_MIMIR_COMPLETE": "complete_bash", "COMP_CWORD": "1"}
    assert run(env=ask | {"COMP_WORDS": "mimir re"}).out.split() == ["remember", "recall", "rebuild", "restore"]
    asked = run(env=ask | {"COMP_WORDS": "mimir recall --spe", "COMP_CWORD": "2"})
    assert asked.out.split() == ["--speaker"]
    assert "complete_bash" in run("--show-completion", env={"SHELL": "/bin/bash"}).out


def in_a_namespace(prepare: str, *command: str) -> list[str]:
    """Return a command that runs another after `prepare` in a mount namespace of its own."""
    return ["unshare", "--mount", "sh", "-c", f'{prepare} && exec "$@"', "sh", *command]


def require_mounts(folder: Path) -> None:
    """Skip the test where nothing may be mounted."""
    try:
        tried = subprocess.run(
            in_a_namespace(f"mount -t tmpfs none {folder}", "true"), capture_output=True, check=False, timeout=30
        )
    except OSError:
        pytest.skip("there is no unshare command here")
    if tried.returncode != 0:
        pytest.skip("this user may not mount file systems in a namespace")


def test_read_only_folder(environment: dict[str, str], copied_vault: Path, tmp_path: Path) -> None:
    """On a read-only file system writing ends with code 7, and reading works with --read-only."""
    require_mounts(tmp_path)
    prepare = f"mount --bind {copied_vault} {copied_vault} && mount -o remount,ro,bind {copied_vault}"

    def call(*arguments: str) -> subprocess.CompletedProcess[bytes]:
        command = in_a_namespace(prepare, sys.executable, "-m", "mimir_vault", *arguments)
        return subprocess.run(command, env=environment, capture_output=True, timeout=SECONDS_MAX, check=False)

    refused = call("remember", "The roof leaks")
    assert (refused.returncode, refused.stdout, refused.stderr.count(b"\n")) == (7, b"", 1)
    listed = call("--read-only", "list", "--json")
    assert listed.returncode == 0, listed.stderr
    assert len(listed.stdout.splitlines()) == len(TURNS)
    refused = call("--read-only", "remember", "The roof leaks")
    assert (refused.returncode, refused.stderr.count(b"\n")) == (7, 1)


def test_full_disk(environment: dict[str, str], real_vault: Path, tmp_path: Path) -> None:
    """On a full disk remembering ends with code 7, and what was acknowledged before is there afterwards."""
    require_mounts(tmp_path)
    disk = tmp_path / "disk"
    disk.mkdir()
    script = (
        f"mount -t tmpfs -o size=6m none {disk} && cp -r {real_vault} {disk}/vault"
        f" && (head -c 20m /dev/zero > {disk}/ballast || true)"
    )
    after = '"$0" -m mimir_vault "$@"; echo "code $?"; rm "$BALLAST"; "$0" -m mimir_vault list --json'
    command = in_a_namespace(script, "sh", "-c", after, sys.executable, "remember", "-", "--lines")
    lines = "".join(f"line {number} {os.urandom(200).hex()}\n" for number in range(3_000)).encode()

    done = subprocess.run(
        command, input=lines, capture_output=True, timeout=SECONDS_MAX, check=False,
        env=environment | {"MIMIR_VAULT": str(disk / "vault"), "BALLAST": str(disk / "ballast")},
    )  # fmt: skip

    out = done.stdout.decode().splitlines()
    assert out[0] == "code 7", done.stderr
    assert b"Traceback" not in done.stderr
    assert len(out) - 1 >= len(TURNS)
