"""Tests of labels, derivation and the enumerated costs of passphrases."""

from __future__ import annotations

import hmac
import itertools

import pytest

from mimir_vault.crypto import keys
from mimir_vault.crypto.keys import Cost, KdfProfile, Label, derive, derive_from_weak, stretch
from mimir_vault.crypto.secret import SecretBytes
from mimir_vault.errors import FormatError


def test_no_label_begins_another() -> None:
    """Labels are distinct and prefix-free, whatever context follows them."""
    for one, other in itertools.permutations(Label, 2):
        assert not other.value.startswith(one.value)


def test_labels_are_versioned_text_that_ends_in_zero() -> None:
    """Every label names product and version, in lower-case ASCII, and ends in the only zero byte."""
    for label in Label:
        assert label.value.startswith(b"mimir/v1/")
        assert label.value.index(b"\0") == len(label.value) - 1
        assert label.value[:-1].decode("ascii").islower()


def test_derive_is_hkdf_expand_of_label_and_context(node_key: SecretBytes) -> None:
    """The first 64 bytes are one HMAC-SHA-512 of label, context and the number 1."""
    expected = hmac.digest(node_key.view(), Label.AUDIT.value + b"context" + b"\1", "sha512")

    assert bytes(derive(node_key, Label.AUDIT, b"context").view()) == expected[:32]
    assert bytes(derive(node_key, Label.AUDIT, b"context", length=64).view()) == expected


def test_derive_separates_labels_contexts_and_secrets(node_key: SecretBytes) -> None:
    """Another label, context or secret gives another key."""
    other = SecretBytes.copy_of(bytes(32))

    derived = [
        derive(node_key, Label.AUDIT),
        derive(node_key, Label.AUDIT, b"context"),
        derive(node_key, Label.DIGEST),
        derive(other, Label.AUDIT),
    ]

    assert len({bytes(secret.view()) for secret in derived}) == 4


def test_derive_from_weak_is_whole_hkdf(node_key: SecretBytes) -> None:
    """Extract with the salt, then Expand with label and context."""
    extracted = hmac.digest(b"salt", node_key.view(), "sha512")
    expected = hmac.digest(extracted, Label.KEY_SLOT.value + b"c" + b"\1", "sha512")[:32]

    assert bytes(derive_from_weak(node_key, b"salt", Label.KEY_SLOT, b"c").view()) == expected


def test_derive_from_weak_discards_what_it_extracted(node_key: SecretBytes, discarded: list[bytes]) -> None:
    """The pseudorandom key, from which every key of the slot follows, does not stay in the heap."""
    derive_from_weak(node_key, b"salt", Label.KEY_SLOT)

    assert discarded == [hmac.digest(b"salt", node_key.view(), "sha512")]


def test_profiles_are_the_three_of_the_format() -> None:
    """Numbers and costs are fixed for ever; they are written in every header."""
    assert {profile.value: profile.cost for profile in KdfProfile} == {
        1: Cost(64 * 1024, 3, 4),
        2: Cost(256 * 1024, 3, 4),
        3: Cost(1024 * 1024, 3, 4),
    }


@pytest.mark.parametrize("number", [number for number in range(256) if number not in (1, 2, 3)])
def test_every_other_profile_byte_is_refused(number: int) -> None:
    """No byte in a header can lower the cost or ask for unbounded memory."""
    with pytest.raises(FormatError, match=f"profile {number}"):
        KdfProfile.of_byte(number)


def test_profiles_have_names() -> None:
    """Callers name profiles in words; an unknown one is answered with those there are."""
    assert KdfProfile.of_name("moderate") is KdfProfile.MODERATE
    assert KdfProfile.of_byte(3) is KdfProfile.of_name("sensitive")
    with pytest.raises(ValueError, match="interactive, moderate, sensitive"):
        KdfProfile.of_name("fast")


def test_stretch_spends_what_the_profile_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cost of the profile, the salt and the passphrase reach Argon2id unchanged."""
    seen: dict[str, object] = {}

    def record(password: memoryview, salt: bytes, *, out: memoryview, **cost: int) -> None:
        seen.update(password=bytes(password), salt=salt, **cost)
        out[:] = b"s" * len(out)

    monkeypatch.setattr(keys, "argon2id_into", record)

    stretched = stretch(SecretBytes.copy_of(b"passphrase"), b"salt" * 4, KdfProfile.SENSITIVE)

    assert bytes(stretched.view()) == b"s" * 32
    assert seen == {"password": b"passphrase", "salt": b"salt" * 4, "memory_kib": 1 << 20, "passes": 3, "lanes": 4}
