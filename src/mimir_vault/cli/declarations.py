"""Declarations of options that several commands share, so that they are named and explained the same everywhere."""

from __future__ import annotations

from typing import Annotated

import typer

Query = Annotated[str, typer.Argument(metavar="QUERY", help="What to look for, in your own words.", show_default=False)]
NodeId = Annotated[
    str, typer.Argument(metavar="ID", help="A node's id; its first 8 or more digits do.", show_default=False)
]
Where = Annotated[
    str | None,
    typer.Option("--where", metavar="JSON", help='A filter: {"speaker": "Ada", "at": {"gte": "2026-01-01T00:00Z"}}; '
                 "fields user agent session speaker role kind tags at text metadata.NAME, operators eq ne in nin gt "
                 "gte lt lte contains icontains exists, and or not."),
]  # fmt: skip
Speaker = Annotated[str | None, typer.Option("--speaker", metavar="NAME", help="Only what this speaker said.")]
Session = Annotated[str | None, typer.Option("--session", metavar="NAME", help="Only from this session.")]
Role = Annotated[str | None, typer.Option("--role", metavar="ROLE", help="Only this role: user, assistant, …")]
Kind = Annotated[str | None, typer.Option("--kind", metavar="KIND", help="Only this kind: turn, fact, …")]
Tags = Annotated[
    list[str] | None, typer.Option("--tag", metavar="TAG", help="Only what has this tag; again for several.")
]
Under = Annotated[
    str | None, typer.Option("--under", metavar="REF", help="Only what has a ref that begins so: prefs/ada")
]
Ref = Annotated[
    str | None, typer.Option("--ref", metavar="REF", help="A name of your own, unique in the space, its parts with / "
                             "between: prefs/ada/seat (parts that hold a /: as a JSON list). A taken one is "
                             "superseded.")
]  # fmt: skip
RefOfNode = Annotated[
    str | None, typer.Option("--ref", metavar="REF", help="The ref of the node instead of its id: prefs/ada/seat")
]
NodeOrRef = Annotated[
    str | None, typer.Argument(metavar="ID", help="A node's id; its first 8 or more digits do.", show_default=False)
]
AsOf = Annotated[
    str | None, typer.Option("--as-of", metavar="DATE", help="The world as it was: only what had happened by then.")
]
KnownAt = Annotated[
    str | None, typer.Option("--known-at", metavar="DATE", help="The memory as it was: only what was stored by then.")
]
