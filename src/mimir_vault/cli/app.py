"""The command `mimir`: runs the command that was named, and turns every error into one sentence and a code."""

from __future__ import annotations

import json
import logging
import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Annotated, Any, TextIO

import typer
import typer.main

from mimir_vault.cli import commands
from mimir_vault.cli.exit_codes import DONE, INTERRUPTED, USAGE, ClosedPipe, exit_code, sentence
from mimir_vault.cli.grammar import CONTEXT_SETTINGS, Group, show_help_if_alone
from mimir_vault.cli.settings import Settings
from mimir_vault.cli.text import one_line

_UsageError: Any = typer.BadParameter.__mro__[1]
"""Typer's error for a wrong command line; its class has moved between versions, BadParameter always derived from it."""


class Root(Group):
    """The command `mimir` itself."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of all commands."""
        return commands.names()

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command, imported now."""
        return commands.load(cmd_name)

    def summaries(self, ctx: Any) -> list[tuple[str, list[tuple[str, str]]]]:
        """Return what the help lists."""
        return commands.summaries()

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command that was named; a mistyped name gets a suggestion."""
        name = args[0]
        if name not in commands.BUILT_IN and not name.startswith("-") and name not in commands.names():
            near = get_close_matches(name, commands.names(), n=2)
            hint = f"did you mean {' or '.join(near)}?" if near else "mimir --help lists them"
            ctx.fail(f"there is no command {one_line(name, 40)!r}; {hint}")
        return super().resolve_command(ctx, args)


def _show_version(ctx: typer.Context, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from importlib.metadata import PackageNotFoundError, version

        try:
            sys.stdout.write(f"mimir {version('mimir-vault')}\n")
        except PackageNotFoundError:
            sys.stdout.write("mimir (not installed, run from its source)\n")
        raise typer.Exit


def _root(
    ctx: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, expose_value=False, help="Show the version."),
    ] = False,
) -> None:
    """Mimir, a private memory for AI agents: embedded, searched and encrypted on your own machine.

    What is remembered lies in a vault, a folder that only your passphrase opens. Nothing leaves this machine.
    `mimir COMMAND --help` explains a command. Options of every command may stand before or after it.

    Examples:
        mimir demo
        mimir init
        mimir remember "I prefer window seats" --speaker Ada
        mimir recall "where does Ada like to sit?"
    """
    show_help_if_alone(ctx)


def build() -> Any:
    """Return the command `mimir`, with shell completion."""
    app = typer.Typer(
        name="mimir", cls=Root, rich_markup_mode=None, context_settings=CONTEXT_SETTINGS, pretty_exceptions_enable=False
    )
    app.callback()(_root)
    return typer.main.get_command(app)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one call of the command and return its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    settings = Settings.from_environment(os.environ)
    _prepare_streams()
    _prepare_reports()
    try:
        code = build().main(args=given, prog_name="mimir", standalone_mode=False, obj=settings)
        sys.stdout.flush()
    except (ClosedPipe, BrokenPipeError):
        return _leave_quietly()
    except _UsageError as error:
        return _report(given, settings, type(error).__name__, _usage_sentence(error), USAGE)
    except typer.Abort:
        return _report(given, settings, "Interrupted", "interrupted; nothing more was done", INTERRUPTED)
    except SystemExit as error:  # Shell completion ends so.
        return error.code if isinstance(error.code, int) else DONE
    except (Exception, KeyboardInterrupt) as error:
        if os.environ.get("MIMIR_DEBUG"):
            traceback.print_exc()
        return _report(given, settings, type(error).__name__, sentence(error), exit_code(error))
    if code == INTERRUPTED:
        return _report(given, settings, "Interrupted", sentence(KeyboardInterrupt()), INTERRUPTED)
    return code if isinstance(code, int) else DONE


def _report(given: Sequence[str], settings: Settings, kind: str, message: str, code: int) -> int:
    """Write one sentence (with --json one object) to standard error and return the code."""
    plain = one_line(message)
    options = given[: given.index("--")] if "--" in given else given
    if settings.json or "--json" in options:
        line = json.dumps({"error": kind, "message": plain, "exit_code": code})
    else:
        line = f"mimir: {plain}"
    _drop_what_cannot_be_written(sys.stdout)
    try:
        sys.stderr.write(line + "\n")
        sys.stderr.flush()
    except OSError:
        _drop_what_cannot_be_written(sys.stderr)
    return code


def _usage_sentence(error: Any) -> str:
    message = error.format_message().rstrip(".")
    ctx = getattr(error, "ctx", None)
    path = "mimir" if ctx is None else " ".join(_names_of(ctx))
    hint = "" if "--help" in message else f" (see {path} --help)"
    return f"{message}{hint}"


def _names_of(ctx: Any) -> list[str]:
    above = _names_of(ctx.parent) if ctx.parent is not None else []
    return [*above, str(ctx.info_name)]


def _leave_quietly() -> int:
    """Nobody reads any more; the work itself is done."""
    for stream in (sys.stdout, sys.stderr):
        _drop_what_cannot_be_written(stream)
    return DONE


def _drop_what_cannot_be_written(stream: TextIO) -> None:
    """Flush, and if that fails send what is buffered nowhere, as Python would stumble over it once more at exit."""
    try:
        stream.flush()
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def _prepare_streams() -> None:
    """Have all three streams, and let no character that a terminal's encoding lacks stop the output."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:  # Closed by who called us: >&-
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - open as long as the process
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def _prepare_reports() -> None:
    """Keep the logger quiet unless MIMIR_DEBUG is set, and give warnings the form of our sentences."""
    log = logging.getLogger("mimir_vault")
    if os.environ.get("MIMIR_DEBUG"):
        logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
        log.setLevel(logging.DEBUG)
    elif not log.handlers:
        log.addHandler(logging.NullHandler())

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        sys.stderr.write(f"mimir: warning: {one_line(str(message))}\n")

    warnings.showwarning = show
