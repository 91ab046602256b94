"""From the surroundings to a memory: `mimir_vault.open`."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mimir_vault import opening
from mimir_vault.errors import NotFoundError
from mimir_vault.vault import Vault


@pytest.fixture
def opened(vaults: Any, monkeypatch: pytest.MonkeyPatch) -> list[Vault]:
    """The vaults that `open` opened, with the raw key in the place of a passphrase."""
    made: list[Vault] = []
    vaults.create().lock()

    def with_key(path: Path) -> Vault:
        made.append(vaults.open(path))
        return made[-1]

    monkeypatch.setattr(opening, "Vault", SimpleNamespace(open=with_key))
    return made


def test_closing_the_memory_locks_its_vault(vaults: Any, opened: list[Vault]) -> None:
    """One thing to close for who opened one thing."""
    with opening.open(str(vaults.path()), "main") as memory:
        memory.remember("x")
        assert not opened[0]._closed
    assert opened[0]._closed


def test_without_a_path_the_default_is_opened(
    vaults: Any, opened: list[Vault], monkeypatch: pytest.MonkeyPatch
) -> None:
    """MIMIR_VAULT, as elsewhere."""
    monkeypatch.setenv("MIMIR_VAULT", str(vaults.path()))
    with opening.open() as memory:
        assert memory.vault.path == vaults.path()


def test_when_the_space_is_not_there_the_vault_is_locked_again(vaults: Any, opened: list[Vault]) -> None:
    """No key stays in memory behind an error."""
    with pytest.raises(NotFoundError, match="no space 'gone'"):
        opening.open(vaults.path(), "gone")
    assert opened[0]._closed
