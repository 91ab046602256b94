"""Receipts: what they hold by default."""

from __future__ import annotations

from mimir_vault.model.receipt import Receipt


def test_a_receipt_names_what_it_cannot_reach() -> None:
    """Copies made before are out of reach, and every receipt says so."""
    receipt = Receipt(("0" * 64,), "2026-05-01T00:00:00+00:00", 1, 2, "ab", "erased")
    assert not receipt.dry_run
    assert receipt.current_again == ()
    assert "backups" in receipt.out_of_reach
