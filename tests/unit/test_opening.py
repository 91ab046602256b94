"""From the surroundings to a memory: `mimir_vault.open`."""

from __future__ import annotations

from pathlib import Path

import pytest

from mimir_vault import opening
from mimir_vault.errors import LockedError, NotFoundError
from mimir_vault.testing import temporary_vault
from mimir_vault.unlockers import UnlockChain
from mimir_vault.vault import Vault


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A locked vault whose passphrase MIMIR_PASSPHRASE_FILE names."""
    with temporary_vault(tmp_path, passphrase="correct horse battery staple", profile="interactive") as vault:
        path = vault.path
    (tmp_path / "secret").write_text("correct horse battery staple")
    monkeypatch.setenv("MIMIR_PASSPHRASE_FILE", str(tmp_path / "secret"))
    monkeypatch.setattr("mimir_vault.surroundings.default_state_folder", lambda: tmp_path / "state")
    return path


@pytest.fixture
def opened(path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Vault]:
    """The vaults that `open` opened."""
    made: list[Vault] = []
    open_unlocked = Vault.open_unlocked

    def listed(*arguments: object) -> Vault:
        made.append(open_unlocked(*arguments))  # type: ignore[arg-type]
        return made[-1]

    monkeypatch.setattr(Vault, "open_unlocked", listed)
    return made


def test_closing_the_memory_locks_its_vault(path: Path, opened: list[Vault]) -> None:
    """One thing to close for who opened one thing."""
    with opening.open(str(path), "main") as memory:
        memory.count()
        assert not opened[0]._closed
    assert opened[0]._closed


def test_without_a_path_the_default_is_opened(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MIMIR_VAULT, as elsewhere."""
    monkeypatch.setenv("MIMIR_VAULT", str(path))
    with opening.open() as memory:
        assert memory.vault.path == path


def test_when_the_space_is_not_there_the_vault_is_locked_again(path: Path, opened: list[Vault]) -> None:
    """No key stays in memory behind an error."""
    with pytest.raises(NotFoundError, match="no space 'gone'"):
        opening.open(path, "gone")
    assert opened[0]._closed


def test_a_vault_that_is_held_open_is_not_opened(
    path: Path, opened: list[Vault], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the chain's keeper gives is the memory; it is asked for the absolute path and the space, before any key."""
    asked: list[tuple[Path, str]] = []

    def kept(chain: UnlockChain, place: Path, space: str) -> object:
        asked.append((place, space))
        return "the keeper's"

    monkeypatch.setattr(UnlockChain, "memory", kept)
    monkeypatch.chdir(tmp_path)
    assert opening.open("vault", "work") == "the keeper's"
    assert (asked, opened) == ([(path, "work")], [])


def test_what_the_keeper_says_is_listed_with_the_rest(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One chain asks for the memory and for the key, so the sentence is complete."""
    monkeypatch.delenv("MIMIR_PASSPHRASE_FILE")
    monkeypatch.setattr("mimir_vault.unlocking.terminal_prompt", lambda: None)
    monkeypatch.setattr("mimir_vault.unlockers.ENTRY_POINTS", "mimir_vault.unlockers_of_tests")

    def none(chain: UnlockChain, place: Path, space: str) -> None:
        chain._note("keeper: it is on holiday")

    monkeypatch.setattr(UnlockChain, "memory", none)
    with pytest.raises(LockedError, match="is locked: keeper: it is on holiday; MIMIR_PASSPHRASE_FILE is not"):
        opening.open(path)
