"""Fixtures of the key slot tests: seeded randomness, a raw key, a quick stand-in for Argon2id, and one header."""

from __future__ import annotations

import hashlib
import random
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

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


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Callable[[ModuleType, str], list[Any]]:
    """Return a function that keeps alive, in a list, all that a class or function of a module makes from now on.

    What nobody holds is wiped when it goes; what is kept must have been wiped on purpose.
    """

    def keep(module: ModuleType, name: str) -> list[Any]:
        genuine = getattr(module, name)
        made: list[Any] = []

        def make(*arguments: object, **keywords: object) -> object:
            made.append(genuine(*arguments, **keywords))
            return made[-1]

        monkeypatch.setattr(module, name, make)
        return made

    return keep


@pytest.fixture
def overwritten(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The contents of all that the key slots hand to `discard` and `wipe`, in that order; they are left as they are."""
    contents: list[bytes] = []
    for name, module in list(sys.modules.items()):
        for function in ("discard", "wipe"):
            if name.startswith("mimir_vault.keyslots.") and hasattr(module, function):
                monkeypatch.setattr(module, function, lambda raw: contents.append(bytes(bytearray(raw))))
    return contents
