"""Reading vectors: those of given nodes by the embedder of a memory, for callers that compare nodes themselves."""

from __future__ import annotations

from collections.abc import Sequence

import apsw
import numpy as np
from numpy.typing import NDArray

from mimir_vault.errors import NotFoundError
from mimir_vault.index.quantise import from_rows
from mimir_vault.reading import OpenedNode, given_vectors
from mimir_vault.store import vectors
from mimir_vault.store.vectors import Model
from mimir_vault.viewed_space import ViewedSpace


def vectors_of(space: ViewedSpace, node_ids: Sequence[str]) -> NDArray[np.float32]:
    """Return one unit vector per node, float32 (n, d): its owner's as it was given, else the stored one.

    A node with several windows has the direction of their mean.

    Raises:
        NotFoundError: there is no such node, or it has no vector by this embedder.
    """
    if isinstance(node_ids, str) or not isinstance(node_ids, Sequence):
        raise TypeError(f"vectors takes a list of node ids, not {type(node_ids).__name__}")
    found = np.empty((len(node_ids), space.embedder.get().dimension), np.float32)
    with space.read() as connection:
        model = space.space.model(connection, space.embedder) if len(node_ids) else None
        for place, node_id in enumerate(node_ids):
            opened = space.find(connection, node_id)
            if opened is None or not space.is_current(opened):
                raise NotFoundError(f"there is no node {node_id}")
            rows = _rows(space, connection, model, opened) if model is not None else np.empty((0, 0), np.float32)
            mean = rows.mean(axis=0) if len(rows) else np.zeros(0, np.float32)
            length = float(np.linalg.norm(mean))
            if not length:
                raise NotFoundError(f"node {node_id} has no vector by {space.embedder.get().name}")
            found[place] = mean if len(rows) == 1 else mean / length
    return found


def _rows(space: ViewedSpace, connection: apsw.Connection, model: Model, opened: OpenedNode) -> NDArray[np.float32]:
    seq = opened.stored.seq
    given = vectors.sealed_of(connection, [seq]).get((seq, model.code), ())
    if given:
        plain = given_vectors(space.store.sealer, opened, model, given)
        return np.frombuffer(b"".join(plain), "<f4").reshape(len(plain), model.dimension)
    rows = vectors.by_seq(connection, model.code, np.array([seq], np.int64))
    return from_rows(rows.data) if len(rows.vids) else np.empty((0, model.dimension), np.float32)
