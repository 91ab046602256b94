"""The command `forget`: destroying nodes for ever, after showing what would go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mimir_vault.cli import shapes, terminal
from mimir_vault.cli.declarations import Session, Where
from mimir_vault.cli.opening import found_node, opened_memory
from mimir_vault.cli.options import settings_of
from mimir_vault.cli.output import Output
from mimir_vault.cli.parsing import where_of
from mimir_vault.cli.settings import Settings
from mimir_vault.cli.text import counted, moment, one_line

if TYPE_CHECKING:
    from mimir_vault.memory import Memory
    from mimir_vault.model.node import Node
    from mimir_vault.model.receipt import Receipt

LISTED_MAX = 20
"""So many of the nodes that would go are listed before the question."""


def forget(
    ctx: typer.Context,
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="ID", help="Ids of nodes; their first 8 or more digits do.",
                                         show_default=False)
    ] = None,
    where: Where = None,
    session: Session = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be forgotten.")] = False,
) -> None:  # fmt: skip
    """Forget for ever, and print a receipt.

    Destroys the keys, texts, words and vectors of the nodes; nobody can bring them back. Shows what would go and asks
    first, unless told --yes. Backups and copies made before still hold the nodes.

    Examples:
        mimir forget 3f9a0c21
        mimir forget --where '{"tags": "travel"}' --dry-run
        mimir forget --session s1 --yes
    """
    settings = settings_of(ctx)
    output = Output(settings)
    by_filter = where is not None or session is not None
    if bool(ids) == by_filter:
        raise ValueError("give either ids, or --where or --session, to say what is to be forgotten")
    restrictions: dict[str, Any] = {
        "where": where_of(where), "user": settings.user, "agent": settings.agent, "session": session
    }  # fmt: skip
    with opened_memory(settings, output) as memory:
        nodes, count = _planned(memory, settings, ids or [], restrictions)
        _preview(output, nodes, count)
        harmless = dry_run or not count
        if not harmless and not _agreed(settings, count):
            output.done("nothing was forgotten")
            return
        if ids:
            receipts = [memory.forget(node.id, dry_run=dry_run) for node in nodes]
        else:
            receipts = [memory.forget(dry_run=harmless, **restrictions)]
    _print_receipts(output, receipts)


def _planned(
    memory: Memory, settings: Settings, ids: Sequence[str], restrictions: Mapping[str, Any]
) -> tuple[list[Node], int]:
    """Return the nodes that would go, of a filter only the first, and how many they are in all."""
    if ids:
        nodes = list({node.id: node for node in (found_node(memory, settings, one) for one in ids)}.values())
        return nodes, len(nodes)
    planned = memory.forget(dry_run=True, **restrictions).ids
    return [node for one in planned[:LISTED_MAX] if (node := memory.get(one)) is not None], len(planned)


def _agreed(settings: Settings, count: int) -> bool:
    return terminal.confirm(f"Forget {counted(count, 'node')} for ever?", yes=settings.yes)


def _preview(output: Output, nodes: Sequence[Node], count: int) -> None:
    """List what would go, with whole ids, as these verbs destroy."""
    if output.json or output.quiet:
        return
    for node in nodes[:LISTED_MAX]:
        output.line(f"{node.id}\n    {moment(node.at)}  {one_line(node.text, 90)}")
    if count > min(len(nodes), LISTED_MAX):
        output.line(f"… and {counted(count - min(len(nodes), LISTED_MAX), 'more node')}")


def _print_receipts(output: Output, receipts: Sequence[Receipt]) -> None:
    for receipt in receipts:
        if output.json:
            output.value(shapes.receipt_value(receipt))
            continue
        if receipt.dry_run:
            output.done(f"would forget {counted(len(receipt.ids), 'node')}; nothing was changed")
            continue
        output.done(
            f"forgot {counted(len(receipt.ids), 'node')} at {receipt.at}\n"
            f"  on disk: {receipt.on_disk}\n"
            f"  generation {receipt.generation_before} -> {receipt.generation_after}, digest {receipt.digest}"
        )
        for node_id in receipt.current_again:
            output.done(f"  current again: {node_id}")
    if receipts and not receipts[-1].dry_run:
        output.notice(receipts[-1].out_of_reach)
