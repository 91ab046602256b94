"""Settings of one call of the command: what the options that every command knows were set to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

DEFAULT_SPACE = "main"
"""The space that a new vault has, and that is meant when none is named."""


@dataclass(slots=True)
class Settings:
    """The options every command knows; an option on the command line wins over its variable in the environment."""

    vault: str | None = None
    space: str | None = None
    user: str | None = None
    agent: str | None = None
    passphrase_file: str | None = None
    recovery_code: bool = False
    read_only: bool = False
    accept_rollback: bool = False
    json: bool = False
    quiet: bool = False
    yes: bool = False

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Settings:
        """Return what MIMIR_VAULT, MIMIR_SPACE, MIMIR_USER and MIMIR_AGENT say; an empty variable says nothing."""
        return cls(
            vault=environ.get("MIMIR_VAULT") or None,
            space=environ.get("MIMIR_SPACE") or None,
            user=environ.get("MIMIR_USER") or None,
            agent=environ.get("MIMIR_AGENT") or None,
        )

    @property
    def space_name(self) -> str:
        """The space to work in."""
        return self.space if self.space is not None else DEFAULT_SPACE

    @property
    def vault_path(self) -> Path:
        """The vault's folder: as given, or the platform's data folder."""
        if self.vault is not None:
            return Path(self.vault).expanduser()
        import mimir_vault

        return Path(mimir_vault.default_path())
