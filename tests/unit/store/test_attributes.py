"""Attributes: what a filter looks up is never less than what passes it."""

from __future__ import annotations

from typing import Any

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimir_vault.model.clock import EPOCH
from mimir_vault.model.filter import Condition, matches, parse_filter
from mimir_vault.model.node import Node
from mimir_vault.store import attributes
from mimir_vault.store.attributes import VALUE_BYTES_MAX, attributes_of, lookup, value_bytes
from mimir_vault.store.names import Names

from .conftest import plain_space

LONG = "x" * 100
NUMBERS = st.sampled_from(
    [0, 1, -1, 1.0, -0.0, 0.5, 1 << 53, (1 << 53) + 1, float(1 << 53), 1 << 63, 1 << 64, -(1 << 64), 1e20, 10**20,
     1e300, 10**300, 1 << 1_024, -(1 << 1_030), 1.7e308]
)  # fmt: skip
TEXTS = st.sampled_from(["", "a", "A", "1", LONG, LONG + "y", LONG + "z", "é", "a.b"])
SCALARS = st.none() | st.booleans() | NUMBERS | TEXTS
VALUES = SCALARS | st.lists(SCALARS | st.lists(SCALARS, max_size=1), max_size=3)
KEYS = st.sampled_from(["m", "n", "a.b", ""])
METADATA = st.dictionaries(KEYS, VALUES | st.dictionaries(KEYS, VALUES | st.just({}), max_size=2), max_size=3)
TAGS = st.lists(TEXTS.filter(bool), max_size=3, unique=True).map(tuple)

PATHS = st.one_of(
    st.tuples(st.just("metadata"), KEYS.filter(bool)),
    st.tuples(st.just("metadata"), KEYS.filter(bool), KEYS.filter(bool)),
)


def where(operators: list[str], values: st.SearchStrategy[Any], path: Any = PATHS) -> st.SearchStrategy[dict[Any, Any]]:
    """Return conditions on a path."""
    return st.builds(lambda one, operator, value: {one: {operator: value}}, path, st.sampled_from(operators), values)


TAG_PATH = st.just("tags")
WHERES = st.one_of(
    where(["eq", "ne", "gt", "gte", "lt", "lte", "contains"], VALUES),
    where(["in", "nin"], st.lists(VALUES, max_size=3)),
    where(["icontains"], TEXTS),
    where(["exists"], st.booleans()),
    where(["eq", "ne"], TEXTS | st.none(), TAG_PATH),
    where(["in", "nin"], st.lists(TEXTS | st.none(), max_size=3), TAG_PATH),
    where(["contains", "icontains"], TEXTS | st.lists(TEXTS, min_size=1, max_size=2), TAG_PATH),
    where(["exists"], st.booleans(), TAG_PATH),
)
NODES = st.lists(st.tuples(TAGS, METADATA), min_size=1, max_size=4)


def put_all(connection: apsw.Connection, nodes: list[tuple[tuple[str, ...], dict[str, Any]]]) -> None:
    """Write the attributes of nodes with seqs from 1."""
    names = Names(connection)
    for seq, (tags, metadata) in enumerate(nodes, 1):
        attributes.put(connection, names, seq, attributes_of(tags, metadata))
    names.flush()


@given(NODES, WHERES)
def test_a_lookup_is_a_superset_of_what_passes(
    nodes: list[tuple[tuple[str, ...], dict[str, Any]]], condition: dict[Any, Any]
) -> None:
    """Whatever tags, metadata and condition: every node that matches is among those looked up (None: all of them)."""
    connection = plain_space()
    put_all(connection, nodes)
    parsed = parse_filter(condition)
    assert isinstance(parsed, Condition)
    found = lookup(connection, parsed)
    passing = {
        seq
        for seq, (tags, metadata) in enumerate(nodes, 1)
        if matches(parsed, Node("0" * 64, "", EPOCH, EPOCH, tags=tags, metadata=metadata))
    }
    assert found is None or passing <= set(found.tolist())
    if found is not None:
        assert found.tolist() == sorted(set(found.tolist()))
    connection.close()


@given(NODES, st.randoms(use_true_random=False))
def test_erasing_leaves_the_attributes_of_the_others_alone(
    nodes: list[tuple[tuple[str, ...], dict[str, Any]]], random: Any
) -> None:
    """After an erasure the tables are those that would be without the erased nodes, paths in use included."""
    gone = {seq for seq in range(1, len(nodes) + 1) if random.random() < 0.5}
    connection, expected = plain_space(), plain_space()
    put_all(connection, nodes)
    names = Names(connection)
    for seq in gone:
        attributes.erase(connection, names, seq, attributes_of(*nodes[seq - 1]))
    names.flush()
    put_all(expected, [((), {}) if seq in gone else one for seq, one in enumerate(nodes, 1)])
    query = "SELECT text, value, seq FROM attribute JOIN name ON code = path ORDER BY 1, 2, 3"
    assert connection.execute(query).fetchall() == expected.execute(query).fetchall()
    uses = "SELECT text, uses FROM name ORDER BY text"
    assert connection.execute(uses).fetchall() == expected.execute(uses).fetchall()
    connection.close()
    expected.close()


@given(SCALARS, SCALARS)
def test_equal_json_values_have_equal_bytes(one: Any, other: Any) -> None:
    """1 and 1.0 are found by the same bytes, True and 1 are not; long values are cut."""
    same = one == other and isinstance(one, bool) is isinstance(other, bool)
    if same:
        assert value_bytes(one) == value_bytes(other)
    assert len(value_bytes(one)) <= VALUE_BYTES_MAX
    assert value_bytes(True) != value_bytes(1)


def test_every_tag_and_value_is_an_attribute() -> None:
    """Elements of a list share its path; mappings and lists stand there too, to be asked whether they exist."""
    found = attributes_of(("t",), {"a": [1, 1.0, "x", {"deep": 1}, [2]], "b": {"c": None, "d": {}}})
    sep = "\x1f"
    assert found == {
        ("tags", value_bytes("t")), (f"metadata{sep}a", b""), (f"metadata{sep}a", value_bytes(1)),
        (f"metadata{sep}a", value_bytes("x")), (f"metadata{sep}b", b""), (f"metadata{sep}b{sep}c", value_bytes(None)),
        (f"metadata{sep}b{sep}d", b""),
    }  # fmt: skip


@pytest.fixture
def travels(plain: apsw.Connection) -> apsw.Connection:
    """Three nodes with tags and metadata."""
    put_all(plain, [(("a",), {"n": 1}), (("b",), {"n": 2, "m": "x"}), ((), {})])
    return plain


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ({"tags": "a"}, [1]),
        ({"tags": {"in": ["a", "b"]}}, [1, 2]),
        ({"tags": {"contains": ["b", "a"]}}, [2]),
        ({"tags": {"icontains": "A"}}, [1, 2]),
        ({"metadata.n": 2.0}, [2]),
        ({"metadata.n": {"gt": 5}}, [1, 2]),
        ({"metadata.n": {"exists": True}}, [1, 2]),
        ({"metadata.m": {"contains": "x"}}, [2]),
        ({"metadata.unknown": 1}, []),
        ({"metadata.n": {"in": []}}, []),
        ({"metadata.n": {"ne": 1}}, None),
        ({"metadata.n": None}, None),
        ({"metadata.n": {"in": [1, None]}}, None),
        ({"metadata.n": {"exists": False}}, None),
    ],
)
def test_what_is_looked_up(travels: apsw.Connection, condition: dict[Any, Any], found: list[int] | None) -> None:
    """Values narrow, comparisons narrow to the path, negations and None cannot narrow at all."""
    parsed = parse_filter(condition)
    assert isinstance(parsed, Condition)
    result = lookup(travels, parsed)
    assert (None if result is None else result.tolist()) == found
