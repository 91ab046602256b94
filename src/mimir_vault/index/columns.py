"""Columns: the facets of all live nodes of a space in RAM, one array per facet, and the chains of its sessions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mimir_vault.errors import FormatError
from mimir_vault.model.facets import FACETS, FACETS_LAYOUT, HIDDEN, UNINDEXED

Rows = NDArray[np.int64]
Seqs = NDArray[np.int64]
Mask = NDArray[np.bool_]
AnyInts = NDArray[np.integer[Any]] | list[int]

_NUMPY_CODES = {"q": "<i8", "I": "<u4", "H": "<u2", "B": "u1"}
FACETS_DTYPE = np.dtype([(name, _NUMPY_CODES[code]) for name, code in FACETS_LAYOUT])
"""One packed facets row as NumPy reads it; the same 64 bytes as `model.facets.FACETS`."""

_ROWS_FIRST = 1_024
_DEAD_SHARE_MAX = 0.125
"""Dead rows are squeezed out above this share: squeezing 100,000 rows takes a few ms, a removal alone microseconds."""
_UNLINKED_MAX = 1_000
"""More rows than this are taken out of their chains by making all chains anew, which costs as much."""
_NONE = -1


class Columns:
    """Struct of arrays over the nodes of one space, ordered by seq.

    Row numbers are valid until the next `upsert` or `remove`; seqs are valid for ever. Removed nodes keep a dead row
    for a while, which every mask leaves out. Not thread-safe: one lock must cover feeding and the use of row numbers.
    """

    def __init__(self) -> None:
        self._capacity = _ROWS_FIRST
        self._count = 0
        self._dead = 0
        self._facets: dict[str, NDArray[Any]] = {
            name: np.empty(self._capacity, FACETS_DTYPE[name]) for name, _ in FACETS_LAYOUT
        }
        self._live = np.zeros(self._capacity, np.bool_)
        self._previous = np.full(self._capacity, _NONE, np.int32)
        self._next = np.full(self._capacity, _NONE, np.int32)
        self._tails: dict[int, int] = {}
        self._newer_seqs = np.empty(0, np.int64)
        self._older_seqs = np.empty(0, np.int64)
        self._pair_rows: tuple[Rows, Rows] | None = None

    def __len__(self) -> int:
        """Return the number of live nodes."""
        return self._count - self._dead

    @property
    def rows_count(self) -> int:
        """The length of every array and mask, dead rows included."""
        return self._count

    @property
    def live(self) -> Mask:
        """Which rows stand for a node, bool (rows,)."""
        return self._live[: self._count]

    @property
    def last_seq(self) -> int:
        """The highest seq ever taken in that is still held, 0 for none."""
        return int(self._facets["seq"][self._count - 1]) if self._count else 0

    def facet(self, name: str) -> NDArray[Any]:
        """Return one facet of all rows, a view of shape (rows,) with the type of `FACETS_LAYOUT`."""
        return self._facets[name][: self._count]

    @property
    def seqs(self) -> Seqs:
        """The seq of all rows, ascending, int64 (rows,)."""
        found: Seqs = self._facets["seq"][: self._count]
        return found

    def rows(self, seqs: AnyInts) -> Rows:
        """Return the row number of each seq, -1 for an unknown or removed one, int64 of the shape of `seqs`."""
        wanted = np.asarray(seqs, np.int64)
        if not self._count:
            return np.full(wanted.shape, _NONE, np.int64)
        known = self.seqs
        if wanted.shape == known.shape and np.array_equal(wanted, known):
            return np.where(self.live, np.arange(self._count), _NONE)
        if int(known[-1]) - int(known[0]) == self._count - 1:  # without gaps a seq names its row by itself
            places = np.clip(wanted - known[0], 0, self._count - 1)
        else:
            places = np.minimum(np.searchsorted(known, wanted), self._count - 1)
        found = (known[places] == wanted) & self.live[places]
        return np.where(found, places, _NONE)

    def upsert(self, rows: bytes | bytearray | memoryview) -> None:
        """Take packed facets rows in: those of new nodes, and of known ones whose facets changed.

        Args:
            rows: n x 64 bytes as `Facets.pack` gives them, in any order; the last row of a seq counts.

        Raises:
            FormatError: the length is no multiple of 64.
        """
        if len(rows) % FACETS.size:
            raise FormatError("facets rows have a wrong length; run mimir rebuild")
        taken = np.frombuffer(rows, FACETS_DTYPE)
        if not len(taken):
            return
        seqs = taken["seq"]
        if len(taken) > 1 and not bool((seqs[1:] > seqs[:-1]).all()):
            _, last = np.unique(seqs[::-1], return_index=True)
            taken = taken[len(taken) - 1 - last]
            seqs = taken["seq"]
        if int(seqs[0]) > self.last_seq:
            self._append(taken)
            return
        places = self.rows(seqs)
        known = places >= 0
        self._replace(places[known], taken[known])
        rest = taken[~known]
        if len(rest) and int(rest["seq"][0]) > self.last_seq:
            self._append(rest)
        elif len(rest):
            self._merge(rest)

    def remove(self, seqs: AnyInts) -> None:
        """Take nodes out; unknown seqs are passed over.

        What a removed node had superseded stays superseded by what had superseded the removed one, if anything.
        """
        gone = np.unique(np.asarray(seqs, np.int64).ravel())
        rows = self.rows(gone)
        rows = rows[rows >= 0]
        self._live[rows] = False
        self._dead += len(rows)
        if len(rows) <= _UNLINKED_MAX:
            for row in rows.tolist():
                self._unlink(row)
        else:
            self._relink()
        self._bridge(gone)
        if self._dead > _DEAD_SHARE_MAX * self._count:
            self._squeeze()

    def add_supersedes(self, newer_seqs: AnyInts, older_seqs: AnyInts) -> None:
        """Note pairs (newer, older) of the `supersedes` relation, by seq; either may become known later."""
        newer, older = np.asarray(newer_seqs, np.int64).ravel(), np.asarray(older_seqs, np.int64).ravel()
        if newer.shape != older.shape:
            raise ValueError("supersedes pairs need as many newer as older seqs")
        self._newer_seqs = np.concatenate([self._newer_seqs, newer])
        self._older_seqs = np.concatenate([self._older_seqs, older])
        self._pair_rows = None

    def current(self, now: int, as_of: int | None = None, known_at: int | None = None) -> Mask:
        """Return which nodes were there at those moments: live, not hidden, not expired, bool (rows,).

        `now`, `as_of` (against `at`) and `known_at` (against `recorded`) are microseconds since 1970.
        """
        mask: Mask = self.live & ((self.facet("flags") & HIDDEN) == 0) & (self.facet("expires") > now)
        if as_of is not None:
            mask &= self.facet("at") <= as_of
        if known_at is not None:
            mask &= self.facet("recorded") <= known_at
        return mask

    def superseded(self, current: Mask) -> Mask:
        """Return which nodes one of the `current` nodes supersedes, bool (rows,), at first hand or along a chain.

        A newer node that is hidden, expired or not yet there at that moment supersedes nothing by itself; what
        supersedes it in turn reaches through it.
        """
        mask = np.zeros(self._count, np.bool_)
        if not len(self._newer_seqs):
            return mask
        if self._pair_rows is None:
            self._pair_rows = (self.rows(self._newer_seqs), self.rows(self._older_seqs))
        newer, older = self._pair_rows
        known = (newer >= 0) & (older >= 0)
        newer, older = newer[known], older[known]
        reached = older[current[newer]]
        while not mask[reached].all():
            mask[reached] = True
            reached = older[mask[newer]]
        return mask

    def visible(
        self, now: int, as_of: int | None = None, known_at: int | None = None, *,
        include_superseded: bool = False, include_unindexed: bool = False,
    ) -> Mask:  # fmt: skip
        """Return which nodes a recall may give, bool (rows,): current, recallable and not superseded."""
        current = self.current(now, as_of, known_at)
        mask = current
        if not include_unindexed:
            mask = mask & ((self.facet("flags") & UNINDEXED) == 0)
        if not include_superseded and len(self._newer_seqs):
            mask = mask & ~self.superseded(current)
        return mask

    def neighbours(self, rows: NDArray[np.integer[Any]], radius: int) -> Rows:
        """Return the rows before and after each row in its session, int64 (n, 2 * radius), -1 where there is none.

        The columns are the distances -radius … -1, 1 … radius; the order in a session is that of seq.
        """
        rows = np.asarray(rows, np.int64)
        found = np.full((len(rows), 2 * radius), _NONE, np.int64)
        for chain, sign in ((self._previous, -1), (self._next, 1)):
            here = rows.copy()
            for distance in range(1, radius + 1):
                here = np.where(here >= 0, chain[here], _NONE)
                found[:, radius - distance if sign < 0 else radius + distance - 1] = here
        return found

    def _append(self, taken: NDArray[Any]) -> None:
        first, count = self._count, self._count + len(taken)
        self._grow(count)
        for name, column in self._facets.items():
            column[first:count] = taken[name]
        self._live[first:count] = True
        self._previous[first:count] = _NONE
        self._next[first:count] = _NONE
        self._count = count
        self._pair_rows = None
        self._link(first)

    def _grow(self, count: int) -> None:
        if count <= self._capacity:
            return
        self._capacity = max(count + count // 8, 2 * self._capacity)
        for name, column in self._facets.items():
            self._facets[name] = _longer(column, self._count, self._capacity)
        self._live = _longer(self._live, self._count, self._capacity)
        self._previous = _longer(self._previous, self._count, self._capacity)
        self._next = _longer(self._next, self._count, self._capacity)

    def _link(self, first: int) -> None:
        """Join the rows from `first` on to the chains of their threads."""
        threads = self._facets["thread"][first : self._count]
        if len(threads) == 1:
            thread = int(threads[0])
            if thread:
                tail = self._tails.get(thread, _NONE)
                self._previous[first] = tail
                if tail >= 0:
                    self._next[tail] = first
                self._tails[thread] = first
            return
        rows = np.flatnonzero((threads != 0) & self._live[first : self._count])
        rows = rows[np.argsort(threads[rows], kind="stable")]
        if not len(rows):
            return
        ordered = threads[rows]
        rows = (rows + first).astype(np.int32)
        starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
        ends = np.concatenate([starts[1:], [len(rows)]]) - 1
        before = np.concatenate([np.array([_NONE], np.int32), rows[:-1]])
        names = ordered[starts].tolist()
        before[starts] = [self._tails.get(name, _NONE) for name in names]
        self._previous[rows] = before
        joined = before >= 0
        self._next[before[joined]] = rows[joined]
        self._tails.update(zip(names, rows[ends].tolist(), strict=True))

    def _relink(self) -> None:
        self._tails = {}
        self._previous[: self._count] = _NONE
        self._next[: self._count] = _NONE
        if self._count:
            self._link(0)

    def _unlink(self, row: int) -> None:
        before, after = int(self._previous[row]), int(self._next[row])
        if before >= 0:
            self._next[before] = after
        if after >= 0:
            self._previous[after] = before
        elif (thread := int(self._facets["thread"][row])) and self._tails.get(thread) == row:
            if before >= 0:
                self._tails[thread] = before
            else:
                del self._tails[thread]
        self._previous[row] = self._next[row] = _NONE

    def _replace(self, places: Rows, taken: NDArray[Any]) -> None:
        moved = bool((self._facets["thread"][places] != taken["thread"]).any())
        for name, column in self._facets.items():
            column[places] = taken[name]
        if moved:
            self._relink()

    def _merge(self, taken: NDArray[Any]) -> None:
        """Take rows in whose seqs lie among or before known ones; rare, so all is sorted anew."""
        self._squeeze()
        first, count = self._count, self._count + len(taken)
        self._grow(count)
        for name, column in self._facets.items():
            column[first:count] = taken[name]
        order = np.argsort(self._facets["seq"][:count], kind="stable")
        for column in self._facets.values():
            column[:count] = column[:count][order]
        self._live[:count] = True
        self._count = count
        self._pair_rows = None
        self._relink()

    def _squeeze(self) -> None:
        """Give the room of dead rows back; row numbers change."""
        keep = np.flatnonzero(self.live)
        for column in self._facets.values():
            column[: len(keep)] = column[: self._count][keep]
        self._count, self._dead = len(keep), 0
        self._live[: self._count] = True
        self._pair_rows = None
        self._relink()

    def _bridge(self, gone: Seqs) -> None:
        if not len(self._newer_seqs):
            return
        for seq in gone.tolist():
            newer = self._newer_seqs[self._older_seqs == seq]
            older = self._older_seqs[self._newer_seqs == seq]
            keep = (self._newer_seqs != seq) & (self._older_seqs != seq)
            if keep.all():
                continue
            self._newer_seqs = np.concatenate([self._newer_seqs[keep], np.repeat(newer, len(older))])
            self._older_seqs = np.concatenate([self._older_seqs[keep], np.tile(older, len(newer))])
        self._pair_rows = None


def _longer(column: NDArray[Any], count: int, capacity: int) -> NDArray[Any]:
    grown = np.empty(capacity, column.dtype)
    grown[:count] = column[:count]
    return grown
