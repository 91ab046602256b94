"""The key slots of an open vault: every change holds the vault's lock and refuses older headers from then on."""

from __future__ import annotations

from typing import Any

import pytest

from mimir_vault import Vault, errors
from mimir_vault.keyslots import header_file
from mimir_vault.store import audit
from mimir_vault.store.catalog import HEADER_EPOCH


def lowest(vault: Vault) -> int:
    """Return the lowest header epoch that the catalog accepts."""
    return vault._catalog.setting(HEADER_EPOCH)


def verbs(vault: Vault) -> list[tuple[str, dict[str, Any]]]:
    """Return verb and facts of the vault's audit."""
    with vault._catalog.fresh.read() as connection:
        return [(event.verb, dict(event.facts)) for event in audit.events(connection, vault._catalog.fresh.digester)]


def test_every_change_raises_the_epoch_and_is_audited(vault: Vault) -> None:
    """By kind or slot, never by what opens it."""
    first = lowest(vault)
    vault.keyslots.add_recovery_code()
    vault.keyslots.add_raw_key(bytes(32))
    slot = vault.keyslots.list()[-1].id
    vault.keyslots.remove(slot)
    assert lowest(vault) == first + 3 == header_file.read(vault.path).header.epoch
    assert verbs(vault)[-3:] == [
        ("key slot added", {"kind": "recovery code"}), ("key slot added", {"kind": "raw key"}),
        ("key slot removed", {"slot": slot}),
    ]  # fmt: skip


def test_a_change_that_fails_leaves_header_and_catalog_alone(vault: Vault) -> None:
    """Nothing half-done: the last slot stays, and so does the epoch."""
    before = (vault.path / "header").read_bytes()
    first = lowest(vault)
    for change in (
        lambda: vault.keyslots.remove(vault.keyslots.list()[0].id), lambda: vault.keyslots.remove("00000000"),
        lambda: vault.keyslots.add_passphrase(""), lambda: vault.keyslots.add_raw_key(b"short"),
        lambda: vault.keyslots.change_passphrase("x"), lambda: vault.keyslots.add_recovery_code(label="x" * 999),
    ):  # fmt: skip
        with pytest.raises((errors.MimirError, ValueError)):
            change()
    assert (vault.path / "header").read_bytes() == (vault.path / "header.copy").read_bytes() == before
    assert lowest(vault) == first


def test_a_header_that_cannot_be_written_leaves_the_catalog_alone(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The header goes first; when that fails nothing is noted."""
    first = lowest(vault)

    def refuse(*_: Any) -> None:
        raise errors.DiskFullError

    monkeypatch.setattr(header_file, "write", refuse)
    with pytest.raises(errors.DiskFullError):
        vault.keyslots.add_recovery_code()
    assert lowest(vault) == first
    assert len(vault.keyslots.list()) == 1


def test_changes_of_two_handles_add_up(vaults: Any) -> None:
    """Each change starts from the newest header on disk."""
    one, two = vaults.create(), vaults.open()
    words = [one.keyslots.add_recovery_code(), two.keyslots.add_recovery_code(), one.keyslots.add_recovery_code()]
    assert [slot.kind for slot in two.keyslots.list()].count("recovery code") == 3
    one.lock()
    two.lock()
    for code in words:
        vaults.open(recovery_code=code).lock()


def test_all_slots_can_be_used_and_no_more(vault: Vault) -> None:
    """24 of them."""
    for number in range(23):
        vault.keyslots.add_raw_key(bytes([number + 100] * 32), label=f"{number}")
    with pytest.raises(ValueError, match="All 24 key slots are in use; remove one first"):
        vault.keyslots.add_raw_key(bytes(32))
    assert len(vault.keyslots.list()) == 24
    vault.keyslots.remove(vault.keyslots.list()[3].id)
    vault.keyslots.add_raw_key(bytes(32))


def test_which_slot_opened_the_vault_is_told(vaults: Any) -> None:
    """One is current in a vault that was opened, none in one just created."""
    vault = vaults.create()
    vault.keyslots.add_raw_key(bytes(32), label="second")
    assert [slot.current for slot in vault.keyslots.list()] == [False, False]
    vault.lock()
    assert [slot.label for slot in vaults.open(raw_key=bytes(32)).keyslots.list() if slot.current] == ["second"]
