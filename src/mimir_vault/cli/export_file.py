"""The command `export`: what is remembered as a file that other programs, or people, can read."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from mimir_vault.cli.declarations import Kind, Role, Session, Speaker, Tags, Under, Where
from mimir_vault.cli.opening import opened_memory
from mimir_vault.cli.options import settings_of
from mimir_vault.cli.output import Output
from mimir_vault.cli.parsing import ref_of, tags_condition, where_of
from mimir_vault.cli.progress import progress_bar
from mimir_vault.cli.text import counted


def export_file(
    ctx: typer.Context,
    file: Annotated[
        str, typer.Argument(metavar="FILE|-", help="The file to write; - writes standard output.", show_default=False)
    ],
    format_: Annotated[
        str, typer.Option("--format", metavar="FORMAT", help="jsonl, which mimir import reads, or markdown, to be read "
                          "by people.")
    ] = "jsonl",
    where: Where = None,
    under: Under = None,
    speaker: Speaker = None,
    session: Session = None,
    role: Role = None,
    kind: Kind = None,
    tag: Tags = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if there is one.")] = False,
) -> None:  # fmt: skip
    """Write what is remembered to a file, in clear.

    All versions of every node are written, the oldest first; hidden ones are not. The file is whole or not there, and
    only you may read it: it is not encrypted. To keep a copy that is, use mimir backup.

    Examples:
        mimir export memories.jsonl
        mimir export - --session s1 | head
        mimir export travel.md --format markdown --tag travel
    """
    from mimir_vault.interchange.exporting import check_format

    settings = settings_of(ctx)
    output = Output(settings)
    check_format(format_)
    to_stdout = file == "-"
    target = sys.stdout.buffer if to_stdout else Path(file).expanduser()
    filters: dict[str, Any] = {
        "where": where_of(where, speaker=speaker, role=role, kind=kind, tags=tags_condition(tag)),
        "under": ref_of(under, "--under") or (), "user": settings.user, "agent": settings.agent, "session": session,
    }  # fmt: skip
    with opened_memory(settings, output) as memory, progress_bar(settings, "exporting") as advance:
        sys.stdout.flush()
        count = memory.export_to(target, format_, overwrite=force, progress=advance, **filters)
    if not output.quiet:
        place = "standard output" if to_stdout else file
        output.warning(f"what was written to {place} is not encrypted: whoever can read it can read these memories")
    if output.json and not to_stdout:
        output.value({"file": str(target), "nodes": count})
    if not to_stdout:
        output.done(f"exported {counted(count, 'node')} to {file}")
