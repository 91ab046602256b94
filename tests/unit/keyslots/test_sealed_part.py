"""Tests of the sealed part of the header: round trips, limits, and exactly one encoding."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mimir_vault.crypto.envelope import Context, Role, seal
from mimir_vault.crypto.keys import Label, derive
from mimir_vault.crypto.secret import SecretBytes
from mimir_vault.errors import FormatError, TamperedError
from mimir_vault.keyslots.sealed_part import (
    LABEL_MAX,
    PLAIN_LENGTH,
    SEALED_LENGTH,
    HeaderContents,
    SlotDescription,
    open_contents,
    seal_contents,
)

VAULT = bytes(range(16))
EPOCH = 9
Source = Callable[[int], bytes]


@pytest.fixture
def root_key(source: Source) -> SecretBytes:
    """A root key."""
    return SecretBytes.random(32, source)


def contents(*slots: SlotDescription, following: bytes | None = None, file: str = "catalog.db") -> HeaderContents:
    return HeaderContents(
        catalog_file=file,
        catalog_key=SecretBytes.copy_of(b"c" * 32),
        next_catalog_key=None if following is None else SecretBytes.copy_of(following),
        slots=slots,
    )


FULL = tuple(SlotDescription(f"{index:08x}", index, 1 + index % 3, "ü" * 50, 10**15 + index) for index in range(24))


@pytest.mark.parametrize(
    "value",
    [
        contents(),
        contents(SlotDescription("00c0ffee", 23, 200, "", 0)),
        contents(*FULL, following=bytes(32), file="c" * 64),
        contents(*FULL[:3], following=b"n" * 32),
    ],
    ids=["empty", "unknown kind", "full", "rekeying"],
)
def test_contents_come_back(root_key: SecretBytes, source: Source, value: HeaderContents) -> None:
    """Whatever fits comes back equal, in 8,192 bytes."""
    sealed = seal_contents(value, root_key, VAULT, EPOCH, source)

    assert len(sealed) == SEALED_LENGTH == 8192
    assert open_contents(sealed, root_key, VAULT, EPOCH) == value


def test_another_vault_epoch_or_root_is_refused(root_key: SecretBytes, source: Source) -> None:
    """The sealed part belongs to one epoch of one header."""
    sealed = seal_contents(contents(), root_key, VAULT, EPOCH, source)

    for root, vault, epoch in (
        (SecretBytes.copy_of(bytes(32)), VAULT, EPOCH),
        (root_key, bytes(16), EPOCH),
        (root_key, VAULT, EPOCH + 1),
    ):
        with pytest.raises(TamperedError):
            open_contents(sealed, root, vault, epoch)


def seal_plain(plain: bytes, root_key: SecretBytes, source: Source) -> bytes:
    with derive(root_key, Label.HEADER_SEAL, VAULT) as key:
        return seal(key, Context(Role.HEADER, VAULT, EPOCH.to_bytes(4, "big")), plain, source)


SLOT = b"\0\3" + b"\xaa\xbb\xcc\xdd" + (5).to_bytes(8, "big") + b"\1x"
LATER_SLOT = b"\1" + SLOT[1:]
HEAD = b"\1\1c" + b"k" * 32
REST = b"\0" + bytes(32)


@pytest.mark.parametrize(
    "plain",
    [
        b"\1\0" + b"k" * 32 + REST + b"\0",
        HEAD + b"\2" + bytes(32) + b"\0",
        HEAD + b"\0" + b"n" * 32 + b"\0",
        HEAD + REST + b"\0" + b"rest",
        HEAD + REST + b"\1\x18" + SLOT[1:],
        HEAD + REST + b"\2" + SLOT + SLOT,
        HEAD + REST + b"\2" + LATER_SLOT + SLOT,
        HEAD + REST + b"\1" + SLOT[:-1] + b"\xff",
        b"\1\1\xff" + b"k" * 32 + REST + b"\0",
        HEAD + REST + b"\xff" + (SLOT * 600)[: PLAIN_LENGTH - len(HEAD + REST) - 1],
    ],
    ids=[
        "no name",
        "flag",
        "key without flag",
        "rest",
        "index 24",
        "index twice",
        "out of order",
        "label not utf-8",
        "name not ascii",
        "too many slots",
    ],
)
def test_another_form_is_refused(root_key: SecretBytes, source: Source, plain: bytes) -> None:
    """One value has one encoding, also for a writer that holds the root key."""
    sealed = seal_plain(plain.ljust(PLAIN_LENGTH, b"\0"), root_key, source)

    with pytest.raises(TamperedError):
        open_contents(sealed, root_key, VAULT, EPOCH)


def test_slots_that_run_over_the_end_are_refused(root_key: SecretBytes, source: Source) -> None:
    """A count that promises more than there is gets no further than the end."""
    long_slot = b"\0\3" + bytes(12) + b"\xff" + b"x" * 255
    plain = (HEAD + REST + b"\xff" + long_slot * 40)[:PLAIN_LENGTH]

    with pytest.raises(TamperedError):
        open_contents(seal_plain(plain, root_key, source), root_key, VAULT, EPOCH)


def test_the_accepted_form_is_the_one_written(root_key: SecretBytes, source: Source) -> None:
    """The parts of these tests, put together rightly, do open."""
    plain = (HEAD + REST + b"\2" + SLOT + LATER_SLOT).ljust(PLAIN_LENGTH, b"\0")

    opened = open_contents(seal_plain(plain, root_key, source), root_key, VAULT, EPOCH)

    assert [slot.index for slot in opened.slots] == [0, 1]
    assert opened.slots[0] == SlotDescription("aabbccdd", 0, 3, "x", 5)


def test_a_newer_layout_says_so(root_key: SecretBytes, source: Source) -> None:
    """A layout number unknown here is a matter of version and not of tampering."""
    with pytest.raises(FormatError, match="newer version"):
        open_contents(seal_plain(b"\2".ljust(PLAIN_LENGTH, b"\0"), root_key, source), root_key, VAULT, EPOCH)


def test_limits_are_refused(root_key: SecretBytes, source: Source) -> None:
    """Labels and file names have limits with names."""
    long_label = SlotDescription("00000000", 0, 1, "x" * (LABEL_MAX + 1), 0)
    with pytest.raises(ValueError, match="at most 100 bytes"):
        seal_contents(contents(long_label), root_key, VAULT, EPOCH, source)
    for file in ("", "c" * 65):
        with pytest.raises(ValueError, match="1 to 64 bytes"):
            seal_contents(contents(file=file), root_key, VAULT, EPOCH, source)


def test_kinds_are_named_in_words() -> None:
    """`key list` can say what a slot is, also of a kind that this version does not know."""
    names = [SlotDescription("00000000", 0, kind, "", 0).kind_name for kind in (1, 2, 3, 77)]

    assert names == ["passphrase", "recovery code", "raw key", "kind 77"]


def test_the_contents_in_clear_are_overwritten(root_key: SecretBytes, source: Source, overwritten: list[bytes]) -> None:
    """The keys of the catalog stand in no buffer that sealing or opening used."""
    value = contents(*FULL[:3], following=b"n" * 32)

    sealed = seal_contents(value, root_key, VAULT, EPOCH, source)
    scratch, content = overwritten
    assert content == scratch.ljust(PLAIN_LENGTH, b"\0")
    assert b"c" * 32 in scratch
    assert b"n" * 32 in scratch

    open_contents(sealed, root_key, VAULT, EPOCH)
    assert overwritten[2:] == [content]


def test_wiping_closes_both_keys() -> None:
    """Neither catalog key survives wipe."""
    value = contents(following=b"n" * 32)

    value.wipe()

    assert value.catalog_key.wiped
    assert value.next_catalog_key is not None
    assert value.next_catalog_key.wiped
