"""The command `remember`: a text, all of standard input, or each line of it, as nodes."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from mimir_vault.cli import shapes
from mimir_vault.cli.declarations import Ref
from mimir_vault.cli.exit_codes import Interrupted
from mimir_vault.cli.opening import opened_memory
from mimir_vault.cli.options import settings_of
from mimir_vault.cli.output import Output
from mimir_vault.cli.parsing import local_moment, metadata_of, ref_of
from mimir_vault.cli.settings import Settings
from mimir_vault.cli.text import counted, short_id

if TYPE_CHECKING:
    from mimir_vault.model.draft import Draft
    from mimir_vault.model.node import Node

READ_BYTES = 1 << 16
"""Standard input is read in steps of at most this many bytes, and what a step brought is stored before the next."""


def remember(
    ctx: typer.Context,
    text: Annotated[
        str, typer.Argument(metavar="TEXT|-", help="The text; - reads standard input.", show_default=False)
    ],
    lines: Annotated[bool, typer.Option("--lines", help="With -: every line that is not blank is a node.")] = False,
    speaker: Annotated[str | None, typer.Option("--speaker", metavar="NAME", help="Who said it.")] = None,
    role: Annotated[str | None, typer.Option("--role", metavar="ROLE", help="user, assistant, …")] = None,
    session: Annotated[
        str | None, typer.Option("--session", metavar="NAME", help="Its conversation; neighbours in it help recall.")
    ] = None,
    at: Annotated[
        str | None, typer.Option("--at", metavar="DATE", help="When it happened, like 2026-05-01T09:00+02:00; without "
                                 "a time zone this machine's own is meant. Default: now.")
    ] = None,
    tag: Annotated[list[str] | None, typer.Option("--tag", metavar="TAG", help="A tag; again for several.")] = None,
    metadata: Annotated[
        list[str] | None, typer.Option("--metadata", metavar="KEY=VALUE", help="Something to keep with it, or a JSON "
                                       "object; again for several.")
    ] = None,
    kind: Annotated[str, typer.Option("--kind", metavar="KIND", help="What it is: turn (default), fact, …")] = "turn",
    ref: Ref = None,
    expires: Annotated[
        str | None, typer.Option("--expires", metavar="DATE", help="When it is to be forgotten by itself.")
    ] = None,
    pinned: Annotated[bool, typer.Option("--pinned", help="First in every context.")] = False,
) -> None:  # fmt: skip
    """Remember a text, or what comes in on standard input.

    The text becomes a node: sealed, dated and found again by its meaning and its words. Nodes never change.

    Examples:
        mimir remember "I prefer window seats" --speaker Ada --session s1
        mimir remember "The boiler was serviced" --at 2026-05-01 --tag house
        mimir remember "The aisle is fine too" --ref prefs/ada/seat
        mimir remember - < notes.txt
        git log --oneline | mimir remember - --lines --tag git
    """
    from mimir_vault.model.draft import Draft

    settings = settings_of(ctx)
    output = Output(settings)
    if lines and text != "-":
        raise ValueError("--lines splits standard input; give - in place of the text")
    if lines and ref is not None:
        raise ValueError("--ref names one node; it does not go with --lines")
    fields = Draft(
        text="" if text == "-" else text, speaker=speaker, role=role, session=session, kind=kind,
        at=local_moment(at, "--at"), tags=tag or (), metadata=metadata_of(metadata), ref=ref_of(ref, "--ref"),
        expires_at=local_moment(expires, "--expires"), pinned=pinned,
    )  # fmt: skip
    if lines:
        _remember_lines(settings, output, fields)
        return
    _remember_one(settings, output, replace(fields, text=_all_of_standard_input()) if text == "-" else fields)


def _remember_one(settings: Settings, output: Output, draft: Draft) -> None:
    from mimir_vault.model.draft import check_draft

    check_draft(draft)  # Nonsense is refused before anybody types a passphrase.
    with opened_memory(settings, output) as memory:
        node = memory.remember_many([draft])[0]
    if output.json:
        output.value(shapes.node_value(node))
    output.done(f"remembered {short_id(node.id)}")


def _remember_lines(settings: Settings, output: Output, fields: Draft) -> None:
    from mimir_vault.model.draft import check_draft

    check_draft(replace(fields, text="a line"))
    stored = 0
    with opened_memory(settings, output) as memory:
        try:
            for drafts in _batches(fields):
                nodes = memory.remember_many(drafts)
                stored += len(nodes)
                _show(output, nodes)
        except KeyboardInterrupt:
            raise Interrupted(f"interrupted after {counted(stored, 'line')}; they are remembered") from None
        except ValueError as error:
            raise ValueError(f"{error}; {counted(stored, 'line')} before it are remembered") from None
    output.done(f"remembered {counted(stored, 'line')}")


def _show(output: Output, nodes: list[Node]) -> None:
    if output.json:
        for node in nodes:
            output.value(shapes.node_value(node))
        sys.stdout.flush()


def _batches(fields: Draft) -> Iterator[list[Draft]]:
    """Yield the lines that each read of standard input completed: prompt for slow pipes, in bulk for fast ones."""
    from mimir_vault.model.draft import TEXT_BYTES_MAX, check_draft

    number, rest, ended = 0, b"", False
    while not ended:
        step = os.read(sys.stdin.fileno(), READ_BYTES)
        ended = not step
        *whole, rest = (rest + step).split(b"\n")
        if ended and rest:
            whole, rest = [*whole, rest], b""
        drafts = []
        for line in whole:
            number += 1
            text = _decoded(line, f"line {number} of standard input").rstrip("\r")
            if text.strip():
                try:
                    drafts.append(check_draft(replace(fields, text=text)))
                except ValueError as error:
                    raise ValueError(f"line {number}: {error}") from None
        if drafts:
            yield drafts
        if len(rest) > TEXT_BYTES_MAX:
            raise ValueError(f"line {number + 1} of standard input is longer than {TEXT_BYTES_MAX:,} bytes")


def _all_of_standard_input() -> str:
    from mimir_vault.model.draft import TEXT_BYTES_MAX

    given = sys.stdin.buffer.read(TEXT_BYTES_MAX + 1)
    if len(given) > TEXT_BYTES_MAX:
        raise ValueError(
            f"standard input has more than {TEXT_BYTES_MAX:,} bytes, the most of one node; "
            "add --lines to make every line a node"
        )
    return _decoded(given.removeprefix(b"\xef\xbb\xbf"), "standard input").rstrip("\r\n")


def _decoded(given: bytes, what: str) -> str:
    try:
        return given.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{what} is no UTF-8 text (byte {error.start + 1}); convert it first") from None
