"""Progress: a bar with rate and remaining time on standard error, only where a person looks at a terminal."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from mimir_vault.cli.output import is_terminal
from mimir_vault.cli.settings import Settings


class Advance(Protocol):
    """Called with how much is done and how much there is in all (0 where nobody knows)."""

    def __call__(self, done: int, total: int, count: int | None = None, /) -> None:
        """Show it; `count` is what is counted for people where `done` measures something else."""


def nowhere(done: int, total: int, count: int | None = None, /) -> None:
    """Take progress and show it to nobody."""


@contextmanager
def progress_bar(settings: Settings, label: str, unit: str = "nodes") -> Iterator[Advance]:
    """Show a bar while the body runs; gives the function to call with (done, total)."""
    if settings.quiet or not is_terminal(sys.stderr):
        yield nowhere
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    console = Console(file=sys.stderr, markup=False, emoji=False, no_color=bool(os.environ.get("NO_COLOR")) or None)
    columns = (
        TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(),
        TextColumn("{task.fields[counted]}", markup=False), TimeRemainingColumn(compact=True),
    )  # fmt: skip
    begin = time.monotonic()
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(label, total=None, counted="")

        def advance(done: int, total: int, count: int | None = None, /) -> None:
            number = done if count is None else count
            rate = number / max(time.monotonic() - begin, 0.001)
            progress.update(
                task, completed=done, total=total or None, counted=f"{number:,} {unit} · {rate:,.0f} {unit}/s"
            )

        yield advance
