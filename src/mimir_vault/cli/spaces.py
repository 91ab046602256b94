"""The commands `space list`, `space create`, `space rename` and `space erase`."""

from __future__ import annotations

from typing import Annotated

import typer

from mimir_vault.cli import terminal
from mimir_vault.cli.grammar import CONTEXT_SETTINGS, Command, group, show_help_if_alone
from mimir_vault.cli.opening import opened_vault
from mimir_vault.cli.options import settings_of
from mimir_vault.cli.output import Output
from mimir_vault.cli.text import counted, moment, one_line
from mimir_vault.errors import NotFoundError

space = group("space")
Name = Annotated[str, typer.Argument(metavar="NAME", help="The space.", show_default=False)]


@space.callback()
def _space(ctx: typer.Context) -> None:
    """List, create, rename and erase spaces.

    A space is one encrypted database inside the vault, with a key of its own: for one person, project or agent whose
    memories are to be kept apart. Every vault begins with the space main.

    Examples:
        mimir space create work
        mimir remember "The release is on Friday" --space work
    """
    show_help_if_alone(ctx)


@space.command("list", cls=Command, context_settings=CONTEXT_SETTINGS)
def list_spaces(ctx: typer.Context) -> None:
    """List the spaces of the vault.

    Examples:
        mimir space list
    """
    settings = settings_of(ctx)
    output = Output(settings)
    with opened_vault(settings, output) as vault:
        found = vault.spaces()
    if output.json:
        for one in found:
            output.value({"name": one.name, "id": one.id, "created": one.created.isoformat()})
        return
    output.table(("space", "created", "id"), [(one.name, moment(one.created), one.id) for one in found])


@space.command("create", cls=Command, context_settings=CONTEXT_SETTINGS)
def create(ctx: typer.Context, name: Name) -> None:
    """Create an empty space.

    Examples:
        mimir space create work
    """
    settings = settings_of(ctx)
    output = Output(settings)
    with opened_vault(settings, output) as vault:
        vault.create_space(name)
        made = next(one for one in vault.spaces() if one.name == name)
    if output.json:
        output.value({"name": made.name, "id": made.id, "created": made.created.isoformat()})
    output.done(f"created space {name}")


@space.command("rename", cls=Command, context_settings=CONTEXT_SETTINGS)
def rename(
    ctx: typer.Context,
    old: Name,
    new: Annotated[str, typer.Argument(metavar="NEW", help="Its new name.", show_default=False)],
) -> None:
    """Give a space another name; its key and its nodes stay.

    Examples:
        mimir space rename work office
    """
    settings = settings_of(ctx)
    output = Output(settings)
    with opened_vault(settings, output) as vault:
        vault.rename_space(old, new)
    if output.json:
        output.value({"old": old, "new": new})
    output.done(f"renamed space {old} to {new}")


@space.command("erase", cls=Command, context_settings=CONTEXT_SETTINGS)
def erase(ctx: typer.Context, name: Name) -> None:
    """Forget a whole space for ever: first its key, then its file.

    Asks for the name of the space once more, unless told --yes.

    Examples:
        mimir space erase work
    """
    settings = settings_of(ctx)
    output = Output(settings)
    with opened_vault(settings, output) as vault:
        if name not in {one.name for one in vault.spaces()}:
            raise NotFoundError(f"there is no space {one_line(name, 60)!r} in this vault")
        count = vault.space(name).count()
        if not settings.yes:
            _agree(name, count)
        vault.erase_space(name)
    if output.json:
        output.value({"erased": name, "nodes": count})
    output.done(f"erased space {name} with {counted(count, 'node')}")


def _agree(name: str, count: int) -> None:
    what = f"space {one_line(name)} with {counted(count, 'node')}"
    if not terminal.is_there():
        raise ValueError(f"nobody is at a terminal to agree that {what} goes for ever; add --yes if you mean it")
    if terminal.ask(f"This erases {what} for ever. Type its name to go on: ") != name:
        raise ValueError("that is not its name; nothing was erased")
