"""Moving: giving nodes other refs, one or a whole subtree, in one transaction."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import structs

from mimir_vault.errors import ExistsError, NotFoundError
from mimir_vault.model.draft import check_ref
from mimir_vault.store import refs
from mimir_vault.store.query import fetch
from mimir_vault.viewed_space import ViewedSpace

BYTES_PER_NODE = 2_048
"""Room reckoned for the new state and ref of one node."""


def move(space: ViewedSpace, old: Sequence[str], new: Sequence[str]) -> int:
    """Move every node of a ref, and all below it, to another ref; return how many refs were moved.

    Raises:
        NotFoundError: there is nothing. ExistsError: one of the new refs is taken. ValueError: into itself.
    """
    source, target = space.view.below(check_ref(old)), space.view.below(check_ref(new))
    if space.view.under in (source, target):
        raise ValueError(f"a view cannot move its own prefix {space.view.under!r:.120}; take the memory it was made of")
    if target[: len(source)] == source or source[: len(target)] == target:
        raise ValueError(f"{source!r:.120} cannot be moved into itself or onto what holds it")
    with space.read() as connection:
        room = len(refs.seqs_under(connection, source)) * BYTES_PER_NODE
    with space.write(room) as writer:
        connection = writer.connection
        rows = list(refs.rows_under(connection, source))
        opened = space.opened(connection, [seq for _, seq in rows])
        moved: dict[tuple[str, ...], None] = {}
        for path, seq in rows:
            if seq not in opened:
                continue
            ref = refs.ref_of(path)
            below = check_ref((*target, *ref[len(source) :]))
            if below not in moved and fetch(connection, "SELECT 1 FROM ref WHERE path = ?", (refs.path_of(below),)):
                raise ExistsError(f"the ref {below!r:.200} is taken; move it away or forget it first")
            moved[below] = None
            one = opened[seq]
            writer.replace_state(one.stored, structs.replace(one.state, ref=below))
        if not moved:
            raise NotFoundError(f"nothing has the ref {source!r:.200} or one below it")
        writer.audit("nodes moved", space.clock.now(), count=len(opened))
    if space.space.transaction is None:
        space.upkeep.wrote()
    return len(moved)
