"""Tests of how a sealer ends: by wiping it, in a forked child, and beside the ring it was made from."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable

import pytest

from mimir_vault.crypto.sealer import SealedNode, SpaceSealer
from mimir_vault.crypto.secret import SecretBytes
from mimir_vault.errors import LockedError

PAYLOAD, METADATA, STATE = b"I prefer window seats", b"speaker: Ada", b"pinned"
Source = Callable[[int], bytes]


@pytest.fixture
def node(sealer: SpaceSealer) -> SealedNode:
    """One sealed node."""
    return sealer.seal(PAYLOAD, METADATA, STATE)


def test_a_wiped_sealer_does_nothing(sealer: SpaceSealer, node: SealedNode) -> None:
    """After wipe every method raises LockedError, and wiping again is harmless."""
    sealer.open_node(node)
    sealer.wipe()
    sealer.wipe()

    for act in (
        lambda: sealer.seal(b"", b"", b""),
        lambda: sealer.open_node(node),
        lambda: sealer.open_payload(node),
        lambda: sealer.open_metadata(node),
        lambda: sealer.open_state(node),
        lambda: sealer.replace_state(node, b"new"),
        lambda: sealer.seal_vector(node, b""),
        lambda: sealer.open_vector(node, b""),
        lambda: sealer.digest_element(b"", b""),
        lambda: sealer.chain(bytes(32), b""),
        lambda: sealer.page_key(),
    ):
        with pytest.raises(LockedError):
            act()


def test_a_wiped_sealer_keeps_no_cipher(sealer: SpaceSealer, node: SealedNode) -> None:
    """The library keeps a copy of a key as long as its cipher lives, so that goes too."""
    sealer.open_node(node)
    assert len(sealer._wraps) == 1

    sealer.wipe()

    assert sealer._wraps == {}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # forking while threads live is what is tested against
def test_a_forked_child_opens_nothing(sealer: SpaceSealer, node: SealedNode) -> None:
    """In a child every method raises LockedError, also where a cipher was made before the fork."""
    sealer.open_node(node)

    child = os.fork()
    if child == 0:
        refused = 0
        try:
            for act in (
                lambda: sealer.open_node(node),
                lambda: sealer.open_state(node),
                lambda: sealer.seal(PAYLOAD, METADATA, STATE),
                lambda: sealer.page_key(),
            ):
                with contextlib.suppress(LockedError):
                    act()
                    continue
                refused += 1
        finally:
            os._exit(refused)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 4
    assert sealer.open_node(node) == (PAYLOAD, METADATA, STATE)


def test_the_ring_belongs_to_its_owner(source: Source, space_id: bytes) -> None:
    """Wiping the ring that was handed in leaves the sealer working, and the other way round."""
    ring = {1: SecretBytes.random(32, source)}
    sealer = SpaceSealer(space_id, ring, source)
    other = SpaceSealer(space_id, ring, source)

    sealer.wipe()
    ring[1].wipe()

    assert other.open_state(other.seal(b"", b"", STATE)) == STATE
