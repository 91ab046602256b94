"""Tests of making and opening headers: which secret opens what, and which error says what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest

from mimir_vault.crypto.keys import KdfProfile
from mimir_vault.crypto.secret import SecretBytes
from mimir_vault.errors import LockedError, TamperedError, WrongKeyError
from mimir_vault.keyslots import raw_key as raw_key_module
from mimir_vault.keyslots import unlock as unlock_module
from mimir_vault.keyslots.change import new_replica
from mimir_vault.keyslots.header import Header
from mimir_vault.keyslots.raw_key import RawKeySlot
from mimir_vault.keyslots.sealed_part import SlotDescription, seal_contents
from mimir_vault.keyslots.unlock import CATALOG_FILE, UnlockedRoot, create_header, free_index, new_slot_id, unlock

Source = Callable[[int], bytes]
Created = tuple[Header, UnlockedRoot]
Runs = list[tuple[bytes, bytes, int]]
Keep = Callable[[ModuleType, str], list[Any]]


def test_passphrase_and_recovery_code_open_one_root(argon2_runs: Runs, source: Source, now: int) -> None:
    """A new vault has both by default; each gives the same root and catalog key, and says which slot it was."""
    header, root, words = create_header(passphrase="correct horse", random=source, now=now)
    assert words is not None

    by_passphrase = unlock(header, passphrase=bytearray(b"correct horse"))
    by_code = unlock(header, recovery_code=words)

    assert by_passphrase.root_key == by_code.root_key == root.root_key
    assert by_passphrase.catalog_key == by_code.catalog_key == root.catalog_key
    assert root.slot_id is None
    assert {by_passphrase.slot_id, by_code.slot_id} == {slot.id for slot in root.slots}
    assert sorted(slot.kind_name for slot in root.slots) == ["passphrase", "recovery code"]


def test_a_root_says_what_the_vault_is(created: Created, raw_key: bytes, now: int) -> None:
    """Catalog file, vault id, epoch and the descriptions of the slots come with it."""
    header, _ = created

    root = unlock(header, raw_key=raw_key)

    assert (root.catalog_file, root.vault_id, root.epoch) == (CATALOG_FILE, header.vault_id, 1)
    assert root.next_catalog_key is None
    assert [(slot.kind_name, slot.label, slot.created) for slot in root.slots] == [("raw key", "", now)]
    assert root.slot_id == root.slots[0].id


@pytest.mark.parametrize("profile", KdfProfile)
def test_a_wrong_passphrase_takes_one_run(argon2_runs: Runs, source: Source, now: int, profile: KdfProfile) -> None:
    """Right or wrong, an attempt costs exactly one Argon2id run at the vault's profile."""
    header, _, _ = create_header(passphrase="right", profile=profile, random=source, now=now)
    argon2_runs.clear()

    with pytest.raises(WrongKeyError):
        unlock(header, passphrase="wrong")
    assert argon2_runs == [(b"wrong", header.kdf_salt, profile.cost.memory_kib)]

    unlock(header, passphrase="right")
    assert len(argon2_runs) == 2


def test_wrong_secrets_of_every_kind_are_wrong_keys(created: Created) -> None:
    """A code or key that fits no slot is a WrongKeyError, which is a LockedError."""
    header, _ = created

    with pytest.raises(WrongKeyError):
        unlock(header, recovery_code="zoo " * 23 + "vote")
    with pytest.raises(LockedError):
        unlock(header, raw_key=bytes(32))


def test_exactly_one_secret_is_taken(created: Created, raw_key: bytes) -> None:
    """None or two secrets are a programmer's error."""
    with pytest.raises(ValueError, match="exactly one"):
        unlock(created[0])
    with pytest.raises(ValueError, match="exactly one"):
        unlock(created[0], raw_key=raw_key, recovery_code="zoo")


def test_a_slot_object_can_be_handed_in(created: Created, raw_key: bytes) -> None:
    """A way to unlock from elsewhere is used and stays its owner's."""
    slot = RawKeySlot(raw_key)

    assert unlock(created[0], keyslot=slot).root_key == created[1].root_key
    assert unlock(created[0], keyslot=slot).root_key == created[1].root_key


def test_a_vault_needs_a_way_in(source: Source, now: int) -> None:
    """A header that nothing opens is not made, nor one behind an empty passphrase."""
    with pytest.raises(ValueError, match="at least one way"):
        create_header(recovery=False, random=source, now=now)
    with pytest.raises(ValueError, match="is empty"):
        create_header(passphrase="", random=source, now=now)


def test_a_recovery_code_alone_is_enough(source: Source, now: int) -> None:
    """A vault may have no passphrase at all."""
    header, root, words = create_header(random=source, now=now)

    assert unlock(header, recovery_code=words).root_key == root.root_key


def test_two_vaults_share_nothing(source: Source, now: int, raw_key: bytes) -> None:
    """Ids, salts and keys are new each time, and one vault's slot does not open in another."""
    one, first, _ = create_header(raw_key=raw_key, recovery=False, random=source, now=now)
    two, second, _ = create_header(raw_key=raw_key, recovery=False, random=source, now=now)

    assert len({one.vault_id, two.vault_id, one.replica_id, two.replica_id, one.kdf_salt, two.kdf_salt}) == 6
    assert first.root_key != second.root_key
    assert first.catalog_key != second.catalog_key
    transplanted = replace(two, slots=one.slots).authenticated(second.root_key)
    with pytest.raises(WrongKeyError):
        unlock(transplanted, raw_key=raw_key)


def test_a_slot_that_is_not_listed_is_refused(created: Created, raw_key: bytes, source: Source) -> None:
    """A slot that opens but stands in no list can only have been put there."""
    header, root = created
    emptied = replace(root.contents, slots=())
    sealed = seal_contents(emptied, root.root_key, header.vault_id, header.epoch, source)

    with pytest.raises(TamperedError, match="does not list"):
        unlock(replace(header, sealed=sealed).authenticated(root.root_key), raw_key=raw_key)


def test_a_sealed_part_of_another_epoch_is_refused(created: Created, raw_key: bytes) -> None:
    """Even with a MAC that fits, the sealed part belongs to its epoch."""
    header, root = created

    with pytest.raises(TamperedError):
        unlock(replace(header, epoch=2).authenticated(root.root_key), raw_key=raw_key)


def test_leaving_the_with_wipes_all_keys(created: Created, raw_key: bytes) -> None:
    """After the block neither root nor catalog key is left."""
    with unlock(created[0], raw_key=raw_key) as root:
        pass

    assert root.root_key.wiped
    assert root.catalog_key.wiped


def test_secrets_that_were_handed_in_are_wiped(argon2_runs: Runs, kept: Keep, source: Source, now: int) -> None:
    """Making and opening a header wipe their copies of passphrase, code and raw key, also where nothing opens."""
    passphrases, codes = kept(unlock_module, "PassphraseSlot"), kept(unlock_module, "RecoveryCodeSlot")
    raw_keys = kept(unlock_module, "RawKeySlot")

    header, _, words = create_header(passphrase="right", raw_key=b"k" * 32, random=source, now=now)
    unlock(header, passphrase="right")
    unlock(header, recovery_code=words)
    unlock(header, raw_key=b"k" * 32)
    with pytest.raises(WrongKeyError):
        unlock(header, passphrase="wrong")

    assert [slot._passphrase.wiped for slot in passphrases] == [True] * 3
    assert [slot._entropy.wiped for slot in codes] == [True] * 2
    assert [slot._secret.wiped for slot in raw_keys] == [True] * 2


def test_a_header_that_is_refused_leaves_no_keys(created: Created, raw_key: bytes, kept: Keep, source: Source) -> None:
    """Where the right secret opens a header that was changed, the opened keys are wiped before the error is raised."""
    header, root = created
    emptied = replace(root.contents, slots=())
    sealed = seal_contents(emptied, root.root_key, header.vault_id, header.epoch, source)
    unlisted = replace(header, sealed=sealed).authenticated(root.root_key)
    slot, opened = RawKeySlot(raw_key), kept(unlock_module, "read_contents")
    roots = kept(raw_key_module, "open_root")

    for refused in (unlisted, replace(header, fill=bytes(len(header.fill)))):
        with pytest.raises(TamperedError):
            unlock(refused, keyslot=slot)

    assert [root_key.wiped for root_key in roots] == [True, True]
    assert [contents.catalog_key.wiped for contents in opened] == [True]
    assert not slot._secret.wiped


def test_refresh_wipes_what_it_replaces(created: Created, raw_key: bytes, source: Source) -> None:
    """The catalog key of the older header goes when the newer one is taken over."""
    header, _ = created
    root = unlock(header, raw_key=raw_key)
    older = root.catalog_key

    root.refresh(new_replica(header, root, random=source))

    assert older.wiped
    assert not root.catalog_key.wiped
    assert not root.root_key.wiped


def test_free_places_are_random_and_run_out(source: Source) -> None:
    """A new slot takes any free place; when all 24 are taken the sentence says so."""
    taken = [SlotDescription(f"{index:08x}", index, 1, "", 0) for index in range(24)]

    assert {free_index([], source) for _ in range(500)} == set(range(24))
    assert free_index(taken[:7] + taken[8:], source) == 7
    with pytest.raises(ValueError, match="All 24 key slots are in use"):
        free_index(taken, source)


def test_slot_ids_are_never_taken_twice() -> None:
    """A source that repeats itself is asked again."""
    answers = iter([b"\0\0\0\1", b"\0\0\0\1", b"\0\0\0\2"])

    fresh = new_slot_id([SlotDescription("00000001", 0, 1, "", 0)], lambda _: next(answers))

    assert fresh == "00000002"


def test_the_key_handed_in_is_only_read(created: Created, raw_key: bytes) -> None:
    """A SecretBytes given as raw key is not wiped by unlocking."""
    secret = SecretBytes.copy_of(raw_key)

    unlock(created[0], raw_key=secret)

    assert bytes(secret.view()) == raw_key
