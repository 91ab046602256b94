"""Filtering: the two masks always enclose what the filter says of each opened node."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimir_vault.index.columns import Columns
from mimir_vault.index.filtering import Names, evaluate
from mimir_vault.model.clock import to_micros
from mimir_vault.model.facets import NEVER, Facets
from mimir_vault.model.filter import NAME_FIELDS, Condition, field_values, holds, matches, parse_filter
from mimir_vault.model.node import Node

TEXTS = ("Ada", "ada", "Bob", "straße")
START = datetime(2026, 1, 1, tzinfo=UTC)
MOMENTS = [START + timedelta(days=days, microseconds=days) for days in range(3)]

names = st.sampled_from([None, *TEXTS])
nodes = st.builds(
    lambda user, speaker, at, tags, city, text: Node(
        "0" * 64, text, at, at, user=user, speaker=speaker, tags=tuple(tags),
        metadata={} if city is ... else {"city": city},
    ),
    names, names, st.sampled_from(MOMENTS), st.lists(st.sampled_from(TEXTS), unique=True, max_size=2),
    st.sampled_from([..., None, 1, 1.0, True, "Rome", ["Rome", 2]]), st.sampled_from(["one", "two", ""]),
)  # fmt: skip


def field(name: str, values: st.SearchStrategy, orders: bool = True) -> st.SearchStrategy:  # type: ignore[type-arg]
    plain = ["eq", "ne"] + (["gt", "gte", "lt", "lte"] if orders else [])
    return st.one_of(
        st.builds(lambda op, value: {name: {op: value}}, st.sampled_from(plain), values),
        st.builds(lambda op, many: {name: {op: many}}, st.sampled_from(["in", "nin"]), st.lists(values, max_size=3)),
        st.builds(lambda wanted: {name: {"exists": wanted}}, st.booleans()),
    )


texts = st.sampled_from(TEXTS)
part = st.builds(lambda f, op, t: {f: {op: t}}, st.sampled_from(["user", "speaker", "tags", "text", "metadata.city"]),
                 st.sampled_from(["contains", "icontains"]), texts)  # fmt: skip
conditions = st.one_of(
    field("user", names), field("speaker", names), field("tags", names, orders=False), part,
    field("at", st.sampled_from(MOMENTS)),
    field("metadata.city", st.sampled_from([None, 1, True, "Rome", ["Rome", 2]])),
)  # fmt: skip
filters = st.recursive(
    conditions,
    lambda inner: st.one_of(
        st.builds(lambda parts: {"and": parts}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda parts: {"or": parts}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda negated: {"not": negated}, inner),
    ),
    max_leaves=5,
)


def columns_of(held: list[Node], codes: dict[str, int]) -> Columns:
    columns = Columns()
    for seq, node in enumerate(held, 1):
        values = dict.fromkeys(Facets._fields, 0) | {"seq": seq, "at": to_micros(node.at), "expires": NEVER}
        values |= {name: codes.get(getattr(node, name) or "", 0) for name in NAME_FIELDS}
        columns.upsert(Facets(**values).pack())
    return columns


CODES = {text: code for code, text in enumerate((*TEXTS, "turn"), 1)}
NAMES = dict.fromkeys(NAME_FIELDS, Names({code: text for text, code in CODES.items()}))


@given(st.lists(nodes, min_size=1, max_size=6), filters, st.sampled_from(["none", "exact", "superset"]))
def test_masks_enclose_the_truth(held: list[Node], where: dict, kind: str) -> None:  # type: ignore[type-arg]
    """sure ⊆ truth ⊆ maybe for every filter, whatever the lookup knows of tags and metadata."""
    tree = parse_filter(where)
    asked: list[Condition] = []

    def lookup(condition: Condition) -> list[int] | None:
        asked.append(condition)
        if kind == "none":
            return None
        found = [seq for seq, node in enumerate(held, 1) if holds(condition, field_values(condition.path, node))]
        return found if kind == "exact" else sorted({*found, 1, 99})

    masks = evaluate(tree, columns_of(held, CODES), NAMES, lookup)
    truth = np.array([matches(tree, node) for node in held])

    assert not (masks.sure & ~truth).any()
    assert not (truth & ~masks.maybe).any()
    assert not any(condition.operator in ("ne", "nin") or condition.value is None for condition in asked)
    assert all(condition.value is True for condition in asked if condition.operator == "exists")


def test_names_and_moments_are_decided_exactly() -> None:
    """A filter on names and `at` alone leaves nothing open."""
    held = [Node("0" * 64, "x", at, at, user=user) for at in MOMENTS for user in ("Ada", "Bob", None)]
    tree = parse_filter({"user": {"icontains": "ADA"}, "at": {"gt": MOMENTS[0]}})
    masks = evaluate(tree, columns_of(held, CODES), NAMES)

    assert masks.exact
    assert masks.sure.tolist() == [matches(tree, node) for node in held]


def test_removed_nodes_are_in_neither_mask() -> None:
    """Not even a negation brings a removed node back."""
    held = [Node("0" * 64, "x", START, START, user="Ada")] * 20
    columns = columns_of(held, CODES)
    columns.remove([3])
    masks = evaluate(parse_filter({"not": {"user": "Bob"}}), columns, NAMES)

    assert int(masks.sure.sum()) == int(masks.maybe.sum()) == 19


def test_text_is_left_open() -> None:
    """What only the opened envelope can say is neither sure nor excluded."""
    columns = columns_of([Node("0" * 64, "two", START, START)], CODES)
    masks = evaluate(parse_filter({"text": {"contains": "one"}}), columns, NAMES)

    assert (masks.sure.tolist(), masks.maybe.tolist()) == ([False], [True])


def test_codes_of_names_begin_at_one() -> None:
    """Code 0 stands for no name and cannot be given away."""
    with pytest.raises(ValueError, match="begin at 1"):
        Names({0: "Ada"})
