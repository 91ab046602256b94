"""Properties of sealing: whatever goes in comes out, and whatever is changed is refused."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mimir_vault.crypto.envelope import OVERHEAD, Context, Role, node_id, open_envelope, seal
from mimir_vault.crypto.sealer import SealedNode, SpaceSealer
from mimir_vault.crypto.secret import SecretBytes
from mimir_vault.crypto.vault_keys import VaultKeys
from mimir_vault.errors import TamperedError
from mimir_vault.keyslots.header import Header
from mimir_vault.keyslots.recovery_code import generate, parse
from mimir_vault.keyslots.sealed_part import HeaderContents, SlotDescription, open_contents, seal_contents

keys = st.binary(min_size=32, max_size=32)
scopes = st.binary(min_size=16, max_size=16)
roles = st.sampled_from(list(Role))
details = st.binary(max_size=40)
texts = st.binary(max_size=300)
seeds = st.integers(0, 2**32)


def source(seed: int) -> random.Random:
    return random.Random(seed)


@given(keys, roles, scopes, details, texts, seeds)
def test_every_envelope_opens_to_what_was_sealed(
    key: bytes, role: Role, scope: bytes, detail: bytes, plaintext: bytes, seed: int
) -> None:
    """Any bytes, under any key, as anything, come back; the envelope is always 72 bytes longer."""
    context, secret = Context(role, scope, detail), SecretBytes.copy_of(key)

    sealed = seal(secret, context, plaintext, source(seed).randbytes)

    assert open_envelope(secret, context, sealed) == plaintext
    assert len(sealed) == len(plaintext) + OVERHEAD


@given(keys, roles, scopes, texts, seeds, st.data())
def test_no_changed_envelope_opens(
    key: bytes, role: Role, scope: bytes, plaintext: bytes, seed: int, data: st.DataObject
) -> None:
    """Flip bits anywhere, cut, extend, or exchange pieces: it never opens."""
    context, secret = Context(role, scope), SecretBytes.copy_of(key)
    sealed = seal(secret, context, plaintext, source(seed).randbytes)
    other = seal(secret, context, plaintext, source(seed + 1).randbytes)
    cut = data.draw(st.integers(0, len(sealed) - 1), "cut")
    mask = data.draw(st.integers(1, 255), "mask")

    changes = [
        sealed[:cut] + bytes((sealed[cut] ^ mask,)) + sealed[cut + 1 :],
        sealed[:cut],
        sealed + bytes((mask,)),
        sealed[:24] + other[24:],
        sealed[:56] + other[56:],
    ]

    for changed in changes:
        with pytest.raises(TamperedError):
            open_envelope(secret, context, changed)


@given(keys, st.tuples(roles, scopes, details), st.tuples(roles, scopes, details), seeds)
def test_no_envelope_opens_in_another_context(
    key: bytes, sealed_as: tuple[Role, bytes, bytes], opened_as: tuple[Role, bytes, bytes], seed: int
) -> None:
    """Role, space and detail must be those of sealing, all of them."""
    secret = SecretBytes.copy_of(key)
    sealed = seal(secret, Context(*sealed_as), b"text", source(seed).randbytes)

    if sealed_as == opened_as:
        assert open_envelope(secret, Context(*opened_as), sealed) == b"text"
    else:
        with pytest.raises(TamperedError):
            open_envelope(secret, Context(*opened_as), sealed)


@given(st.tuples(roles, scopes, details), st.tuples(roles, scopes, details))
def test_two_contexts_never_have_the_same_bytes(
    one: tuple[Role, bytes, bytes], other: tuple[Role, bytes, bytes]
) -> None:
    """The encoding of a context is injective."""
    assert (one == other) == (Context(*one).encoded == Context(*other).encoded)


@given(texts, texts, texts, texts)
def test_two_pairs_of_envelopes_never_have_one_id(one: bytes, two: bytes, three: bytes, four: bytes) -> None:
    """A node id says exactly which bytes are payload and which metadata."""
    assert ((one, two) == (three, four)) == (node_id(one, two) == node_id(three, four))


@given(scopes, keys, texts, texts, texts, st.lists(texts.filter(bool), max_size=3), seeds)
def test_every_node_opens_also_after_its_state_changed(
    scope: bytes, key: bytes, payload: bytes, metadata: bytes, state: bytes, states: list[bytes], seed: int
) -> None:
    """Payload, metadata and the last state come back; the id never changes, and the counter counts what was sealed."""
    sealer = SpaceSealer(scope, {1: SecretBytes.copy_of(key)}, source(seed).randbytes)
    node = first = sealer.seal(payload, metadata, state)

    for later in states:
        node = sealer.replace_state(node, later)

    assert sealer.open_node(node) == (payload, metadata, [state, *states][-1])
    assert node.id == first.id
    assert int.from_bytes(node.state[:8], "big") == bool(state) + len(states)
    assert (node.state == b"") == (not state and not states)


@given(st.sampled_from(["id", "wrap", "payload", "metadata", "state"]), st.integers(0, 10_000), st.integers(1, 255))
def test_no_changed_node_opens(part: str, place: int, mask: int) -> None:
    """One changed byte in any part of a node is noticed."""
    sealer = SpaceSealer(bytes(16), {1: SecretBytes.copy_of(bytes(32))}, source(1).randbytes)
    node: SealedNode = sealer.seal(b"payload" * 3, b"metadata" * 3, b"state")
    content: bytes = getattr(node, part)
    at = place % len(content)

    changed = replace(node, **{part: content[:at] + bytes((content[at] ^ mask,)) + content[at + 1 :]})

    with pytest.raises(TamperedError):
        sealer.open_node(changed)


@given(st.lists(st.tuples(st.binary(max_size=20), texts), unique=True, max_size=8), st.randoms())
def test_a_set_digest_does_not_depend_on_order(elements: list[tuple[bytes, bytes]], shuffler: random.Random) -> None:
    """Elements can be added and taken away in any order; the sum says which are left."""
    sealer = SpaceSealer(bytes(16), {1: SecretBytes.copy_of(bytes(32))}, source(1).randbytes)
    total = sum(sealer.digest_element(*element) for element in elements) % 2**256
    shuffled = list(elements)
    shuffler.shuffle(shuffled)

    for element in shuffled:
        total = (total - sealer.digest_element(*element)) % 2**256

    assert total == 0


@given(scopes, scopes, st.dictionaries(st.integers(1, 2**32 - 1), keys, min_size=1, max_size=6), seeds)
def test_every_ring_unwraps_for_its_space(vault: bytes, space: bytes, ring: dict[int, bytes], seed: int) -> None:
    """Any epochs with any secrets come back, in ascending order."""
    vault_keys = VaultKeys(vault, SecretBytes.copy_of(bytes(32)), source(seed).randbytes)
    secrets = {epoch: SecretBytes.copy_of(key) for epoch, key in ring.items()}

    unwrapped = vault_keys.unwrap_ring(space, vault_keys.wrap_ring(space, secrets))

    assert unwrapped == secrets
    assert list(unwrapped) == sorted(ring)


descriptions = st.builds(
    SlotDescription,
    id=st.binary(min_size=4, max_size=4).map(bytes.hex),
    index=st.integers(0, 23),
    kind=st.integers(0, 255),
    label=st.text(max_size=25),
    created=st.integers(0, 2**64 - 1),
)


@given(
    st.lists(descriptions, unique_by=lambda slot: slot.index, max_size=24),
    keys,
    st.none() | keys,
    st.text("abcdefghijklmnopqrstuvwxyz0123456789.", min_size=1, max_size=64),
    st.integers(1, 2**32 - 1),
)
@settings(max_examples=50)
def test_every_sealed_part_opens_to_its_contents(
    slots: list[SlotDescription], current: bytes, following: bytes | None, file: str, epoch: int
) -> None:
    """Whatever the header may say comes back equal, always in the same number of bytes."""
    contents = HeaderContents(
        catalog_file=file,
        catalog_key=SecretBytes.copy_of(current),
        next_catalog_key=None if following is None else SecretBytes.copy_of(following),
        slots=tuple(sorted(slots, key=lambda slot: slot.index)),
    )
    root = SecretBytes.copy_of(b"r" * 32)

    sealed = seal_contents(contents, root, bytes(16), epoch, source(epoch).randbytes)

    assert open_contents(sealed, root, bytes(16), epoch) == contents
    assert len(sealed) == 8192


@given(st.binary(max_size=200))
def test_decoding_a_header_never_breaks(content: bytes) -> None:
    """Any bytes at all, alone or behind the magic, are refused in Mimir's own words."""
    from mimir_vault.errors import FormatError

    for raw in (content, b"MIMIR\r\n\x1a" + content, (b"MIMIR\r\n\x1a\1" + content).ljust(65_536, b"\xee")):
        with pytest.raises((FormatError, TamperedError)):
            Header.decode(raw)


@given(keys)
def test_every_recovery_code_is_read_back(entropy: bytes) -> None:
    """Any 256 bits become words that give the same bits."""
    words = generate(lambda _: bytes(bytearray(entropy)))

    assert bytes((parsed := parse(words)).view()) == entropy
    assert parsed == parse(words.upper().replace(" ", "  "))
