"""Receipts: what an erasure removed, and what it cannot reach."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Receipt:
    """Proof of an erasure.

    `on_disk` is "erased" when nothing of the nodes is in any file of the vault, and "pending" when a reader in another
    process still holds back the last checkpoint; the next commit or a clean close finishes it. Inside a transaction it
    is "pending" too, and with a grace "hidden": `due` then says when the nodes will be forgotten. `digest` is the
    space's set digest after the erasure, hexadecimal. `current_again` names nodes that the erased ones had superseded.
    """

    ids: tuple[str, ...]
    at: str
    generation_before: int
    generation_after: int
    digest: str
    on_disk: str
    current_again: tuple[str, ...] = ()
    dry_run: bool = False
    due: str | None = None
    out_of_reach: str = "Copies and backups made before this moment still hold the nodes; destroy them as well."
