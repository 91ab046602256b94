"""Quick vaults of our own tests: several in one folder, opened and locked at will, of what users' tests are given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mimir_vault.testing import RAW_KEY, SIZE_FLOOR, FixedClock, HashEmbedder
from mimir_vault.vault import Vault


class QuickVaults:
    """Makes and opens vaults below one folder with a state folder of the test's own; locks those open at the end.

    Keywords go to `Vault.create` and `Vault.open`; a secret that is given takes the place of the raw key.
    """

    def __init__(
        self, folder: Path, state_folder: Path, embedder: HashEmbedder | None = None, clock: FixedClock | None = None
    ) -> None:
        self.folder = folder
        self._around: dict[str, Any] = {
            "state_folder": state_folder, "embedder": embedder or HashEmbedder(), "clock": clock or FixedClock(step=1),
        }  # fmt: skip
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

    def restore(self, backup: Path, name: str = "restored", **given: Any) -> Vault:
        """Restore a backup as the vault of that name and return it open."""
        secret = {} if given.keys() & {"passphrase", "recovery_code", "raw_key", "keyslot"} else {"raw_key": RAW_KEY}
        return self._kept(Vault.restore(backup, self.path(name), **{**secret, **self._around, **given}))

    def adopt(self, name: str = "vault", **given: Any) -> Vault:
        """Adopt the vault of that name and return it open."""
        return self._kept(Vault.adopt(self.path(name), **{"raw_key": RAW_KEY, **self._around, **given}))

    def lock_all(self) -> None:
        """Lock every vault this has handed out."""
        while self._made:
            self._made.pop().lock()

    def _kept(self, vault: Vault) -> Vault:
        self._made.append(vault)
        return vault
