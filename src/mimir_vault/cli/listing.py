"""The commands `list`, `show` and `history`: looking at nodes without asking a question."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from mimir_vault.cli import shapes
from mimir_vault.cli.declarations import Kind, NodeId, NodeOrRef, RefOfNode, Role, Session, Speaker, Tags, Under, Where
from mimir_vault.cli.hits import node_line, node_rows
from mimir_vault.cli.opening import found_node, named_node, opened_memory
from mimir_vault.cli.options import settings_of
from mimir_vault.cli.output import Output
from mimir_vault.cli.parsing import ref_of, tags_condition, where_of


def list_nodes(
    ctx: typer.Context,
    limit: Annotated[int | None, typer.Option("--limit", "-n", metavar="N", help="At most so many.")] = None,
    newest: Annotated[bool, typer.Option("--newest", help="Newest first instead of oldest first.")] = False,
    by_ref: Annotated[bool, typer.Option("--by-ref", help="In the order of refs; those without one last.")] = False,
    hidden: Annotated[
        bool, typer.Option("--hidden", help="What is hidden, or waits to be forgotten (see mimir keep).")
    ] = False,
    under: Under = None,
    where: Where = None,
    speaker: Speaker = None,
    session: Session = None,
    role: Role = None,
    kind: Kind = None,
    tag: Tags = None,
) -> None:
    """List what was remembered, in the order in which it came.

    One line for each node: the first digits of its id, its date, who said it and how it begins.

    Examples:
        mimir list --newest --limit 20
        mimir list --speaker Ada --tag travel
        mimir list --where '{"at": {"gte": "2026-05-01T00:00+02:00"}}' --json
    """
    if newest and by_ref:
        raise ValueError("--newest and --by-ref are two orders; give one")
    if limit is not None and limit < 1:
        raise ValueError(f"--limit is at least 1, not {limit}")
    settings = settings_of(ctx)
    output = Output(settings)
    filters: dict[str, Any] = {
        "where": where_of(where, speaker=speaker, role=role, kind=kind, tags=tags_condition(tag)),
        "session": session, "under": ref_of(under, "--under") or (), "hidden": hidden,
    }  # fmt: skip
    order = "ref" if by_ref else "newest" if newest else "oldest"
    shown = 0
    with opened_memory(settings, output) as memory:
        for node in memory.nodes(order=order, limit=limit, **filters):
            shown += 1
            if output.json:
                output.value(shapes.node_value(node))
            else:
                output.styled(node_line(node, output.console.width))
    if not shown:
        output.notice("there is nothing")


def show(ctx: typer.Context, node_id: NodeOrRef = None, ref: RefOfNode = None) -> None:
    """Show one node with all its fields.

    Examples:
        mimir show 3f9a0c21
        mimir show --ref prefs/ada/seat
        mimir show 3f9a0c21 --json
    """
    settings = settings_of(ctx)
    output = Output(settings)
    with opened_memory(settings, output) as memory:
        node = named_node(memory, settings, node_id, ref)
    if output.json:
        output.value(shapes.node_value(node))
        return
    for name, text in node_rows(node):
        output.line(f"{name + ':':16}{text}")
    if node.text:
        output.line()
        output.line(node.text)


def history(ctx: typer.Context, node_id: NodeId) -> None:
    """Show how a node came to be what it is now, newest first.

    Lists the node, what it superseded and what superseded it.

    Examples:
        mimir history 3f9a0c21
    """
    settings = settings_of(ctx)
    output = Output(settings)
    with opened_memory(settings, output) as memory:
        versions = memory.history(found_node(memory, settings, node_id).id)
    for node in versions:
        if output.json:
            output.value(shapes.node_value(node))
        else:
            output.styled(node_line(node, output.console.width))
