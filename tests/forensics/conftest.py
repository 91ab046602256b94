"""Fixtures of the forensic tests: a vault as an attacker finds it, closed and while it is open."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from forensics.building import Scanned, codes_of, listening, make_sketch, remember_turns, sketch_from, take_texts
from forensics.damage import Aged, build_aged
from forensics.invented import Inventor
from mimir_vault.testing import FixedClock, HashEmbedder
from mimir_vault.vault import Vault

PASSPHRASE = "vormelade quinstocking brathume"
SKETCH_FROM = 60
TURNS = 100


@pytest.fixture(scope="session")
def scanned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scanned]:
    """A vault with two spaces, a sketch, superseded and forgotten nodes; copied closed, and open with a WAL."""
    folder = tmp_path_factory.mktemp("scanned")
    found, inventor = Scanned(), Inventor(7)
    around: dict[str, Any] = {
        "embedder": HashEmbedder(384),
        "clock": FixedClock(step=1),
        "state_folder": folder / "state",
    }
    with listening() as heard, sketch_from(SKETCH_FROM):
        vault = Vault.create(
            folder / "vault", passphrase=PASSPHRASE, profile="interactive", recovery=True, size_floor=1 << 20, **around
        )
        words = vault.recovery_code
        assert words is not None
        second = inventor.word()
        with vault:
            take_texts(found, remember_turns(vault.space(), inventor, TURNS))
            take_texts(found, remember_turns(vault.create_space(inventor.word()), inventor, 5))
            vault.rename_space(vault.spaces()[1].name, second)
            _change(vault, found, inventor)
            found.codes = codes_of(vault.space())
        _copy(folder, found, "closed")
        with Vault.open(folder / "vault", recovery_code=words, **around) as vault:
            take_texts(found, remember_turns(vault.space(), inventor, 12))
            take_texts(found, remember_turns(vault.space(second), inventor, 3))
            _copy(folder, found, "open")
            found.ids = [bytes.fromhex(node.id) for node in vault.space().nodes()]
    found.vectors = list(HashEmbedder(384).embed(found.texts))
    found.names += [PASSPHRASE, words, *PASSPHRASE.split(), second]
    found.secrets = list(heard)
    yield found
    shutil.rmtree(folder)


def _change(vault: Vault, found: Scanned, inventor: Inventor) -> None:
    """Forget and supersede some nodes, and change the passphrase and the name of a space."""
    memory = vault.space()
    make_sketch(memory)
    nodes = list(memory.nodes())
    for node in nodes[10:15]:
        memory.forget(node.id)
    newer = [f"{inventor.word()} instead of {inventor.word()}" for _ in range(3)]
    for node, text in zip(nodes, newer, strict=False):
        memory.supersede(node.id, text)
    found.names += [word for text in newer for word in text.split() if len(word) >= 10]
    vault.keyslots.add_passphrase(inventor.word())


def _copy(folder: Path, found: Scanned, name: str) -> None:
    """Keep a copy of vault and state folder as they are this moment."""
    found.folders[name] = folder / name
    for part in ("vault", "state"):
        shutil.copytree(folder / part, folder / name / part)


@pytest.fixture(scope="session")
def aged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aged]:
    """A vault at two moments between which every table changed."""
    folder = tmp_path_factory.mktemp("aged")
    yield build_aged(folder)
    shutil.rmtree(folder)
