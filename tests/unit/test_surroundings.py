"""What a vault takes from outside, and where things lie when nobody says."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from mimir_vault.model.clock import SystemClock
from mimir_vault.surroundings import Surroundings, bytes_of, default_path, default_state_folder
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


@pytest.mark.parametrize(
    ("given", "number"),
    [
        (16 << 20, 16 << 20), ("16777216", 16 << 20), ("256MiB", 256 << 20), (" 256 mib ", 256 << 20),
        ("1GB", 10**9), ("1 g", 10**9), ("1.5GiB", 3 << 29), ("16777216B", 16 << 20), ("65536kib", 64 << 20),
        ("2TiB", 2 << 40), (1 << 70, 1 << 70),
    ],
)  # fmt: skip
def test_a_memory_budget_is_bytes_or_text(given: int | str, number: int) -> None:
    """Decimal and binary units, in any case, with and without a blank."""
    assert bytes_of(given, "memory_budget") == number


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        ("", ValueError, "memory_budget='' is no amount of memory; write it like"),
        ("lots", ValueError, "memory_budget='lots' is no amount"), ("-1GB", ValueError, "no amount"),
        ("1e9", ValueError, "no amount"), ("1 GiB of it", ValueError, "no amount"),
        ("9" * 400, ValueError, "no amount"),
        ("٣٠٠MiB ", ValueError, "no amount"), ("1PB", ValueError, "no amount"), ("MiB", ValueError, "no amount"),
        ("15MiB", ValueError, "memory_budget='15MiB' is too little: a vault needs at least 16 MiB"),
        (0, ValueError, "too little"), (-(1 << 30), ValueError, "too little"),
        (True, TypeError, 'memory_budget is a number of bytes or text such as "256MiB", not bool'),
        (1e9, TypeError, "not float"), (b"1GB", TypeError, "not bytes"), ([1 << 30], TypeError, "not list"),
    ],
)  # fmt: skip
def test_a_memory_budget_that_is_none_is_refused(given: Any, error: type[Exception], says: str) -> None:
    """In one sentence that names it and says what is wanted."""
    with pytest.raises(error, match=says):
        bytes_of(given, "memory_budget")


def test_the_memory_budget_is_given_or_that_of_the_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What is given comes first; an empty variable counts as not set, a bad one is named."""
    monkeypatch.delenv("MIMIR_MEMORY_BUDGET", raising=False)
    assert Surroundings.of(None, None, os.urandom, tmp_path).memory_budget is None
    monkeypatch.setenv("MIMIR_MEMORY_BUDGET", "")
    assert Surroundings.of(None, None, os.urandom, tmp_path).memory_budget is None
    monkeypatch.setenv("MIMIR_MEMORY_BUDGET", "64MiB")
    assert Surroundings.of(None, None, os.urandom, tmp_path).memory_budget == 64 << 20
    assert Surroundings.of(None, None, os.urandom, tmp_path, memory_budget="1GiB").memory_budget == 1 << 30
    monkeypatch.setenv("MIMIR_MEMORY_BUDGET", "some")
    with pytest.raises(ValueError, match="MIMIR_MEMORY_BUDGET='some' is no amount of memory"):
        Surroundings.of(None, None, os.urandom, tmp_path)
