"""Public vectors for every primitive, run through the functions that Mimir itself calls."""

from __future__ import annotations

import hashlib
from pathlib import Path

import cryptography_vectors
import pytest
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from mimir_vault.crypto import primitives
from mimir_vault.crypto.primitives import (
    AesGcm,
    argon2id_into,
    blake2b_256,
    equal,
    hkdf_expand_into,
    hkdf_extract,
    hmac_sha256,
    sha256,
    xchacha20_poly1305_open,
    xchacha20_poly1305_seal,
)
from mimir_vault.errors import MimirError, TamperedError

VECTORS = Path(cryptography_vectors.__file__).parent
ZERO_KEY = bytes(32)


def fields_of(path: str) -> list[dict[str, str]]:
    """Return the cases of a vector file in NIST's layout: `[Name = value]` and `Name = value`, one case per count."""
    cases: list[dict[str, str]] = []
    shared: dict[str, str] = {}
    for line in (VECTORS / path).read_text().splitlines():
        text = line.strip()
        if text == "FAIL":
            cases[-1]["fail"] = "1"
        if "=" not in text or text.startswith("#"):
            continue
        name, value = (part.strip().lower() for part in text.strip("[]").split("=", 1))
        if text.startswith("["):
            shared = {**shared, name: value}
        elif name in ("count", "len"):
            cases.append({**shared, name: value})
        elif cases:
            cases[-1][name] = value
    return cases


def octets(case: dict[str, str], name: str) -> bytes:
    return bytes.fromhex(case.get(name, ""))


def is_ours(case: dict[str, str]) -> bool:
    return case["ivlen"] == "96" and case["taglen"] == "128"


def test_aes_gcm_seals_as_nist_says() -> None:
    """All NIST encryption vectors with a 256-bit key, 96-bit nonce and 128-bit tag come out."""
    cases = [case for case in fields_of("ciphers/AES/GCM/gcmEncryptExtIV256.rsp") if is_ours(case)]
    assert len(cases) > 300

    for case in cases:
        sealed = AesGcm(octets(case, "key")).seal(octets(case, "iv"), octets(case, "pt"), octets(case, "aad"))
        assert sealed == octets(case, "ct") + octets(case, "tag")


def test_aes_gcm_opens_or_refuses_as_nist_says() -> None:
    """All NIST decryption vectors open to their plaintext, or are refused where NIST says FAIL."""
    cases = [case for case in fields_of("ciphers/AES/GCM/gcmDecrypt256.rsp") if is_ours(case)]
    assert {"fail" in case for case in cases} == {True, False}

    for case in cases:
        cipher = AesGcm(octets(case, "key"))
        sealed = octets(case, "ct") + octets(case, "tag")
        if "fail" in case:
            with pytest.raises(TamperedError):
                cipher.open(octets(case, "iv"), sealed, octets(case, "aad"))
        else:
            assert cipher.open(octets(case, "iv"), sealed, octets(case, "aad")) == octets(case, "pt")


def test_aes_gcm_opens_in_place() -> None:
    """Into a buffer of just the plaintext's length, and as strictly as otherwise: what is refused leaves no text."""
    cipher, nonce = AesGcm(ZERO_KEY), bytes(12)
    sealed = cipher.seal(nonce, b"a node key", b"associated")
    out = bytearray(10)

    cipher.open_into(nonce, sealed, b"associated", memoryview(out))
    assert out == b"a node key"

    for changed, associated in ((sealed[:-1] + bytes((sealed[-1] ^ 1,)), b"associated"), (sealed, b"other")):
        out = bytearray(10)
        with pytest.raises(TamperedError):
            cipher.open_into(nonce, changed, associated, memoryview(out))
        assert out == bytes(10)
    for length in (9, 11):
        with pytest.raises(ValueError, match="buffer"):
            cipher.open_into(nonce, sealed, b"associated", memoryview(bytearray(length)))


def test_xchacha20_poly1305_matches_the_draft() -> None:
    """The example of draft-irtf-cfrg-xchacha-03, A.3.1, in both directions."""
    key, nonce = bytes(range(0x80, 0xA0)), bytes(range(0x40, 0x58))
    associated = bytes.fromhex("50515253c0c1c2c3c4c5c6c7")
    plaintext = (
        b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would "
        b"be it."
    )
    sealed = bytes.fromhex(
        "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c"
        "54c216cb96b72e1213b4522f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff921f9664c97637da97688"
        "12f615c68b13b52ec0875924c1c7987947deafd8780acf49"
    )

    assert xchacha20_poly1305_seal(key, nonce, plaintext, associated) == sealed
    assert xchacha20_poly1305_open(key, nonce, sealed, associated) == plaintext


@pytest.mark.parametrize("length", [0, 1, 15, 16, 17, 100])
def test_xchacha20_poly1305_refuses_every_changed_byte(length: int) -> None:
    """A changed or cut ciphertext, nonce, key or associated bytes never open."""
    nonce, associated = bytes(24), b"associated"
    sealed = xchacha20_poly1305_seal(ZERO_KEY, nonce, bytes(length), associated)

    for place in range(len(sealed)):
        changed = sealed[:place] + bytes((sealed[place] ^ 1,)) + sealed[place + 1 :]
        with pytest.raises(TamperedError):
            xchacha20_poly1305_open(ZERO_KEY, nonce, changed, associated)
        with pytest.raises(TamperedError):
            xchacha20_poly1305_open(ZERO_KEY, nonce, sealed[:place], associated)
    for other in ((b"\1" * 32, nonce, associated), (ZERO_KEY, b"\1" * 24, associated), (ZERO_KEY, nonce, b"else")):
        with pytest.raises(TamperedError):
            xchacha20_poly1305_open(other[0], other[1], sealed, other[2])


def test_xchacha20_poly1305_discards_its_copy_of_the_key(discarded: list[bytes]) -> None:
    """The library takes keys as `bytes` only; that copy goes at once, also where something is refused."""
    key, nonce = bytes(range(32)), bytes(24)

    sealed = xchacha20_poly1305_seal(key, nonce, b"text", b"")
    assert discarded == [key]
    xchacha20_poly1305_open(key, nonce, sealed, b"")
    assert discarded == [key] * 2
    with pytest.raises(TamperedError):
        xchacha20_poly1305_open(key, nonce, sealed, b"other")
    assert discarded == [key] * 3
    with pytest.raises(TypeError):
        xchacha20_poly1305_seal(key, nonce, "text", b"")  # type: ignore[arg-type]
    assert discarded == [key] * 4


def test_hkdf_matches_published_vectors() -> None:
    """HKDF with SHA-512, cases 12 and 18 of Wycheproof's hkdf_sha512_test."""
    cases = [
        (
            "7a00817689a3d79001825a864c69c120",
            "08bc01c053a6406c7c4a667c9b9b3894",
            "967ccd75395be6e96a67759f070487c9e2107791",
            "aed987bcc5ed33c4feec7b28aa9fe1c16b1181e00ff42c63cf692ec19242f6d4628604b3382db0806d5e61518f83fc651e6f3bd0a9"
            "d1322926a76869b98b75d6",
        ),
        (
            "d515f58eed428b2bac233c8538580e2f",
            "c2a3ad9db6621fceb7498c0e6287522077acd2d47b55c09d52e114943b37",
            "14de8cffd89e49275f69d2e1e6b43fa0c3775451",
            "04039af015d1b63b0af171e0fc283c06d19a0e4b1093fa5f8c721d85580c52799f13d644543c2249497492f55029ce9cd19a29cd84"
            "acbc1488724941a3fc97fc",
        ),
    ]

    for secret, salt, info, expected in cases:
        out = bytearray(64)
        extracted = hkdf_extract(bytes.fromhex(salt), bytes.fromhex(secret))
        hkdf_expand_into(extracted, bytes.fromhex(info), memoryview(out))
        assert out.hex() == expected


@pytest.mark.parametrize("length", [32, 64, 76, 88, 200])
def test_hkdf_expands_over_several_blocks(length: int) -> None:
    """Longer outputs follow RFC 5869, 2.3, written out with HMAC."""
    import hmac

    key, info = b"k" * 32, b"info"
    block, expected = b"", b""
    for number in range(1, 6):
        block = hmac.digest(key, block + info + bytes((number,)), "sha512")
        expected += block
    out = bytearray(length)

    hkdf_expand_into(key, info, memoryview(out))

    assert out == expected[:length]


def test_argon2id_matches_rfc_9106_and_its_reference() -> None:
    """The vectors without secret and associated data come out of the function that Mimir calls."""
    cases = [case for case in fields_of("KDF/argon2id.txt") if not case.get("secret") and not case.get("ad")]
    assert len(cases) >= 4

    for case in cases:
        out = bytearray(int(case["length"]))
        argon2id_into(
            octets(case, "pass"),
            octets(case, "salt"),
            memory_kib=int(case["memcost"]),
            passes=int(case["iter"]),
            lanes=int(case["lanes"]),
            out=memoryview(out),
        )
        assert out == octets(case, "output")


def test_argon2id_library_matches_rfc_9106_with_secret() -> None:
    """The RFC's own example (5.3) has a secret and associated data, which Mimir does not use; the library agrees."""
    derivation = Argon2id(
        salt=b"\2" * 16, length=32, iterations=3, lanes=4, memory_cost=32, ad=b"\4" * 12, secret=b"\3" * 8
    )

    assert derivation.derive(b"\1" * 32).hex() == "0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659"


def test_argon2id_without_memory_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where memory runs out, the sentence names how much is needed."""

    def refuse(**_: object) -> object:
        raise MemoryError

    monkeypatch.setattr(primitives, "Argon2id", refuse)

    with pytest.raises(MimirError, match="needs 256 MiB"):
        argon2id_into(b"x", bytes(16), memory_kib=256 * 1024, passes=3, lanes=4, out=memoryview(bytearray(32)))


def test_hmac_sha256_matches_rfc_4231() -> None:
    """All vectors of RFC 4231 with full output come out."""
    cases = [case for case in fields_of("HMAC/rfc-4231-sha256.txt") if len(case["md"]) == 64]
    assert len(cases) >= 5

    for case in cases:
        assert hmac_sha256(octets(case, "key"), octets(case, "msg")[: int(case["len"]) // 8]) == octets(case, "md")


def test_blake2b_matches_rfc_7693() -> None:
    """The grand hash of RFC 7693, appendix E, with Mimir's function in the place of keyed BLAKE2b-256."""

    def sequence(length: int, seed: int) -> bytes:
        first, second = (0xDEAD4BAD * seed) & 0xFFFFFFFF, 1
        out = bytearray()
        for _ in range(length):
            first, second = second, (first + second) & 0xFFFFFFFF
            out.append(second >> 24)
        return bytes(out)

    grand = hashlib.blake2b(digest_size=32)
    for digest_length in (20, 32, 48, 64):
        for length in (0, 3, 128, 129, 255, 1024):
            message, key = sequence(length, length), sequence(digest_length, digest_length)
            grand.update(hashlib.blake2b(message, digest_size=digest_length).digest())
            if digest_length == 32:
                grand.update(blake2b_256(key, message))
            else:
                grand.update(hashlib.blake2b(message, key=key, digest_size=digest_length).digest())

    assert grand.hexdigest() == "c23a7800d98123bd10f506c61e29da5603d763b8bbad2e737f5e765a7bccd475"


def test_sha256_joins_its_parts() -> None:
    """The example of FIPS 180-4 for "abc", however it is cut."""
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

    assert sha256(b"abc").hex() == sha256(b"a", b"", memoryview(b"bc")).hex() == expected


def test_equal_compares_any_buffers() -> None:
    """Equality does not depend on the type of the buffers."""
    assert equal(b"abc", bytearray(b"abc"))
    assert not equal(b"abc", memoryview(b"abd"))
    assert not equal(b"abc", b"abcd")


@pytest.mark.parametrize("length", [0, 16, 31, 33, 64])
def test_keys_have_32_bytes(length: int) -> None:
    """A key of another length is refused before a library could take it for AES-128."""
    with pytest.raises(ValueError, match="32 bytes"):
        AesGcm(bytes(length))
    with pytest.raises(ValueError, match="32 bytes"):
        xchacha20_poly1305_seal(bytes(length), bytes(24), b"", b"")
    with pytest.raises(ValueError, match="32 bytes"):
        xchacha20_poly1305_open(bytes(length), bytes(24), bytes(16), b"")
