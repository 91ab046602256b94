"""Opens the worked example of docs/FORMAT.md by the letter of that document, with public crypto libraries only."""

from __future__ import annotations

import ast
import hashlib
import hmac
import unicodedata
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand
from mnemonic import Mnemonic
from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_decrypt

FOLDER = Path(__file__).resolve().parent
FORMAT = FOLDER.parents[1] / "docs" / "FORMAT.md"
RAW = (FOLDER / "headers" / "three-slots.bin").read_bytes()
PROFILES = {1: 64 * 1024, 2: 256 * 1024, 3: 1024 * 1024}  # memory in KiB; 3 passes and 4 lanes in all


def read_example() -> dict[str, str]:
    """Return the names and values of the block in the document."""
    text = FORMAT.read_text(encoding="utf-8").split("<!-- worked example")[1].split("```")[1]
    values: dict[str, str] = {}
    name = ""
    for line in text.strip().splitlines():
        if line.startswith(" "):
            values[name] += line.strip()
        else:
            name, value = line.split(" = ", 1)
            values[name] = value.strip('"')
    return values


EXAMPLE = read_example()


def given(name: str) -> bytes:
    return bytes.fromhex(EXAMPLE[name])


def expand(secret: bytes, label: str, context: bytes, length: int = 32) -> bytes:
    return HKDFExpand(SHA512(), length, b"mimir/v1/" + label.encode() + b"\0" + context).derive(secret)


def open_envelope(key: bytes, role: int, scope: bytes, detail: bytes, envelope: bytes) -> bytes:
    suite = 2 if role == 2 else 1
    nonce_length = 24 if suite == 2 else 12
    context = bytes((1, suite)) + scope + bytes((role,)) + detail
    salt, commitment, sealed = envelope[:24], envelope[24:56], envelope[56:]
    derived = expand(key, "envelope", salt + context, 64 + nonce_length)
    cipher_key, nonce, expected = derived[:32], derived[32 : 32 + nonce_length], derived[32 + nonce_length :]
    if not hmac.compare_digest(commitment, expected):
        raise LookupError("another key or another place")
    if suite == 2:
        return crypto_aead_xchacha20poly1305_ietf_decrypt(sealed, context, nonce, cipher_key)
    return AESGCM(cipher_key).decrypt(nonce, sealed, context)


VAULT_ID, SALT, EPOCH = RAW[16:32], RAW[48:64], RAW[12:16]


def open_slots(kind: int, profile: int, secret: bytes) -> bytes:
    """Return the root key from whichever slot the secret opens."""
    info = b"mimir/v1/key-slot\0" + bytes((kind, profile))
    kek = HKDF(SHA512(), 32, VAULT_ID, info).derive(secret)
    for index in range(24):
        body = RAW[64 + index * 2048 : 64 + (index + 1) * 2048]
        try:
            return open_envelope(kek, 16, VAULT_ID, bytes((kind, index)), body[:104])
        except LookupError:
            continue
    raise AssertionError("no slot opens")


def test_the_header_has_the_form_of_the_document() -> None:
    """Magic, versions, suite, profile, length and checksum."""
    assert len(RAW) == 65_536
    assert RAW[:12] == bytes.fromhex("4d494d49520d0a1a") + bytes((1, 0, 1, 1))
    assert RAW[65_472:65_504] == hashlib.sha256(RAW[:65_472]).digest()


def stretched_passphrase() -> bytes:
    normal = unicodedata.normalize("NFKC", EXAMPLE["passphrase"]).encode()
    return Argon2id(salt=SALT, length=32, iterations=3, lanes=4, memory_cost=PROFILES[RAW[11]]).derive(normal)


@pytest.mark.parametrize("way", ["passphrase", "recovery code", "raw key"])
def test_each_way_opens_the_root_key(way: str) -> None:
    """Three secrets, three slots, one root key."""
    if way == "passphrase":
        root = open_slots(1, RAW[11], stretched_passphrase())
    elif way == "recovery code":
        root = open_slots(2, 0, bytes(Mnemonic("english").to_entropy(EXAMPLE["recovery code"])))
    else:
        root = open_slots(3, 0, given("raw key"))

    assert root == given("root key")


def test_mac_and_sealed_part_follow_from_the_root_key() -> None:
    """The MAC is right, and the sealed part holds file, catalog key and three slots, then zeros."""
    root = given("root key")
    mac_key = expand(root, "header-mac", VAULT_ID)
    assert RAW[65_504:] == hmac.digest(mac_key, RAW[:65_504], "sha256")

    seal_key = expand(root, "header-seal", VAULT_ID)
    plain = open_envelope(seal_key, 17, VAULT_ID, EPOCH, RAW[49_216:57_408])

    assert len(plain) == 8120
    assert plain[:12] == b"\1\x0acatalog.db"
    assert plain[12:44] == given("catalog key")
    assert plain[44:77] == bytes(33)
    assert plain[77] == 3
    at, kinds, indexes = 78, [], []
    for _ in range(3):
        indexes.append(plain[at])
        kinds.append(plain[at + 1])
        at += 15 + plain[at + 14]
    assert sorted(kinds) == [1, 2, 3]
    assert indexes == sorted(set(indexes))
    assert not any(plain[at:])


def test_ring_and_pages_follow_from_the_catalog_key() -> None:
    """The wrapped ring holds two space keys; page key and pins' name are derived as the table says."""
    wrap_key = expand(given("catalog key"), "space-ring-wrap", VAULT_ID)

    ring = open_envelope(wrap_key, 18, given("space id"), VAULT_ID, given("wrapped ring"))

    assert ring == b"\0\0\0\1" + given("space key 1") + b"\0\0\0\2" + given("space key 2")
    assert expand(given("space key 2"), "space-pages", given("space id")) == given("page key 2")
    name = hmac.digest(b"mimir/v1/pin-file-name\0", VAULT_ID, "sha256")[:16].hex()
    assert name == EXAMPLE["pins file name"]


def test_the_node_opens() -> None:
    """Node key, id, payload, metadata and state."""
    wrap, node_id, space = given("wrap"), given("node id"), given("space id")
    assert given("epoch") == b"\0\0\0\2"
    wrap_key = expand(given("space key 2"), "node-key-wrap", space)
    node_key = AESGCM(wrap_key).decrypt(wrap[:12], wrap[12:], node_id + given("epoch"))
    assert node_key == given("node key")

    payload, metadata, state = given("payload"), given("metadata"), given("state")
    hashed = b"mimir/v1/node-id\0"
    for envelope in (payload, metadata):
        hashed += len(envelope).to_bytes(8, "big") + envelope

    assert hashlib.sha256(hashed).digest() == node_id
    assert open_envelope(node_key, 1, space, b"", payload).decode() == EXAMPLE["payload opened"]
    assert open_envelope(node_key, 2, space, b"", metadata).decode() == EXAMPLE["metadata opened"]
    assert state[:8] == (1).to_bytes(8, "big")
    assert open_envelope(node_key, 3, space, state[:8], state[8:]).decode() == EXAMPLE["state opened"]


def test_digest_and_chain_follow_from_the_oldest_space_key() -> None:
    """An element with the tag "node" over the node id, and the first chain value after 32 zeros."""
    space = given("space id")
    digest_key = expand(given("space key 1"), "digest", space)
    chain_key = expand(given("space key 1"), "chain", space)

    element = hashlib.blake2b(b"\4node" + given("node id"), key=digest_key, digest_size=32).digest()

    assert element == given("element")
    assert hmac.digest(chain_key, bytes(32) + element, "sha256") == given("chain")


def test_nothing_of_mimir_is_imported_here() -> None:
    """This file would be worth nothing if it asked Mimir."""
    tree = ast.parse(Path(__file__).read_text(encoding="utf-8"))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}

    assert not any(name.startswith("mimir") for name in imported)
