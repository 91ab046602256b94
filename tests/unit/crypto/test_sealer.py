"""Tests of the sealer of a space: nodes, states, vectors, digest, chain and page keys."""

from __future__ import annotations

import hashlib
import hmac
import os
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from mimir_vault.crypto import sealer as sealer_module
from mimir_vault.crypto.envelope import Context, Role, node_id, seal
from mimir_vault.crypto.keys import Label, derive
from mimir_vault.crypto.sealer import SealedNode, SpaceSealer
from mimir_vault.crypto.secret import SecretBytes
from mimir_vault.crypto.wrap import NodeKeyWrap
from mimir_vault.errors import TamperedError
from mimir_vault.store.nodes import element

PAYLOAD, METADATA, STATE = b"I prefer window seats", b"speaker: Ada", b"pinned"
Source = Callable[[int], bytes]


@pytest.fixture
def node(sealer: SpaceSealer) -> SealedNode:
    """One sealed node."""
    return sealer.seal(PAYLOAD, METADATA, STATE)


def flipped(content: bytes, place: int) -> bytes:
    return content[:place] + bytes((content[place] ^ 1,)) + content[place + 1 :]


def test_a_node_opens_as_it_was_sealed(sealer: SpaceSealer, node: SealedNode) -> None:
    """All at once or one by one, the three values come back."""
    assert sealer.open_node(node) == (PAYLOAD, METADATA, STATE)
    assert sealer.open_payload(node) == PAYLOAD
    assert sealer.open_metadata(node) == METADATA
    assert sealer.open_state(node) == STATE


def test_a_node_has_the_parts_of_the_format(sealer: SpaceSealer, node: SealedNode) -> None:
    """The id is of the envelopes, the epoch the newest, the state begins with its counter."""
    assert node.id == node_id(node.payload, node.metadata)
    assert node.epoch == sealer.epoch == 2
    assert len(node.wrap) == 60
    assert node.state[:8] == (1).to_bytes(8, "big")


def test_one_text_twice_is_two_nodes(sealer: SpaceSealer, node: SealedNode) -> None:
    """Nothing of two nodes with the same content is alike, the state's counter aside."""
    other = sealer.seal(PAYLOAD, METADATA, STATE)

    assert other.id != node.id
    assert not {other.wrap, other.payload, other.metadata, other.state[8:]} & {
        node.wrap,
        node.payload,
        node.metadata,
        node.state[8:],
    }


@pytest.mark.parametrize("part", ["id", "wrap", "payload", "metadata", "state"])
def test_a_change_in_any_part_is_refused(sealer: SpaceSealer, node: SealedNode, part: str) -> None:
    """open_node refuses a node with one flipped bit, wherever it is."""
    content: bytes = getattr(node, part)

    for place in range(len(content)):
        with pytest.raises(TamperedError):
            sealer.open_node(replace(node, **{part: flipped(content, place)}))


def test_parts_of_two_nodes_do_not_mix(sealer: SpaceSealer, node: SealedNode) -> None:
    """No part of one node can stand in another, not even with the id made to fit."""
    other = sealer.seal(b"other", b"other", b"other")

    for part in ("wrap", "state"):
        with pytest.raises(TamperedError):
            sealer.open_node(replace(node, **{part: getattr(other, part)}))
    for mixed in (replace(node, payload=other.payload), replace(node, metadata=other.metadata)):
        for fitted in (mixed, replace(mixed, id=node_id(mixed.payload, mixed.metadata))):
            for opener in (sealer.open_node, sealer.open_payload, sealer.open_metadata):
                with pytest.raises(TamperedError):
                    opener(fitted)


def test_an_old_epoch_opens_and_the_newest_seals(source: Source, space_id: bytes) -> None:
    """What an earlier epoch sealed opens under a ring that has grown; an epoch outside the ring does not."""
    ring = {epoch: SecretBytes.random(32, source) for epoch in (1, 2, 5)}
    first = SpaceSealer(space_id, {1: ring[1]}, source).seal(PAYLOAD, METADATA, STATE)
    whole = SpaceSealer(space_id, ring, source)

    assert whole.open_node(first) == (PAYLOAD, METADATA, STATE)
    assert whole.seal(b"", b"", b"").epoch == 5
    with pytest.raises(TamperedError, match="Epoch 1"):
        SpaceSealer(space_id, {2: ring[2]}, source).open_node(first)


def test_the_cipher_of_an_epoch_is_made_once(sealer: SpaceSealer, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many nodes are sealed and opened, each epoch has one."""
    made: list[int] = []

    def make(wrap_key: SecretBytes, epoch: int) -> NodeKeyWrap:
        made.append(epoch)
        return NodeKeyWrap(wrap_key, epoch)

    monkeypatch.setattr(sealer_module, "NodeKeyWrap", make)
    nodes = [sealer.seal(PAYLOAD, METADATA, STATE) for _ in range(3)]

    assert [sealer.open_state(node) for node in nodes] == [STATE] * 3
    assert made == [sealer.epoch]


def test_an_epoch_cannot_be_relabelled(sealer: SpaceSealer, node: SealedNode) -> None:
    """A node whose row names another epoch does not open."""
    with pytest.raises(TamperedError):
        sealer.open_node(replace(node, epoch=1))


def test_another_space_with_the_same_keys_opens_nothing(source: Source, space_id: bytes) -> None:
    """The space id is in every context: a node pasted into another space is refused there."""
    ring = {1: SecretBytes.random(32, source)}
    node = SpaceSealer(space_id, ring, source).seal(PAYLOAD, METADATA, STATE)
    other = SpaceSealer(bytes(16), ring, source)

    for opener in (other.open_node, other.open_payload, other.open_metadata, other.open_state):
        with pytest.raises(TamperedError):
            opener(node)


def test_a_state_is_replaced_and_counted(sealer: SpaceSealer, node: SealedNode) -> None:
    """A new state keeps id, wrap and envelopes; its counter is one more."""
    second = sealer.replace_state(node, b"hidden")
    third = sealer.replace_state(second, b"shown")

    assert sealer.open_state(third) == b"shown"
    assert (second.id, second.wrap, second.payload, second.metadata) == (
        node.id,
        node.wrap,
        node.payload,
        node.metadata,
    )
    assert [int.from_bytes(each.state[:8], "big") for each in (node, second, third)] == [1, 2, 3]


def test_a_counter_cannot_be_changed(sealer: SpaceSealer, node: SealedNode) -> None:
    """The counter in clear is bound into the envelope, also when the state is replaced."""
    raised = replace(node, state=(9).to_bytes(8, "big") + node.state[8:])

    with pytest.raises(TamperedError):
        sealer.open_state(raised)
    with pytest.raises(TamperedError):
        sealer.replace_state(raised, b"new")


def test_a_default_state_has_no_envelope(sealer: SpaceSealer) -> None:
    """A node sealed with the state b"" has nothing in its place, and opens to b"" again."""
    node = sealer.seal(PAYLOAD, METADATA, b"")

    assert node.state == b""
    assert sealer.open_node(node) == (PAYLOAD, METADATA, b"")
    assert sealer.open_state(node) == b""


def test_a_first_state_has_the_first_counter(sealer: SpaceSealer) -> None:
    """Where there was no state, the new one counts as 1, and what follows counts on; id, wrap and envelopes stay."""
    absent = sealer.seal(PAYLOAD, METADATA, b"")
    first = sealer.replace_state(absent, b"hidden")
    second = sealer.replace_state(first, b"shown")

    assert sealer.open_node(first) == (PAYLOAD, METADATA, b"hidden")
    assert sealer.open_node(second) == (PAYLOAD, METADATA, b"shown")
    assert [int.from_bytes(each.state[:8], "big") for each in (first, second)] == [1, 2]
    assert replace(second, state=b"") == absent


def test_a_state_never_goes_back_to_absent(sealer: SpaceSealer, node: SealedNode) -> None:
    """Nothing is replaced by nothing, be there a state or none."""
    for each in (node, sealer.seal(PAYLOAD, METADATA, b"")):
        with pytest.raises(ValueError, match="only for new nodes"):
            sealer.replace_state(each, b"")


def test_a_state_does_not_move_to_a_node_without_one(sealer: SpaceSealer, node: SealedNode) -> None:
    """Another node's state opens nowhere else, and cannot be replaced there either."""
    moved = replace(sealer.seal(PAYLOAD, METADATA, b""), state=node.state)

    for act in (sealer.open_node, sealer.open_state, lambda given: sealer.replace_state(given, b"new")):
        with pytest.raises(TamperedError):
            act(moved)
    assert sealer.open_payload(moved) == PAYLOAD


def test_a_state_is_whole_or_absent(sealer: SpaceSealer, node: SealedNode) -> None:
    """Cut anywhere but before its first byte, a state is refused; a lone counter is none."""
    for length in range(1, len(node.state)):
        with pytest.raises(TamperedError):
            sealer.open_state(replace(node, state=node.state[:length]))


def test_an_absent_state_opens_with_its_own_wrap_only(sealer: SpaceSealer, node: SealedNode) -> None:
    """The wrap is checked although there is nothing to open: another node's, or another epoch, is refused."""
    absent = sealer.seal(PAYLOAD, METADATA, b"")

    for wrong in (replace(absent, wrap=node.wrap), replace(absent, epoch=1), replace(absent, id=node.id)):
        with pytest.raises(TamperedError):
            sealer.open_state(wrong)
        with pytest.raises(TamperedError):
            sealer.replace_state(wrong, b"new")


def test_a_state_cut_away_changes_the_digest(sealer: SpaceSealer, node: SealedNode) -> None:
    """The element of a node holds the hash of its state, of an absent one too, so the digest of the set tells."""
    cut = replace(node, state=b"")

    assert sealer.open_state(cut) == b""
    assert sealer.digest_element(b"node", element(cut)) != sealer.digest_element(b"node", element(node))
    assert element(cut).endswith(hashlib.sha256(b"").digest())


def test_vectors_are_bound_to_node_and_model(sealer: SpaceSealer, node: SealedNode) -> None:
    """A vector opens for its node and for what it was sealed about, and as nothing else."""
    other = sealer.seal(b"", b"", b"")
    sealed = sealer.seal_vector(node, b"\1\2\3\4", b"model A, window 0")

    assert sealer.open_vector(node, sealed, b"model A, window 0") == b"\1\2\3\4"
    for wrong_node, about in ((other, b"model A, window 0"), (node, b"model B, window 0"), (node, b"")):
        with pytest.raises(TamperedError):
            sealer.open_vector(wrong_node, sealed, about)
    assert sealer.open_vector(node, sealer.seal_vector(node, b"plain")) == b"plain"


def test_the_id_names_the_envelopes_whoever_sealed_them(source: Source, space_id: bytes) -> None:
    """Who holds the node key can seal another payload or other metadata, but not under the same id."""
    space_key = SecretBytes.random(32, source)
    sealer = SpaceSealer(space_id, {1: space_key}, source)
    node = sealer.seal(PAYLOAD, METADATA, STATE)
    with derive(space_key, Label.NODE_KEY_WRAP, space_id) as wrap_key:
        node_key = NodeKeyWrap(wrap_key, 1).unwrap(node.wrap, node.id)
    forgeries = (
        replace(node, payload=seal(node_key, Context(Role.PAYLOAD, space_id), b"false", source)),
        replace(node, metadata=seal(node_key, Context(Role.METADATA, space_id), b"false", source)),
    )

    for forged in forgeries:
        for opener in (sealer.open_node, sealer.open_payload, sealer.open_metadata):
            with pytest.raises(TamperedError, match="not those its id names"):
                opener(forged)


def test_roles_do_not_stand_in_for_each_other(source: Source, space_id: bytes) -> None:
    """A state put in the payload's place is refused even by who holds the node key and fits the id."""
    space_key = SecretBytes.random(32, source)
    sealer = SpaceSealer(space_id, {1: space_key}, source)
    node = sealer.seal(PAYLOAD, METADATA, STATE)
    with derive(space_key, Label.NODE_KEY_WRAP, space_id) as wrap_key:
        wrap = NodeKeyWrap(wrap_key, 1)
        node_key = wrap.unwrap(node.wrap, node.id)
        false = seal(node_key, Context(Role.VECTOR, space_id), b"false", source)
        identifier = node_id(false, node.metadata)
        forged = replace(node, id=identifier, payload=false, wrap=wrap.wrap(node_key, identifier, source))

    assert sealer.open_metadata(forged) == METADATA
    with pytest.raises(TamperedError):
        sealer.open_payload(forged)


def test_digest_elements_are_keyed_hashes(source: Source, space_id: bytes) -> None:
    """BLAKE2b-256 under the digest key of the ring's oldest epoch, the tag's length before the tag."""
    ring = {epoch: SecretBytes.random(32, source) for epoch in (3, 4)}
    key = derive(ring[3], Label.DIGEST, space_id)
    expected = hashlib.blake2b(b"\4node" + b"element", key=key.view(), digest_size=32).digest()

    assert SpaceSealer(space_id, ring, source).digest_element(b"node", b"element") == int.from_bytes(expected, "big")


def test_digest_and_chain_outlive_a_new_epoch(source: Source, space_id: bytes) -> None:
    """Rotating a space's key changes neither digest nor chain, so nothing has to be computed again."""
    ring = {1: SecretBytes.random(32, source)}
    before = SpaceSealer(space_id, ring, source)
    after = SpaceSealer(space_id, {**ring, 2: SecretBytes.random(32, source)}, source)

    assert before.digest_element(b"node", b"x") == after.digest_element(b"node", b"x")
    assert before.chain(bytes(32), b"x") == after.chain(bytes(32), b"x")


def test_a_tag_cannot_run_into_its_element(sealer: SpaceSealer) -> None:
    """Moving a byte from the tag to the element changes the digest; a tag too long for its length byte is refused."""
    assert sealer.digest_element(b"ab", b"c") != sealer.digest_element(b"a", b"bc")
    with pytest.raises(ValueError, match="at most 255"):
        sealer.digest_element(bytes(256), b"")


def test_chain_is_hmac_of_previous_and_digest(source: Source, space_id: bytes) -> None:
    """HMAC-SHA-256 under the chain key; a previous value of another length is refused."""
    secret = SecretBytes.random(32, source)
    key = derive(secret, Label.CHAIN, space_id)
    sealer = SpaceSealer(space_id, {1: secret}, source)

    assert sealer.chain(b"p" * 32, b"d" * 32) == hmac.digest(key.view(), b"p" * 32 + b"d" * 32, "sha256")
    with pytest.raises(ValueError, match="32 bytes"):
        sealer.chain(b"", b"d")


def test_page_keys_differ_by_epoch_and_space(source: Source, space_id: bytes, sealer: SpaceSealer) -> None:
    """Every epoch of every space has pages of its own; without an epoch the newest is meant."""
    assert sealer.page_key() == sealer.page_key(2)
    assert sealer.page_key(1) != sealer.page_key(2)
    secret = SecretBytes.random(32, source)
    one, other = (SpaceSealer(identifier, {1: secret}, source) for identifier in (space_id, bytes(16)))
    assert one.page_key() != other.page_key()
    with pytest.raises(TamperedError, match="Epoch 9"):
        sealer.page_key(9)


def test_nonsense_is_refused(source: Source, space_id: bytes) -> None:
    """A sealer needs a whole space id and a ring with epochs of the format."""
    secret = SecretBytes.random(32, source)
    with pytest.raises(ValueError, match="A space id has 16 bytes, not 5"):
        SpaceSealer(b"short", {1: secret}, source)
    with pytest.raises(ValueError, match="at least one epoch"):
        SpaceSealer(space_id, {}, source)
    with pytest.raises(ValueError, match="epoch"):
        SpaceSealer(space_id, {0: secret}, source)


def test_no_key_and_nonce_come_twice(space_id: bytes) -> None:
    """Over many seals the ciphers never see a nonce again under one key, as their salts never repeat."""
    sealer = SpaceSealer(space_id, {1: SecretBytes.random(32, os.urandom)}, os.urandom)
    salts, nonces = set(), set()

    for _ in range(2_000):
        node = sealer.seal(b"", b"", STATE)
        salts |= {node.payload[:24], node.metadata[:24], node.state[8:32]}
        nonces.add(node.wrap[:12])

    assert len(salts) == 6_000
    assert len(nonces) == 2_000


def test_threads_share_a_sealer(sealer: SpaceSealer) -> None:
    """Four threads seal and open at once, and every node is whole."""
    failures: list[object] = []

    def work(name: bytes) -> None:
        for number in range(100):
            content = name + bytes((number,))
            if sealer.open_node(sealer.seal(content, content, content)) != (content, content, content):
                failures.append(content)

    threads = [threading.Thread(target=work, args=(bytes((number,)),)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not failures
