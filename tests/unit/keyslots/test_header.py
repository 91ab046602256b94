"""Tests of the header: its layout to the byte, and that no bit of it can be changed."""

from __future__ import annotations

import hashlib
import hmac
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from mimir_vault.crypto.keys import KdfProfile, Label, derive
from mimir_vault.crypto.secret import SecretBytes
from mimir_vault.errors import FormatError, MimirError, TamperedError, WrongKeyError
from mimir_vault.keyslots.header import HEADER_LENGTH, Header
from mimir_vault.keyslots.unlock import UnlockedRoot, unlock

CHECKSUM = slice(65_472, 65_504)
MAC = slice(65_504, 65_536)
Created = tuple[Header, UnlockedRoot]


def with_checksum(raw: bytes | bytearray) -> bytes:
    """Return a header whose checksum fits again, as an attacker would leave it."""
    changed = bytearray(raw)
    changed[CHECKSUM] = hashlib.sha256(changed[: CHECKSUM.start]).digest()
    return bytes(changed)


def flipped(raw: bytes, bit: int) -> bytearray:
    changed = bytearray(raw)
    changed[bit // 8] ^= 1 << bit % 8
    return changed


def test_the_layout_is_that_of_the_format(created: Created) -> None:
    """Every field lies where docs/FORMAT.md says."""
    header, root = created
    raw = header.encode()

    assert len(raw) == HEADER_LENGTH == 65_536
    assert raw[:8] == b"MIMIR\r\n\x1a"
    assert tuple(raw[8:12]) == (1, 0, 1, KdfProfile.MODERATE)
    assert int.from_bytes(raw[12:16], "big") == header.epoch == 1
    assert (raw[16:32], raw[32:48], raw[48:64]) == (header.vault_id, header.replica_id, header.kdf_salt)
    assert b"".join(header.slots) == raw[64:49_216]
    assert header.sealed == raw[49_216:57_408]
    assert header.fill == raw[57_408:65_472]
    assert raw[CHECKSUM] == hashlib.sha256(raw[:65_472]).digest()
    mac_key = derive(root.root_key, Label.HEADER_MAC, header.vault_id)
    assert raw[MAC] == hmac.digest(mac_key.view(), raw[:65_504], "sha256")


def test_a_header_decodes_to_itself(created: Created) -> None:
    """Decoding and encoding give back every byte."""
    header, _ = created

    assert Header.decode(header.encode()) == header
    assert Header.decode(header.encode()).encode() == header.encode()


def test_all_but_16_bytes_look_random(created: Created) -> None:
    """Used and unused slots cannot be told apart: no run of zeros, every byte value about equally often."""
    raw = created[0].encode()[16:]

    assert b"\0\0\0\0" not in raw
    assert all(150 < raw.count(bytes((value,))) < 370 for value in range(256))


def refused(raw: bytearray, bits: range) -> int:
    """Return how many of these bits, flipped one by one, are refused by decoding."""
    count = 0
    for bit in bits:
        raw[bit // 8] ^= 1 << bit % 8
        try:
            Header.decode(raw)  # type: ignore[arg-type]
        except (TamperedError, FormatError):
            count += 1
        raw[bit // 8] ^= 1 << bit % 8
    return count


def test_one_flipped_bit_in_any_byte_is_refused(created: Created) -> None:
    """Every byte before the MAC is guarded by magic, version or checksum: bit 0 of the first, 1 of the next, and on."""
    raw = bytearray(created[0].encode())

    bits = [range(byte * 8 + byte % 8, byte * 8 + byte % 8 + 1) for byte in range(MAC.start)]

    assert sum(refused(raw, bit) for bit in bits) == MAC.start


@pytest.mark.slow
def test_every_flipped_bit_is_refused(created: Created) -> None:
    """All 524,032 bits before the MAC, one by one, are refused by decoding; the MAC's 256 have a test of their own."""
    raw = created[0].encode()
    half = MAC.start * 4

    with ThreadPoolExecutor(2) as threads:
        counts = threads.map(refused, (bytearray(raw), bytearray(raw)), (range(half), range(half, 2 * half)))

    assert sum(counts) == 2 * half


def test_every_flipped_bit_of_the_mac_is_refused(created: Created) -> None:
    """The last 32 bytes are no part of the checksum; the root key refuses them."""
    header, root = created
    raw = header.encode()

    for bit in range(MAC.start * 8, MAC.stop * 8):
        with pytest.raises(TamperedError, match="other than Mimir"):
            Header.decode(bytes(flipped(raw, bit))).check_mac(root.root_key)


def test_flips_with_a_fitting_checksum_fail_the_mac(created: Created, raw_key: bytes) -> None:
    """An attacker who mends the checksum is refused: by the MAC, or because the secret no longer opens its slot."""
    header, _ = created
    raw = header.encode()
    generator = random.Random(3)
    bits = {*range(8 * 8, 64 * 8), *(generator.randrange(64 * 8, CHECKSUM.start * 8) for _ in range(600))}
    outcomes: dict[type[MimirError], int] = {}

    for bit in bits:
        with pytest.raises((TamperedError, WrongKeyError, FormatError)) as caught:
            unlock(Header.decode(with_checksum(flipped(raw, bit))), raw_key=raw_key)
        outcomes[caught.type] = outcomes.get(caught.type, 0) + 1

    assert outcomes[TamperedError] > 600
    assert set(outcomes) == {TamperedError, WrongKeyError, FormatError}


def test_a_slot_of_another_header_is_refused(created: Created, raw_key: bytes, source: Callable[[int], bytes]) -> None:
    """A slot added or put back without the root key fails the MAC, whatever it holds."""
    header, _ = created
    raw = bytearray(header.encode())
    unused = next(index for index, body in enumerate(header.slots) if index not in {s.index for s in created[1].slots})
    raw[64 + unused * 2048 : 64 + (unused + 1) * 2048] = source(2048)

    with pytest.raises(TamperedError, match="other than Mimir"):
        unlock(Header.decode(with_checksum(raw)), raw_key=raw_key)


def test_a_mac_of_another_root_is_refused(created: Created) -> None:
    """Who does not hold the root key cannot make a header."""
    header, root = created
    forged = header.authenticated(SecretBytes.copy_of(bytes(32)))

    with pytest.raises(TamperedError):
        forged.check_mac(root.root_key)


@pytest.mark.parametrize(
    ("raw", "error", "sentence"),
    [
        (b"", FormatError, "not a vault"),
        (b"SQLite format 3\0" * 4096, FormatError, "not a vault"),
        (b"MIMIR\n\x1a\1" + bytes(65_528), FormatError, "not a vault"),
        (b"MIMIR\r\n\x1a\2" + b"a layout of its own", FormatError, "format 2, this version knows 1"),
        (b"MIMIR\r\n\x1a", TamperedError, "has 8 bytes instead of 65536"),
        (b"MIMIR\r\n\x1a\1" + bytes(65_527), TamperedError, "checksum does not fit"),
        (b"MIMIR\r\n\x1a\1" + bytes(65_528), TamperedError, "has 65537 bytes"),
    ],
    ids=["empty", "sqlite", "as text", "version 2", "cut", "zeros", "long"],
)
def test_what_is_no_header_gets_a_sentence(raw: bytes, error: type[MimirError], sentence: str) -> None:
    """Foreign files, newer versions and damage are told apart."""
    with pytest.raises(error, match=sentence):
        Header.decode(raw)


@pytest.mark.parametrize(
    ("offset", "value", "sentence"),
    [(10, 0, "suite 0"), (10, 2, "suite 2"), (11, 0, "profile 0"), (11, 4, "profile 4")],
)
def test_unknown_numbers_are_a_matter_of_version(created: Created, offset: int, value: int, sentence: str) -> None:
    """A suite or profile unknown here is a FormatError once the checksum says that it is no accident."""
    raw = bytearray(created[0].encode())
    raw[offset] = value

    with pytest.raises(FormatError, match=sentence):
        Header.decode(with_checksum(raw))


def test_a_newer_minor_version_is_readable(created: Created) -> None:
    """Minor versions decode and say that they are newer."""
    raw = bytearray(created[0].encode())
    raw[9] = 1

    assert Header.decode(with_checksum(raw)).newer
    assert not created[0].newer


def test_repr_is_short_and_holds_no_sealed_bytes(created: Created) -> None:
    """A header in a log is one line: of its clear part, and of nothing behind that."""
    text = repr(created[0])

    assert len(text) < 400
    assert [name for name in ("slots", "sealed", "fill", "mac") if f"{name}=" in text] == []
