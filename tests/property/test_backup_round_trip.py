"""Whatever is done to a vault between backups, what is restored from the last one is what the vault held then."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backups import pin
from mimir_vault.memory import Memory
from mimir_vault.model.node import Node
from mimir_vault.testing import HashEmbedder
from mimir_vault.vault import Vault
from quick_vaults import QuickVaults

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40).map(
    lambda text: text if text.strip() else "x"  # A text of blanks alone is refused.
)
STEPS = st.one_of(
    st.tuples(st.just("remember"), texts, st.sampled_from([None, "s1", "s2"]), st.sampled_from([None, "r1", "r2"])),
    st.tuples(st.just("give a vector"), texts),
    st.tuples(st.sampled_from(["supersede", "forget", "pin", "hide", "move"]), st.integers(0, 30)),
    st.tuples(st.sampled_from(["create space", "erase space", "rename space"]), st.sampled_from(["a", "b"])),
    st.tuples(st.sampled_from(["backup", "rebuild", "compact", "reopen"])),
    st.tuples(st.just("backup")),
)


class Doing:
    """A vault under hypothesis: does a step, and skips one that makes no sense just now."""

    def __init__(self, folder: Path) -> None:
        self.vaults = QuickVaults(folder, folder / "state")
        self.vault: Vault = self.vaults.create()
        self.place = folder / "backup"
        self.held: dict[str, Any] | None = None
        self.kinds: list[bool] = []

    def step(self, verb: str, *words: Any) -> None:
        """Do one step."""
        names = [info.name for info in self.vault.spaces()]
        if verb == "remember":
            text, session, ref = words
            place = self.vault.space(names[-1])
            place.remember(text, session=session, ref=("some", ref) if ref else None, tags=["t"])
        elif verb == "give a vector":
            memory = self.vault.space().view(embedder=HashEmbedder(16, "given"))
            memory.remember(words[0], vector=HashEmbedder(16, "given").embed([words[0]])[0])
        elif verb in ("supersede", "forget", "pin", "hide", "move"):
            memory = self.vault.space(names[words[0] % len(names)])
            nodes = list(memory.nodes())
            if nodes:
                self._do_to(verb, memory, nodes[words[0] % len(nodes)])
        else:
            self._change(verb, names, *words)

    def _do_to(self, verb: str, memory: Memory, node: Node) -> None:
        if verb == "supersede":
            memory.supersede(node.id, f"instead of {node.text}")
        elif verb == "forget":
            memory.forget(node.id)
        elif verb == "pin":
            pin(memory, node.id)
        elif verb == "hide":
            memory.hide(node.id)
        elif node.ref is not None:
            memory.move(node.ref, ("moved", os.urandom(4).hex()))

    def _change(self, verb: str, names: list[str], name: str = "") -> None:
        if verb == "create space" and name not in names:
            self.vault.create_space(name)
        elif verb == "erase space" and name in names:
            self.vault.erase_space(name)
        elif verb == "rename space" and name in names and f"{name} renamed" not in names:
            self.vault.rename_space(name, f"{name} renamed")
        elif verb == "backup":
            self.kinds.append(self.vault.backup(self.place).incremental)
            self.held = self.contents(self.vault)
        elif verb == "rebuild":
            self.vault.rebuild()
        elif verb == "compact":
            self.vault.compact()
        elif verb == "reopen":
            self.vault.lock()
            self.vault = self.vaults.open()

    @staticmethod
    def contents(vault: Vault) -> dict[str, Any]:
        """Return every node of every space, and what superseded it."""
        return {
            info.id: (info.name, [(node, memory.history(node.id)) for node in memory.nodes()])
            for info in vault.spaces()
            for memory in [vault.space(info.name)]
        }  # fmt: skip


TRIPS = int(os.environ.get("MIMIR_ROUND_TRIPS", "12"))


@settings(max_examples=TRIPS, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=st.lists(STEPS, min_size=3, max_size=25))
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[Any, ...]]) -> None:
    """Names, nodes, states, links and order; nothing is wrong with what was restored."""
    doing = Doing(tmp_path_factory.mktemp("trip"))
    try:
        for step in steps:
            doing.step(*step)
        if doing.held is None:
            doing.step("backup")
        with doing.vaults.restore(doing.place) as restored:
            assert doing.contents(restored) == doing.held
            assert restored.verify(full=True) == []
    finally:
        doing.vaults.lock_all()
