"""Links between nodes of a space, but for `follows`: the order of a session says that already."""

from __future__ import annotations

import apsw

from mimir_vault.model.link import LINK_KINDS
from mimir_vault.store import nodes
from mimir_vault.store.query import fetch

SUPERSEDES = LINK_KINDS.index("supersedes")
_ID_BYTES = 32


def put(connection: apsw.Connection, newer: int, kind: int, target: bytes) -> None:
    """Write a link; one that supersedes an erased node supersedes what that one had superseded."""
    targets, known = [target], {target}
    while targets:
        target = targets.pop()
        older = nodes.seqs_of(connection, [target]).get(target, 0)
        connection.execute("INSERT OR IGNORE INTO link VALUES (?, ?, ?, ?)", (newer, kind, target, older))
        if kind == SUPERSEDES and not older:
            for row in fetch(connection, "SELECT superseded FROM tombstone WHERE id = ?", (target,)):
                further = set(split(row[0])) - known
                known |= further
                targets.extend(sorted(further))


def split(superseded: bytes) -> list[bytes]:
    """Return the ids that are joined in the bytes of a tombstone."""
    return [superseded[at : at + _ID_BYTES] for at in range(0, len(superseded), _ID_BYTES)]


def erase(connection: apsw.Connection, seq: int, node_id: bytes) -> tuple[bytes, list[int]]:
    """Remove the links of a node that is erased.

    What it had superseded stays superseded by what superseded it. Returns the ids it had superseded, joined, and the
    seqs of those that nothing supersedes any more.
    """
    gone = fetch(connection, "DELETE FROM link WHERE newer = ? RETURNING kind, target, older", (seq,))
    connection.execute("UPDATE link SET older = 0 WHERE target = ?", (node_id,))
    older = sorted((target, other) for kind, target, other in gone if kind == SUPERSEDES)
    heirs = fetch(connection, "SELECT newer FROM link WHERE target = ? AND kind = ?", (node_id, SUPERSEDES))
    for (heir,) in heirs:
        for target, other in older:
            connection.execute("INSERT OR IGNORE INTO link VALUES (?, ?, ?, ?)", (heir, SUPERSEDES, target, other))
    again = [
        other
        for target, other in older
        if other and not fetch(connection, "SELECT 1 FROM link WHERE target = ? AND kind = ?", (target, SUPERSEDES))
    ]
    return b"".join(target for target, _ in older), again
