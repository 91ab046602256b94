"""Damaging copies of a vault, and what Mimir says to it: refused, found by verify, or all nodes as they were."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest

from forensics import pages
from forensics.building import make_sketch, page_keys, remember_turns, sketch_from
from forensics.invented import Inventor
from mimir_vault.checking import Finding
from mimir_vault.errors import MimirError
from mimir_vault.memory import Memory
from mimir_vault.model.codec import State, decode, encode
from mimir_vault.model.draft import Draft
from mimir_vault.model.node import Node
from mimir_vault.store import nodes, traces
from mimir_vault.store.fresh_database import FreshDatabase
from mimir_vault.store.freshness import note_check
from mimir_vault.testing import FixedClock, HashEmbedder
from mimir_vault.vault import Vault
from quick_vaults import QuickVaults

PAGE = pages.PAGE
Held = Mapping[str, list[Node]]


@dataclass(slots=True)
class Aged:
    """A vault at two moments. `older` and `newer` hold `vault/` and `state/`; `held` is what each space held last."""

    folder: Path
    older: Path
    newer: Path
    page_keys: dict[str, bytes] = field(default_factory=dict)
    held: dict[str, list[Node]] = field(default_factory=dict)

    @property
    def space_file(self) -> str:
        """The path of the first space's file in the vault."""
        return next(name for name in self.page_keys if name.startswith("spaces/"))

    def copy(self, folder: Path, which: str = "newer", *, state: str | None = "newer") -> QuickVaults:
        """Put a copy of the vault as it was, with a state folder as it was (None: never seen here), into a folder."""
        shutil.copytree(self.folder / which / "vault", folder / "vault")
        if state is not None:
            shutil.copytree(self.folder / state / "state", folder / "state")
        return QuickVaults(folder, folder / "state", TwoWindows())


class TwoWindows(HashEmbedder):
    """An embedder that reads long texts in two halves, so that nodes have passages."""

    def windows(self, text: str, prefix: str, suffix: str) -> list[tuple[int, int]]:
        """Return one window, or two for a text of more than 500 characters."""
        middle = len(text) // 2
        return [(0, middle), (middle, len(text))] if len(text) > 500 else [(0, len(text))]


@dataclass(slots=True)
class Outcome:
    """What came of opening, checking and reading a vault; `held` is what its spaces gave when nothing was said."""

    refused: MimirError | None = None
    findings: list[Finding] = field(default_factory=list)
    held: dict[str, list[Node]] = field(default_factory=dict)

    @property
    def noticed(self) -> bool:
        """Whether Mimir said that something is wrong."""
        return self.refused is not None or bool(self.findings)


def contents(vault: Vault) -> dict[str, list[Node]]:
    """Return every node of every space."""
    return {info.name: list(vault.space(info.name).nodes()) for info in vault.spaces()}


def examine(vaults: QuickVaults, **given: Any) -> Outcome:
    """Open a vault, verify it in full and read all of it, as far as Mimir lets one."""
    outcome = Outcome()
    try:
        with vaults.open(**given) as vault:
            for info in vault.spaces():
                vault.space(info.name)
            outcome.findings = vault.verify(full=True)
            if not outcome.findings:
                outcome.held = contents(vault)
    except MimirError as error:
        outcome.refused = error
    return outcome


def put_page(target: Path, source: Path, number: int) -> None:
    """Overwrite one page of a file, sealed as it is, with the same page of another."""
    with source.open("rb") as old, target.open("r+b") as new:
        old.seek((number - 1) * PAGE)
        new.seek((number - 1) * PAGE)
        new.write(old.read(PAGE))


def flip(path: Path, bit: int) -> None:
    """Turn over one bit of a file in place."""
    with path.open("r+b") as file:
        file.seek(bit // 8)
        byte = file.read(1)[0]
        file.seek(bit // 8)
        file.write(bytes([byte ^ 1 << bit % 8]))


@contextmanager
def nothing_moves() -> Iterator[None]:
    """Keep an erasure from rebuilding the file meanwhile, so that pages of two moments can be compared one by one."""

    def only_note(database: FreshDatabase, erased: object, wait_ms: int) -> bool:
        with database.write() as change:
            traces.note_done(change.connection)
        return database.checkpoint()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FreshDatabase, "remove_traces", only_note)
        yield


def change_state(memory: Memory, node: Node) -> None:
    """Pin a node and give it a vector of its own, through the store: no verb does either yet."""
    with memory._space.store.write() as writer:
        (stored,) = nodes.find(writer.connection, node.id)

        state = decode(State, memory._space.store.sealer.open_state(stored.sealed))
        writer.replace_state(stored, msgspec.structs.replace(state, pinned=not state.pinned))
        row = (stored.seq, 1, 0, encode(state))
        writer.connection.execute("INSERT OR REPLACE INTO sealed_vector VALUES (?, ?, ?, ?)", row)


def build_aged(folder: Path) -> Aged:
    """Make a vault in which every table changes between two moments, and keep copies of both."""
    aged = Aged(folder, folder / "older", folder / "newer")
    clock, inventor = FixedClock(step=1), Inventor(41)
    vaults = QuickVaults(folder, folder / "state", TwoWindows(), clock)
    with sketch_from(20), nothing_moves():
        with vaults.create() as vault:
            remember_turns(vault.space(), inventor, 16)
            _set_lease(vault.space(), b"older")
        _keep(folder, "older")
        with vaults.open() as vault:
            memory = vault.space()
            remember_turns(memory, inventor, 16)
            _change(vault, memory, inventor)
            make_sketch(memory)
            _set_lease(memory, b"newer")
            aged.page_keys = page_keys(vault)
            aged.held = contents(vault)
        _keep(folder, "newer")
    return aged


def _change(vault: Vault, memory: Memory, inventor: Inventor) -> None:
    """Do all that makes old rows change: forget, supersede, share a session and tags, rename, change key slots."""
    first = list(memory.nodes())
    memory.forget(first[3].id)
    memory.forget(first[-1].id)
    memory.supersede(first[5].id, inventor.word())
    change_state(memory, first[7])
    memory.remember(inventor.word(), session=first[8].session, user=first[8].user, agent=first[8].agent,
                    tags=first[8].tags, speaker=first[8].speaker, ref=first[9].ref)  # fmt: skip
    long = " ".join(inventor.word() for _ in range(200))
    memory.remember_many([Draft(f"{number} {long}", session="long") for number in range(120)])
    vault.create_space("second").remember("one more", speaker="Ada")
    vault.rename_space("second", "other")
    vault.keyslots.add_raw_key(bytes(range(32, 64)))
    with vault._catalog.write() as change:
        for number in range(2_000):
            vault._catalog.audit(change, "something happened", number=number)
        vault._catalog.put_setting(change, "a setting", 7)
    with memory._space.store.write() as writer:
        note_check(writer.connection, 5)


def _set_lease(memory: Memory, owner: bytes) -> None:
    """Have the upkeep of the space belong to somebody, for a moment that has passed."""
    with memory._space.store.fresh.database.write() as connection:
        connection.execute("INSERT OR REPLACE INTO lease VALUES (1, ?, 5)", (owner,))


def _keep(folder: Path, name: str) -> None:
    for part in ("vault", "state"):
        shutil.copytree(folder / part, folder / name / part)
