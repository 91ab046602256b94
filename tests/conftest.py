"""Fixtures that all tests share: quick vaults that need neither Argon2 nor the model, and what they are handed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from mimir_vault.testing import FixedClock, HashEmbedder
from mimir_vault.vault import Vault
from quick_vaults import QuickVaults

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")  # How long an example took says something of the machine and nothing of the code.


@pytest.fixture
def state_folder(tmp_path: Path) -> Path:
    """A state folder of the test's own, where pins are kept; not made yet."""
    return tmp_path / "state"


@pytest.fixture
def embedder() -> HashEmbedder:
    """A cheap deterministic embedder of 64 dimensions."""
    return HashEmbedder()


@pytest.fixture
def clock() -> FixedClock:
    """A clock that begins on 2026-05-01 and goes on by a second whenever it is asked."""
    return FixedClock(step=1)


@pytest.fixture
def vaults(tmp_path: Path, state_folder: Path, embedder: HashEmbedder, clock: FixedClock) -> Iterator[QuickVaults]:
    """The factory of quick vaults: `vaults.create()`, `vaults.open()`, `vaults.path()`."""
    quick = QuickVaults(tmp_path, state_folder, embedder, clock)
    yield quick
    quick.lock_all()


@pytest.fixture
def vault(vaults: QuickVaults) -> Vault:
    """An open quick vault with its one space, `main`."""
    return vaults.create()
