"""Exporting: the nodes of a memory as JSON Lines for programs or Markdown for people, one batch in memory at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import NamedTuple

import apsw
import numpy as np
from numpy.typing import NDArray

from mimir_vault import listing
from mimir_vault.interchange import json_lines, markdown
from mimir_vault.interchange.given_file import GivenFile, opened_to_write
from mimir_vault.model.filter import Filter
from mimir_vault.model.link import Link
from mimir_vault.model.node import Node
from mimir_vault.reading import OpenedNode, as_node, given_vectors
from mimir_vault.store import nodes, vectors
from mimir_vault.store.links import SUPERSEDES
from mimir_vault.store.query import each
from mimir_vault.viewed_space import ViewedSpace

FORMATS = ("jsonl", "markdown")
BATCH_NODES = 256
"""Nodes opened at a time."""
Progress = Callable[[int, int], None]
Vectors = dict[tuple[str, int], list[bytes]]


class Exported(NamedTuple):
    """A node as a caller sees it and as it was sealed, with its owner's vectors by (name, dimension) of an embedder."""

    node: Node
    opened: OpenedNode
    vectors: Vectors


def check_format(format_: str) -> str:
    """Return the name of a format (ValueError for one that there is not)."""
    if format_ not in FORMATS:
        raise ValueError(f"format is one of {', '.join(FORMATS)}, not {str(format_)[:40]!r}")
    return format_


def export_to(
    space: ViewedSpace, file: GivenFile, format_: str, filter_: Filter, *, overwrite: bool,
    progress: Progress | None = None,
) -> int:  # fmt: skip
    """Write the nodes that pass a filter to a file and return how many; see `Memory.export_to`."""
    space.check_open()
    is_json = check_format(format_) == "jsonl"
    written = 0
    with opened_to_write(
        file, json_lines.FIRST_BYTES if is_json else markdown.FIRST_BYTES, overwrite=overwrite
    ) as write:
        seqs, _ = listing.candidates(space, filter_)
        if is_json:
            for one in _exported(space, filter_, seqs, progress, whole=True):
                write(json_lines.line_of(*one))
                written += 1
        else:
            write(markdown.title(space.name))
            group: tuple[str, ...] | None = None
            for one in _exported(space, filter_, markdown.grouped(space, seqs), progress):
                if (its := markdown.group_of(one.node)) != group:
                    write(markdown.heading(its))
                    group = its
                write(markdown.passage(one.node))
                written += 1
    return written


def _superseded_through(
    connection: apsw.Connection, batch: list[int], exported: NDArray[np.int64]
) -> dict[int, list[Link]]:
    """Return what these nodes supersede through nodes that are not exported, by seq.

    Without that, what a hidden or forgotten version had superseded would be current again where it is imported.
    """
    found: dict[int, set[int]] = {}
    waiting, seen = _superseded(connection, {seq: [seq] for seq in batch}), set[tuple[int, int]]()
    while waiting:
        beyond: dict[int, list[int]] = {}
        for newer, older in set(waiting) - seen:
            place = int(np.searchsorted(exported, older))
            if place < len(exported) and exported[place] == older:
                found.setdefault(newer, set()).add(older)
            else:
                beyond.setdefault(older, []).append(newer)
        seen.update(waiting)
        waiting = _superseded(connection, beyond)
    ids = nodes.ids_of(connection, sorted(set(chain.from_iterable(found.values()))))
    return {
        newer: [Link("supersedes", ids[older].hex()) for older in sorted(olders) if older in ids]
        for newer, olders in found.items()
    }


def _superseded(connection: apsw.Connection, nodes_for: Mapping[int, Sequence[int]]) -> list[tuple[int, int]]:
    """Return (for whom, seq) of all that nodes supersede; `nodes_for` says for whom each node is asked."""
    if not nodes_for:
        return []
    rows = each(
        connection,
        "SELECT newer, older FROM link WHERE kind = ? AND older != 0 AND newer IN carray(?)",
        (SUPERSEDES, apsw.carray(np.array(list(nodes_for), np.int64))),
    )
    return [(asker, older) for newer, older in rows for asker in nodes_for[newer]]


def _exported(
    space: ViewedSpace, filter_: Filter, seqs: NDArray[np.int64], progress: Progress | None, *,
    whole: bool = False,
) -> Iterator[Exported]:  # fmt: skip
    """Yield nodes in the order of these seqs; those that were forgotten or hidden meanwhile are left out."""
    for begin in range(0, len(seqs), BATCH_NODES):
        batch = seqs[begin : begin + BATCH_NODES].tolist()
        with space.read() as connection:
            opened = space.opened(connection, batch)
            newer = space.successors(connection, batch)
            models = {one.code: one for one in vectors.models(connection)} if whole else {}
            sealed = vectors.sealed_of(connection, batch) if whole else {}
            through = _superseded_through(connection, batch, seqs) if whole else {}
        given: dict[int, Vectors] = {}
        for (seq, code), rows in sealed.items():
            if seq in opened:
                model = models[code]
                plain = given_vectors(space.store.sealer, opened[seq], model, rows)
                given.setdefault(seq, {})[model.name, model.dimension] = plain
        for seq in batch:
            one = opened.get(seq)
            if one is not None and not one.state.hidden and space.passes(filter_, one):
                node = as_node(one, newer.get(seq))
                links = dict.fromkeys((*node.links, *through.get(seq, ())))
                yield Exported(replace(node, links=tuple(links)), one, given.get(seq, {}))
        if progress is not None:
            progress(begin + len(batch), len(seqs))
