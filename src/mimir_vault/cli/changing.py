"""The commands `supersede`, `hide` and `keep`: changing what a node says, and whether it is among the answers."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from mimir_vault.cli import shapes
from mimir_vault.cli.declarations import NodeOrRef, RefOfNode
from mimir_vault.cli.opening import named_node, opened_memory
from mimir_vault.cli.options import settings_of
from mimir_vault.cli.output import Output
from mimir_vault.cli.parsing import local_moment, metadata_of, ref_of
from mimir_vault.cli.text import short_id


def supersede(
    ctx: typer.Context,
    node_id: Annotated[str, typer.Argument(metavar="ID|REF", help="A node's id (8 or more digits), or with --by-ref "
                                           "its ref.", show_default=False)],
    text: Annotated[
        str | None, typer.Argument(metavar="TEXT|-", help="What it says now; - reads standard input; without it the "
                                   "text stays.", show_default=False)
    ] = None,
    by_ref: Annotated[bool, typer.Option("--by-ref", help="The first word is a ref: prefs/ada/seat")] = False,
    at: Annotated[
        str | None, typer.Option("--at", metavar="DATE", help="Since when it holds. Default: now.")
    ] = None,
    tag: Annotated[
        list[str] | None, typer.Option("--tag", metavar="TAG", help="Its tags now; again for several.")
    ] = None,
    metadata: Annotated[
        list[str] | None, typer.Option("--metadata", metavar="KEY=VALUE", help="Its metadata now; again for several.")
    ] = None,
    expires: Annotated[
        str | None, typer.Option("--expires", metavar="DATE", help="When it is to be forgotten by itself.")
    ] = None,
    pinned: Annotated[
        bool | None, typer.Option("--pinned/--not-pinned", help="Whether it is first in every context.")
    ] = None,
) -> None:  # fmt: skip
    """Replace what a node says, and keep its history.

    A new node takes its place in answers; whatever is not given is carried over. `mimir history` shows both.

    Examples:
        mimir supersede 3f9a0c21 "I prefer the aisle now"
        mimir supersede prefs/ada/seat "the aisle" --by-ref --at 2026-05-01
    """
    settings = settings_of(ctx)
    output = Output(settings)
    fields: dict[str, Any] = {
        "at": local_moment(at, "--at"), "tags": tag, "metadata": metadata_of(metadata),
        "expires_at": local_moment(expires, "--expires"), "pinned": pinned,
    }  # fmt: skip
    given = {name: value for name, value in fields.items() if value is not None}
    said = sys.stdin.read().rstrip("\r\n") if text == "-" else text
    if said is None and not given:
        raise ValueError("say what changes: a text, or --at, --tag, --metadata, --expires or --pinned")
    with opened_memory(settings, output) as memory:
        old = named_node(memory, settings, None if by_ref else node_id, node_id if by_ref else None)
        node = memory.supersede(old.id, said, **given)
    if output.json:
        output.value(shapes.node_value(node))
    output.done(f"{short_id(node.id)} supersedes {short_id(old.id)}")


def hide(ctx: typer.Context, node_id: NodeOrRef = None, ref: RefOfNode = None) -> None:
    """Take a node out of answers until keep brings it back.

    Nothing is destroyed. `mimir list --hidden` shows what is hidden.

    Examples:
        mimir hide 3f9a0c21
        mimir hide --ref prefs/ada/seat
    """
    _set(ctx, node_id, ref, "hide", "hid")


def keep(ctx: typer.Context, node_id: NodeOrRef = None, ref: RefOfNode = None) -> None:
    """Bring back what is hidden or waits to be forgotten.

    For `mimir hide`, and for `mimir forget --grace` as long as the time lasts.

    Examples:
        mimir keep 3f9a0c21
    """
    _set(ctx, node_id, ref, "keep", "kept")


def _set(ctx: typer.Context, node_id: str | None, ref: str | None, verb: str, done: str) -> None:
    if (node_id is None) == (ref is None):
        raise ValueError("give the id of a node, or --ref")
    settings = settings_of(ctx)
    output = Output(settings)
    with opened_memory(settings, output) as memory:
        node = getattr(memory, verb)(node_id, ref=ref_of(ref, "--ref"))
    if output.json:
        output.value(shapes.node_value(node))
    output.done(f"{done} {short_id(node.id)}")
