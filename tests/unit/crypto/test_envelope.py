"""Tests of the envelope: its layout, what it is bound to, and that it commits to its key."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from mimir_vault.crypto import envelope as envelope_module
from mimir_vault.crypto.envelope import (
    COMMIT_LENGTH,
    MAX_PLAINTEXT,
    OVERHEAD,
    Context,
    Role,
    Suite,
    node_id,
    open_envelope,
    seal,
)
from mimir_vault.crypto.keys import Label
from mimir_vault.crypto.primitives import AesGcm, hkdf_expand_into
from mimir_vault.crypto.secret import SecretBytes
from mimir_vault.errors import LockedError, TamperedError

SPACE = bytes(range(16))
Source = Callable[[int], bytes]


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("plaintext", [b"", b"x", b"window seats" * 100])
def test_what_is_sealed_opens(node_key: SecretBytes, source: Source, role: Role, plaintext: bytes) -> None:
    """Every role opens to the bytes that were sealed, at 72 bytes more."""
    context = Context(role, SPACE)

    sealed = seal(node_key, context, plaintext, source)

    assert open_envelope(node_key, context, sealed) == plaintext
    assert len(sealed) == OVERHEAD + len(plaintext)


def test_roles_and_suites_have_their_numbers() -> None:
    """The numbers are written into every envelope's derivation and never change."""
    assert {role.name: (role.value, role.suite.value) for role in Role} == {
        "PAYLOAD": (1, 1),
        "METADATA": (2, 2),
        "STATE": (3, 1),
        "VECTOR": (4, 1),
        "KEY_SLOT": (16, 1),
        "HEADER": (17, 1),
        "SPACE_RING": (18, 1),
        "IDENTITY": (19, 1),
        "BACKUP": (20, 1),
    }
    assert [suite.name for suite in Suite] == ["AES_256_GCM", "XCHACHA20_POLY1305"]


def test_context_is_encoded_as_the_format_says() -> None:
    """Version, suite, scope, role, detail, in this order."""
    assert Context(Role.METADATA, SPACE, b"detail").encoded == b"\1\2" + SPACE + b"\2" + b"detail"


@pytest.mark.parametrize("length", [0, 15, 17])
def test_a_scope_has_16_bytes(length: int) -> None:
    """A scope of another length would make contexts ambiguous."""
    with pytest.raises(ValueError, match="16 bytes"):
        Context(Role.PAYLOAD, bytes(length))


def test_two_seals_of_one_text_differ_everywhere(node_key: SecretBytes, source: Source) -> None:
    """Salt, commitment and ciphertext are new for every envelope, under one node key too."""
    context = Context(Role.PAYLOAD, SPACE)

    one, other = (seal(node_key, context, b"same text", source) for _ in range(2))

    for start, end in ((0, 24), (24, 56), (56, len(one))):
        assert one[start:end] != other[start:end]


@pytest.mark.parametrize("role", [Role.PAYLOAD, Role.METADATA])
def test_every_changed_bit_is_refused(node_key: SecretBytes, source: Source, role: Role) -> None:
    """No bit of an envelope can be flipped."""
    context = Context(role, SPACE)
    sealed = seal(node_key, context, b"12 bytes long", source)

    for bit in range(len(sealed) * 8):
        changed = bytearray(sealed)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(TamperedError):
            open_envelope(node_key, context, bytes(changed))


def test_every_cut_and_extension_is_refused(node_key: SecretBytes, source: Source) -> None:
    """An envelope of another length never opens."""
    context = Context(Role.PAYLOAD, SPACE)
    sealed = seal(node_key, context, b"text", source)

    for end in range(len(sealed)):
        with pytest.raises(TamperedError, match="shorter than any" if end < OVERHEAD else "do not open"):
            open_envelope(node_key, context, sealed[:end])
    with pytest.raises(TamperedError):
        open_envelope(node_key, context, sealed + b"\0")


@pytest.mark.parametrize(
    "other",
    [
        Context(Role.STATE, SPACE, b"detail"),
        Context(Role.METADATA, SPACE, b"detail"),
        Context(Role.PAYLOAD, bytes(16), b"detail"),
        Context(Role.PAYLOAD, SPACE, b"retail"),
        Context(Role.PAYLOAD, SPACE),
    ],
    ids=["role", "role and suite", "space", "detail", "no detail"],
)
def test_another_context_is_refused(node_key: SecretBytes, source: Source, other: Context) -> None:
    """An envelope opens as what it was sealed as and in its own space only."""
    sealed = seal(node_key, Context(Role.PAYLOAD, SPACE, b"detail"), b"text", source)

    with pytest.raises(TamperedError):
        open_envelope(node_key, other, sealed)


def test_another_version_or_suite_is_refused(
    node_key: SecretBytes, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An envelope of another format version or suite fails at its commitment."""
    sealed = seal(node_key, Context(Role.PAYLOAD, SPACE), b"text", source)
    other_suite = Context(Role.PAYLOAD, SPACE)
    other_suite.encoded = b"\1\2" + other_suite.encoded[2:]
    monkeypatch.setattr(envelope_module, "FORMAT_VERSION", 2)

    for other in (Context(Role.PAYLOAD, SPACE), other_suite):
        with pytest.raises(TamperedError, match="another key or for another place"):
            open_envelope(node_key, other, sealed)


def test_another_key_is_refused_before_decrypting(
    node_key: SecretBytes, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a wrong key the cipher is never called."""
    context = Context(Role.PAYLOAD, SPACE)
    sealed = seal(node_key, context, b"text", source)
    monkeypatch.setattr(AesGcm, "open", lambda *_: pytest.fail("decrypted before the commitment was compared"))

    with pytest.raises(TamperedError, match="another key"):
        open_envelope(SecretBytes.copy_of(bytes(32)), context, sealed)


# What follows makes one AES-GCM ciphertext that opens under two keys, by the algebra of GHASH (Grubbs, Lu and
# Ristenpart, "Message Franking via Committing Authenticated Encryption", 2017).
BLOCK = 16  # bytes
REDUCTION = 0xE1 << 120  # x^128 + x^7 + x^2 + x + 1 in GCM's bit order (NIST SP 800-38D, 6.3)


def multiply(left: int, right: int) -> int:
    """Return the product of two elements of GCM's field."""
    product = 0
    for bit in range(127, -1, -1):
        if left >> bit & 1:
            product ^= right
        right = right >> 1 ^ (REDUCTION if right & 1 else 0)
    return product


def invert(element: int) -> int:
    """Return the inverse: the element to the power 2^128 - 2."""
    result, square = 1 << 127, element
    for _ in range(127):
        square = multiply(square, square)
        result = multiply(result, square)
    return result


def encrypt_block(key: bytes, block: bytes) -> int:
    """Return AES of one block as a number."""
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    return int.from_bytes(encryptor.update(block), "big")


def ghash(key: int, blocks: list[int]) -> int:
    """Return GHASH of whole blocks."""
    state = 0
    for block in blocks:
        state = multiply(state ^ block, key)
    return state


def as_blocks(content: bytes) -> list[int]:
    """Cut into blocks, the last one padded with zeros."""
    return [int.from_bytes(content[at : at + BLOCK].ljust(BLOCK, b"\0"), "big") for at in range(0, len(content), BLOCK)]


def forge(first: tuple[bytes, bytes], second: tuple[bytes, bytes], associated: bytes, visible: bytes) -> bytes:
    """Return ciphertext | tag that AES-256-GCM opens under both (key, nonce) pairs with these associated bytes.

    `visible` is a whole number of ciphertext blocks of the forger's choice (so one plaintext can be chosen at will);
    one more block is solved for, so that both tags agree.
    """
    tags, weights = [], []
    for key, nonce in (first, second):
        hash_key = encrypt_block(key, bytes(BLOCK))
        lengths = (len(associated) * 8) << 64 | (len(visible) + BLOCK) * 8
        blocks = [*as_blocks(associated), *as_blocks(visible), 0, lengths]
        tags.append(ghash(hash_key, blocks) ^ encrypt_block(key, nonce + b"\0\0\0\1"))
        weights.append(multiply(hash_key, hash_key))
    free = multiply(tags[0] ^ tags[1], invert(weights[0] ^ weights[1]))
    tag = tags[0] ^ multiply(free, weights[0])
    return visible + free.to_bytes(BLOCK, "big") + tag.to_bytes(BLOCK, "big")


def derived_for(node_key: SecretBytes, salt: bytes, context: Context) -> tuple[bytes, bytes, bytes]:
    out = bytearray(76)
    hkdf_expand_into(node_key.view(), Label.ENVELOPE.value + salt + context.encoded, memoryview(out))
    return bytes(out[:32]), bytes(out[32:44]), bytes(out[44:])


def test_a_ciphertext_for_two_keys_fails_at_the_commitment(source: Source) -> None:
    """AES-GCM alone opens a forged ciphertext under both keys; the envelope opens it under neither."""
    context, salt = Context(Role.PAYLOAD, SPACE), source(24)
    keys = [SecretBytes.random(32, source) for _ in range(2)]
    derived = [derived_for(key, salt, context) for key in keys]
    forged = forge(derived[0][:2], derived[1][:2], context.encoded, source(32))

    plaintexts = [AesGcm(key).open(nonce, forged, context.encoded) for key, nonce, _ in derived]
    assert plaintexts[0] != plaintexts[1]  # the control: without a commitment the forgery succeeds

    for committed, (_, _, commit) in enumerate(derived):
        envelope = salt + commit + forged
        assert open_envelope(keys[committed], context, envelope) == plaintexts[committed]
        with pytest.raises(TamperedError, match="another key"):
            open_envelope(keys[1 - committed], context, envelope)


def test_a_fault_while_sealing_is_noticed(
    node_key: SecretBytes, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What does not open again is never returned."""
    genuine = AesGcm.seal
    monkeypatch.setattr(AesGcm, "seal", lambda self, nonce, plaintext, aad: genuine(self, nonce, b"fault", aad))

    with pytest.raises(TamperedError, match="did not open to the same bytes"):
        seal(node_key, Context(Role.PAYLOAD, SPACE), b"text", source)


@pytest.mark.parametrize("role", [Role.PAYLOAD, Role.METADATA])
def test_sealing_discards_what_it_opened_to_compare(
    node_key: SecretBytes, source: Source, discarded: list[bytes], role: Role
) -> None:
    """The plaintext may be a key; the copy that the check makes goes at once."""
    seal(node_key, Context(role, SPACE), b"a key, it may be", source)

    assert discarded[-1] == b"a key, it may be"


def test_limits_are_refused_in_a_sentence(node_key: SecretBytes, source: Source) -> None:
    """Neither more than the limit nor a short salt is sealed."""

    class Long(bytes):
        said = MAX_PLAINTEXT + 1

        def __len__(self) -> int:
            return self.said

    with pytest.raises(ValueError, match="at most 1073741824 bytes"):
        seal(node_key, Context(Role.PAYLOAD, SPACE), Long(), source)
    Long.said = MAX_PLAINTEXT
    assert len(seal(node_key, Context(Role.PAYLOAD, SPACE), Long(), source)) == OVERHEAD
    with pytest.raises(ValueError, match="source of randomness"):
        seal(node_key, Context(Role.PAYLOAD, SPACE), b"", lambda _: b"short")


def test_a_wiped_key_seals_and_opens_nothing(node_key: SecretBytes, source: Source) -> None:
    """After wiping, the key raises rather than being taken for zeros."""
    context = Context(Role.PAYLOAD, SPACE)
    sealed = seal(node_key, context, b"text", source)

    node_key.wipe()

    with pytest.raises(LockedError):
        open_envelope(node_key, context, sealed)
    with pytest.raises(LockedError):
        seal(node_key, context, b"text", source)


def test_node_id_is_the_hash_of_both_envelopes() -> None:
    """Label, length, payload envelope, length, metadata envelope."""
    expected = hashlib.sha256(b"mimir/v1/node-id\0" + bytes(7) + b"\3abc" + bytes(7) + b"\2de").digest()

    assert node_id(b"abc", b"de") == expected
    assert len(expected) == COMMIT_LENGTH


def test_node_id_tells_where_one_envelope_ends() -> None:
    """Bytes cannot be moved from one envelope into the other."""
    generator = random.Random(1)
    whole = generator.randbytes(200)

    assert len({node_id(whole[:cut], whole[cut:]) for cut in range(201)}) == 201
