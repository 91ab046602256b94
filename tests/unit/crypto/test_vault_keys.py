"""Tests of what hangs on the catalog key."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable

import pytest

from mimir_vault.crypto.digests import Digests
from mimir_vault.crypto.envelope import Context, Role, seal
from mimir_vault.crypto.keys import Label, derive
from mimir_vault.crypto.secret import SecretBytes
from mimir_vault.crypto.vault_keys import VaultKeys, pins_file_name
from mimir_vault.errors import LockedError, TamperedError

VAULT, SPACE = bytes(range(16)), bytes(range(16, 32))
Source = Callable[[int], bytes]


@pytest.fixture
def catalog_key(source: Source) -> SecretBytes:
    """A catalog key."""
    return SecretBytes.random(32, source)


@pytest.fixture
def vault_keys(catalog_key: SecretBytes, source: Source) -> VaultKeys:
    """The keys below it."""
    return VaultKeys(VAULT, catalog_key, source)


def test_every_purpose_has_a_key_of_its_own(vault_keys: VaultKeys, catalog_key: SecretBytes) -> None:
    """Catalog pages, pins and audit differ, and are derived by their labels with the vault id."""
    derived = [vault_keys.catalog_page_key(), vault_keys.pins_page_key(), vault_keys.audit_key()]
    labels = [Label.CATALOG_PAGES, Label.PINS_PAGES, Label.AUDIT]

    assert derived == [derive(catalog_key, label, VAULT) for label in labels]
    assert len({bytes(secret.view()) for secret in derived}) == 3


def test_another_vault_has_other_keys(vault_keys: VaultKeys, catalog_key: SecretBytes, source: Source) -> None:
    """The vault id goes into every derivation."""
    assert VaultKeys(SPACE, catalog_key, source).catalog_page_key() != vault_keys.catalog_page_key()


def test_the_catalog_has_digests_of_its_own(vault_keys: VaultKeys, catalog_key: SecretBytes) -> None:
    """They are keyed by the catalog key for the vault id as scope."""
    expected = Digests(catalog_key, VAULT).digest_element(b"space", b"row")

    assert vault_keys.digests().digest_element(b"space", b"row") == expected


def test_pins_keep_their_name_when_keys_change(vault_keys: VaultKeys, source: Source) -> None:
    """The name of the pins follows from the vault id alone: 32 hex digits."""
    expected = hmac.new(b"mimir/v1/pin-file-name\0", VAULT, hashlib.sha256).hexdigest()[:32]

    assert vault_keys.pins_file_name == pins_file_name(VAULT) == expected
    assert VaultKeys(VAULT, SecretBytes.random(32, source), source).pins_file_name == expected
    assert pins_file_name(SPACE) != expected


def test_a_ring_comes_back(vault_keys: VaultKeys, source: Source) -> None:
    """Epochs and secrets survive wrapping, whatever order they were given in."""
    ring = {epoch: SecretBytes.random(32, source) for epoch in (7, 1, 3)}

    wrapped = vault_keys.wrap_ring(SPACE, ring)

    assert vault_keys.unwrap_ring(SPACE, wrapped) == ring
    assert list(vault_keys.unwrap_ring(SPACE, wrapped)) == [1, 3, 7]
    assert len(wrapped) == 72 + 3 * 36


def test_the_longest_ring_comes_back(vault_keys: VaultKeys, source: Source) -> None:
    """A ring may have 4,096 epochs."""
    secret = SecretBytes.random(32, source)

    ring = vault_keys.unwrap_ring(SPACE, vault_keys.wrap_ring(SPACE, dict.fromkeys(range(1, 4097), secret)))

    assert list(ring) == list(range(1, 4097))
    assert ring[1] == ring[4096] == secret


def test_rings_begin_with_one_and_grow(vault_keys: VaultKeys) -> None:
    """A new space has epoch 1; each next ring has one more and copies of the rest."""
    first = vault_keys.new_ring()
    second = vault_keys.next_ring(first)

    assert list(first) == [1]
    assert list(second) == [1, 2]
    assert second[1] == first[1] != second[2]
    first[1].wipe()
    assert not second[1].wiped


def test_a_ring_belongs_to_one_space_of_one_vault(
    vault_keys: VaultKeys, catalog_key: SecretBytes, source: Source
) -> None:
    """A ring pasted into another row or another vault does not unwrap, and no bit of it can be changed."""
    wrapped = vault_keys.wrap_ring(SPACE, vault_keys.new_ring())

    with pytest.raises(TamperedError):
        vault_keys.unwrap_ring(VAULT, wrapped)
    with pytest.raises(TamperedError):
        VaultKeys(SPACE, catalog_key, source).unwrap_ring(SPACE, wrapped)
    for place in range(len(wrapped)):
        changed = bytearray(wrapped)
        changed[place] ^= 0x10
        with pytest.raises(TamperedError):
            vault_keys.unwrap_ring(SPACE, bytes(changed))


def test_a_ring_in_clear_is_discarded(vault_keys: VaultKeys, discarded: list[bytes]) -> None:
    """Neither wrapping nor unwrapping leaves the secrets of a space in the heap."""
    ring = vault_keys.new_ring()
    plain = b"\0\0\0\1" + bytes(ring[1].view())
    discarded.clear()

    wrapped = vault_keys.wrap_ring(SPACE, ring)
    assert discarded == [plain, plain]  # what was sealed, and what opening it again gave
    discarded.clear()

    vault_keys.unwrap_ring(SPACE, wrapped)
    assert discarded == [plain]


@pytest.mark.parametrize(
    "plain",
    [
        b"",
        b"\0\0\0\1" + bytes(31),
        b"\0\0\0\0" + bytes(32),
        b"\0\0\0\2" + bytes(32) + b"\0\0\0\1" + bytes(32),
        b"\0\0\0\1" + bytes(32) + b"\0\0\0\1" + bytes(32),
    ],
    ids=["empty", "cut", "epoch zero", "out of order", "twice"],
)
def test_a_ring_in_another_form_is_refused(
    vault_keys: VaultKeys, catalog_key: SecretBytes, source: Source, plain: bytes
) -> None:
    """One ring has one encoding, also for a writer that holds the key."""
    with derive(catalog_key, Label.SPACE_RING_WRAP, VAULT) as key:
        wrapped = seal(key, Context(Role.SPACE_RING, SPACE, VAULT), plain, source)

    with pytest.raises(TamperedError):
        vault_keys.unwrap_ring(SPACE, wrapped)


def test_nonsense_is_refused(vault_keys: VaultKeys, catalog_key: SecretBytes, source: Source) -> None:
    """No empty or endless ring, no short vault id."""
    secret = SecretBytes.random(32, source)
    with pytest.raises(ValueError, match="1 to 4096 epochs"):
        vault_keys.wrap_ring(SPACE, {})
    with pytest.raises(ValueError, match="1 to 4096 epochs, not 4097"):
        vault_keys.wrap_ring(SPACE, dict.fromkeys(range(1, 4098), secret))
    with pytest.raises(ValueError, match="16 bytes"):
        VaultKeys(b"short", catalog_key, source)


def test_wiped_keys_are_gone(vault_keys: VaultKeys, catalog_key: SecretBytes) -> None:
    """After wipe nothing is derived; the caller's catalog key is untouched."""
    vault_keys.wipe()
    vault_keys.wipe()

    with pytest.raises(LockedError):
        vault_keys.catalog_page_key()
    assert not catalog_key.wiped
