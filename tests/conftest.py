"""Fixtures that all tests share: quick vaults that need neither Argon2 nor the model, and what they are handed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mimir_vault.vault import Vault
from stand_ins import HashEmbedder, SteppingClock

RAW_KEY = bytes(range(32))
"""Unlocks every quick vault."""
SIZE_FLOOR = 1 << 20
"""Size floor of quick vaults: the smallest there is."""


class QuickVaults:
    """Makes and opens vaults below one folder with a raw key, a small size floor, the hash embedder and a state folder
    of the test's own; locks those still open at the end. Keywords given go to `Vault.create` and `Vault.open`.
    """

    def __init__(self, folder: Path, state_folder: Path, embedder: HashEmbedder, clock: SteppingClock) -> None:
        self.folder = folder
        self._around = {"state_folder": state_folder, "embedder": embedder, "clock": clock}
        self._made: list[Vault] = []

    def path(self, name: str = "vault") -> Path:
        """Return where the vault of a name lies."""
        return self.folder / name

    def create(self, name: str = "vault", **given: Any) -> Vault:
        """Create a vault of that name in the test's folder and return it open."""
        secret = {} if "passphrase" in given else {"raw_key": RAW_KEY}
        fixed = {"recovery": False, "size_floor": SIZE_FLOOR, **secret, **self._around}
        return self._kept(Vault.create(self.path(name), **{**fixed, **given}))

    def open(self, name: str | Path = "vault", **given: Any) -> Vault:
        """Open a vault by its name in the test's folder, or by its path."""
        secret = {} if given.keys() & {"passphrase", "recovery_code", "raw_key", "keyslot"} else {"raw_key": RAW_KEY}
        path = name if isinstance(name, Path) else self.path(name)
        return self._kept(Vault.open(path, **{**secret, **self._around, **given}))

    def lock_all(self) -> None:
        """Lock every vault this has handed out."""
        while self._made:
            self._made.pop().lock()

    def _kept(self, vault: Vault) -> Vault:
        self._made.append(vault)
        return vault


@pytest.fixture
def state_folder(tmp_path: Path) -> Path:
    """A state folder of the test's own, where pins are kept; not made yet."""
    return tmp_path / "state"


@pytest.fixture
def embedder() -> HashEmbedder:
    """A cheap deterministic embedder of 64 dimensions."""
    return HashEmbedder()


@pytest.fixture
def clock() -> SteppingClock:
    """A clock that begins on 2026-05-01 and goes on by a second whenever it is asked."""
    return SteppingClock()


@pytest.fixture
def vaults(tmp_path: Path, state_folder: Path, embedder: HashEmbedder, clock: SteppingClock) -> Iterator[QuickVaults]:
    """The factory of quick vaults: `vaults.create()`, `vaults.open()`, `vaults.path()`."""
    quick = QuickVaults(tmp_path, state_folder, embedder, clock)
    yield quick
    quick.lock_all()


@pytest.fixture
def vault(vaults: QuickVaults) -> Vault:
    """An open quick vault with its one space, `main`."""
    return vaults.create()
