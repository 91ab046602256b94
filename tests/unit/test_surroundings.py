"""What a vault takes from outside, and where things lie when nobody says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mimir_vault.model.clock import SystemClock
from mimir_vault.surroundings import Surroundings, default_path, default_state_folder
from mimir_vault.testing import FixedClock, HashEmbedder


def test_what_is_given_is_taken(tmp_path: Path) -> None:
    """Embedder, clock, randomness and folder; text paths become paths."""
    embedder, clock = HashEmbedder(), FixedClock(step=1)
    around = Surroundings.of(embedder, clock, bytes, str(tmp_path), read_only=True, accept_rollback=True)
    assert (around.embedder, around.clock, around.random) == (embedder, clock, bytes)
    assert (around.state_folder, around.read_only, around.accept_rollback) == (tmp_path, True, True)


def test_what_is_not_given_is_filled_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The machine's clock and the platform's folder for state."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    around = Surroundings.of(None, None, os.urandom, None)
    assert isinstance(around.clock, SystemClock)
    assert around.embedder is None
    assert around.state_folder == default_state_folder()
    assert not around.read_only
    assert not around.accept_rollback


def test_the_vault_lies_where_the_variable_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """MIMIR_VAULT first; else the platform's folder for data; an empty variable counts as not set."""
    monkeypatch.setenv("MIMIR_VAULT", str(tmp_path / "mine"))
    assert default_path() == tmp_path / "mine"
    monkeypatch.setenv("MIMIR_VAULT", "")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert default_path().parts[-2:] == ("mimir", "vault")


@pytest.mark.skipif(os.name != "posix", reason="XDG folders are those of Linux")
def test_state_is_kept_apart_from_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A copy of the vault must not take its pins along."""
    monkeypatch.delenv("MIMIR_VAULT", raising=False)
    assert default_state_folder() not in default_path().parents
    assert default_path() not in default_state_folder().parents
