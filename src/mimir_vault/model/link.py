"""Links: typed edges from a node to an older one."""

from __future__ import annotations

from dataclasses import dataclass

LINK_KINDS = ("follows", "derived_from", "supersedes", "about")
"""The kinds of a link; a kind's place in this tuple is the number that is stored, so the order never changes."""


@dataclass(frozen=True, slots=True)
class Link:
    """An edge of a node: `kind` is one of `LINK_KINDS`, `target` the id (64 hex digits) of an older node."""

    kind: str
    target: str

    def __post_init__(self) -> None:
        if self.kind not in LINK_KINDS:
            raise ValueError(f"a link's kind is one of {', '.join(LINK_KINDS)}, not {self.kind!r}")
        if not is_node_id(self.target):
            raise ValueError(f"a link's target is a node id of 64 hexadecimal digits, not {str(self.target)[:80]!r}")


def is_node_id(text: object) -> bool:
    """Say whether `text` has the form of a whole node id: 64 lowercase hexadecimal digits."""
    return isinstance(text, str) and len(text) == 64 and not text.strip("0123456789abcdef")
