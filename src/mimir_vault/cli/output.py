"""Output: results on standard output as text for people or as JSON; notices on standard error, to terminals only."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, TextIO

from mimir_vault.cli.settings import Settings
from mimir_vault.cli.text import one_line, printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

INDENT = 5
"""Columns by which a text stands in from the line above that says whose it is."""
PLAIN_WIDTH = 1 << 20
"""Width of lines where no terminal shows them: never wrapped, so that other programs read them whole."""


def is_terminal(stream: TextIO) -> bool:
    """Say whether a stream goes to a person's terminal."""
    return stream.isatty()


class Output:
    """Where one call of the command writes to."""

    def __init__(self, settings: Settings) -> None:
        self.json = settings.json
        self.quiet = settings.quiet
        self._console: Console | None = None

    @property
    def console(self) -> Console:
        """The console for people, made when first needed; it takes no markup, as texts may hold brackets."""
        if self._console is None:
            from mimir_vault.cli.styled import PipeConsole

            terminal = is_terminal(sys.stdout)
            self._console = PipeConsole(
                file=sys.stdout, markup=False, emoji=False, highlight=False, soft_wrap=not terminal,
                width=None if terminal else PLAIN_WIDTH, no_color=bool(os.environ.get("NO_COLOR")) or None,
            )  # fmt: skip
        return self._console

    def value(self, value: Any) -> None:
        """Write one JSON value on a line of its own."""
        ascii_only = (sys.stdout.encoding or "").lower().replace("-", "") != "utf8"
        sys.stdout.write(json.dumps(value, ensure_ascii=ascii_only, allow_nan=False) + "\n")

    def line(self, text: str = "") -> None:
        """Write text for people, printable whatever it holds."""
        sys.stdout.write(printable(text) + "\n")

    def styled(self, text: Text) -> None:
        """Write styled text; who builds it makes its parts printable."""
        self.console.print(text)

    def indented(self, text: Text) -> None:
        """Write styled text set in from the left, on a terminal with every line it is wrapped into."""
        from rich.padding import Padding

        if self.console.is_terminal:
            self.console.print(Padding(text, (0, 0, 0, INDENT), expand=False))
        else:
            sys.stdout.write("".join(f"{' ' * INDENT}{line}".rstrip() + "\n" for line in text.plain.split("\n")))

    def done(self, text: str) -> None:
        """Write what was done, unless asked to be quiet or to speak JSON."""
        if not (self.quiet or self.json):
            self.line(text)

    def notice(self, text: str) -> None:
        """Write a remark on the side, to a terminal only."""
        if not self.quiet and is_terminal(sys.stderr):
            sys.stderr.write(printable(text) + "\n")

    def warning(self, text: str) -> None:
        """Write a warning, wherever standard error goes."""
        sys.stderr.write(f"mimir: warning: {one_line(text)}\n")

    def table(self, headings: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[str] = ()) -> None:
        """Write rows in columns; those named in `right` are aligned to the right."""
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), collapse_padding=True, header_style="bold")
        for heading in headings:
            table.add_column(heading, justify="right" if heading in right else "left", overflow="fold")
        for row in rows:
            table.add_row(*(Text(one_line(cell)) for cell in row))
        with self.console.capture() as captured:
            self.console.print(table)
        sys.stdout.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))
