"""The sealer of a space: turns a node's values into envelopes under a fresh node key, and opens them again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from mimir_vault.crypto.digests import Digests
from mimir_vault.crypto.envelope import SCOPE_LENGTH, Context, Role, node_id, open_envelope, seal
from mimir_vault.crypto.keys import Label, derive
from mimir_vault.crypto.primitives import KEY_LENGTH
from mimir_vault.crypto.randomness import Random
from mimir_vault.crypto.secret import SecretBytes
from mimir_vault.crypto.wrap import NodeKeyWrap, encode_epoch
from mimir_vault.errors import TamperedError

COUNTER_LENGTH: Final = 8  # bytes, of a state's counter, in clear before its envelope
FIRST_COUNTER: Final = 1
ABSENT: Final = b""  # the state of a node that is in the default one: 88 bytes and a third of the work less


@dataclass(frozen=True, slots=True)
class SealedNode:
    """A node as the store keeps it: its id (32 bytes), the epoch and wrap (60 bytes) of its node key, two immutable
    envelopes, and the state: counter (8 bytes) | envelope, or nothing as long as it is the default one.
    """

    id: bytes
    epoch: int
    wrap: bytes
    payload: bytes
    metadata: bytes
    state: bytes


class SpaceSealer:
    """Seals and opens the nodes of one space. The newest epoch of the ring seals; every epoch in it opens.

    The ring's secrets are copied; their owner wipes the originals. After `wipe()` every method raises LockedError.
    Several threads may use one sealer at once.
    """

    def __init__(self, space_id: bytes, ring: Mapping[int, SecretBytes], random: Random) -> None:
        if len(space_id) != SCOPE_LENGTH:
            raise ValueError(f"A space id has {SCOPE_LENGTH} bytes, not {len(space_id)}.")
        if not ring:
            raise ValueError("A space needs a key ring with at least one epoch.")
        for epoch in ring:
            encode_epoch(epoch)
        self._space_id = space_id
        self._random = random
        self._ring = {epoch: SecretBytes.copy_of(secret.view()) for epoch, secret in ring.items()}
        self.epoch: int = max(ring)
        # Digest and chain belong to the oldest epoch of the ring, so a new epoch leaves both as they are.
        self._digests = Digests(self._ring[min(ring)], space_id)
        self._wraps: dict[int, NodeKeyWrap] = {}
        self._payload_context = Context(Role.PAYLOAD, space_id)
        self._metadata_context = Context(Role.METADATA, space_id)

    def seal(self, payload: bytes, metadata: bytes, state: bytes) -> SealedNode:
        """Seal a new node under a node key of its own, which exists only wrapped after this call. The state b"" stands
        for the default one and stays without an envelope.
        """
        with SecretBytes.random(KEY_LENGTH, self._random) as node_key:
            sealed_payload = seal(node_key, self._payload_context, payload, self._random)
            sealed_metadata = seal(node_key, self._metadata_context, metadata, self._random)
            identifier = node_id(sealed_payload, sealed_metadata)
            return SealedNode(
                id=identifier,
                epoch=self.epoch,
                wrap=self._wrap_of(self.epoch).wrap(node_key, identifier, self._random),
                payload=sealed_payload,
                metadata=sealed_metadata,
                state=self._seal_state(node_key, FIRST_COUNTER, state) if state else ABSENT,
            )

    def open_node(self, node: SealedNode) -> tuple[bytes, bytes, bytes]:
        """Return payload, metadata and state (b"" where none was sealed); TamperedError when anything that is there is
        not what was sealed.
        """
        _check_id(node)
        with self._unwrap(node) as node_key:
            return (
                open_envelope(node_key, self._payload_context, node.payload),
                open_envelope(node_key, self._metadata_context, node.metadata),
                self._open_state(node_key, node.state),
            )

    def open_payload(self, node: SealedNode) -> bytes:
        """Return the payload; TamperedError when id, wrap or envelope is not what was sealed."""
        _check_id(node)
        with self._unwrap(node) as node_key:
            return open_envelope(node_key, self._payload_context, node.payload)

    def open_metadata(self, node: SealedNode) -> bytes:
        """Return the metadata; TamperedError when id, wrap or envelope is not what was sealed."""
        _check_id(node)
        with self._unwrap(node) as node_key:
            return open_envelope(node_key, self._metadata_context, node.metadata)

    def open_state(self, node: SealedNode) -> bytes:
        """Return the state, b"" where none was sealed. The node's wrap binds the node key to its id; payload and
        metadata are not looked at.
        """
        with self._unwrap(node) as node_key:
            return self._open_state(node_key, node.state)

    def replace_state(self, node: SealedNode, state: bytes) -> SealedNode:
        """Return the node with another state and the next counter; id, wrap and envelopes stay. The old state must
        open, so a counter cannot be raised or lowered by writing into the database. A node without one gets the first
        counter; never does a state go back to absent, so counters only rise (ValueError for b"").
        """
        if not state:
            raise ValueError('A state that is replaced is sealed, the default one too; b"" is only for new nodes.')
        with self._unwrap(node) as node_key:
            self._open_state(node_key, node.state)
            # Nothing at all counts as 0, so that the first state that is sealed has the counter 1 however late it is.
            counter = int.from_bytes(node.state[:COUNTER_LENGTH], "big") + 1
            return replace(node, state=self._seal_state(node_key, counter, state))

    def seal_vector(self, node: SealedNode, vector: bytes, about: bytes = b"") -> bytes:
        """Seal one of a node's vectors, bound to `about` (which model, which window): it opens under no other."""
        with self._unwrap(node) as node_key:
            return seal(node_key, Context(Role.VECTOR, self._space_id, about), vector, self._random)

    def open_vector(self, node: SealedNode, sealed: bytes, about: bytes = b"") -> bytes:
        """Return a vector of the node; TamperedError when it is another node's, or sealed about something else."""
        with self._unwrap(node) as node_key:
            return open_envelope(node_key, Context(Role.VECTOR, self._space_id, about), sealed)

    def digest_element(self, tag: bytes, element: bytes) -> int:
        """Return the keyed hash of one element as an integer below 2**256; see `Digests.digest_element`."""
        return self._digests.digest_element(tag, element)

    def chain(self, previous: bytes, digest: bytes) -> bytes:
        """Return the next chain value, 32 bytes; see `Digests.chain`."""
        return self._digests.chain(previous, digest)

    def page_key(self, epoch: int | None = None) -> SecretBytes:
        """Return the 32 bytes that encrypt the pages of the space's database; the caller wipes them."""
        return derive(self._secret_of(self.epoch if epoch is None else epoch), Label.SPACE_PAGES, self._space_id)

    def wipe(self) -> None:
        """Wipe all keys; again and again is harmless."""
        self._wraps.clear()
        self._digests.wipe()
        for secret in self._ring.values():
            secret.wipe()

    def _seal_state(self, node_key: SecretBytes, counter: int, state: bytes) -> bytes:
        prefix = counter.to_bytes(COUNTER_LENGTH, "big")
        return prefix + seal(node_key, Context(Role.STATE, self._space_id, prefix), state, self._random)

    def _open_state(self, node_key: SecretBytes, sealed: bytes) -> bytes:
        # Nothing here proves that a state is absent, and that is as safe as before: a state cut away is like an older
        # state put back, whose envelope opens too. Only the set digest finds either, because a node's element holds
        # SHA-256(state), which nothing at all has as well. What is there must be this node's own: no other opens.
        if not sealed:
            return ABSENT
        prefix = sealed[:COUNTER_LENGTH]
        return open_envelope(node_key, Context(Role.STATE, self._space_id, prefix), sealed[COUNTER_LENGTH:])

    def _unwrap(self, node: SealedNode) -> SecretBytes:
        return self._wrap_of(node.epoch).unwrap(node.wrap, node.id)

    def _wrap_of(self, epoch: int) -> NodeKeyWrap:
        """Return the wrap of an epoch, its cipher made once; every call asks the ring, so that a fork is noticed."""
        secret = self._secret_of(epoch)
        secret.view()
        wrap = self._wraps.get(epoch)
        if wrap is None:
            with derive(secret, Label.NODE_KEY_WRAP, self._space_id) as wrap_key:
                wrap = self._wraps[epoch] = NodeKeyWrap(wrap_key, epoch)
        return wrap

    def _secret_of(self, epoch: int) -> SecretBytes:
        try:
            return self._ring[epoch]
        except KeyError:
            raise TamperedError(f"Epoch {epoch} is named, but the space's key ring does not hold it.") from None


def _check_id(node: SealedNode) -> None:
    if node_id(node.payload, node.metadata) != node.id:
        raise TamperedError("A node's envelopes are not those its id names; restore a backup.")
