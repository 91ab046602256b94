"""Fixtures of the key slot tests: seeded randomness, a raw key, a quick stand-in for Argon2id, and one header."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator

import pytest

from mimir_vault.crypto import keys
from mimir_vault.keyslots.header import Header
from mimir_vault.keyslots.unlock import UnlockedRoot, create_header

RAW_KEY = bytes(range(100, 132))
NOW = 1_780_000_000_000_000  # microseconds since 1970: a moment in 2026


@pytest.fixture
def source() -> Callable[[int], bytes]:
    """Random bytes that are the same in every run."""
    return random.Random(20_260_501).randbytes


@pytest.fixture
def raw_key() -> bytes:
    """The raw key that opens the header of these tests."""
    return RAW_KEY


@pytest.fixture
def now() -> int:
    """The moment at which everything happens."""
    return NOW


@pytest.fixture
def argon2_runs(monkeypatch: pytest.MonkeyPatch) -> list[tuple[bytes, bytes, int]]:
    """Put a quick hash in the place of Argon2id and list its runs: passphrase, salt, memory in KiB."""
    runs: list[tuple[bytes, bytes, int]] = []

    def quick(password: memoryview, salt: bytes, *, memory_kib: int, passes: int, lanes: int, out: memoryview) -> None:
        runs.append((bytes(password), salt, memory_kib))
        cost = f"{memory_kib} {passes} {lanes}".encode()
        out[:] = hashlib.blake2b(password, key=salt + cost, digest_size=len(out)).digest()

    monkeypatch.setattr(keys, "argon2id_into", quick)
    return runs


@pytest.fixture
def created(source: Callable[[int], bytes]) -> Iterator[tuple[Header, UnlockedRoot]]:
    """A header that the raw key opens, and its root."""
    header, root, words = create_header(raw_key=RAW_KEY, recovery=False, random=source, now=NOW)
    assert words is None
    with root:
        yield header, root
