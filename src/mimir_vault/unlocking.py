"""Passphrases that are not given but found: in a file, by a command, or from a person at the terminal or a notebook."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from mimir_vault.crypto.wiping import wipe
from mimir_vault.errors import LockedError

PASSPHRASE_FILE, PASSPHRASE_COMMAND = "MIMIR_PASSPHRASE_FILE", "MIMIR_PASSPHRASE_COMMAND"
PASSPHRASE_BYTES_MAX = 4_096
"""A passphrase file is read no further than this: a longer one is some other file."""
COMMAND_SECONDS_MAX = 120
"""How long a passphrase command may take; it may wait for a person to touch a device."""

Prompt = Callable[[str], bytearray]


def find_passphrase(environment: Mapping[str, str]) -> bytearray | None:
    """Return the passphrase of the first variable that is set, None when neither is; the caller wipes it.

    Raises:
        LockedError: the file cannot be read, or the command fails.
    """
    found = from_file(environment)
    return from_command(environment) if found is None else found


def from_file(environment: Mapping[str, str]) -> bytearray | None:
    """Return the passphrase in the file that MIMIR_PASSPHRASE_FILE names; errors as in `read_passphrase`."""
    path = environment.get(PASSPHRASE_FILE)
    return read_passphrase(Path(path)) if path else None


def from_command(environment: Mapping[str, str]) -> bytearray | None:
    """Return the passphrase that MIMIR_PASSPHRASE_COMMAND prints; errors as in `run_passphrase_command`."""
    command = environment.get(PASSPHRASE_COMMAND)
    return run_passphrase_command(command) if command else None


def from_person(prompt: Prompt | None) -> bytearray | None:
    """Return the passphrase that somebody types, None when there is nobody; LockedError when nothing is typed."""
    if prompt is None:
        return None
    passphrase = prompt("Passphrase: ")
    if not passphrase:
        raise LockedError("no passphrase was typed")
    return passphrase


def read_passphrase(path: Path) -> bytearray:
    """Return the passphrase in a file, without one newline at its end; LockedError when it cannot be read."""
    room, filled = bytearray(PASSPHRASE_BYTES_MAX + 1), 0
    try:
        with path.open("rb", buffering=0) as file:  # A buffer of the file would keep a copy.
            while count := file.readinto(memoryview(room)[filled:]):
                filled += count
        passphrase = bytearray(memoryview(room)[:filled])
    except OSError as error:
        raise LockedError(f"the passphrase file {path} cannot be read: {error.strerror}") from None
    finally:
        wipe(room)
    return _trimmed(passphrase, f"the passphrase file {path}")


def run_passphrase_command(command: str) -> bytearray:
    """Return what a command prints, without one newline at its end; it runs without a shell.

    LockedError when it cannot be run, fails, or takes too long.
    """
    try:
        words = shlex.split(command)
        done = subprocess.run(words, stdout=subprocess.PIPE, stdin=None, timeout=COMMAND_SECONDS_MAX, check=False)
    except (OSError, ValueError, IndexError, subprocess.TimeoutExpired) as error:
        raise LockedError(f"{PASSPHRASE_COMMAND} could not be run: {error}") from None
    if done.returncode != 0:
        raise LockedError(f"{PASSPHRASE_COMMAND} failed with exit code {done.returncode}")
    return _trimmed(bytearray(done.stdout), f"what {PASSPHRASE_COMMAND} printed")


def _trimmed(passphrase: bytearray, where: str) -> bytearray:
    if passphrase.endswith(b"\n"):
        del passphrase[-1:]
        if passphrase.endswith(b"\r"):
            del passphrase[-1:]
    if not passphrase:
        raise LockedError(f"{where} is empty")
    if len(passphrase) > PASSPHRASE_BYTES_MAX:
        raise LockedError(f"{where} is longer than {PASSPHRASE_BYTES_MAX} bytes; is it the right one?")
    return passphrase


def terminal_prompt() -> Prompt | None:
    """Return a prompt on the terminal or in a notebook, None where nobody can be asked.

    The prompt raises LockedError when the person ends the input instead of answering, or the notebook's front end
    takes none; an interrupt (Ctrl-C, or the notebook's stop button) goes through.
    """
    if not _in_notebook():
        try:
            os.close(os.open("/dev/tty", os.O_RDWR | getattr(os, "O_NOCTTY", 0)))
        except OSError:
            if os.name == "posix" or not sys.stdin or not sys.stdin.isatty():
                return None

    def ask(question: str) -> bytearray:
        import getpass

        try:
            return bytearray(getpass.getpass(question).encode("utf-8", "surrogateescape"))
        except EOFError:
            raise LockedError("the input ended before a passphrase was typed") from None
        except (OSError, NotImplementedError):  # A notebook that is run without a front end raises the latter.
            raise LockedError("nobody can be asked for the passphrase here") from None

    return ask


def _in_notebook() -> bool:
    """Whether this code runs in a Jupyter kernel, whose getpass asks in the browser."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return hasattr(shell, "kernel")
