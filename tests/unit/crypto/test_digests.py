"""Tests of the keyed hashes behind set digests and chains."""

from __future__ import annotations

import hashlib
import hmac

import pytest

from mimir_vault.crypto.digests import Digests
from mimir_vault.crypto.keys import Label, derive
from mimir_vault.crypto.secret import SecretBytes
from mimir_vault.errors import LockedError

SCOPE = bytes(range(16))


def test_an_element_is_keyed_blake2b(node_key: SecretBytes) -> None:
    """The tag's length, the tag and the element, under the digest key of secret and scope."""
    key = derive(node_key, Label.DIGEST, SCOPE)
    expected = hashlib.blake2b(b"\4node" + b"element", key=key.view(), digest_size=32).digest()

    assert Digests(node_key, SCOPE).digest_element(b"node", b"element") == int.from_bytes(expected, "big")


def test_a_chain_value_is_hmac(node_key: SecretBytes) -> None:
    """The previous value and the digest, under the chain key of secret and scope."""
    key = derive(node_key, Label.CHAIN, SCOPE)

    assert Digests(node_key, SCOPE).chain(b"p" * 32, b"d") == hmac.digest(key.view(), b"p" * 32 + b"d", "sha256")


def test_scopes_and_secrets_separate(node_key: SecretBytes) -> None:
    """Another space, vault or secret gives another digest and another chain."""
    others = [
        Digests(node_key, SCOPE),
        Digests(node_key, bytes(16)),
        Digests(SecretBytes.copy_of(bytes(32)), SCOPE),
    ]

    assert len({each.digest_element(b"t", b"e") for each in others}) == 3
    assert len({each.chain(bytes(32), b"d") for each in others}) == 3


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_previous_value_has_32_bytes(node_key: SecretBytes, length: int) -> None:
    """Otherwise it could run into the digest."""
    with pytest.raises(ValueError, match="32 bytes"):
        Digests(node_key, SCOPE).chain(bytes(length), b"d")


def test_a_tag_has_at_most_255_bytes(node_key: SecretBytes) -> None:
    """Its length is one byte: 255 fit, and one more is refused."""
    digests = Digests(node_key, SCOPE)
    key = derive(node_key, Label.DIGEST, SCOPE)
    expected = hashlib.blake2b(b"\xff" + b"t" * 255 + b"e", key=key.view(), digest_size=32).digest()

    assert digests.digest_element(b"t" * 255, b"e") == int.from_bytes(expected, "big")
    with pytest.raises(ValueError, match="at most 255 bytes, not 256"):
        digests.digest_element(b"t" * 256, b"e")


def test_a_wiped_key_hashes_nothing(node_key: SecretBytes) -> None:
    """After wipe both raise, and wiping again is harmless."""
    digests = Digests(node_key, SCOPE)
    digests.wipe()
    digests.wipe()

    with pytest.raises(LockedError):
        digests.digest_element(b"t", b"e")
    with pytest.raises(LockedError):
        digests.chain(bytes(32), b"d")
