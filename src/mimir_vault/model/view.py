"""Views: the fields that a memory fills on every write and enforces below every read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mimir_vault.model.draft import DEFAULT_KIND, DUPLICATES, Draft, check_name, check_ref
from mimir_vault.model.filter import EVERYTHING, Condition, Every, Filter, parse_filter

FIELDS = ("user", "agent", "session", "kind")
"""Fields of one text that a view may fix, besides `under`."""


@dataclass(frozen=True, slots=True)
class View:
    """What a memory is about: None and () leave a field open. `filter_` lets through what the view may see."""

    user: str | None = None
    agent: str | None = None
    session: str | None = None
    kind: str | None = None
    under: tuple[str, ...] = ()
    read_only: bool = False
    duplicates: str = "mark"
    filter_: Filter = EVERYTHING

    def narrowed(
        self, *, user: str | None = None, agent: str | None = None, session: str | None = None, kind: str | None = None,
        under: Sequence[str] = (), read_only: bool = False, duplicates: str | None = None,
    ) -> View:  # fmt: skip
        """Return this view with more fields fixed.

        Raises:
            ValueError: a field is fixed to another value already, or a value is impossible. TypeError: a wrong type.
        """
        if not isinstance(read_only, bool):
            raise TypeError(f"read_only must be True or False, not {type(read_only).__name__}")
        if duplicates is not None and duplicates not in DUPLICATES:
            raise ValueError(f"duplicates is one of {', '.join(DUPLICATES)}, not {str(duplicates)[:40]!r}")
        given = {"user": user, "agent": agent, "session": session, "kind": kind}
        fixed = {name: self._agreed(name, value) for name, value in given.items()}
        below = self.below(under)
        parts: list[Filter] = [Condition((name,), "eq", value) for name, value in fixed.items() if value is not None]
        if below:
            parts.append(under_condition(below))
        return replace(
            self, **fixed, under=below, read_only=self.read_only or read_only,
            duplicates=self.duplicates if duplicates is None else duplicates,
            filter_=Every(tuple(parts)) if parts else EVERYTHING,
        )  # fmt: skip

    def _agreed(self, name: str, value: str | None) -> str | None:
        check_name(value, name)
        fixed: str | None = getattr(self, name)
        if fixed is None or value is None or value == fixed:
            return value if fixed is None else fixed
        raise ValueError(f"this view is of {name} {fixed!r:.80}; it can neither write nor read {name} {value!r:.80}")

    def below(self, under: Sequence[str]) -> tuple[str, ...]:
        """Return a prefix of refs within this view's own; () stands for all of the view."""
        given = check_ref(under, "under") if isinstance(under, str) or not isinstance(under, tuple) or under else ()
        if not given:
            return self.under
        if given[: len(self.under)] != self.under:
            raise ValueError(f"this view is of refs under {self.under!r:.120}; {given!r:.120} is not below that")
        return given

    def parse(
        self, where: Mapping[Any, Any] | Filter | None = None, *, user: str | None = None, agent: str | None = None,
        session: str | None = None, under: Sequence[str] = (),
    ) -> Filter:  # fmt: skip
        """Return the filter of a reading verb: what it asks for, within what this view may see."""
        asked = parse_filter(where)
        parts: list[Filter] = [] if self.filter_ == EVERYTHING else [self.filter_]
        for name, value in (("user", user), ("agent", agent), ("session", session)):
            if self._agreed(name, value) is not None and getattr(self, name) is None:
                parts.append(Condition((name,), "eq", value))
        if (below := self.below(under)) != self.under:
            parts.append(under_condition(below))
        if asked != EVERYTHING:
            parts.append(asked)
        if not parts:
            return EVERYTHING
        return parts[0] if len(parts) == 1 else Every(tuple(parts))

    def asks(self, filter_: Filter) -> bool:
        """Say whether a filter that `parse` gave asks for more than the view itself does."""
        return filter_ not in (EVERYTHING, self.filter_)

    def fill(self, draft: Draft, name: str) -> Draft:
        """Return a checked draft with the fields of this view.

        Where the view is of refs under a prefix and the draft has none, it gets one there that ends in `name`: without
        a ref it would lie outside the view.

        Raises:
            ValueError: the draft says something else than the view.
        """
        if self.filter_ == EVERYTHING and self.duplicates == DUPLICATES[0]:
            return draft  # No field is fixed.
        fixed: dict[str, Any] = {
            field: self._agreed(field, getattr(draft, field)) for field in ("user", "agent", "session")
        }
        kind = draft.kind
        if self.kind is not None:
            kind = self.kind if draft.kind == DEFAULT_KIND else str(self._agreed("kind", draft.kind))
        ref = (*self.under, name) if self.under and draft.ref is None else draft.ref
        if ref is not None:
            self.below(ref)
            if ref == self.under:
                raise ValueError(f"a ref in this view has at least one part more than {self.under!r:.120}")
        merge = self.duplicates if draft.duplicates == DUPLICATES[0] else draft.duplicates
        return replace(draft, **fixed, kind=kind, ref=ref, duplicates=merge)


def under_condition(prefix: tuple[str, ...]) -> Condition:
    """Return the condition that a node's ref begins with these parts; only views and `under=` make it."""
    return Condition(("ref",), "under", prefix)
