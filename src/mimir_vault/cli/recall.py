"""The commands `recall` and `context`: asking the memory."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from mimir_vault.cli import shapes
from mimir_vault.cli.declarations import AsOf, Kind, KnownAt, Query, Role, Session, Speaker, Tags, Under, Where
from mimir_vault.cli.hits import write_hit
from mimir_vault.cli.opening import opened_memory
from mimir_vault.cli.options import settings_of
from mimir_vault.cli.output import Output
from mimir_vault.cli.parsing import local_moment, ref_of, tags_condition, where_of


def recall(
    ctx: typer.Context,
    query: Query,
    k: Annotated[int, typer.Option("-k", "--k", metavar="N", help="How many hits at most (default 10).")] = 10,
    where: Where = None,
    speaker: Speaker = None,
    session: Session = None,
    role: Role = None,
    kind: Kind = None,
    tag: Tags = None,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    under: Under = None,
    lane: Annotated[
        list[str] | None, typer.Option("--lane", metavar="LANE", help="Find in this way only: dense (by meaning) or "
                                       "lexical (by words); again for both.")
    ] = None,
    min_score: Annotated[
        float | None, typer.Option("--min-score", metavar="SCORE", help="Only hits with at least this score.")
    ] = None,
    collapse: Annotated[bool, typer.Option("--collapse", help="Show every text once.")] = False,
    explain: Annotated[bool, typer.Option("--explain", help="Say what found each hit.")] = False,
) -> None:  # fmt: skip
    """Find what was remembered, by meaning and by words.

    Prints the best hits first, each with its score (0 to 1, comparable within one question), its date, who said it
    and the digits of its id; the passage that matched is underlined. Dates without a time zone are local.

    Examples:
        mimir recall "where does Ada like to sit?"
        mimir recall "seat" -k 3 --speaker Ada --as-of 2026-05-01
        mimir recall "boiler" --where '{"metadata.city": "Oslo"}' --json
    """
    settings = settings_of(ctx)
    output = Output(settings)
    filters = _filters(where, speaker, session, role, kind, tag, as_of, known_at, under)
    with opened_memory(settings, output) as memory:
        hits = memory.recall(
            query, k=k, lanes=tuple(lane) if lane else None, min_score=min_score, collapse=collapse, explain=explain,
            **filters,
        )  # fmt: skip
    if output.json:
        for hit in hits:
            output.value(shapes.hit_value(hit))
        return
    for hit in hits:
        write_hit(output, hit, explain=explain)
    if not hits:
        output.notice("nothing was found")


def context(
    ctx: typer.Context,
    query: Annotated[
        str | None, typer.Argument(metavar="QUERY", help="What the prompt is about; without it, what is pinned and "
                                   "newest.", show_default=False)
    ] = None,
    budget: Annotated[
        int, typer.Option("--budget", metavar="TOKENS", help="How much it may cost, in tokens (default 800).")
    ] = 800,
    where: Where = None,
    speaker: Speaker = None,
    session: Session = None,
    role: Role = None,
    kind: Kind = None,
    tag: Tags = None,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    under: Under = None,
) -> None:  # fmt: skip
    """Collect what is known about something as text for a prompt.

    Dated, quoted passages with their ids, each text once, within a budget of tokens, and marked as data, so that a
    model does not take them for instructions.

    Examples:
        mimir context "Ada is planning a flight" --budget 400
        mimir context --user ada
    """
    settings = settings_of(ctx)
    output = Output(settings)
    filters = _filters(where, speaker, session, role, kind, tag, as_of, known_at, under)
    with opened_memory(settings, output) as memory:
        found = memory.context(query, budget=budget, **filters)
    if output.json:
        output.value(shapes.context_value(found))
    elif found.text:
        output.line(found.text)
    else:
        output.notice("nothing was found")


def _filters(
    where: str | None, speaker: str | None, session: str | None, role: str | None, kind: str | None,
    tags: list[str] | None, as_of: str | None, known_at: str | None, under: str | None,
) -> dict[str, Any]:  # fmt: skip
    """Return the keywords that restrict what is found."""
    return {
        "where": where_of(where, speaker=speaker, role=role, kind=kind, tags=tags_condition(tags)),
        "session": session,
        "under": ref_of(under, "--under") or (),
        "as_of": local_moment(as_of, "--as-of"),
        "known_at": local_moment(known_at, "--known-at"),
    }
