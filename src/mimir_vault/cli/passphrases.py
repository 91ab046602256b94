"""Passphrases: read from a file, or asked for at the terminal; never from the command line or a plain variable."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from mimir_vault.cli import terminal
from mimir_vault.cli.output import Output
from mimir_vault.cli.settings import Settings
from mimir_vault.errors import LockedError
from mimir_vault.unlocking import find_passphrase, read_passphrase

LENGTH_GOOD = 14
"""Passphrases with fewer characters get a warning, unless they have `WORDS_GOOD` words. Four words of a list of 7,776
carry 52 bits, 14 random lower-case letters 66: with Argon2id at 0.2 s a try, both outlast whom most people fear."""
WORDS_GOOD = 4
_TRIES = 3


def from_file(path: str, output: Output) -> bytearray:
    """Return the passphrase in a file, without one line end; warns when others may read the file."""
    try:
        status = os.stat(path)
    except OSError:
        status = None  # Reading it says why.
    if status is not None and stat.S_ISREG(status.st_mode) and status.st_mode & 0o077 and os.name == "posix":
        output.warning(f"others may read the passphrase file {path}; do: chmod 600 {path}")
    return read_passphrase(Path(path))


def of_new_vault(settings: Settings, output: Output) -> bytearray:
    """Return the passphrase of a vault to be made, from wherever the passphrase of a vault may come.

    Raises:
        LockedError: nothing gives one and there is no terminal. ValueError: the two typed ones differ too often.
    """
    if settings.passphrase_file is not None:
        chosen = from_file(settings.passphrase_file, output)
    elif (found := find_passphrase(os.environ)) is not None:
        chosen = found
    elif terminal.is_there():
        chosen = _typed_twice("Passphrase")
    else:
        raise LockedError(
            "there is no passphrase for the new vault: --passphrase-file, MIMIR_PASSPHRASE_FILE and "
            "MIMIR_PASSPHRASE_COMMAND are not given, and there is no terminal to ask at"
        )
    _warn_if_weak(chosen, output)
    return chosen


def to_be_set(output: Output, file: str | None) -> bytearray:
    """Return a passphrase to be set in an open vault, from a file or typed twice; errors as in `of_new_vault`."""
    if file is not None:
        chosen = from_file(file, output)
    elif terminal.is_there():
        chosen = _typed_twice("New passphrase")
    else:
        raise LockedError(
            "there is no new passphrase: --new-passphrase-file is not given, and there is no terminal to ask at"
        )
    _warn_if_weak(chosen, output)
    return chosen


def _warn_if_weak(passphrase: bytearray, output: Output) -> None:
    if why := weakness(passphrase):
        output.warning(f"{why}; several random words are hard to guess and easy to remember")


def weakness(passphrase: bytearray) -> str | None:
    """Return why a passphrase is easily guessed, None when it looks good."""
    text = passphrase.decode("utf-8", "replace")
    if len(set(text)) < 6:
        return "that passphrase has very few different characters"
    if len(text) < LENGTH_GOOD and len(text.split()) < WORDS_GOOD:
        return f"that passphrase has only {len(text)} characters and is easily guessed"
    return None


def recovery_words(settings: Settings, output: Output) -> str:
    """Return the words of a recovery code: from --passphrase-file, or asked for at the terminal."""
    if settings.passphrase_file is not None:
        return from_file(settings.passphrase_file, output).decode("utf-8", "replace")
    if not terminal.is_there():
        raise LockedError("the vault is locked: --passphrase-file does not give the recovery code, and there is no "
                          "terminal to ask at")  # fmt: skip
    return terminal.ask("Recovery code, all 24 words: ")


def wipe(passphrase: bytearray) -> None:
    """Overwrite a passphrase."""
    passphrase[:] = bytes(len(passphrase))


def _typed_twice(what: str) -> bytearray:
    for _ in range(_TRIES):
        first = terminal.ask_secret(f"{what}: ")
        if not first:
            terminal.show("A passphrase is needed: it is what keeps others out.\n")
            continue
        if terminal.ask_secret(f"{what}, once more: ") == first:
            return bytearray(first.encode("utf-8", "surrogateescape"))
        terminal.show("These two differ.\n")
    raise ValueError("no passphrase was set: the two that were typed differ")
