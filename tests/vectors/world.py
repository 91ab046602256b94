"""One vault, seeded, from which every test vector and the worked example of docs/FORMAT.md are cut."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from mimir_vault.crypto.keys import KdfProfile, Label, derive
from mimir_vault.crypto.sealer import SealedNode, SpaceSealer
from mimir_vault.crypto.secret import SecretBytes
from mimir_vault.crypto.vault_keys import VaultKeys
from mimir_vault.crypto.wrap import NodeKeyWrap
from mimir_vault.keyslots.unlock import create_header

PASSPHRASE = "correct horse battery staple"
NOW = 1_777_626_000_000_000  # 2026-05-01 09:00 UTC
WIDTH = 96  # hex digits in a line of the worked example

Random = Callable[[int], bytes]


def seeded(name: str) -> Random:
    """Return a source of bytes that depends on the name alone: SHAKE-256 of the name and a count."""
    drawn = 0

    def draw(length: int) -> bytes:
        nonlocal drawn
        drawn += 1
        return hashlib.shake_256(f"mimir vectors, {name}, {drawn}".encode()).digest(length)

    return draw


def flip(content: bytes, place: int) -> bytes:
    """Return the content with the lowest bit of one byte changed."""
    at = place % len(content)
    return content[:at] + bytes((content[at] ^ 1,)) + content[at + 1 :]


class World:
    """One vault with one space and two nodes, from which all cases are cut."""

    def __init__(self) -> None:
        random = seeded("vault")
        self.raw_key = random(32)
        self.header, self.root, words = create_header(
            passphrase=PASSPHRASE, raw_key=self.raw_key, profile=KdfProfile.INTERACTIVE, random=random, now=NOW
        )
        assert words is not None
        self.words = words
        self.vault_keys = VaultKeys(self.header.vault_id, self.root.catalog_key, random)
        self.space_id = random(16)
        self.ring = self.vault_keys.next_ring(self.vault_keys.new_ring())
        self.wrapped_ring = self.vault_keys.wrap_ring(self.space_id, self.ring)
        self.sealer = SpaceSealer(self.space_id, self.ring, random)
        self.node = self.sealer.seal(b"I prefer window seats", b"speaker: Ada", b"pinned")
        self.other = self.sealer.seal(b"", b"", b"")
        first = SpaceSealer(self.space_id, {1: self.ring[1]}, random)
        self.old_node = first.seal(b"from the first epoch", b"speaker: Ada", b"")
        self.node_key = self.unwrap(self.node)

    def unwrap(self, node: SealedNode) -> SecretBytes:
        """Return the node key of a node."""
        return NodeKeyWrap(self.wrap_key(node.epoch), node.epoch).unwrap(node.wrap, node.id)

    def wrap_key(self, epoch: int) -> SecretBytes:
        """Return the key that wraps the node keys of an epoch."""
        return derive(self.ring[epoch], Label.NODE_KEY_WRAP, self.space_id)


def shown(secret: SecretBytes) -> str:
    """Return a secret in hex: these are published."""
    return secret.view().hex()


def worked_example(world: World) -> str:
    """Return the block of docs/FORMAT.md: names and values, long ones over several lines."""
    node = world.node
    element = world.sealer.digest_element(b"node", node.id).to_bytes(32, "big")
    values = {
        "passphrase": f'"{PASSPHRASE}"',
        "recovery code": f'"{world.words}"',
        "raw key": world.raw_key.hex(),
        "root key": shown(world.root.root_key),
        "catalog key": shown(world.root.catalog_key),
        "pins file name": world.vault_keys.pins_file_name,
        "space id": world.space_id.hex(),
        "wrapped ring": world.wrapped_ring.hex(),
        "space key 1": shown(world.ring[1]),
        "space key 2": shown(world.ring[2]),
        "page key 2": shown(world.sealer.page_key(2)),
        "node id": node.id.hex(),
        "epoch": f"{node.epoch:08x}",
        "wrap": node.wrap.hex(),
        "node key": shown(world.node_key),
        "payload": node.payload.hex(),
        "payload opened": '"I prefer window seats"',
        "metadata": node.metadata.hex(),
        "metadata opened": '"speaker: Ada"',
        "state": node.state.hex(),
        "state opened": '"pinned"',
        "element": element.hex(),
        "chain": world.sealer.chain(bytes(32), element).hex(),
    }
    lines: list[str] = []
    for name, value in values.items():
        pieces = [value] if value.startswith('"') else [value[at : at + WIDTH] for at in range(0, len(value), WIDTH)]
        lines += [f"{name} = {pieces[0]}", *(f"    {piece}" for piece in pieces[1:])]
    return "```\n" + "\n".join(lines) + "\n```\n"
