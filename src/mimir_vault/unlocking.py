"""Finding a secret where none was given: passphrase file, passphrase command, then the terminal."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from mimir_vault.errors import LockedError

PASSPHRASE_FILE, PASSPHRASE_COMMAND = "MIMIR_PASSPHRASE_FILE", "MIMIR_PASSPHRASE_COMMAND"
PASSPHRASE_BYTES_MAX = 4_096
"""A passphrase file is read no further than this: a longer one is some other file."""
COMMAND_SECONDS_MAX = 120
"""How long a passphrase command may take; it may wait for a person to touch a device."""

Prompt = Callable[[str], bytearray]


def find_passphrase(environment: Mapping[str, str], prompt: Prompt | None) -> bytearray:
    """Return the passphrase from the first way that there is; the caller wipes it.

    Raises:
        LockedError: there is none, the file cannot be read, or the command fails; the sentence says what was tried.
    """
    if path := environment.get(PASSPHRASE_FILE):
        return read_passphrase(Path(path))
    if command := environment.get(PASSPHRASE_COMMAND):
        return run_passphrase_command(command)
    if prompt is not None:
        return prompt("Passphrase: ")
    raise LockedError(
        f"the vault is locked: {PASSPHRASE_FILE} and {PASSPHRASE_COMMAND} are not set, and there is no terminal to ask"
    )


def read_passphrase(path: Path) -> bytearray:
    """Return the passphrase in a file, without one newline at its end."""
    try:
        with path.open("rb") as file:
            passphrase = bytearray(file.read(PASSPHRASE_BYTES_MAX + 1))
    except OSError as error:
        raise LockedError(f"the passphrase file {path} cannot be read: {error.strerror}") from None
    return _trimmed(passphrase, f"the passphrase file {path}")


def run_passphrase_command(command: str) -> bytearray:
    """Return what a command prints, without one newline at its end; it runs without a shell."""
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
    """Return a prompt on the terminal or in a notebook, None where nobody can be asked."""
    if "ipykernel" not in sys.modules:
        try:
            os.close(os.open("/dev/tty", os.O_RDWR | getattr(os, "O_NOCTTY", 0)))
        except OSError:
            if os.name == "posix" or not sys.stdin or not sys.stdin.isatty():
                return None

    def ask(question: str) -> bytearray:
        import getpass

        return bytearray(getpass.getpass(question).encode("utf-8", "surrogateescape"))

    return ask
