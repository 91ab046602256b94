"""The terminal: questions to the person at the keyboard, even while standard input is a pipe."""

from __future__ import annotations

import getpass
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from mimir_vault.cli.exit_codes import Interrupted

_YES = {"y", "yes"}


def is_there() -> bool:
    """Say whether a person can be asked."""
    try:
        with _terminal():
            return True
    except OSError:
        return False


def ask(question: str) -> str:
    """Return one typed line, without the line end.

    Raises:
        OSError: there is no terminal.
        Interrupted: the person ended the input instead of answering.
    """
    with _terminal() as (keyboard, screen):
        screen.write(question)
        screen.flush()
        line = keyboard.readline()
    if not line:
        raise Interrupted("no answer was given; nothing was changed")
    return line.rstrip("\r\n")


def show(text: str) -> None:
    """Write text to the terminal itself, so that no redirection keeps it."""
    with _terminal() as (_, screen):
        screen.write(text)
        screen.flush()


def ask_secret(question: str) -> str:
    """Return what was typed without showing it; errors as in `ask`."""
    try:
        return getpass.getpass(question)
    except EOFError:
        raise Interrupted("no passphrase was given; nothing was changed") from None


def confirm(question: str, *, yes: bool) -> bool:
    """Return whether the person agrees; `yes` answers in advance.

    Raises:
        ValueError: there is nobody to ask.
    """
    if yes:
        return True
    if not is_there():
        raise ValueError(f"nobody is at a terminal to answer {question!r}; add --yes if you mean it")
    return ask(f"{question} [y/N] ").strip().lower() in _YES


@contextmanager
def _terminal() -> Iterator[tuple[TextIO, TextIO]]:
    """Give keyboard and screen, whatever standard input and output are."""
    if os.name == "nt":
        with open("CONIN$", encoding="utf-8") as keyboard, open("CONOUT$", "w", encoding="utf-8") as screen:
            yield keyboard, screen
        return
    descriptor = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
    with io.TextIOWrapper(io.FileIO(descriptor, "w+"), encoding="utf-8", errors="replace") as both:
        yield both, both
