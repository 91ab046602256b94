"""Opens a backup by the letter of docs/FORMAT.md, with public libraries only, down to the text of a node."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand
from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_decrypt

from mimir_vault.testing import RAW_KEY
from quick_vaults import QuickVaults


def expand(secret: bytes, label: str, context: bytes, length: int = 32) -> bytes:
    """Return a key by its label."""
    return HKDFExpand(SHA512(), length, b"mimir/v1/" + label.encode() + b"\0" + context).derive(secret)


def open_envelope(key: bytes, role: int, scope: bytes, detail: bytes, envelope: bytes) -> bytes:
    """Return the plaintext of an envelope."""
    suite, nonce_length = (2, 24) if role == 2 else (1, 12)
    context = bytes((1, suite)) + scope + bytes((role,)) + detail
    derived = expand(key, "envelope", envelope[:24] + context, 64 + nonce_length)
    cipher_key, nonce, expected = derived[:32], derived[32 : 32 + nonce_length], derived[32 + nonce_length :]
    if not hmac.compare_digest(envelope[24:56], expected):
        raise LookupError
    if suite == 2:
        return crypto_aead_xchacha20poly1305_ietf_decrypt(envelope[56:], context, nonce, cipher_key)
    return AESGCM(cipher_key).decrypt(nonce, envelope[56:], context)


class Backup:
    """A backup as the document describes it."""

    def __init__(self, data: bytes) -> None:
        self.data, self.header, self.id = data, data[32 : 32 + 65_536], data[16:32]
        self.vault_id = self.header[16:32]
        self.catalog_key = self._catalog_key()
        self.key = expand(self.catalog_key, "backup", self.vault_id)
        plain = self._open(data[65_568:73_728], self.id + hashlib.sha256(self.header).digest())
        assert len(plain) == 8_088
        length = int.from_bytes(plain[:4], "big")
        self.guide = msgspec.msgpack.decode(plain[4 : 4 + length])
        assert not any(plain[4 + length :])

    def _catalog_key(self) -> bytes:
        kek = HKDF(SHA512(), 32, self.vault_id, b"mimir/v1/key-slot\0" + bytes((3, 0))).derive(RAW_KEY)
        for index in range(24):
            body = self.header[64 + index * 2_048 :][:104]
            try:
                root = open_envelope(kek, 16, self.vault_id, bytes((3, index)), body)
            except LookupError:
                continue
            seal_key = expand(root, "header-seal", self.vault_id)
            part = open_envelope(seal_key, 17, self.vault_id, self.header[12:16], self.header[49_216:57_408])
            return part[2 + part[1] :][:32]
        raise AssertionError("no slot opens")

    def _open(self, sealed: bytes, detail: bytes) -> bytes:
        return open_envelope(self.key, 20, self.vault_id, detail, sealed)

    def frames(self, number: int) -> Iterator[list[Any]]:
        """Yield the frames of a segment, or with the number of segments those of the contents."""
        _, size, segments, contents = self.guide
        assert size == len(self.data)
        every = [*segments, contents]
        start = 73_728 + 65_536 * sum(count for _, count, _ in every[:number])
        mark, count, digest = every[number]
        sealed = [self.data[start + 65_536 * place :][:65_536] for place in range(count)]
        assert hashlib.sha256(b"".join(sealed)).digest() == digest
        stream = b"".join(
            self._open(one, self.id + mark + place.to_bytes(4, "big") + bytes((place == count - 1,)))
            for place, one in enumerate(sealed)
        )
        assert len(stream) == 65_464 * count
        while length := int.from_bytes(stream[:4], "big"):
            yield msgspec.msgpack.decode(stream[4 : 4 + length])
            stream = stream[4 + length :]
        assert not any(stream)


@pytest.fixture
def backup(vaults: QuickVaults, tmp_path: Path) -> Backup:
    """A backup in two segments of a vault with three nodes, one of them pinned after the first backup."""
    with vaults.create() as vault:
        memory = vault.space()
        memory.remember("I prefer window seats", speaker="Ada")
        node = memory.remember("Noted: window seats")
        vault.backup(tmp_path / "backup")
        memory.hide(node.id)
        memory.remember("No, the aisle")
        vault.backup(tmp_path / "backup")
    return Backup((tmp_path / "backup").read_bytes())


def test_the_start(backup: Backup) -> None:
    """Magic, version, zeros."""
    assert backup.data[:16] == bytes.fromhex("4d494d42550d0a1a") + bytes([1]) + bytes(7)
    assert backup.guide[0] == 1
    assert len(backup.guide[2]) == 2


def test_the_contents(backup: Backup) -> None:
    """Moment, rows of nodes, states; then whole tables, the catalog's among them."""
    first, *rest = backup.frames(2)
    version, _, node_rows, states = first
    assert (version, node_rows) == (1, 4)
    space_id = next(one for one in states if one)
    migrations, _, count, _, _, _, _, nodes, newest, marks, numbers = states[space_id]
    assert (migrations, count, nodes, len(newest)) == (1, 3, 3, 32)
    assert marks["node"] == [3, 3]
    assert numbers["node"] == 3
    tables = {(database, table) for database, table, _, _ in rest}
    assert {(b"", "space"), (b"", "setting"), (b"", "audit"), (b"", "chain"), (space_id, "model")} <= tables


def test_down_to_the_text_of_a_node(backup: Backup) -> None:
    """Key ring out of the catalog, node key out of its wrap, payload and metadata out of their envelopes."""
    _, *whole = backup.frames(2)
    columns, row = next((columns, rows[0]) for _, table, columns, rows in whole if table == "space")
    space = dict(zip(columns, row, strict=True))
    wrap_key = expand(backup.catalog_key, "space-ring-wrap", backup.vault_id)
    ring = open_envelope(wrap_key, 18, space["id"], backup.vault_id, space["ring"])
    node_wrap = expand(ring[4:36], "node-key-wrap", space["id"])
    nodes: dict[int, dict[str, Any]] = {}
    for segment in range(2):
        for _, table, columns, rows in backup.frames(segment):
            if table == "node":
                nodes |= {row[0]: dict(zip(columns, row, strict=True)) for row in rows}
    texts = []
    for node in nodes.values():
        about = node["id"] + node["epoch"].to_bytes(4, "big")
        node_key = AESGCM(node_wrap).decrypt(node["wrap"][:12], node["wrap"][12:], about)
        payload = msgspec.msgpack.decode(open_envelope(node_key, 1, space["id"], b"", node["payload"]))
        metadata = msgspec.msgpack.decode(open_envelope(node_key, 2, space["id"], b"", node["metadata"]))
        texts.append((payload[1], metadata[8]))
    assert texts == [("I prefer window seats", "Ada"), ("Noted: window seats", None), ("No, the aisle", None)]
    assert [bool(node["state"]) for node in nodes.values()] == [False, True, False]
