"""Filtering: what the facets alone can say about a filter: the nodes that surely pass and those that may."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mimir_vault.index.columns import Columns
from mimir_vault.model.clock import to_micros
from mimir_vault.model.filter import NAME_FIELDS, Condition, Every, Filter, Negated, Some, holds

Mask = NDArray[np.bool_]
Lookup = Callable[[Condition], "NDArray[np.integer[Any]] | Sequence[int] | None"]
"""Answers a condition on tags or metadata with the seqs that may fulfil it, or None when it cannot say. It is asked
positive questions only: never `ne`, `nin`, `exists: False`, or a comparison with None."""

_AT_COMPARE: Mapping[str, Callable[[NDArray[np.int64], int], Mask]] = {
    "eq": lambda at, wanted: at == wanted,
    "gt": lambda at, wanted: at > wanted,
    "gte": lambda at, wanted: at >= wanted,
    "lt": lambda at, wanted: at < wanted,
    "lte": lambda at, wanted: at <= wanted,
}


class Masks(NamedTuple):
    """Two masks over the rows of `Columns` with sure ⊆ truth ⊆ maybe; where they agree nothing need be opened."""

    sure: Mask
    maybe: Mask

    @property
    def exact(self) -> bool:
        """Whether the facets alone decided."""
        return bool((self.sure == self.maybe).all())


class Names:
    """The names of one kind of field by their code, and the other way round; code 0 stands for none."""

    def __init__(self, texts: Mapping[int, str] | None = None) -> None:
        self._codes: dict[str, int] = {}
        self._texts: dict[int, str] = {}
        for code, text in (texts or {}).items():
            self.add(code, text)

    def __len__(self) -> int:
        return len(self._texts)

    def add(self, code: int, text: str) -> None:
        """Note the text of a code above 0."""
        if code < 1:
            raise ValueError("codes of names begin at 1; 0 stands for none")
        self._texts[code] = text
        self._codes[text] = code

    def text(self, code: int) -> str | None:
        """Return the text of a code, None for 0 or an unknown one."""
        return self._texts.get(code)

    def code(self, text: str) -> int | None:
        """Return the code of a text, None when no node has it."""
        return self._codes.get(text)


def evaluate(filter_: Filter, columns: Columns, names: Mapping[str, Names], lookup: Lookup | None = None) -> Masks:
    """Return which rows surely pass a filter and which may; removed nodes are in neither.

    Args:
        filter_: a tree that `parse_filter` gave.
        columns: the nodes.
        names: for each of `NAME_FIELDS` the names of its codes; they must know every code in the columns.
        lookup: answers conditions on tags and metadata; without it they leave everything open.
    """
    masks = _evaluate(filter_, columns, names, lookup)
    live = columns.live
    return Masks(masks.sure & live, masks.maybe & live)


def _evaluate(filter_: Filter, columns: Columns, names: Mapping[str, Names], lookup: Lookup | None) -> Masks:
    if isinstance(filter_, Negated):
        inner = _evaluate(filter_.part, columns, names, lookup)
        return Masks(~inner.maybe, ~inner.sure)
    if isinstance(filter_, (Every, Some)):
        every = isinstance(filter_, Every)
        sure = np.full(columns.rows_count, every)
        maybe = sure.copy()
        for part in filter_.parts:
            inner = _evaluate(part, columns, names, lookup)
            if every:
                sure &= inner.sure
                maybe &= inner.maybe
            else:
                sure |= inner.sure
                maybe |= inner.maybe
        return Masks(sure, maybe)
    field = filter_.path[0]
    if field in NAME_FIELDS:
        decided = _names_hold(filter_, columns.facet(field), names[field])
        return Masks(decided, decided)
    if field == "at":
        decided = _at_holds(filter_, columns.facet("at"))
        return Masks(decided, decided)
    if field == "text":
        return _open(columns)
    return _looked_up(filter_, columns, lookup)


def _open(columns: Columns) -> Masks:
    return Masks(np.zeros(columns.rows_count, np.bool_), np.ones(columns.rows_count, np.bool_))


def _names_hold(condition: Condition, codes: NDArray[np.uint32], names: Names) -> Mask:
    """Answer a condition on a name: by code where the text is given whole, else once for each name in use."""
    operator, wanted = condition.operator, condition.value
    mask: Mask
    if operator == "exists":
        mask = codes != 0
        return mask if wanted else ~mask
    if operator in ("eq", "ne", "in", "nin"):
        texts = wanted if operator in ("in", "nin") else (wanted,)
        found = [0 if text is None else names.code(text) for text in texts]
        known = [code for code in found if code is not None]
        mask = codes == known[0] if len(known) == 1 else np.isin(codes, np.array(known, np.uint32))
        return mask if operator in ("eq", "in") else ~mask
    used, places = np.unique(codes, return_inverse=True)
    passes = np.array([holds(condition, names.text(code)) for code in used.tolist()], np.bool_)
    mask = passes[places]
    return mask


def _at_holds(condition: Condition, at: NDArray[np.int64]) -> Mask:
    operator, wanted = condition.operator, condition.value
    mask: Mask
    if operator == "exists":
        return np.full(len(at), wanted, np.bool_)
    if operator in ("in", "nin"):
        mask = np.isin(at, np.array([to_micros(moment) for moment in wanted], np.int64))
        return mask if operator == "in" else ~mask
    if operator == "ne":
        mask = at != to_micros(wanted)
        return mask
    return _AT_COMPARE[operator](at, to_micros(wanted))


def _looked_up(condition: Condition, columns: Columns, lookup: Lookup | None) -> Masks:
    """Answer a condition on tags or metadata with what the lookup knows of its positive form."""
    positive, turned = _positive(condition)
    if positive is None:
        masks = _open(columns)
    elif isinstance(positive, Some):
        masks = _evaluate(positive, columns, {}, lookup)
    else:
        found = lookup(positive) if lookup is not None else None
        masks = _open(columns)
        if found is not None:
            rows = columns.rows(np.asarray(found, np.int64))
            masks.maybe[:] = False
            masks.maybe[rows[rows >= 0]] = True
            if positive.path[0] == "ref":  # Refs are kept whole, so what is found is certain.
                masks.sure[:] = masks.maybe
    return Masks(~masks.maybe, ~masks.sure) if turned else masks


def _positive(condition: Condition) -> tuple[Condition | Some | None, bool]:
    """Return a condition without negation that means the same, or its opposite (then True stands beside it)."""
    path, operator, wanted = condition.path, condition.operator, condition.value
    if operator == "exists":
        return Condition(path, "exists", True), not wanted
    if operator == "eq" and wanted is None:
        return Condition(path, "exists", True), True
    if operator == "ne":
        inner, turned = _positive(Condition(path, "eq", wanted))
        return inner, not turned
    if operator == "nin":
        inner, turned = _positive(Condition(path, "in", wanted))
        return inner, not turned
    if operator == "in":
        parts = tuple(Condition(path, "eq", value) for value in wanted if value is None)
        rest = tuple(value for value in wanted if value is not None)
        if parts:
            return Some((*parts, Condition(path, "in", rest)) if rest else parts), False
        return (condition, False) if rest else (Some(()), False)
    return (Some(()) if wanted is None else condition), False  # Nothing is before or after None.
