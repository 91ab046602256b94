"""The command `import`: a file of JSON Lines of any length, with a bar, resumable."""

from __future__ import annotations

import io
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, BinaryIO

import typer

from mimir_vault.cli import import_run
from mimir_vault.cli.exit_codes import Interrupted
from mimir_vault.cli.import_lines import reading_of
from mimir_vault.cli.import_run import BadLine, Tally
from mimir_vault.cli.opening import opened_memory
from mimir_vault.cli.options import settings_of
from mimir_vault.cli.output import Output
from mimir_vault.cli.progress import progress_bar
from mimir_vault.cli.text import counted
from mimir_vault.errors import InterruptedBatchError, MimirError, NotFoundError
from mimir_vault.model.draft import check_name


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
        str | None, typer.Option("--import-id", metavar="NAME", help="Name this import, for a file that grows: lines "
                                 "that are there under the same name are not imported again.")
    ] = None,
) -> None:  # fmt: skip
    """Remember a file of JSON Lines of any length.

    Each line is an object with text and, as wanted, speaker, role, session, at, tags, metadata, ref, user, agent and
    kind. Turns of one session should stand in order. The same file imported again, for instance after an
    interruption, stores nothing twice: nodes carry metadata.import_id, by default a digest of the file's first MiB,
    and metadata.import_line.

    Examples:
        mimir import chats.jsonl
        mimir import export.jsonl --map text=content --map at=created --ignore id
        zcat old.jsonl.gz | mimir import - --import-id old-chats
        mimir forget --where '{"metadata.import_id": "old-chats"}'
    """
    settings = settings_of(ctx)
    output = Output(settings)
    reading = reading_of(map_ or [], ignore or [], user=settings.user, agent=settings.agent, local_time=local_time)
    check_name(import_id, "--import-id")
    tally = Tally()
    with (
        _opened(file, import_id) as (stream, size, named),
        opened_memory(settings, output) as memory,
        progress_bar(settings, "importing", "lines") as advance,
    ):

        def show(lines: int, end: int) -> None:
            advance(end if size else lines, size, lines)

        try:
            import_run.run(memory, stream, reading, named, skip_bad=skip_bad, tally=tally, advance=show)
        except KeyboardInterrupt:
            raise Interrupted(f"interrupted; {_done(tally)}, and the same import goes on from there") from None
        except (BadLine, MimirError) as error:
            raise _explained(error, tally) from None
    _report(output, named, tally)


class _Rejoined(io.RawIOBase):
    """A file whose beginning was read already: gives that again first, as a pipe cannot go back."""

    def __init__(self, head: bytes, rest: io.FileIO) -> None:
        self._head, self._rest = head, rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._head:
            return self._rest.readinto(buffer) or 0
        given = self._head[: len(buffer)]
        buffer[: len(given)] = given
        self._head = self._head[len(given) :]
        return len(given)

    def close(self) -> None:
        self._rest.close()
        super().close()


@contextmanager
def _opened(file: str, import_id: str | None) -> Iterator[tuple[BinaryIO, int, str]]:
    """Give the file open, its size in bytes (0 where nobody knows), and the import id.

    Without a given id the beginning of the file is read before anything is stored, as it names the import.
    """
    raw = _raw(file)
    with raw:
        status = os.fstat(raw.fileno())
        size = status.st_size if stat.S_ISREG(status.st_mode) else 0
        head = b"" if import_id is not None else _head(raw)
        with io.BufferedReader(_Rejoined(head, raw), import_run.HEAD_BYTES) as stream:
            yield stream, size, import_run.content_id(head) if import_id is None else import_id


def _raw(file: str) -> io.FileIO:
    if file == "-":
        return io.FileIO(os.dup(sys.stdin.fileno()))
    try:
        return io.FileIO(file)
    except FileNotFoundError:
        raise NotFoundError(f"there is no file {file}") from None


def _head(raw: io.FileIO) -> bytes:
    parts: list[bytes] = []
    wanted = import_run.HEAD_BYTES
    while wanted and (part := raw.read(wanted)):
        parts.append(part)
        wanted -= len(part)
    return b"".join(parts)


def _done(tally: Tally) -> str:
    return f"{counted(tally.stored, 'node')} stored, {tally.there:,} there already"


def _explained(error: BadLine | MimirError, tally: Tally) -> Exception:
    """Return the error that ended an import, with what was done before it; an interrupted batch gives its cause."""
    cause = error.__cause__ if isinstance(error, InterruptedBatchError) else error
    explained = cause if isinstance(cause, Exception) else error
    explained.args = (f"{explained}; {_done(tally)}, and the same import goes on from there",)
    return explained


def _report(output: Output, import_id: str, tally: Tally) -> None:
    if output.json:
        output.value(
            {"import_id": import_id, "stored": tally.stored, "there": tally.there, "bad": tally.bad,
             "bad_lines": [{"line": number, "why": why} for number, why in tally.first_bad]}
        )  # fmt: skip
        return
    output.done(f"{_done(tally)}; import id {import_id}")
    for number, why in tally.first_bad:
        output.warning(f"line {number}: {why}")
    if tally.bad > len(tally.first_bad):
        output.warning(f"and {tally.bad - len(tally.first_bad):,} more bad lines")
