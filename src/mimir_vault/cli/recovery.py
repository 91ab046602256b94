"""Recovery codes: showing the 24 words once, and making sure that they were written down."""

from __future__ import annotations

import secrets

from mimir_vault.cli import terminal
from mimir_vault.cli.output import Output
from mimir_vault.cli.settings import Settings

COLUMNS = 4
ASKED = 3
"""So many words are asked back."""
_TRIES = 3


def hand_over(words: str, settings: Settings, output: Output) -> None:
    """Show the words to the person at the terminal and ask for some of them; without one print them once."""
    if settings.yes or not terminal.is_there():
        if not output.quiet:
            output.line("Recovery code, shown this once; write it down and keep it apart from this machine:")
        output.line(words)
        return
    terminal.show(
        "\nRecovery code: these 24 words open the vault when the passphrase is forgotten.\n"
        "They are shown this once. Write them on paper and keep it apart from this machine.\n\n"
        f"{_numbered(words)}\n\n"
    )
    _ask_back(words.split(), output)


def _numbered(words: str) -> str:
    listed = words.split()
    rows = len(listed) // COLUMNS
    return "\n".join(
        "   ".join(f"{place + 1:2}. {listed[place]:10}" for place in range(row, len(listed), rows)).rstrip()
        for row in range(rows)
    )


def _ask_back(words: list[str], output: Output) -> None:
    places = sorted(secrets.SystemRandom().sample(range(len(words)), ASKED))
    for place in places:
        for _ in range(_TRIES):
            if terminal.ask(f"Word {place + 1}, please: ").strip().lower() == words[place]:
                break
            terminal.show("That is not it.\n")
        else:
            output.warning("the words were not confirmed; make new ones with: mimir key add recovery")
            return
    terminal.show("All three are right. Now clear this window.\n")
