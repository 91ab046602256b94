"""Views as walls: whatever is asked through one, in whatever words, nothing of another scope comes out or changes.

`MIMIR_SCOPE_CASES` says how many hostile cases are tried; `make scope` tries 20,000.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mimir_vault import Draft, Link, Memory, MimirError, Node
from quick_vaults import QuickVaults

CASES = int(os.environ.get("MIMIR_SCOPE_CASES", "600"))
USERS = ["ada", "Ada", "ada ", "ada\x1f", "bo", "%", None]
AGENTS = ["travel", "*", None]
SESSIONS = ["s1", None]
REFS: list[tuple[str, ...] | None] = [
    ("a",), ("a", "b"), ("a", "", "b"), ("a\x00", "b"), ("a\x00\xff", "b"), ("ab",), ("\U0010ffff",), None,
]  # fmt: skip
MARK = re.compile(r"mark\d{4}")
HOSTILE = [
    "", " ", "ada", "ADA", "a\x00", "' OR 1=1 --", "%", "*", "_", "ada\x1fuser", "\\", "user:ada", "ada\nbo", "NULL",
    "s1", "mark0001", "mark", "window seat",
]  # fmt: skip


class Walls:
    """One space with nodes of every scope, what they are, and views of it."""

    def __init__(self, folder: Path) -> None:
        self.vaults = QuickVaults(folder, folder / "state")
        self.bare = self.vaults.create().space()
        drafts = []
        for number, (user, agent, session, place) in enumerate(product(USERS, AGENTS, SESSIONS, range(len(REFS)))):
            prefix = REFS[place]
            drafts.append(
                Draft(
                    f"mark{number:04} says: I prefer the window seat", user=user, agent=agent, session=session,
                    speaker=f"speaker {number}", kind="fact" if number % 5 == 0 else "turn", tags=[f"mark{number:04}"],
                    metadata={"mark": f"mark{number:04}", "user": user}, role="user",
                    ref=None if prefix is None else (*prefix, f"mark{number:04}"), pinned=number % 7 == 0,
                )
            )  # fmt: skip
        self.bare.remember_many(drafts)
        self.bare.supersede(next(iter(self.bare.nodes(order="newest"))).id, "mark9999 is newer", tags=["mark9999"])
        self.nodes = {node.id: node for node in self.bare.nodes()}

    def check_whole(self) -> None:
        """Assert that every node is there as it was, and nothing besides."""
        assert {node.id: node for node in self.bare.nodes()} == self.nodes


@pytest.fixture(scope="module")
def walls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walls]:
    """The space, checked at the end for having come through unchanged."""
    made = Walls(tmp_path_factory.mktemp("walls"))
    yield made
    made.check_whole()
    assert made.bare.verify(full=True) == []
    made.vaults.lock_all()


FIELDS = st.fixed_dictionaries(
    {
        "user": st.sampled_from(USERS), "agent": st.sampled_from(AGENTS), "session": st.sampled_from(SESSIONS),
        "kind": st.sampled_from([None, "fact", "turn"]), "under": st.sampled_from([ref or () for ref in REFS]),
    }
)  # fmt: skip
TEXTS = st.sampled_from(HOSTILE) | st.text(max_size=12)
NAMES = st.none() | st.sampled_from([name for name in (*USERS, *AGENTS, "s1") if name]) | TEXTS
REF_PARTS = st.lists(st.sampled_from(["a", "b", "", "a\x00", "ab", "..", "/", "mark0003"]) | TEXTS, max_size=3).map(
    tuple
)
VALUES = TEXTS | st.none() | st.booleans() | st.integers(-3, 3) | st.lists(TEXTS, max_size=2)
PATHS = st.sampled_from(
    [
        "user",
        "agent",
        "session",
        "speaker",
        "kind",
        "role",
        "tags",
        "text",
        "at",
        "metadata.mark",
        "metadata.user",
        "ref",
    ]
) | st.tuples(st.just("metadata"), TEXTS)
CONDITIONS = st.dictionaries(
    PATHS,
    VALUES | st.dictionaries(st.sampled_from(
        ["eq", "ne", "in", "nin", "gt", "lt", "contains", "icontains", "exists", "under"]), VALUES, max_size=2),
    max_size=2,
)  # fmt: skip
WHERES = st.none() | st.recursive(
    CONDITIONS,
    lambda inner: (
        st.fixed_dictionaries({"not": inner})
        | st.fixed_dictionaries({"or": st.lists(inner, min_size=1, max_size=3)})
        | st.fixed_dictionaries({"and": st.lists(inner, min_size=1, max_size=2)})
    ),
    max_leaves=4,
)
SCOPED = st.fixed_dictionaries({}, optional={"user": NAMES, "agent": NAMES, "session": NAMES})


def visible(view: dict[str, Any], node: Node) -> bool:
    """Say by the node's own fields, and by nothing of the library's, whether a view may show it."""
    named = all(view[name] in (None, getattr(node, name)) for name in ("user", "agent", "session", "kind"))
    under = view["under"]
    return named and (not under or (node.ref is not None and node.ref[: len(under)] == under))


GUESSED = {"mark0001", "mark0003"}
"""Marks that stand in the questions themselves."""
NODES = st.integers(0, 10_000)


def attacks(target: Node, other: Node) -> dict[str, st.SearchStrategy[Callable[[Memory], Any]]]:
    """Return verbs with hostile arguments; `target` is a node that the view must not show, `other` any node."""

    def verb(call: Callable[..., Any], **given: st.SearchStrategy[Any]) -> st.SearchStrategy[Callable[[Memory], Any]]:
        return st.fixed_dictionaries(given).map(lambda arguments: lambda memory: call(memory, **arguments))

    ids = st.sampled_from([target.id, target.id[:8], target.id[:16].upper(), f" {target.id} ", target.id[:40]])
    refs = REF_PARTS | st.sampled_from([target.ref or ("a",), (target.ref or ("a",))[:1]])
    asked = {"where": WHERES, "scope": SCOPED}
    return {
        "recall": verb(
            lambda m, where, scope, query, under: m.recall(query, k=400, where=where, under=under, **scope), **asked,
            query=TEXTS | st.just(target.text), under=st.just(()) | refs,
        ),
        "context": verb(
            lambda m, where, scope, query: m.context(query, budget=100_000, where=where, **scope), **asked,
            query=st.none() | TEXTS | st.just(target.text),
        ),
        "nodes": verb(
            lambda m, where, scope, order, after, hidden: list(
                m.nodes(where, order=order, after=after, hidden=hidden, **scope)
            ), **asked, order=st.sampled_from(["oldest", "newest", "ref"]), after=st.none() | ids, hidden=st.booleans(),
        ),
        "count": verb(lambda m, where, scope, under: m.count(where, under=under, **scope), **asked, under=refs),
        "get": verb(lambda m, node_id: m.get(node_id), node_id=ids),
        "get by ref": verb(lambda m, ref: m.get(ref=ref), ref=refs),
        "history": verb(lambda m, node_id: m.history(node_id), node_id=ids),
        "refs": verb(lambda m, under, depth: m.refs(under, depth), under=refs, depth=st.none() | st.integers(1, 3)),
        "vectors": verb(lambda m, node_id: m.vectors([node_id]), node_id=ids),
        "narrower view": verb(
            lambda m, scope, under: list(m.view(under=under, **scope).nodes()), scope=SCOPED, under=refs
        ),
        "forget": verb(
            lambda m, node_id, derived: m.forget(node_id, derived=derived), node_id=ids, derived=st.booleans()
        ),
        "forget with grace": verb(lambda m, node_id: m.forget(node_id, grace=timedelta(days=1)), node_id=ids),
        "what would be forgotten": verb(
            lambda m, where, scope, derived: m.forget(where=where, dry_run=True, derived=derived, **scope), **asked,
            derived=st.booleans(),
        ),
        "hide": verb(lambda m, node_id: m.hide(node_id), node_id=ids),
        "keep": verb(lambda m, node_id: m.keep(node_id), node_id=ids),
        "supersede": verb(lambda m, node_id: m.supersede(node_id, "mine now"), node_id=ids),
        "move": verb(lambda m, new: m.move(target.ref or ("a", "nowhere"), new), new=refs),
        "link": verb(
            lambda m, kind: m.remember("mine", links=[Link(kind, target.id)]),
            kind=st.sampled_from(["about", "supersedes", "derived_from"]),
        ),
        "take a ref": verb(lambda m: m.remember("mine now", ref=target.ref or ("a", "mine"))),
        "write elsewhere": verb(
            lambda m, user: m.remember("x", user=user, ref=other.ref),
            user=st.sampled_from([name for name in USERS if name]),
        ),
    }  # fmt: skip


def shown(result: Any) -> list[Node]:
    """Return every node in an answer."""
    if isinstance(result, Node):
        return [result]
    found = getattr(result, "hits", result)
    try:
        return [getattr(one, "node", one) for one in found if isinstance(getattr(one, "node", one), Node)]
    except TypeError:
        return []


def marks(*things: object) -> set[str]:
    """Return the marks of nodes that stand anywhere in the printed form of things."""
    return {mark for thing in things for mark in MARK.findall(f"{thing!r} {thing!s}")}


def tried(call: Callable[[Memory], Any], memory: Memory) -> tuple[Exception | None, Any]:
    """Return what a verb refuses with, or what it answers."""
    try:
        return None, call(memory)
    except (ValueError, TypeError, MimirError) as error:
        return error, None


@settings(max_examples=CASES, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_nothing_crosses_a_wall(walls: Walls, data: st.DataObject) -> None:
    """Every verb with hostile ids, refs, names, filters and queries: only what the view may show, or a refusal."""
    fields = data.draw(FIELDS)
    hidden = [node for node in walls.nodes.values() if not visible(fields, node)]
    if not hidden:
        return
    target = hidden[data.draw(NODES) % len(hidden)]
    other = list(walls.nodes.values())[data.draw(NODES) % len(walls.nodes)]
    attack = data.draw(st.sampled_from(sorted(attacks(target, other))))
    call = data.draw(attacks(target, other)[attack])
    memory = walls.bare.view(**fields)
    seen = {node_id for node_id, node in walls.nodes.items() if visible(fields, node)}
    own_marks = marks(*(walls.nodes[one] for one in seen), target, other) | GUESSED
    refusal, result = tried(call, memory)
    if refusal is not None:
        assert not marks(refusal) - own_marks
        return
    created = [node for node in shown(result) if node.id not in walls.nodes]
    try:
        check(attack, result, fields, seen, own_marks - marks(target), target, created)
    finally:
        for node in created:
            walls.bare.forget(node.id)


def check(
    attack: str, result: Any, fields: dict[str, Any], seen: set[str], own: set[str], target: Node, created: list[Node]
) -> None:
    """Assert that an answer holds what the view may show and nothing else."""
    assert target.id not in {node.id for node in shown(result)}
    assert all(visible(fields, node) for node in shown(result))
    assert {node.id for node in shown(result)} - {node.id for node in created} <= seen
    if attack in ("recall", "context", "nodes", "narrower view", "refs"):
        assert not marks(getattr(result, "text", ""), *shown(result)) - own
    if attack == "count":
        assert result <= len(seen)
    if attack == "refs":
        assert all(ref[: len(fields["under"])] == fields["under"][: len(ref)] for ref in result)
    if attack == "what would be forgotten":
        assert set(result.ids) <= seen
    if attack in ("get", "get by ref"):
        assert result is None or result.id in seen
    if attack in ("forget", "forget with grace", "hide", "keep", "supersede", "history", "vectors"):
        raise AssertionError(f"{attack} of a node outside the view was not refused")
