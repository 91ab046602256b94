"""The change feed: what other connections and processes did to a space since a reader last looked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import apsw
import numpy as np
from numpy.typing import NDArray

from mimir_vault.store import freshness, names
from mimir_vault.store.links import SUPERSEDES
from mimir_vault.store.query import each, fetch

_REBUILD = "rebuild"
"""Name of the last rebuild in the table `derived`; its `through` is a generation."""


@dataclass(frozen=True, slots=True)
class Seen:
    """How far a reader has read: generation, highest seq and highest name code."""

    generation: int = -1
    seq: int = 0
    name: int = 0


@dataclass(frozen=True, slots=True)
class News:
    """What is new: packed facet rows of new and of changed nodes (ascending by seq), erased seqs, (newer, older) pairs
    of `supersedes` links, names by code, how far this reaches, and whether all that was read before is void (`anew`).
    """

    facets: bytes
    erased: NDArray[np.int64]
    supersedes: NDArray[np.int64]
    names: Mapping[int, str]
    seen: Seen
    anew: bool = False


def news(connection: apsw.Connection, seen: Seen) -> News | None:
    """Inside a read transaction: return what changed since `seen`, None when nothing did."""
    generation = freshness.generation(connection)
    if generation == seen.generation:
        return None
    if 0 <= seen.generation < rebuilt_at(connection):
        return replace(news_since(connection, Seen(), generation), anew=True)
    return news_since(connection, seen, generation)


def note_rebuild(connection: apsw.Connection, generation: int) -> None:
    """Inside the transaction of a rebuild: make every reader begin anew, for codes and numbers are others now."""
    connection.execute("INSERT OR REPLACE INTO derived VALUES (?, 1, 0, ?)", (_REBUILD, generation))


def rebuilt_at(connection: apsw.Connection) -> int:
    """Return the generation of the last rebuild, -1 for none."""
    found = fetch(connection, "SELECT through FROM derived WHERE kind = ?", (_REBUILD,))
    return int(found[0][0]) if found else -1


def news_since(connection: apsw.Connection, seen: Seen, generation: int) -> News:
    """Inside a read transaction: return what changed between `seen` and the present generation."""
    changed = each(
        connection,
        "SELECT data FROM facet WHERE seq IN (SELECT seq FROM change WHERE generation > ?) AND seq <= ? ORDER BY seq",
        (seen.generation, seen.seq),
    )
    facets = b"".join(row[0] for row in changed)
    facets += b"".join(
        row[0] for row in each(connection, "SELECT data FROM facet WHERE seq > ? ORDER BY seq", (seen.seq,))
    )
    erased = fetch(connection, "SELECT seq FROM tombstone WHERE generation > ?", (seen.generation,))
    pairs = fetch(
        connection, "SELECT newer, older FROM link WHERE kind = ? AND newer > ? AND older > 0", (SUPERSEDES, seen.seq)
    )
    new_names = names.all_names(connection, seen.name)
    newest = fetch(connection, "SELECT coalesce(max(seq), 0) FROM node")[0][0]
    return News(
        facets,
        np.array([row[0] for row in erased], dtype=np.int64),
        np.array(pairs, dtype=np.int64).reshape(-1, 2),
        new_names,
        Seen(generation, max(int(newest), seen.seq), max(new_names, default=seen.name)),
    )
