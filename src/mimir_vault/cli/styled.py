"""The console for styled text: rich's, but when a reader goes away the command is told instead of ended."""

from __future__ import annotations

from rich.console import Console


class PipeConsole(Console):
    """A console that leaves closed pipes to the command."""

    def on_broken_pipe(self) -> None:
        """Raise what the operating system said; rich would end the process with code 1."""
        raise BrokenPipeError
