"""Fixtures of the crypto tests: a seeded source of randomness and keys made from it."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable

import pytest

from mimir_vault.crypto.sealer import SpaceSealer
from mimir_vault.crypto.secret import SecretBytes


@pytest.fixture
def source() -> Callable[[int], bytes]:
    """Random bytes that are the same in every run."""
    return random.Random(20_260_501).randbytes


@pytest.fixture
def node_key(source: Callable[[int], bytes]) -> SecretBytes:
    """32 random bytes."""
    return SecretBytes.random(32, source)


@pytest.fixture
def space_id(source: Callable[[int], bytes]) -> bytes:
    """16 random bytes."""
    return source(16)


@pytest.fixture
def sealer(source: Callable[[int], bytes], space_id: bytes) -> SpaceSealer:
    """The sealer of a space with two epochs."""
    return SpaceSealer(space_id, {epoch: SecretBytes.random(32, source) for epoch in (1, 2)}, source)


@pytest.fixture
def discarded(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The contents of all that the modules of this package hand to `discard`, in that order; nothing is overwritten."""
    contents: list[bytes] = []
    for name, module in list(sys.modules.items()):
        if name.startswith("mimir_vault.crypto.") and hasattr(module, "discard"):
            monkeypatch.setattr(module, "discard", lambda raw: contents.append(bytes(bytearray(raw))))
    return contents
