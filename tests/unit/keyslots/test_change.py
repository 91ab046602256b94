"""Tests of changes to the header: adding, changing and removing ways to unlock, and the catalog's keys."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest

from mimir_vault.crypto.keys import KdfProfile
from mimir_vault.crypto.secret import SecretBytes
from mimir_vault.errors import FormatError, MimirError, NotFoundError, TamperedError, WrongKeyError
from mimir_vault.keyslots import change
from mimir_vault.keyslots.change import (
    add_passphrase,
    add_raw_key,
    add_recovery_code,
    add_slot,
    change_passphrase,
    list_slots,
    new_replica,
    remove_slot,
    replace_catalog_keys,
)
from mimir_vault.keyslots.header import Header
from mimir_vault.keyslots.raw_key import RawKeySlot
from mimir_vault.keyslots.unlock import UnlockedRoot, compose, create_header, unlock

Source = Callable[[int], bytes]
Created = tuple[Header, UnlockedRoot]
Runs = list[tuple[bytes, bytes, int]]
Keep = Callable[[ModuleType, str], list[Any]]


@pytest.fixture
def closed_by_passphrase(argon2_runs: Runs, source: Source, now: int) -> Created:
    """A header that the passphrase "old" opens at the lowest profile."""
    header, _, _ = create_header(
        passphrase="old", profile=KdfProfile.INTERACTIVE, recovery=False, random=source, now=now
    )
    return header, unlock(header, passphrase="old")


def test_an_added_way_opens_and_the_others_still_do(
    created: Created, argon2_runs: Runs, raw_key: bytes, source: Source, now: int
) -> None:
    """Passphrase, recovery code and raw key can be added one after the other; each change is one epoch."""
    header, root = created

    header = add_passphrase(header, root, "second", label="laptop", random=source, now=now + 1)
    header, words = add_recovery_code(header, root, random=source, now=now + 2)
    header = add_raw_key(header, root, b"3" * 32, label="key file", random=source, now=now + 3)

    assert header.epoch == 4
    for opened in (
        unlock(header, raw_key=raw_key),
        unlock(header, passphrase="second"),
        unlock(header, recovery_code=words),
        unlock(header, raw_key=b"3" * 32),
    ):
        assert opened.root_key == root.root_key
    assert [(slot.kind_name, slot.label, slot.created - now) for slot in list_slots(header, root)] == [
        ("raw key", "", 0),
        ("passphrase", "laptop", 1),
        ("recovery code", "", 2),
        ("raw key", "key file", 3),
    ]


def test_a_way_that_nobody_labels_has_no_label(created: Created, argon2_runs: Runs, source: Source, now: int) -> None:
    """Nothing is made up for passphrase, recovery code or raw key."""
    header, root = created

    header = add_passphrase(header, root, "second", random=source, now=now)
    header, _ = add_recovery_code(header, root, random=source, now=now)
    header = add_raw_key(header, root, b"3" * 32, random=source, now=now)
    header = add_slot(header, root, RawKeySlot(b"4" * 32), random=source, now=now)

    assert [slot.label for slot in list_slots(header, root)] == [""] * 5


def test_a_change_touches_its_own_slot_only(created: Created, source: Source, now: int) -> None:
    """23 slots, the fill, the ids and the salt stay byte for byte; slot, sealed part, checksum and MAC are new."""
    header, root = created

    changed, _ = add_recovery_code(header, root, random=source, now=now)

    assert sum(one != other for one, other in zip(header.slots, changed.slots, strict=True)) == 1
    assert replace(changed, epoch=1, slots=(), sealed=b"", mac=b"") == replace(header, slots=(), sealed=b"", mac=b"")
    assert changed.sealed != header.sealed
    assert Header.decode(changed.encode()) == changed


def test_refresh_takes_a_change_over(created: Created, source: Source, now: int) -> None:
    """The root learns of the new slots; a header of another root is refused and nothing is lost."""
    header, root = created
    changed, _ = add_recovery_code(header, root, random=source, now=now)
    stranger, _, _ = create_header(raw_key=bytes(32), random=source, now=now)

    root.refresh(changed)
    with pytest.raises(TamperedError):
        root.refresh(stranger)

    assert (root.epoch, len(root.slots)) == (2, 2)
    assert not root.catalog_key.wiped


def test_a_removed_slot_opens_nothing(created: Created, raw_key: bytes, source: Source, now: int) -> None:
    """Its bytes are overwritten with random ones, and its secret is a wrong key from then on."""
    header, root = created
    both, words = add_recovery_code(header, root, random=source, now=now)
    gone = unlock(both, recovery_code=words)

    left = remove_slot(both, root, str(gone.slot_id), random=source)

    with pytest.raises(WrongKeyError):
        unlock(left, recovery_code=words)
    assert unlock(left, raw_key=raw_key).root_key == root.root_key
    assert len(list_slots(left, root)) == 1
    assert not set(both.slots) - set(left.slots) & set(left.slots)


def test_the_last_slot_stays(created: Created, source: Source) -> None:
    """A vault is never left without a way in."""
    header, root = created

    with pytest.raises(MimirError, match="last way to unlock"):
        remove_slot(header, root, root.slots[0].id, random=source)
    with pytest.raises(NotFoundError, match="no key slot 00000000"):
        remove_slot(header, root, "00000000", random=source)


def test_a_changed_passphrase_replaces_the_old(closed_by_passphrase: Created, source: Source, now: int) -> None:
    """The new one opens, the old one is wrong; salt is new, root key and slot id are the same."""
    header, root = closed_by_passphrase

    changed = change_passphrase(header, root, "new", random=source, now=now + 5)

    opened = unlock(changed, passphrase="new")
    assert opened.root_key == root.root_key
    assert opened.slot_id == root.slot_id
    assert opened.slots[0].created == now + 5
    assert changed.kdf_salt != header.kdf_salt
    assert changed.profile == header.profile
    with pytest.raises(WrongKeyError):
        unlock(changed, passphrase="old")


def test_a_profile_can_be_raised_and_not_lowered(
    closed_by_passphrase: Created, argon2_runs: Runs, source: Source, now: int
) -> None:
    """A higher cost is written into the header and used from then on."""
    header, root = closed_by_passphrase
    raised = change_passphrase(header, root, "new", profile=KdfProfile.SENSITIVE, random=source, now=now)
    argon2_runs.clear()

    unlock(raised, passphrase="new")

    assert raised.profile is KdfProfile.SENSITIVE
    assert argon2_runs[0][2] == 1024 * 1024
    with pytest.raises(ValueError, match="raised but not lowered"):
        change_passphrase(raised, root, "new", profile=KdfProfile.MODERATE, random=source, now=now)


def test_other_passphrases_keep_salt_and_profile(closed_by_passphrase: Created, source: Source, now: int) -> None:
    """While another passphrase depends on them, salt and profile stay and the other goes on opening."""
    header, root = closed_by_passphrase
    two = add_passphrase(header, root, "other", random=source, now=now)

    changed = change_passphrase(two, root, "new", random=source, now=now + 5)

    assert (changed.kdf_salt, changed.profile) == (two.kdf_salt, two.profile)
    assert [slot.created - now for slot in list_slots(changed, root)] == [0, 5]
    assert unlock(changed, passphrase="new").root_key == unlock(changed, passphrase="other").root_key
    with pytest.raises(ValueError, match="Other passphrases depend"):
        change_passphrase(two, root, "new", profile=KdfProfile.MODERATE, random=source, now=now)


def test_which_passphrase_changes_is_never_guessed(closed_by_passphrase: Created, source: Source, now: int) -> None:
    """Opened by something else, the only passphrase is meant; with several, the caller must name one."""
    header, root = closed_by_passphrase
    first = root.slots[0].id
    header, words = add_recovery_code(header, root, random=source, now=now)
    by_code = unlock(header, recovery_code=words)
    assert unlock(change_passphrase(header, by_code, "new", random=source, now=now), passphrase="new").slot_id == first

    two = add_passphrase(header, root, "other", random=source, now=now)
    with pytest.raises(ValueError, match="several passphrases"):
        change_passphrase(two, by_code, "new", random=source, now=now)
    named = change_passphrase(two, by_code, "new", slot_id=first, random=source, now=now)
    assert unlock(named, passphrase="new").slot_id == first
    assert unlock(named, passphrase="other").root_key == root.root_key
    with pytest.raises(ValueError, match="holds no passphrase"):
        change_passphrase(two, root, "new", slot_id=by_code.slot_id, random=source, now=now)


def test_without_a_passphrase_there_is_none_to_change(created: Created, source: Source, now: int) -> None:
    """A vault opened by keys alone says so."""
    with pytest.raises(NotFoundError, match="no passphrase to change"):
        change_passphrase(*created, "new", random=source, now=now)


def test_catalog_keys_go_from_current_through_next_to_current(created: Created, raw_key: bytes, source: Source) -> None:
    """A rekey first names the next key beside the current one, then only the new one, in the file it moved to."""
    header, root = created
    following = SecretBytes.random(32, source)

    under_way = replace_catalog_keys(header, root, current=root.catalog_key, following=following, random=source)
    opened = unlock(under_way, raw_key=raw_key)
    assert (opened.catalog_key, opened.next_catalog_key) == (root.catalog_key, following)

    done = replace_catalog_keys(under_way, root, current=following, following=None, file="other.db", random=source)
    opened = unlock(done, raw_key=raw_key)
    assert (opened.catalog_key, opened.next_catalog_key, opened.catalog_file) == (following, None, "other.db")
    assert len(opened.slots) == 1


def test_a_new_replica_has_another_id(created: Created, raw_key: bytes, source: Source) -> None:
    """Only the replica id changes, and the header still opens."""
    header, root = created

    adopted = new_replica(header, root, random=source)

    assert adopted.replica_id != header.replica_id
    assert (adopted.vault_id, adopted.slots) == (header.vault_id, header.slots)
    assert unlock(adopted, raw_key=raw_key).root_key == root.root_key


def test_a_header_that_was_changed_by_others_is_not_built_upon(created: Created, source: Source, now: int) -> None:
    """Before any change the MAC is checked again."""
    header, root = created

    with pytest.raises(TamperedError):
        add_recovery_code(replace(header, profile=KdfProfile.INTERACTIVE), root, random=source, now=now)


def test_a_newer_minor_version_is_read_but_not_rewritten(created: Created, source: Source, now: int) -> None:
    """What this version does not know in a header is not lost by rewriting it."""
    header, root = created
    newer = replace(header, minor=1).authenticated(root.root_key)

    assert len(list_slots(newer, root)) == 1
    with pytest.raises(FormatError, match="can be read but not changed"):
        add_recovery_code(newer, root, random=source, now=now)


def test_epochs_end(created: Created, raw_key: bytes, source: Source, now: int) -> None:
    """The last epoch of the format, 2**32 - 1, can be reached and is not passed in silence."""
    header, root = created
    late = compose(replace(header, epoch=2**32 - 2), header.slots, root.contents, root.root_key, source)

    last = new_replica(late, root, random=source)

    assert Header.decode(last.encode()).epoch == 2**32 - 1
    assert unlock(last, raw_key=raw_key).root_key == root.root_key
    with pytest.raises(FormatError, match="as often as the format allows"):
        add_recovery_code(last, root, random=source, now=now)


@pytest.mark.parametrize("label", ["x" * 101, "ü" * 51, "two\nlines", "nul\0", "half \ud800"])
def test_labels_are_short_printable_text(created: Created, source: Source, now: int, label: str) -> None:
    """What would not fit or would garble a list is refused before anything is made."""
    with pytest.raises(ValueError, match="printable text"):
        add_recovery_code(*created, label=label, random=source, now=now)


def test_all_slots_can_be_used(created: Created, source: Source, now: int) -> None:
    """24 ways fit, each opens, and the 25th is refused."""
    header, root = created
    for number in range(23):
        header = add_raw_key(header, root, bytes((number,)) * 32, label="x" * 100, random=source, now=now)

    assert all(unlock(header, raw_key=bytes((number,)) * 32).root_key == root.root_key for number in range(23))
    with pytest.raises(ValueError, match="All 24 key slots"):
        add_recovery_code(header, root, random=source, now=now)


def test_a_change_wipes_what_it_was_given_and_what_it_opened(
    created: Created, argon2_runs: Runs, kept: Keep, source: Source, now: int
) -> None:
    """Copies of secrets, and the catalog keys of the header that is changed, do not wait until somebody drops them."""
    header, root = created
    passphrases, codes = kept(change, "PassphraseSlot"), kept(change, "RecoveryCodeSlot")
    raw_keys, opened = kept(change, "RawKeySlot"), kept(change, "read_contents")

    header = add_passphrase(header, root, "first", random=source, now=now)
    header = change_passphrase(header, root, "second", random=source, now=now)
    header, _ = add_recovery_code(header, root, random=source, now=now)
    add_raw_key(header, root, b"3" * 32, random=source, now=now)

    assert [slot._passphrase.wiped for slot in passphrases] == [True, True]
    assert [slot._entropy.wiped for slot in codes] == [True]
    assert [slot._secret.wiped for slot in raw_keys] == [True]
    assert [contents.catalog_key.wiped for contents in opened] == [True] * 4
    assert not root.catalog_key.wiped
