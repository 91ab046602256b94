"""Options of every command: declared once, understood before and after the command's name."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any

import typer
import typer.core
import typer.main

from mimir_vault.cli.settings import Settings

PANEL = "Options of every command"
"""Under this heading they stand in every help page."""


def settings_of(ctx: typer.Context) -> Settings:
    """Return the settings of this call."""
    settings = ctx.find_root().obj
    assert isinstance(settings, Settings)
    return settings


def take(ctx: typer.Context, param: typer.CallbackParam, value: Any) -> None:
    """Keep the value of an option of every command; the one that stands last on the command line wins."""
    settings = ctx.find_root().obj
    if value not in (None, False) and isinstance(settings, Settings):
        setattr(settings, str(param.name), value)


def _option(*names: str, help: str, metavar: str | None = None) -> Any:
    return typer.Option(
        *names, help=help, metavar=metavar, callback=take, expose_value=False, rich_help_panel=PANEL, show_default=False
    )


def _declaration(
    vault: Annotated[
        str | None, _option("--vault", metavar="PATH", help="The vault's folder (or MIMIR_VAULT; see mimir status).")
    ] = None,
    space: Annotated[
        str | None, _option("--space", metavar="NAME", help="The space to work in (or MIMIR_SPACE; else main).")
    ] = None,
    user: Annotated[
        str | None, _option("--user", metavar="NAME", help="Whose memory: set on what is remembered, required of what "
                            "is read (or MIMIR_USER).")
    ] = None,
    agent: Annotated[
        str | None, _option("--agent", metavar="NAME", help="Which agent's memory, likewise (or MIMIR_AGENT).")
    ] = None,
    passphrase_file: Annotated[
        str | None, _option("--passphrase-file", metavar="PATH", help="Read the passphrase from a file, or an open "
                            "file descriptor: /dev/fd/3. Else MIMIR_PASSPHRASE_FILE, MIMIR_PASSPHRASE_COMMAND or the "
                            "terminal give it.")
    ] = None,
    recovery_code: Annotated[
        bool, _option("--recovery-code", help="Unlock with the 24 words instead of the passphrase.")
    ] = False,
    read_only: Annotated[
        bool, _option("--read-only", help="Change nothing, not even an index; for folders that may not be written.")
    ] = False,
    accept_rollback: Annotated[
        bool, _option("--accept-rollback", help="Take a vault that is older than the one last seen here as it is.")
    ] = False,
    json: Annotated[
        bool, _option("--json", help="Print JSON: one value, or one per line for lists.")
    ] = False,
    quiet: Annotated[bool, _option("--quiet", "-q", help="Print results only: no notices, no bars.")] = False,
    yes: Annotated[bool, _option("--yes", "-y", help="Answer every question with yes.")] = False,
) -> None:  # fmt: skip
    """Stand for any command; only the options are used."""


@cache
def options_of_every_command() -> tuple[Any, ...]:
    """Return the options in the form that commands hold; they keep no state, so all commands share them."""
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command("declaration")(_declaration)
    return tuple(typer.main.get_command(app).params)
