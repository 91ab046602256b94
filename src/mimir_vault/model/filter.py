"""Filters: the `where` of every reading verb, parsed strictly into a small tree that can be asked of one node."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from mimir_vault.model.clock import parse_moment
from mimir_vault.model.draft import metadata_json, one_line

NAME_FIELDS = ("user", "agent", "session", "speaker", "role", "kind")
"""Fields with one text or none."""
FIELDS = (*NAME_FIELDS, "tags", "at", "text", "metadata")
"""Every field a filter may name; `metadata` needs a path: `metadata.a.b`, or a tuple ("metadata", "a.b")."""
OPERATORS = ("eq", "ne", "in", "nin", "gt", "gte", "lt", "lte", "contains", "icontains", "exists")
"""Every operator; a plain value means `eq`."""
_TREE_DEPTH_MAX = 32
_PARTS_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison: the field's path (its first part is one of `FIELDS`), an operator, and the value.

    Views also make conditions on `ref` with the operator `under`, which no `where` can name.
    """

    path: tuple[str, ...]
    operator: str
    value: Any


@dataclass(frozen=True, slots=True)
class Every:
    """True when every part is; true when there is none."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Some:
    """True when some part is."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Negated:
    """True when the part is not."""

    part: Filter


Filter = Condition | Every | Some | Negated
EVERYTHING = Every(())
"""The filter that lets every node through."""


class Filterable(Protocol):
    """What a filter can be asked of: a node's fields."""

    @property
    def text(self) -> str:
        """The node's text."""

    @property
    def at(self) -> datetime:
        """When it happened."""

    @property
    def tags(self) -> tuple[str, ...]:
        """The node's tags."""

    @property
    def metadata(self) -> Mapping[str, Any]:
        """The node's metadata."""


def parse_filter(where: Mapping[Any, Any] | Filter | None) -> Filter:
    """Return the tree of a `where`; fields side by side must all hold.

    Raises:
        TypeError: `where` or a part of it has the wrong type.
        ValueError: an unknown field or operator, an impossible value, or a tree that is too deep or too large.
    """
    if isinstance(where, (Condition, Every, Some, Negated)):
        return where
    return EVERYTHING if where is None or where == {} else _parse(where, _TREE_DEPTH_MAX, [0])


def _parse(where: object, depth: int, count: list[int]) -> Filter:
    if not isinstance(where, Mapping):
        raise TypeError(f'where must be a mapping such as {{"speaker": "Ada"}}, not {type(where).__name__}')
    if depth == 0:
        raise ValueError(f"where is nested deeper than {_TREE_DEPTH_MAX} levels")
    if not where:
        # Inside and, or and not it would let everything through, and `forget` takes the same filters.
        raise ValueError("a filter inside and, or or not is empty; name a field")
    parts: list[Filter] = []
    for name, value in where.items():
        count[0] += 1
        if count[0] > _PARTS_MAX:
            raise ValueError(f"where has more than {_PARTS_MAX} parts")
        if name == "not":
            parts.append(Negated(_parse(value, depth - 1, count)))
        elif name in ("and", "or"):
            if isinstance(value, (str, Mapping)) or not isinstance(value, Sequence) or not value:
                raise ValueError(f"{name!r} takes a list of at least one filter")
            inner = tuple(_parse(part, depth - 1, count) for part in value)
            parts.append(Every(inner) if name == "and" else Some(inner))
        else:
            parts.extend(_parse_field(_path(name), value))
    return parts[0] if len(parts) == 1 else Every(tuple(parts))


def _path(name: object) -> tuple[str, ...]:
    if isinstance(name, str):
        path = tuple(name.split(".")) if name.startswith("metadata.") else (name,)
    elif isinstance(name, tuple) and name and all(isinstance(part, str) for part in name):
        path = name
    else:
        raise TypeError(f"a field of where is a text or a tuple of texts, not {name!r:.40}")
    if path[0] not in FIELDS:
        raise ValueError(f"where knows no field {path[0]!r:.40}; it knows {', '.join(FIELDS)}")
    if path[0] == "metadata":
        if len(path) < 2 or not all(path[1:]):
            raise ValueError('metadata needs a path, for example "metadata.city" or ("metadata", "a.b")')
        for part in path[1:]:
            _check_whole(part)
    elif len(path) > 1:
        raise ValueError(f"{path[0]} has no parts; only metadata has a path")
    return path


def _parse_field(path: tuple[str, ...], value: object) -> list[Condition]:
    if not isinstance(value, Mapping):
        return [_check(Condition(path, "eq", value))]
    if not value:
        raise ValueError(f"{one_line('.'.join(path))} is compared with nothing; give a value or an operator")
    for operator in value:
        if operator not in OPERATORS:
            raise ValueError(f"where knows no operator {operator!r:.40}; it knows {', '.join(OPERATORS)}, and, or, not")
    return [_check(Condition(path, operator, operand)) for operator, operand in value.items()]


def _check(condition: Condition) -> Condition:
    """Return the condition with moments parsed, or refuse a value that the operator can never compare."""
    field, operator, value = condition.path[0], condition.operator, condition.value
    shown = one_line(".".join(condition.path))
    if operator == "exists":
        if not isinstance(value, bool):
            raise TypeError(f"{shown} exists: give True or False")
        return condition
    if operator in ("in", "nin"):
        if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, (Sequence, set, frozenset)):
            raise TypeError(f"{shown} {operator}: give a list of values")
        value = tuple(_operand(field, shown, part) for part in value)
    elif operator in ("contains", "icontains"):
        listed = field == "tags" and isinstance(value, (list, tuple))
        value = tuple(value) if listed else value
        if listed and not value:
            raise ValueError(f"{shown} {operator}: give at least one text")
        if field == "at":
            raise ValueError("at is a moment; use eq, ne, in, nin, gt, gte, lt or lte")
        if operator == "contains" and field == "metadata":
            value = _operand(field, shown, value)
        else:
            for part in value if listed else (value,):
                if not isinstance(part, str):
                    raise TypeError(f"{shown} {operator}: give a text")
                _check_whole(part)
    else:
        if operator in ("gt", "gte", "lt", "lte") and field == "tags":
            raise ValueError("tags have no order; use contains, in, nin or exists")
        value = _operand(field, shown, value)
    return Condition(condition.path, operator, value)


def _operand(field: str, shown: str, value: object) -> Any:
    if field == "at":
        if not isinstance(value, (str, datetime)):
            raise TypeError("at is compared with a datetime or ISO 8601 text")
        return parse_moment(value, "at")
    if field == "metadata":
        if isinstance(value, float) and value != value:
            raise ValueError(f"{shown} is compared with NaN, which equals nothing")
        if value is not None and not isinstance(value, (str, int, float, bool, list, tuple)):
            raise TypeError(f"{shown} is compared with {type(value).__name__}; give a text, a number or a list")
        return json.loads(metadata_json({"value": value}))["value"]
    if value is not None:
        if not isinstance(value, str):
            raise TypeError(f"{shown} is compared with {type(value).__name__}; give a text")
        _check_whole(value)
    return value


def _check_whole(text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError("where holds half a character (a lone surrogate); decode the source as UTF-8") from None


def matches(filter_: Filter, node: Filterable) -> bool:
    """Say whether a node passes the filter."""
    if isinstance(filter_, Condition):
        return holds(filter_, field_values(filter_.path, node))
    if isinstance(filter_, Every):
        return all(matches(part, node) for part in filter_.parts)
    if isinstance(filter_, Some):
        return any(matches(part, node) for part in filter_.parts)
    return not matches(filter_.part, node)


MISSING: Any = object()
"""Stands for a metadata path that a node does not have."""


def field_values(path: tuple[str, ...], node: Filterable) -> Any:
    """Return what a node has under a path: a text, a moment, a tuple of tags, a JSON value, None or `MISSING`."""
    if path[0] != "metadata":
        return getattr(node, path[0])
    value: Any = node.metadata
    for part in path[1:]:
        if not isinstance(value, Mapping) or part not in value:
            return MISSING
        value = value[part]
    return value


def holds(condition: Condition, value: Any) -> bool:
    """Say whether a condition holds of a field's value; a missing value equals nothing but None."""
    operator, wanted = condition.operator, condition.value
    absent = value is MISSING or value is None or (condition.path[0] == "tags" and not value)
    if operator == "exists":
        return absent is not wanted
    if operator in ("ne", "nin"):
        positive = Condition(condition.path, "eq" if operator == "ne" else "in", wanted)
        return not holds(positive, value)
    if condition.path[0] == "tags":
        return _tags_hold(operator, wanted, value)
    value = None if value is MISSING else value
    return _COMPARE[operator](value, wanted)


def _tags_hold(operator: str, wanted: Any, tags: tuple[str, ...]) -> bool:
    if operator == "eq":
        return not tags if wanted is None else wanted in tags
    if operator == "in":
        return any(part in tags if part is not None else not tags for part in wanted)
    parts = wanted if isinstance(wanted, tuple) else (wanted,)
    if operator == "contains":
        return all(part in tags for part in parts)
    return all(any(part.casefold() in tag.casefold() for tag in tags) for part in parts)


def _same(value: Any, wanted: Any) -> bool:
    """Compare as JSON does: True is not 1, but 1 is 1.0."""
    if isinstance(value, bool) is not isinstance(wanted, bool):
        return False
    if isinstance(value, list) and isinstance(wanted, list):
        return len(value) == len(wanted) and all(map(_same, value, wanted))
    return bool(value == wanted)


def _comparable(value: Any, wanted: Any) -> bool:
    for kind in (str, datetime):
        if isinstance(value, kind) and isinstance(wanted, kind):
            return True
    numbers = (int, float)
    return (
        isinstance(value, numbers)
        and isinstance(wanted, numbers)
        and not isinstance(value, bool)
        and not isinstance(wanted, bool)
    )


def _contains(value: Any, wanted: Any) -> bool:
    if isinstance(value, str):
        return isinstance(wanted, str) and wanted in value
    return isinstance(value, list) and any(_same(part, wanted) for part in value)


def _icontains(value: Any, wanted: Any) -> bool:
    if isinstance(value, str):
        return wanted.casefold() in value.casefold()
    return isinstance(value, list) and any(
        isinstance(part, str) and wanted.casefold() in part.casefold() for part in value
    )


_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": _same,
    "in": lambda value, wanted: any(_same(value, part) for part in wanted),
    "gt": lambda value, wanted: _comparable(value, wanted) and value > wanted,
    "gte": lambda value, wanted: _comparable(value, wanted) and value >= wanted,
    "lt": lambda value, wanted: _comparable(value, wanted) and value < wanted,
    "lte": lambda value, wanted: _comparable(value, wanted) and value <= wanted,
    "contains": _contains,
    "icontains": _icontains,
    "under": lambda value, wanted: value is not None and value[: len(wanted)] == wanted,
}
