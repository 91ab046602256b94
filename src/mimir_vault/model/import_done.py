"""What an import did, and how to undo it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ImportDone:
    """What one run of an import did.

    Of its lines `stored` became nodes, `known` were there already, `expired` had come to their end, and `bad` could not
    be imported and were skipped: `bad_lines` has the first of them as (line number, why). `links_left_out` point to
    nodes that are neither in the file nor here; `vectors_left_out` nodes came with vectors of another embedder, and
    were embedded by that of this memory instead.
    """

    import_id: str
    stored: int
    known: int
    expired: int = 0
    links_left_out: int = 0
    vectors_left_out: int = 0
    bad: int = 0
    bad_lines: tuple[tuple[int, str], ...] = ()

    @property
    def undo(self) -> dict[str, str]:
        """The filter of all that was imported under this id: `memory.forget(where=done.undo)` undoes it."""
        return {"metadata.import_id": self.import_id}
