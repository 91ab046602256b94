"""Superseding: a node replaced by one that says something else, with all carried over that is not given anew."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mimir_vault.errors import NotFoundError
from mimir_vault.imported import IMPORT_ID
from mimir_vault.model.draft import Draft, make_draft
from mimir_vault.model.link import Link
from mimir_vault.model.node import Node
from mimir_vault.putting import Kept
from mimir_vault.reading import OpenedNode, as_node
from mimir_vault.remembering import ready, store_all
from mimir_vault.store import vectors
from mimir_vault.store.query import fetch
from mimir_vault.viewed_space import ViewedSpace

CARRIED = (
    "text", "speaker", "role", "session", "user", "agent", "kind", "tags", "metadata", "ref", "data", "expires_at",
    "pinned",
)  # fmt: skip
"""Fields that a successor takes over; its `at` is the moment of superseding, and links belong to one version.

Of the metadata it has all but the import id: no import brought it, so undoing one must not take it away.
"""


def supersede(space: ViewedSpace, node_id: str, text: str | None, fields: Mapping[str, Any]) -> Node:
    """Store what supersedes a node and return it; errors as `Memory.supersede`."""
    space.check_writable()
    with space.read() as connection:
        old = space.find(connection, node_id)
        if old is None or space.has_expired(old):
            raise NotFoundError(f"there is no node {node_id}")
        size = fetch(connection, "SELECT coalesce(sum(length(data) + 64), 0) FROM vector WHERE seq = ?", (_seq(old),))
        given = vectors.sealed_of(connection, [_seq(old)])
    kept = sum(len(one) + 64 for sealed in given.values() for one in sealed) + int(size[0][0])
    draft = successor(old, text, fields)
    one = ready(space, draft)
    if size[0][0] and draft.vector is None and _is_found_alike(old, one.draft):
        one = replace(one, kept=Kept(old.stored.sealed.id, kept))
    return store_all(space, [replace(one, mergeable=False)])[0]


def _seq(opened: OpenedNode) -> int:
    return opened.stored.seq


def _is_found_alike(old: OpenedNode, draft: Draft) -> bool:
    """Say whether a draft is found by just what the old node is found by, so that its vectors serve on."""
    passages = None if isinstance(draft.index, bool) else tuple(draft.index)
    return (old.payload.text, old.payload.passages, old.metadata.speaker, old.metadata.indexed) == (
        draft.text, passages, draft.speaker, draft.index is not False,
    )  # fmt: skip


def successor(old: OpenedNode, text: str | None, fields: Mapping[str, Any]) -> Draft:
    """Return the draft that supersedes a node, with what is not given carried over."""
    node = as_node(old)
    carried: dict[str, Any] = {name: getattr(node, name) for name in CARRIED}
    carried["metadata"] = {name: value for name, value in node.metadata.items() if name != IMPORT_ID}
    if not old.metadata.indexed:
        carried["index"] = False
    elif old.payload.passages is not None and text in (None, node.text):
        carried["index"] = old.payload.passages  # Passages of another text would find it by what it does not say.
    if fields.get("vector") is not None:
        carried.pop("index", None)
    carried |= ({} if text is None else {"text": text}) | dict(fields)
    links = [*fields.get("links", ())]
    if node.ref is None or carried["ref"] != node.ref:
        links.append(Link("supersedes", node.id))
    return make_draft(carried.pop("text"), carried | {"links": links})
