"""Tests of what the ways to unlock share: the sealed body of a slot."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mimir_vault.crypto.keys import KdfProfile
from mimir_vault.crypto.secret import SecretBytes
from mimir_vault.errors import WrongKeyError
from mimir_vault.keyslots.slot import (
    SEALED_ROOT_LENGTH,
    SLOT_LENGTH,
    SlotKind,
    SlotPlace,
    key_encryption_key,
    open_root,
    seal_root,
)

VAULT = bytes(range(16))
PLACE = SlotPlace(VAULT, 5, bytes(16), KdfProfile.MODERATE)
Source = Callable[[int], bytes]


def test_kinds_have_their_numbers() -> None:
    """The numbers are bound into every slot and never change."""
    assert {kind.name: kind.value for kind in SlotKind} == {"PASSPHRASE": 1, "RECOVERY_CODE": 2, "RAW_KEY": 3}


def test_a_body_has_2048_bytes_that_look_random(source: Source) -> None:
    """The 104 sealed bytes are followed by random ones; nothing shows where they end."""
    kek = SecretBytes.random(32, source)

    body = seal_root(kek, SecretBytes.random(32, source), SlotKind.RAW_KEY, PLACE, source)

    assert len(body) == SLOT_LENGTH == 2048
    assert SEALED_ROOT_LENGTH == 104
    assert max(body.count(bytes((value,))) for value in range(256)) < 30


def test_place_and_kind_are_bound(source: Source) -> None:
    """A body opens at its own index, in its own vault and as its own kind only."""
    kek, root = SecretBytes.random(32, source), SecretBytes.random(32, source)
    body = seal_root(kek, root, SlotKind.RAW_KEY, PLACE, source)

    assert open_root(kek, body, SlotKind.RAW_KEY, PLACE) == root
    for kind, place in (
        (SlotKind.PASSPHRASE, PLACE),
        (SlotKind.RAW_KEY, SlotPlace(VAULT, 6, bytes(16), KdfProfile.MODERATE)),
        (SlotKind.RAW_KEY, SlotPlace(bytes(16), 5, bytes(16), KdfProfile.MODERATE)),
    ):
        with pytest.raises(WrongKeyError):
            open_root(kek, body, kind, place)


def test_the_root_key_in_clear_is_overwritten(overwritten: list[bytes], source: Source) -> None:
    """Sealing and opening hand their copy of it to `discard`."""
    kek, root = SecretBytes.random(32, source), SecretBytes.random(32, source)

    body = seal_root(kek, root, SlotKind.RAW_KEY, PLACE, source)
    assert overwritten == [bytes(root.view())]
    open_root(kek, body, SlotKind.RAW_KEY, PLACE)
    assert overwritten == [bytes(root.view())] * 2


def test_key_encryption_keys_are_separate() -> None:
    """One secret gives another key for another kind, profile or vault."""
    secret = SecretBytes.copy_of(b"s" * 32)
    combinations = [(1, 2, VAULT), (2, 2, VAULT), (1, 1, VAULT), (1, 2, bytes(16))]

    keys = [key_encryption_key(secret, *combination) for combination in combinations]

    assert len({bytes(key.view()) for key in keys}) == 4
