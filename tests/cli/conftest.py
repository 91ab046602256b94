"""Fixtures for tests of the command: real calls in processes of their own, and quick calls within this one."""

from __future__ import annotations

import io
import logging
import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import mimir_vault
from cli.command_runs import PASSPHRASE, SECONDS_MAX, TURNS, Ran, Run
from mimir_vault.cli import app, terminal
from mimir_vault.testing import RAW_KEY, SIZE_FLOOR, HashEmbedder
from mimir_vault.vault import Vault


@pytest.fixture(scope="session")
def passphrase_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with the passphrase of the real vaults, readable by its owner only."""
    path = tmp_path_factory.mktemp("secret") / "passphrase"
    path.write_text(PASSPHRASE + "\n")
    path.chmod(0o600)
    return path


@pytest.fixture(scope="session")
def real_vault(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A vault with a passphrase that tests copy, holding `TURNS`, embedded by the bundled model."""
    folder = tmp_path_factory.mktemp("real")
    with Vault.create(
        folder / "vault", passphrase=PASSPHRASE, profile="interactive", recovery=False, size_floor=SIZE_FLOOR,
        state_folder=folder / "state",
    ) as vault:  # fmt: skip
        remember_turns(vault)
    return folder / "vault"


def remember_turns(vault: Vault) -> None:
    """Remember `TURNS` in the space main."""
    memory = vault.space()
    for speaker, role, session, at, text in TURNS:
        memory.remember(text, speaker=speaker, role=role, session=session, at=at, tags=[role])


@pytest.fixture
def environment(tmp_path: Path, passphrase_file: Path) -> dict[str, str]:
    """The variables of a call in a process of its own: nothing of the person who runs the tests."""
    foreign = ("MIMIR_", "XDG_", "PYTHON", "NO_COLOR")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return kept | {
        "PYTHONPATH": str(Path(mimir_vault.__file__).parents[1]),
        "HOME": str(tmp_path / "home"),
        "XDG_STATE_HOME": str(tmp_path / "state"),
        "XDG_DATA_HOME": str(tmp_path / "data"),
        "MIMIR_VAULT": str(tmp_path / "vault"),
        "MIMIR_PASSPHRASE_FILE": str(passphrase_file),
    }


@pytest.fixture
def copied_vault(tmp_path: Path, real_vault: Path) -> Path:
    """A copy of the real vault, where MIMIR_VAULT of a call points to."""
    return Path(shutil.copytree(real_vault, tmp_path / "vault"))


@pytest.fixture
def stored(copied_vault: Path, tmp_path: Path) -> Callable[[], list[str]]:
    """Gives the texts in the copied vault, oldest first, read by the library."""

    def texts() -> list[str]:
        with Vault.open(copied_vault, passphrase=PASSPHRASE, state_folder=tmp_path / "state" / "mimir") as vault:
            return [node.text for node in vault.space().nodes()]

    return texts


@pytest.fixture
def run(environment: dict[str, str]) -> Run:
    """Runs the command in a process of its own without a terminal: `run("list", stdin=b"…", env={…})`."""

    def call(*arguments: str | bytes, stdin: bytes = b"", env: dict[str, str] | None = None) -> Ran:
        done = subprocess.run(
            [sys.executable, "-m", "mimir_vault", *arguments], input=stdin, capture_output=True, timeout=SECONDS_MAX,
            env=environment | (env or {}), start_new_session=True, check=False,
        )  # fmt: skip
        return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())

    return call


@pytest.fixture(scope="session")
def quick_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A vault with a raw key that quick tests copy, holding `TURNS`, embedded by hashes."""
    folder = tmp_path_factory.mktemp("quick")
    with Vault.create(
        folder / "vault", raw_key=RAW_KEY, recovery=False, size_floor=SIZE_FLOOR, embedder=HashEmbedder(),
        state_folder=folder / "state",
    ) as vault:  # fmt: skip
        remember_turns(vault)
    return folder / "vault"


@pytest.fixture
def quick(
    tmp_path: Path, quick_template: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Run]:
    """Runs the command within this process on a quick vault that needs neither passphrase nor model."""
    shutil.copytree(quick_template, tmp_path / "vault")
    really_open = Vault.open

    def open_quickly(path: Path, **options: Any) -> Vault:
        return really_open(
            path, raw_key=RAW_KEY, embedder=HashEmbedder(), state_folder=tmp_path / "state", **options
        )  # fmt: skip

    monkeypatch.setattr(Vault, "open", open_quickly)
    monkeypatch.setattr(terminal, "is_there", lambda: False)
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    for name in [name for name in os.environ if name.startswith("MIMIR_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MIMIR_VAULT", str(tmp_path / "vault"))
    loggers = [logging.getLogger(), logging.getLogger("mimir_vault")]
    before = [(list(logger.handlers), logger.level) for logger in loggers]

    def call(*arguments: str, stdin: bytes = b"") -> Ran:
        path = tmp_path / "stdin"
        path.write_bytes(stdin)
        with path.open("rb", buffering=0) as raw, io.TextIOWrapper(io.BufferedReader(raw)) as text:
            monkeypatch.setattr(sys, "stdin", text)
            capsys.readouterr()
            code = app.main(arguments)
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    yield call
    for logger, (handlers, level) in zip(loggers, before, strict=True):
        logger.handlers[:] = handlers
        logger.setLevel(level)
