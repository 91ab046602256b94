"""Filters: parsing with sentences for what is wrong, and every operator on every kind of field."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from mimir_vault.model.filter import (
    EVERYTHING,
    FIELDS,
    NAME_FIELDS,
    OPERATORS,
    Condition,
    Every,
    Negated,
    Some,
    matches,
    parse_filter,
)
from mimir_vault.model.node import Node

AT = datetime(2026, 5, 1, 9, tzinfo=UTC)
METADATA = {
    "city": "Turin", "stars": 4, "price": 12.5, "open": True, "none": None, "list": ["a", "B", 1, True, None],
    "deep": {"a": {"b": "c"}, "a.b": "dotted"}, "empty": [], "text": "Window seats", "big": 10**30, "": "blank",
}  # fmt: skip
NODE = Node(
    "0" * 64, "I prefer window seats", AT, AT, kind="fact", speaker="Ada", role="user", user="ada", agent="travel",
    session="s1", tags=("travel", "Seat"), metadata=METADATA,
)  # fmt: skip
BARE = Node("1" * 64, "", AT, AT)


def holds(where: dict[Any, Any], node: Node = NODE) -> bool:
    """Say whether the node passes."""
    return matches(parse_filter(where), node)


@pytest.mark.parametrize("where", [None, {}])
def test_no_filter_lets_everything_through(where: Any) -> None:
    """None and an empty mapping are the filter without parts."""
    assert parse_filter(where) == EVERYTHING
    assert matches(EVERYTHING, NODE)


def test_the_tree_of_a_where() -> None:
    """Fields side by side must all hold; and, or, not nest; a plain value is `eq`; text moments are parsed."""
    assert parse_filter({"speaker": "Ada"}) == Condition(("speaker",), "eq", "Ada")
    assert parse_filter({"speaker": "Ada", "at": {"gte": "2026-05-01T09:00Z", "lt": AT}}) == Every(
        (Condition(("speaker",), "eq", "Ada"), Condition(("at",), "gte", AT), Condition(("at",), "lt", AT))
    )
    assert parse_filter({"or": [{"user": "a"}, {"not": {"user": "b"}}]}) == Some(
        (Condition(("user",), "eq", "a"), Negated(Condition(("user",), "eq", "b")))
    )
    assert parse_filter({"and": ({"user": "a"}, {"agent": "b"})}) == Every(
        (Condition(("user",), "eq", "a"), Condition(("agent",), "eq", "b"))
    )
    assert parse_filter({"metadata.deep.a.b": 1}) == Condition(("metadata", "deep", "a", "b"), "eq", 1)
    assert parse_filter({("metadata", "a.b"): 1}) == Condition(("metadata", "a.b"), "eq", 1)


def test_a_parsed_filter_passes_as_it_is() -> None:
    """A filter that was parsed once may be handed in again."""
    parsed = parse_filter({"user": "ada"})
    assert parse_filter(parsed) is parsed


REFUSED: list[tuple[Any, type[Exception], str]] = [
    ([], TypeError, "where must be a mapping such as"),
    ("speaker", TypeError, "where must be a mapping such as"),
    (5, TypeError, "where must be a mapping such as"),
    ({5: 1}, TypeError, "a field of where is a text or a tuple of texts, not 5"),
    ({(): 1}, TypeError, "a field of where is a text or a tuple of texts"),
    ({("metadata", 5): 1}, TypeError, "a field of where is a text or a tuple of texts"),
    ({("x" * 999, 5): 1}, TypeError, "a field of where is a text or a tuple of texts"),
    ({"colour": 1}, ValueError, "no field 'colour'; it knows user, agent, session"),
    ({"x\n" * 500: 1}, ValueError, "where knows no field"),
    ({"id": "ab"}, ValueError, "where knows no field 'id'"),
    ({"": 1}, ValueError, "where knows no field"),
    ({("user", "name"): 1}, ValueError, "user has no parts; only metadata has a path"),
    ({"user.name": 1}, ValueError, "no field 'user.name'"),
    ({"metadata": {"a": 1}}, ValueError, "metadata needs a path"),
    ({"metadata.": 1}, ValueError, "metadata needs a path"),
    ({"metadata.a..b": 1}, ValueError, "metadata needs a path"),
    ({("metadata",): 1}, ValueError, "metadata needs a path"),
    ({("metadata", "\ud800"): 1}, ValueError, "lone surrogate"),
    ({"user": {}}, ValueError, "user is compared with nothing; give a value or an operator"),
    ({"user": {"like": "a"}}, ValueError, "no operator 'like'; it knows eq, ne, in"),
    ({"user": {"x" * 999: "a"}}, ValueError, "no operator"),
    ({"user": {"eq": {"a": 1}}}, TypeError, "user is compared with dict; give a text"),
    ({"user": 5}, TypeError, "user is compared with int; give a text"),
    ({"user": True}, TypeError, "user is compared with bool; give a text"),
    ({"user": ["ada"]}, TypeError, "user is compared with list; give a text"),
    ({"user": "\ud800"}, ValueError, "lone surrogate"),
    ({"text": {"contains": "\ud800"}}, ValueError, "lone surrogate"),
    ({"tags": {"in": ["\ud800"]}}, ValueError, "lone surrogate"),
    ({"metadata.a": "\ud800"}, ValueError, "lone surrogate"),
    ({"user": {"in": "ada"}}, TypeError, "user in: give a list of values"),
    ({"user": {"nin": {"a": 1}}}, TypeError, "user nin: give a list of values"),
    ({"user": {"in": 5}}, TypeError, "user in: give a list of values"),
    ({"user": {"in": [5]}}, TypeError, "user is compared with int"),
    ({"user": {"exists": 1}}, TypeError, "user exists: give True or False"),
    ({"user": {"exists": None}}, TypeError, "user exists: give True or False"),
    ({"user": {"contains": 5}}, TypeError, "user contains: give a text"),
    ({"user": {"contains": ["a"]}}, TypeError, "user contains: give a text"),
    ({"user": {"icontains": None}}, TypeError, "user icontains: give a text"),
    ({"tags": {"contains": [5]}}, TypeError, "tags contains: give a text"),
    ({"tags": {"contains": []}}, ValueError, "tags contains: give at least one text"),
    ({"tags": {"icontains": ()}}, ValueError, "tags icontains: give at least one text"),
    ({"tags": {"gt": "a"}}, ValueError, "tags have no order"),
    ({"metadata.a": {"icontains": 5}}, TypeError, "metadata.a icontains: give a text"),
    ({"metadata.a": {"contains": object()}}, TypeError, "metadata.a is compared with object"),
    ({"metadata.a": object()}, TypeError, "metadata.a is compared with object"),
    ({"metadata." + "a\nb" * 400: object()}, TypeError, "is compared with object"),
    ({"metadata.a": {"eq": {"b": 1}}}, TypeError, "metadata.a is compared with dict"),
    ({"metadata.a": float("nan")}, ValueError, "NaN, which equals nothing"),
    ({"metadata.a": {"in": [1, float("nan")]}}, ValueError, "NaN, which equals nothing"),
    ({"metadata.a": {"lt": float("inf")}}, ValueError, "NaN or infinity"),
    ({"metadata.a": 10**5_000}, ValueError, "more than 4,096 bits"),
    ({"at": 5}, TypeError, "at is compared with a datetime or ISO 8601 text"),
    ({"at": None}, TypeError, "at is compared with a datetime or ISO 8601 text"),
    ({"at": "2026-05-01"}, ValueError, "names no time zone"),
    ({"at": {"in": ["yesterday"]}}, ValueError, "is no date"),
    ({"at": {"contains": "2026"}}, ValueError, "at is a moment; use eq"),
    ({"and": {}}, ValueError, "'and' takes a list of at least one filter"),
    ({"or": []}, ValueError, "'or' takes a list of at least one filter"),
    ({"or": "user"}, ValueError, "'or' takes a list of at least one filter"),
    ({"and": 5}, ValueError, "'and' takes a list of at least one filter"),
    ({"and": [5]}, TypeError, "where must be a mapping"),
    ({"not": [{"user": "a"}]}, TypeError, "where must be a mapping"),
    ({"not": {}}, ValueError, "a filter inside and, or or not is empty"),
    ({"and": [{}]}, ValueError, "a filter inside and, or or not is empty"),
    ({"or": [{"user": "a"}, {}]}, ValueError, "a filter inside and, or or not is empty"),
    ({"not": {"not": {}}}, ValueError, "a filter inside and, or or not is empty"),
]


@pytest.mark.parametrize(("where", "error", "says"), REFUSED, ids=map(str, range(len(REFUSED))))
def test_a_where_that_cannot_be_is_refused_in_one_sentence(where: Any, error: type[Exception], says: str) -> None:
    """Unknown fields and operators, values that can never match, and empty parts are named on one short line."""
    with pytest.raises(error, match=says) as caught:
        parse_filter(where)
    message = str(caught.value)
    assert type(caught.value) is error
    assert "\n" not in message
    assert len(message) < 300


def nested(levels: int) -> dict[str, Any]:
    """Return a `not` nested so many levels around one condition."""
    where: dict[str, Any] = {"user": "ada"}
    for _ in range(levels):
        where = {"not": where}
    return where


def test_depth_and_size_are_bounded() -> None:
    """31 levels and 1,000 parts pass; one more is refused before anything overflows."""
    assert not holds(nested(31))
    with pytest.raises(ValueError, match="deeper than 32 levels"):
        parse_filter(nested(32))
    with pytest.raises(ValueError, match="deeper than 32 levels"):
        parse_filter(nested(5_000))
    assert holds({"or": [{"user": "ada"}] * 999})
    with pytest.raises(ValueError, match="more than 1000 parts"):
        parse_filter({"or": [{"user": "ada"}] * 1_000})


TRUE_OF_NODE: list[dict[Any, Any]] = [
    *({field: getattr(NODE, field)} for field in NAME_FIELDS),
    {"user": {"ne": "eve"}}, {"user": {"in": ["eve", "ada"]}}, {"user": {"nin": ["eve"]}}, {"user": {"gt": "aba"}},
    {"user": {"gte": "ada"}}, {"user": {"lt": "b"}}, {"user": {"lte": "ada"}}, {"user": {"contains": "d"}},
    {"user": {"icontains": "AD"}}, {"user": {"exists": True}},
    {"text": "I prefer window seats"}, {"text": {"contains": "window"}}, {"text": {"icontains": "WINDOW"}},
    {"text": {"gt": "I"}}, {"text": {"in": {"I prefer window seats"}}}, {"text": {"ne": "other"}},
    {"at": AT}, {"at": "2026-05-01T11:00+02:00"}, {"at": {"in": [AT]}}, {"at": {"nin": [AT + timedelta(1)]}},
    {"at": {"ne": AT + timedelta(microseconds=1)}}, {"at": {"gte": AT, "lte": AT}}, {"at": {"exists": True}},
    {"at": {"gt": AT - timedelta(microseconds=1), "lt": AT.astimezone(timezone(timedelta(hours=9))) + timedelta(1)}},
    {"tags": "travel"}, {"tags": {"eq": "Seat"}}, {"tags": {"ne": "seat"}}, {"tags": {"in": ["x", "Seat"]}},
    {"tags": {"nin": ["x", "seat"]}}, {"tags": {"contains": "travel"}}, {"tags": {"contains": ["travel", "Seat"]}},
    {"tags": {"icontains": "SEA"}}, {"tags": {"icontains": ["sea", "RAV"]}}, {"tags": {"exists": True}},
    {"metadata.city": "Turin"}, {"metadata.city": {"ne": "turin"}}, {"metadata.city": {"gt": "T", "lt": "U"}},
    {"metadata.city": {"contains": "uri"}}, {"metadata.city": {"icontains": "TUR"}},
    {"metadata.stars": 4}, {"metadata.stars": 4.0}, {"metadata.stars": {"gt": 3.5, "lte": 4}},
    {"metadata.stars": {"in": [1, 4.0]}}, {"metadata.stars": {"ne": True}}, {"metadata.price": {"gte": 12.5}},
    {"metadata.open": True}, {"metadata.open": {"ne": 1}}, {"metadata.big": 10**30}, {"metadata.big": {"gt": 1e29}},
    {"metadata.none": None}, {"metadata.none": {"exists": False}}, {"metadata.nowhere": None},
    {"metadata.nowhere": {"ne": 1}}, {"metadata.nowhere": {"nin": [1]}}, {"metadata.nowhere": {"exists": False}},
    {"metadata.nowhere": {"in": [None, 1]}}, {"metadata.city.deeper": None},
    {"metadata.list": {"contains": "a"}}, {"metadata.list": {"contains": 1}}, {"metadata.list": {"contains": True}},
    {"metadata.list": {"contains": None}}, {"metadata.list": {"icontains": "b"}},
    {"metadata.list": ["a", "B", 1, True, None]}, {"metadata.list": {"in": [["x"], ("a", "B", 1, True, None)]}},
    {"metadata.empty": {"exists": True}}, {"metadata.empty": []}, {"metadata.empty": ()},
    {"metadata.deep.a.b": "c"}, {("metadata", "deep", "a.b"): "dotted"}, {"metadata.deep": {"exists": True}},
]  # fmt: skip

FALSE_OF_NODE: list[dict[Any, Any]] = [
    {"user": "Ada"}, {"user": None}, {"user": {"in": []}}, {"user": {"gt": "ada"}}, {"user": {"exists": False}},
    {"text": "I prefer"}, {"text": {"contains": "WINDOW"}}, {"at": {"gt": AT}}, {"at": {"lt": AT}},
    {"tags": "seat"}, {"tags": None}, {"tags": {"contains": ["travel", "x"]}}, {"tags": {"icontains": ["sea", "x"]}},
    {"tags": {"in": []}}, {"tags": {"in": [None]}}, {"tags": {"exists": False}},
    {"metadata.stars": True}, {"metadata.stars": "4"}, {"metadata.stars": {"gt": "3"}}, {"metadata.open": 1},
    {"metadata.open": {"gt": 0}}, {"metadata.open": {"in": [1, 1.0]}}, {"metadata.stars": {"contains": 4}},
    {"metadata.none": {"exists": True}}, {"metadata.nowhere": {"exists": True}}, {"metadata.nowhere": {"gt": 0}},
    {"metadata.nowhere": {"ne": None}}, {"metadata.nowhere": ""}, {"metadata.nowhere": {"contains": None}},
    {"metadata.city": {"gt": None}}, {"metadata.city": {"contains": 5}}, {"metadata.city": {"contains": None}},
    {"metadata.list": {"contains": 2}}, {"metadata.list": {"contains": 1.5}}, {"metadata.list": {"icontains": "1"}},
    {"metadata.list": ["a", "B", True, 1, None]}, {"metadata.list": []}, {"metadata.list": {"gt": []}},
    {"metadata.empty": {"contains": None}}, {"metadata.deep.a.b": {"exists": False}},
    {("metadata", "deep.a.b"): "c"}, {"metadata.deep.a": "c"},
]  # fmt: skip


@pytest.mark.parametrize("where", TRUE_OF_NODE, ids=str)
def test_what_holds_of_a_node(where: dict[Any, Any]) -> None:
    """Each operator lets through what it should, and its negation does not."""
    assert holds(where)
    assert not holds({"not": where})


@pytest.mark.parametrize("where", FALSE_OF_NODE, ids=str)
def test_what_does_not_hold_of_a_node(where: dict[Any, Any]) -> None:
    """Each operator keeps back what it should; bool is no number, missing equals nothing but None."""
    assert not holds(where)
    assert holds({"not": where})


@pytest.mark.parametrize("field", [field for field in FIELDS if field not in ("at", "metadata", "text", "kind")])
def test_a_missing_field_equals_none_alone(field: str) -> None:
    """`eq None` and `exists False` find what has no value; comparisons do not, negations do."""
    for where in ({field: None}, {field: {"exists": False}}, {field: {"ne": "x"}}, {field: {"nin": ["x"]}}):
        assert holds(where, BARE)
    for where in ({field: "x"}, {field: {"exists": True}}, {field: {"contains": ""}}, {field: {"icontains": "x"}}):
        assert not holds(where, BARE)


def test_every_operator_was_tried() -> None:
    """The tables above use all the operators there are."""
    used = {
        operator for where in TRUE_OF_NODE for value in where.values() if isinstance(value, dict) for operator in value
    }
    assert used | {"eq"} == set(OPERATORS)
