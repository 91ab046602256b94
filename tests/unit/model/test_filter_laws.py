"""Filters obey the laws of logic, whatever node and filter are made up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mimir_vault.model.filter import Every, Filter, Negated, Some, matches, parse_filter
from mimir_vault.model.node import Node

NAMES = st.none() | st.sampled_from(["ada", "Ada", "bo", "x"])
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-2, 2)
    | st.sampled_from([0.0, 1.0, -0.0, 1.5, 10**20, 1e20, 1 << 64])
    | st.sampled_from(["", "a", "A", "ab"])
)
VALUES = SCALARS | st.lists(SCALARS, max_size=2)
MOMENTS = st.integers(0, 3).map(lambda days: datetime(2026, 5, 1, tzinfo=UTC) + timedelta(days))

NODES = st.builds(
    Node, id=st.just("0" * 64), text=st.sampled_from(["", "a", "window seat"]), at=MOMENTS, recorded_at=MOMENTS,
    speaker=NAMES, user=NAMES, tags=st.lists(st.sampled_from(["a", "A", "b"]), max_size=2, unique=True).map(tuple),
    metadata=st.dictionaries(
        st.sampled_from("mn"), VALUES | st.dictionaries(st.sampled_from("mn"), VALUES, max_size=2), max_size=2
    ),
)  # fmt: skip
TEXTS = st.sampled_from(["a", "A", "ada", "x", "seat", ""])
LISTS = st.lists(TEXTS | st.none(), max_size=2)


def conditions(fields: st.SearchStrategy[Any], values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[Any, Any]]:
    """Return conditions with operators that take single values, lists, texts or booleans."""
    single = st.tuples(st.sampled_from(["eq", "ne", "gt", "gte", "lt", "lte"]), values)
    several = st.tuples(st.sampled_from(["in", "nin"]), st.lists(values, max_size=2))
    present = st.tuples(st.just("exists"), st.booleans())
    return st.builds(lambda field, test: {field: {test[0]: test[1]}}, fields, single | several | present)


NAME_CONDITIONS = conditions(st.sampled_from(["speaker", "user", "text"]), TEXTS | st.none())
METADATA_CONDITIONS = conditions(st.sampled_from(["metadata.m", "metadata.n", "metadata.m.n"]), VALUES)
AT_CONDITIONS = conditions(st.just("at"), MOMENTS)
TAG_CONDITIONS = st.builds(
    lambda operator, value: {"tags": {operator: value}}, st.sampled_from(["in", "nin"]), LISTS
) | st.builds(lambda operator, value: {"tags": {operator: value}}, st.sampled_from(["eq", "ne", "contains"]), TEXTS)
CONTAINS = st.builds(
    lambda field, operator, text: {field: {operator: text}},
    st.sampled_from(["speaker", "text", "metadata.m", "tags"]), st.sampled_from(["contains", "icontains"]), TEXTS,
)  # fmt: skip
WHERES = st.recursive(
    NAME_CONDITIONS | METADATA_CONDITIONS | AT_CONDITIONS | TAG_CONDITIONS | CONTAINS,
    lambda inner: (
        st.builds(lambda part: {"not": part}, inner)
        | st.builds(
            lambda word, parts: {word: parts}, st.sampled_from(["and", "or"]), st.lists(inner, min_size=1, max_size=3)
        )
    ),
    max_leaves=5,
)
FILTERS = WHERES.map(parse_filter)


@given(NODES, FILTERS, FILTERS)
def test_de_morgan(node: Node, one: Filter, other: Filter) -> None:
    """Not both is one not or the other not; neither is both not."""
    assert matches(Negated(Every((one, other))), node) == matches(Some((Negated(one), Negated(other))), node)
    assert matches(Negated(Some((one, other))), node) == matches(Every((Negated(one), Negated(other))), node)


@given(NODES, FILTERS, FILTERS, FILTERS)
def test_and_and_or_distribute(node: Node, one: Filter, two: Filter, three: Filter) -> None:
    """One and (two or three) is (one and two) or (one and three)."""
    left = Every((one, Some((two, three))))
    assert matches(left, node) == matches(Some((Every((one, two)), Every((one, three)))), node)


@given(NODES, FILTERS)
def test_a_filter_holds_or_its_negation_does(node: Node, one: Filter) -> None:
    """There is no third, and twice not is as it was."""
    assert matches(one, node) is not matches(Negated(one), node)
    assert matches(Negated(Negated(one)), node) is matches(one, node)


@given(NODES, st.sampled_from(["metadata.m", "metadata.n", "metadata.m.n"]), VALUES, st.lists(VALUES, max_size=3))
def test_ne_and_nin_are_the_negations_of_eq_and_in(node: Node, field: str, value: Any, values: list[Any]) -> None:
    """Also of values that are missing; `in` is some `eq`."""

    def holds(operator: str, wanted: Any) -> bool:
        return matches(parse_filter({field: {operator: wanted}}), node)

    assert holds("ne", value) is not holds("eq", value)
    assert holds("nin", values) is not holds("in", values)
    assert holds("in", values) is any(holds("eq", one) for one in values)


@given(NODES, st.sampled_from(["metadata.m", "text", "at"]), st.data())
def test_order_is_strict_and_total_where_it_exists(node: Node, field: str, data: st.DataObject) -> None:
    """`lte` is `lt` or equal, `gte` is `gt` or equal, and `lt` excludes `gt`."""
    values = {"metadata.m": SCALARS.filter(lambda value: value is not None), "text": TEXTS, "at": MOMENTS}[field]
    value = data.draw(values)

    def holds(operator: str) -> bool:
        return matches(parse_filter({field: {operator: value}}), node)

    assert not (holds("lt") and holds("gt"))
    if isinstance(value, bool):
        assert not any(map(holds, ("lt", "lte", "gt", "gte")))
    else:
        assert holds("lte") is (holds("lt") or holds("eq"))
        assert holds("gte") is (holds("gt") or holds("eq"))


@given(NODES, WHERES, WHERES)
def test_fields_side_by_side_are_an_and(node: Node, one: dict[Any, Any], other: dict[Any, Any]) -> None:
    """A mapping with two names means both of them."""
    if one.keys() & other.keys():
        return
    both = matches(parse_filter(one), node) and matches(parse_filter(other), node)
    assert matches(parse_filter({**one, **other}), node) is both
