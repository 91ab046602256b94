"""The command `forget`: destroying nodes for ever, after showing what would go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mimir_vault.cli import shapes, terminal
from mimir_vault.cli.declarations import Session, Under, Where
from mimir_vault.cli.opening import found_node, opened_memory
from mimir_vault.cli.options import settings_of
from mimir_vault.cli.output import Output
from mimir_vault.cli.parsing import ref_of, time_span, where_of
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
    ref: Annotated[
        str | None, typer.Option("--ref", metavar="REF", help="All versions of a ref: prefs/ada/seat")
    ] = None,
    under: Under = None,
    where: Where = None,
    session: Session = None,
    derived: Annotated[bool, typer.Option("--derived", help="Also what was derived from them.")] = False,
    grace: Annotated[
        str | None, typer.Option("--grace", metavar="TIME", help="Hide them now and forget them after so long: 7d, "
                                 "12h; until then mimir keep brings them back.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be forgotten.")] = False,
) -> None:  # fmt: skip
    """Forget for ever, and print a receipt.

    Destroys the keys, texts, words and vectors of the nodes; nobody can bring them back. Shows what would go and asks
    first, unless told --yes. Backups and copies made before still hold the nodes.

    Examples:
        mimir forget 3f9a0c21
        mimir forget --where '{"tags": "travel"}' --dry-run
        mimir forget --session s1 --yes
        mimir forget --under prefs/ada --grace 7d
    """
    settings = settings_of(ctx)
    output = Output(settings)
    by_filter = where is not None or session is not None or under is not None
    if bool(ids) + by_filter + (ref is not None) != 1:
        raise ValueError("give either ids, or --ref, or --under, --where or --session, to say what is to be forgotten")
    how: dict[str, Any] = {"derived": derived, "grace": time_span(grace, "--grace")}
    restrictions: dict[str, Any] = {"ref": ref_of(ref, "--ref")} if ref is not None else {
        "where": where_of(where), "session": session, "under": ref_of(under, "--under"),
    }  # fmt: skip
    with opened_memory(settings, output) as memory:
        nodes, count = _planned(memory, settings, ids or [], {**restrictions, "derived": derived})
        _preview(output, nodes, count)
        harmless = dry_run or not count
        if not harmless and not _agreed(settings, count, grace):
            output.done("nothing was forgotten")
            return
        if ids:
            receipts = [
                memory.forget(node_id, dry_run=dry_run, **how)
                for node_id in _named(memory, settings, ids)
                if not derived or memory.get(node_id) is not None  # Gone with one that it was derived from.
            ]
        else:
            receipts = [memory.forget(dry_run=harmless, **restrictions, **how)]
    _print_receipts(output, receipts)


def _planned(
    memory: Memory, settings: Settings, ids: Sequence[str], restrictions: Mapping[str, Any]
) -> tuple[list[Node], int]:
    """Return the nodes that would go, of a filter only the first, and how many they are in all."""
    if ids:
        derived = restrictions["derived"]
        gone = [memory.forget(one, dry_run=True, derived=derived).ids for one in _named(memory, settings, ids)]
        planned = tuple(dict.fromkeys(one for part in gone for one in part))
    else:
        planned = memory.forget(dry_run=True, **restrictions).ids
    return [node for one in planned[:LISTED_MAX] if (node := memory.get(one)) is not None], len(planned)


def _named(memory: Memory, settings: Settings, ids: Sequence[str]) -> list[str]:
    """Return the whole ids of the nodes that were named, each once."""
    return list(dict.fromkeys(found_node(memory, settings, one).id for one in ids))


def _agreed(settings: Settings, count: int, grace: str | None) -> bool:
    question = f"Forget {counted(count, 'node')} for ever?"
    if grace is not None:
        question = f"Hide {counted(count, 'node')} and forget for ever after {grace.strip()}?"
    return terminal.confirm(question, yes=settings.yes)


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
        if receipt.due is not None:
            output.done(f"hid {counted(len(receipt.ids), 'node')}; forgotten for ever after {receipt.due}")
            continue
        output.done(
            f"forgot {counted(len(receipt.ids), 'node')} at {receipt.at}\n"
            f"  on disk: {receipt.on_disk}\n"
            f"  generation {receipt.generation_before} -> {receipt.generation_after}, digest {receipt.digest}"
        )
        for node_id in receipt.current_again:
            output.done(f"  current again: {node_id}")
    if receipts and not receipts[-1].dry_run and receipts[-1].due is None:
        output.notice(receipts[-1].out_of_reach)
