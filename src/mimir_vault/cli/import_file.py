"""The command `import`: a file of JSON Lines of any length, with a bar, resumable."""

from __future__ import annotations

import io
import json
import os
import shlex
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from mimir_vault.cli.exit_codes import Interrupted
from mimir_vault.cli.opening import opened_memory
from mimir_vault.cli.options import settings_of
from mimir_vault.cli.output import Output
from mimir_vault.cli.progress import progress_bar
from mimir_vault.cli.text import counted
from mimir_vault.errors import InterruptedBatchError, NotFoundError
from mimir_vault.model.draft import check_name

if TYPE_CHECKING:
    from mimir_vault.model.import_done import ImportDone


def import_file(
    ctx: typer.Context,
    file: Annotated[
        str, typer.Argument(metavar="FILE|-", help="The file; - reads standard input.", show_default=False)
    ],
    map_: Annotated[
        list[str] | None, typer.Option("--map", metavar="FIELD=NAME", help="Take a field from another name: "
                                       "text=content; metadata.NAME=NAME keeps what has no field. Again for several.")
    ] = None,
    ignore: Annotated[
        list[str] | None, typer.Option("--ignore", metavar="NAME", help="Leave this name out; again for several.")
    ] = None,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Go on after lines that cannot be imported, and list them at the end.")
    ] = False,
    local_time: Annotated[
        bool, typer.Option("--local-time", help="Read dates without a time zone as this machine's; else they are bad.")
    ] = False,
    import_id: Annotated[
        str | None, typer.Option("--import-id", metavar="NAME", help="Name this import: it can be undone under that "
                                 "name, and lines without a date that another file brought are stored again.")
    ] = None,
) -> None:  # fmt: skip
    """Remember a file of JSON Lines of any length.

    Each line is an object with text and, as wanted, speaker, role, session, at, tags, metadata, ref, user, agent, kind,
    links, data (base64), index, vector, expires_at and pinned, or a line of mimir export. Turns of one session should
    stand in order. The same file imported again, for instance after an interruption, stores nothing twice. Nodes carry
    metadata.import_id, by which the import can be undone.

    Examples:
        mimir import chats.jsonl
        mimir import export.jsonl --map text=content --map at=created --ignore id
        zcat old.jsonl.gz | mimir import - --import-id old-chats
        mimir forget --where '{"metadata.import_id": "old-chats"}'
    """
    from mimir_vault.interchange.importing import wanted

    settings = settings_of(ctx)
    output = Output(settings)
    fields = fields_of(map_ or [])
    check_name(import_id, "--import-id")
    wanted(None, import_id, fields, ignore or [], skip_bad=skip_bad, local_time=local_time)
    with (
        _opened(file) as lines,
        opened_memory(settings, output) as memory,
        progress_bar(settings, "importing", "lines") as advance,
    ):
        try:
            done = memory.view(user=settings.user, agent=settings.agent).import_from(
                lines, import_id=import_id, fields=fields, ignore=ignore or [], skip_bad=skip_bad,
                local_time=local_time,
                progress=lambda at, size: advance(at if size else lines.count, size, lines.count),
            )  # fmt: skip
        except KeyboardInterrupt as error:
            raise Interrupted(f"interrupted; {_done_until(error.__cause__)}") from None
        except InterruptedBatchError as error:
            raise _explained(error) from None
    _report(output, done)


def fields_of(maps: Sequence[str]) -> dict[str, str]:
    """Return the names of fields in the file, by field, from `--map FIELD=NAME`.

    Raises:
        ValueError: a map that is not of that form, or a field that is named twice.
    """
    fields: dict[str, str] = {}
    for pair in maps:
        field, sign, name = pair.partition("=")
        if not sign or not name or not field:
            raise ValueError(f"--map {pair[:60]!r} is not FIELD=NAME, such as text=content or metadata.NAME=NAME")
        if field in fields:
            raise ValueError(f"--map names {field[:60]!r} twice")
        fields[field] = name
    return fields


class _CountedLines(io.BufferedReader):
    """A file that counts the lines that were read of it, for people who watch."""

    count = 0

    def readline(self, size: int | None = -1) -> bytes:
        line = super().readline(-1 if size is None else size)
        self.count += line.endswith(b"\n")
        return line

    def read(self, size: int | None = -1) -> bytes:
        part = super().read(size)
        if not self.seekable():  # A pipe is read once; what can be read again is read for its digest first.
            self.count += part.count(b"\n")
        return part


def _opened(file: str) -> _CountedLines:
    """Return the file, open; before a passphrase is asked for."""
    try:
        return _CountedLines(io.FileIO(os.dup(sys.stdin.fileno()) if file == "-" else file))
    except FileNotFoundError:
        raise NotFoundError(f"there is no file {file}") from None


def _done(done: ImportDone) -> str:
    return f"{counted(done.stored, 'node')} stored, {done.known:,} there already"


def _done_until(cause: BaseException | None) -> str:
    """Return what was done by an import that ended early."""
    done = cause.imported if isinstance(cause, InterruptedBatchError) else None
    return f"{_done(done) if done else 'nothing stored'}, and the same import goes on from there"


def _explained(error: InterruptedBatchError) -> Exception:
    """Return the error that ended an import, with what was done before it."""
    explained = error.__cause__ if isinstance(error.__cause__, Exception) else error
    explained.args = (f"{explained}; {_done_until(error)}",)
    return explained


def _report(output: Output, done: ImportDone) -> None:
    if output.json:
        output.value(
            {"import_id": done.import_id, "stored": done.stored, "there": done.known, "expired": done.expired,
             "links_left_out": done.links_left_out, "vectors_left_out": done.vectors_left_out, "bad": done.bad,
             "bad_lines": [{"line": number, "why": why} for number, why in done.bad_lines], "undo": done.undo}
        )  # fmt: skip
        return
    output.done(f"{_done(done)}; import id {done.import_id}")
    if done.stored:
        output.done(f"to undo it: mimir forget --where {shlex.quote(json.dumps(done.undo, ensure_ascii=False))}")
    if done.expired:
        output.warning(f"left out: {counted(done.expired, 'line')} that had expired")
    if done.links_left_out:
        output.warning(
            f"left out: {counted(done.links_left_out, 'link')} to nodes that are neither in the file nor here"
        )
    if done.vectors_left_out:
        output.warning(f"embedded anew: {counted(done.vectors_left_out, 'node')} with vectors of another model")
    for number, why in done.bad_lines:
        output.warning(f"line {number}: {why}")
    if done.bad > len(done.bad_lines):
        output.warning(f"and {done.bad - len(done.bad_lines):,} more bad lines")
