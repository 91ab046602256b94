"""Tests of the passphrase slot: one Argon2id run for a whole header, and what counts as the same passphrase."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest

from mimir_vault.crypto.keys import KdfProfile
from mimir_vault.crypto.secret import SecretBytes
from mimir_vault.errors import LockedError, WrongKeyError
from mimir_vault.keyslots.passphrase import PASSPHRASE_MAX, PassphraseSlot, normalise
from mimir_vault.keyslots.slot import SlotPlace

PLACE = SlotPlace(bytes(16), 3, b"salt" * 4, KdfProfile.INTERACTIVE)
ROOT = b"r" * 32
Runs = list[tuple[bytes, bytes, int]]


def test_one_run_serves_all_slots_of_a_header(argon2_runs: Runs, source: Callable[[int], bytes]) -> None:
    """Trying 24 slots costs one Argon2id run."""
    slot = PassphraseSlot("passphrase")

    for index in range(24):
        with pytest.raises(WrongKeyError):
            slot.unwrap(source(2048), SlotPlace(bytes(16), index, b"salt" * 4, KdfProfile.MODERATE))

    assert argon2_runs == [(b"passphrase", b"salt" * 4, 256 * 1024)]


@pytest.mark.parametrize(
    "other",
    [
        SlotPlace(bytes(16), 3, b"else" * 4, KdfProfile.INTERACTIVE),
        SlotPlace(bytes(16), 3, b"salt" * 4, KdfProfile.MODERATE),
        SlotPlace(b"v" * 16, 3, b"salt" * 4, KdfProfile.INTERACTIVE),
    ],
    ids=["salt", "profile", "vault"],
)
def test_salt_profile_and_vault_are_bound(argon2_runs: Runs, source: Callable[[int], bytes], other: SlotPlace) -> None:
    """A slot opens with its vault's salt, profile and id only, and each of them asks for a run of its own."""
    slot = PassphraseSlot("passphrase")
    body = slot.wrap(SecretBytes.copy_of(ROOT), PLACE, source)

    with pytest.raises(WrongKeyError):
        slot.unwrap(body, other)

    assert len(argon2_runs) == 2
    assert bytes(slot.unwrap(body, PLACE).view()) == ROOT


def test_a_wiped_slot_opens_nothing(argon2_runs: Runs, source: Callable[[int], bytes]) -> None:
    """Passphrase and key are gone after wipe, before a run and after one."""
    slot = PassphraseSlot("passphrase")
    body = slot.wrap(SecretBytes.copy_of(ROOT), PLACE, source)
    slot.wipe()
    slot.wipe()
    fresh = PassphraseSlot("passphrase")
    fresh.wipe()

    for wiped in (slot, fresh):
        with pytest.raises(LockedError):
            wiped.unwrap(body, PLACE)


@pytest.mark.parametrize(
    ("typed", "same"),
    [
        ("Grüße", "Gru\u0308ße"),
        ("ﬁsh 12", "fish １２"),
        ("a\u00a0b", "a b"),
        ("plain ascii", "plain ascii"),
    ],
    ids=["composed", "compatible", "space", "ascii"],
)
def test_one_passphrase_typed_in_two_ways_is_one(typed: str, same: str) -> None:
    """NFKC joins what keyboards and systems write differently, in text and in bytes."""
    assert normalise(typed) == normalise(same) == normalise(bytearray(typed, "utf-8"))


@pytest.mark.parametrize("other", ["passphrase ", " passphrase", "Passphrase", "passphrase\n"])
def test_nothing_else_is_made_equal(other: str) -> None:
    """Case counts and nothing is trimmed."""
    assert normalise(other) != normalise("passphrase")


@pytest.mark.parametrize("typed", ["p" * PASSPHRASE_MAX, bytearray(b"p" * PASSPHRASE_MAX), "ü" * 2048, "p", " "])
def test_the_longest_and_the_shortest_passphrase_are_taken(typed: str | bytearray) -> None:
    """4,096 bytes of UTF-8 are, and so is a single character."""
    expected = typed.encode() if isinstance(typed, str) else bytes(typed)

    assert bytes(normalise(typed).view()) == expected


@pytest.mark.parametrize("empty", ["", bytearray()])
def test_an_empty_passphrase_is_refused(empty: str | bytearray) -> None:
    """No vault is closed by nothing."""
    with pytest.raises(ValueError, match="is empty"):
        PassphraseSlot(empty)


@pytest.mark.parametrize(
    ("nonsense", "error", "sentence"),
    [
        ("seats \ud800", ValueError, "lone surrogate"),
        (bytearray(b"\xff\xfe"), ValueError, "not valid UTF-8"),
        ("x" * (PASSPHRASE_MAX + 1), ValueError, "longer than 4096"),
        (b"bytes", TypeError, "str or a bytearray, not bytes"),
        (None, TypeError, "not NoneType"),
    ],
    ids=["surrogate", "not utf-8", "long", "bytes", "none"],
)
def test_nonsense_gets_a_sentence(nonsense: object, error: type[Exception], sentence: str) -> None:
    """What cannot be a passphrase is refused without repeating it."""
    with pytest.raises(error, match=sentence) as caught:
        PassphraseSlot(nonsense)  # type: ignore[arg-type]

    assert "seats" not in str(caught.value)


@pytest.mark.parametrize("typed", ["plain ascii", "Grüße", bytearray("Grüße", "utf-8"), "p" * (PASSPHRASE_MAX + 1)])
def test_every_mutable_copy_is_overwritten(overwritten: list[bytes], typed: str | bytearray) -> None:
    """What was encoded goes once it is in the secret, or refused; so do the bytes from which text was decoded."""
    expected = bytes(typed) if isinstance(typed, bytearray) else typed.encode()

    with contextlib.suppress(ValueError):
        normalise(typed)

    assert overwritten == [expected] * (1 if isinstance(typed, str) else 2)


def test_bytes_that_are_no_text_are_overwritten(overwritten: list[bytes]) -> None:
    """A passphrase in another encoding is refused, and the copy of it goes."""
    with pytest.raises(ValueError, match="not valid UTF-8"):
        normalise(bytearray(b"Gr\xfc\xdfe"))

    assert overwritten == [b"Gr\xfc\xdfe"]


def test_wiping_takes_passphrase_and_keys(argon2_runs: Runs, source: Callable[[int], bytes]) -> None:
    """The key for one place goes when another is asked for, and the last one with the passphrase."""
    slot = PassphraseSlot("passphrase")
    slot.wrap(SecretBytes.copy_of(ROOT), PLACE, source)
    first = slot._kek
    assert first is not None

    slot.wrap(SecretBytes.copy_of(ROOT), SlotPlace(bytes(16), 3, b"else" * 4, KdfProfile.INTERACTIVE), source)
    second = slot._kek
    assert second is not None
    assert (first.wiped, second.wiped) == (True, False)

    slot.wipe()
    assert slot._passphrase.wiped
    assert second.wiped


def test_a_bytearray_stays_its_owners() -> None:
    """The caller's buffer is neither kept nor changed, so its owner can wipe it at once."""
    typed = bytearray("Grüße", "utf-8")

    slot = PassphraseSlot(typed)
    typed[:] = bytes(len(typed))

    assert bytes(slot._passphrase.view()) == "Grüße".encode()
