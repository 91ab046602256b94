"""Commands: the table of all there are; a command's code is imported when it runs, other rooms' when they are asked."""

from __future__ import annotations

import importlib
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

ENTRY_POINTS = "mimir_vault.commands"
"""Other rooms and other packages add commands as entry points of this group: name = module:function_or_typer_app."""


class Place(NamedTuple):
    """Where a command's code is, under which heading the help lists it, and its summary."""

    module: str
    attribute: str
    heading: str
    summary: str


_START, _USE, _KEEP = "Begin", "Remember, recall, forget", "Look after the vault"

BUILT_IN: dict[str, Place] = {
    "demo": Place("demo", "demo", _START, "Show Mimir at work on a bundled conversation"),
    "init": Place("create", "init", _START, "Create a vault"),
    "remember": Place("remember", "remember", _USE, "Remember a text, or what comes in on standard input"),
    "import": Place("import_file", "import_file", _USE, "Remember a file of JSON Lines of any length"),
    "export": Place("export_file", "export_file", _USE, "Write what is remembered to a file, in clear"),
    "recall": Place("recall", "recall", _USE, "Find what was remembered, by meaning and by words"),
    "context": Place("recall", "context", _USE, "Collect what is known about something as text for a prompt"),
    "list": Place("listing", "list_nodes", _USE, "List what was remembered, in the order in which it came"),
    "show": Place("listing", "show", _USE, "Show one node with all its fields"),
    "history": Place("listing", "history", _USE, "Show how a node came to be what it is now, newest first"),
    "supersede": Place("changing", "supersede", _USE, "Replace what a node says, and keep its history"),
    "forget": Place("forgetting", "forget", _USE, "Forget for ever, and print a receipt"),
    "hide": Place("changing", "hide", _USE, "Take a node out of answers until keep brings it back"),
    "keep": Place("changing", "keep", _USE, "Bring back what is hidden or waits to be forgotten"),
    "status": Place("upkeep", "status", _KEEP, "Show what the vault holds and how big it is, never its texts"),
    "verify": Place("upkeep", "verify", _KEEP, "Check that nothing was damaged, changed or put back"),
    "rebuild": Place("upkeep", "rebuild", _KEEP, "Make everything anew that is derived from what was remembered"),
    "backup": Place("backups", "backup", _KEEP, "Back the vault up into one sealed file, also while it is in use"),
    "restore": Place("backups", "restore", _KEEP, "Make a vault of a backup"),
    "adopt": Place("backups", "adopt", _KEEP, "Take a vault that was copied here as one of its own"),
    "compact": Place("backups", "compact", _KEEP, "Pack the vault's files"),
    "space": Place("spaces", "space", _KEEP, "List, create, rename and erase spaces"),
    "key": Place("keys", "key", _KEEP, "List, add, change and remove the ways to unlock the vault"),
}
"""Every command of this room, in the order of the help."""


def load(name: str) -> Any | None:
    """Return a command by its name, None when there is none.

    Raises:
        RuntimeError: another room's command cannot be loaded; the sentence says which and why.
    """
    from mimir_vault.cli.grammar import as_command

    place = BUILT_IN.get(name)
    if place is not None:
        return as_command(name, getattr(importlib.import_module(f"mimir_vault.cli.{place.module}"), place.attribute))
    entry = _foreign().get(name)
    if entry is None:
        return None
    try:
        return as_command(name, entry.load())
    except Exception as error:  # Whatever another package does wrong must not take the other commands with it.
        raise RuntimeError(f"the command {name} ({entry.value}) cannot be loaded: {error}") from error


def names() -> list[str]:
    """Return the names of all commands, ours first."""
    return [*BUILT_IN, *(name for name in _foreign() if name not in BUILT_IN)]


def summaries() -> list[tuple[str, list[tuple[str, str]]]]:
    """Return (heading, [(name, summary)]) for the help; ours are not imported for it."""
    from mimir_vault.cli.grammar import summary_of

    panels: dict[str, list[tuple[str, str]]] = {}
    for name, place in BUILT_IN.items():
        panels.setdefault(place.heading, []).append((name, place.summary))
    for name in names()[len(BUILT_IN) :]:
        try:
            summary = summary_of(load(name))
        except RuntimeError:
            summary = "(cannot be loaded; call it to see why)"
        panels.setdefault("More commands", []).append((name, summary))
    return list(panels.items())


@cache
def _foreign() -> dict[str, EntryPoint]:
    from importlib.metadata import entry_points

    return {entry.name: entry for entry in sorted(entry_points(group=ENTRY_POINTS), key=lambda entry: entry.name)}
