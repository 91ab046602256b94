"""Grammar: commands and groups that know the options of every command, and how their help pages look."""

from __future__ import annotations

import inspect
import os
import re
import sys
from typing import Any

import typer
import typer.core
import typer.main

from mimir_vault.cli.exit_codes import ClosedPipe
from mimir_vault.cli.options import PANEL, options_of_every_command
from mimir_vault.cli.plain_params import taken_plainly

HELP_WIDTH_MAX = 100
"""Help pages are no wider than this, as longer lines are hard to read."""
_EXAMPLES = re.compile(r"^Examples:\n", re.MULTILINE)
CONTEXT_SETTINGS = {"max_content_width": HELP_WIDTH_MAX, "help_option_names": ["--help", "-h"]}


class Command(typer.core.TyperCommand):
    """One command."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        _adopt(self)

    def get_params(self, ctx: Any) -> list[Any]:
        """Return all parameters, that of the help included."""
        return [taken_plainly(param) for param in super().get_params(ctx)]

    def invoke(self, ctx: Any) -> Any:
        """Run the command; a reader of our output who went away is told apart from every other error."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise ClosedPipe from None

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the words of the usage line."""
        return ["[OPTIONS]", *_arguments_usage(self, ctx)]

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help page."""
        _write_help(self, ctx, formatter)

    def get_help(self, ctx: Any) -> str:
        """Return the help page, its headings in bold where a terminal shows it."""
        return _with_bold_headings(super().get_help(ctx))


class Group(typer.core.TyperGroup):
    """A command that holds commands, such as `key`; alone it shows its help."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.invoke_without_command = True
        _adopt(self)

    def get_params(self, ctx: Any) -> list[Any]:
        """Return all parameters, those of help and completion included."""
        return [taken_plainly(param) for param in super().get_params(ctx)]

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the words of the usage line."""
        return ["[OPTIONS]", "COMMAND", "..."]

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help page."""
        _write_help(self, ctx, formatter)

    def get_help(self, ctx: Any) -> str:
        """Return the help page, its headings in bold where a terminal shows it."""
        return _with_bold_headings(super().get_help(ctx))

    def summaries(self, ctx: Any) -> list[tuple[str, list[tuple[str, str]]]]:
        """Return (heading, [(name, summary)]) of the commands for the help page."""
        rows = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        return [("Commands", [(name, summary_of(command)) for name, command in rows if command is not None])]


def group(name: str) -> typer.Typer:
    """Return an empty group of commands; its docstring is that of the function given to `.callback()`."""
    return typer.Typer(
        name=name, cls=Group, add_completion=False, rich_markup_mode=None, context_settings=CONTEXT_SETTINGS
    )


def show_help_if_alone(ctx: typer.Context) -> None:
    """In a group's callback: show the help when no command was named."""
    if ctx.invoked_subcommand is None:
        sys.stdout.write(ctx.get_help() + "\n")


def as_command(name: str, command: Any) -> Any:
    """Return a function, or a Typer group, as a command of that name.

    Raises:
        TypeError: it is neither.
    """
    if isinstance(command, typer.Typer):
        built: Any = typer.main.get_command(command)
    elif inspect.isfunction(command):
        app = typer.Typer(add_completion=False, rich_markup_mode=None)
        app.command(name, cls=Command, context_settings=CONTEXT_SETTINGS)(command)
        built = typer.main.get_command(app)
    else:
        raise TypeError(f"the command {name} is neither a function nor a Typer group")
    built.name = name
    return built


def summary_of(command: Any) -> str:
    """Return the first sentence of a command's help, without the full stop."""
    first = (command.help or "").strip().split("\n\n")[0]
    return " ".join(first.split()).rstrip(".")


def _adopt(command: Any) -> None:
    command.params = [*command.params, *options_of_every_command()]


def _arguments_usage(command: Any, ctx: Any) -> list[str]:
    words = []
    for param in command.get_params(ctx):
        if param.param_type_name == "argument":
            word = (param.metavar or param.name.upper()) + ("..." if param.nargs == -1 else "")
            words.append(word if param.required else f"[{word}]")
    return words


def _write_help(command: Any, ctx: Any, formatter: Any) -> None:
    command.format_usage(ctx, formatter)
    text, _, examples = _split_examples(inspect.cleandoc(command.help or ""))
    formatter.write_paragraph()
    with formatter.indentation():
        formatter.write_text(text)
    if examples:
        with formatter.section("Examples"):
            for line in examples.splitlines():
                formatter.write(f"  {line.strip()}\n")
    params = [param for param in command.get_params(ctx) if not getattr(param, "hidden", False)]
    arguments = [param for param in params if param.param_type_name == "argument"]
    everywhere = [param for param in params if getattr(param, "rich_help_panel", None) == PANEL]
    own = [param for param in params if param not in arguments and param not in everywhere]
    if isinstance(command, Group):
        panels = command.summaries(ctx)
        width = max((len(name) for _, rows in panels for name, _ in rows), default=0)
        for heading, rows in panels:
            with formatter.section(heading):
                formatter.write_dl([(name.ljust(width), summary) for name, summary in rows])
    shown_whole = (("Arguments", arguments), ("Options", own), (PANEL, everywhere if ctx.parent is None else []))
    for heading, listed in shown_whole:
        if listed:
            with formatter.section(heading):
                formatter.write_dl([_row(param) for param in listed])
    if ctx.parent is not None:
        with formatter.section(f"{PANEL} (mimir --help explains them)"):
            _write_wrapped([_row(param)[0] for param in everywhere], formatter)


def _write_wrapped(words: list[str], formatter: Any) -> None:
    """Write words in lines that end between words only, unlike those of `write_text`."""
    line = ""
    for word in words:
        if line and len(line) + len(word) + 4 > formatter.width:
            formatter.write(f"  {line.rstrip()}\n")
            line = ""
        line += f"{word}  "
    formatter.write(f"  {line.rstrip()}\n")


def _split_examples(text: str) -> tuple[str, str, str]:
    found = _EXAMPLES.search(text)
    return (text[: found.start()].rstrip(), "Examples", text[found.end() :]) if found else (text, "", "")


def _row(param: Any) -> tuple[str, str]:
    if param.param_type_name == "argument":
        return param.metavar or param.name.upper(), param.help or ""
    names = ", ".join(sorted(param.opts, key=len)) + "".join(f" / {name}" for name in param.secondary_opts)
    return f"{names} {param.metavar}" if param.metavar else names, param.help or ""


def _with_bold_headings(page: str) -> str:
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not sys.stdout.isatty():
        return page
    return re.sub(r"^([A-Z][A-Za-z ,]*(?: \\(.*\\))?:)(?= |$)", "\x1b[1m\\1\x1b[0m", page, flags=re.MULTILINE)
