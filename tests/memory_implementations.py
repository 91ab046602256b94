"""All that is a memory, for the suite of `MemoryProtocol`: what makes an empty one of each kind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, cast

from driven_memory import DrivenMemory
from mimir_vault.asynchronous.vault import AsyncVault
from mimir_vault.memory_protocol import MemoryProtocol
from mimir_vault.model.draft import Draft
from quick_vaults import QuickVaults

UNKNOWN = "0" * 64
"""A whole node id that no node has."""


def texts(found: Any) -> list[str]:
    """Return the texts of nodes or hits."""
    return [one.text for one in found]


@dataclass(frozen=True)
class Kept:
    """An empty memory to test, and what locks its vault."""

    memory: MemoryProtocol
    lock: Callable[[], None]


@contextmanager
def a_space(vaults: QuickVaults) -> Iterator[Kept]:
    """A bare space of a vault in this process."""
    vault = vaults.create()
    yield Kept(vault.space(), vault.lock)


@contextmanager
def a_view(vaults: QuickVaults) -> Iterator[Kept]:
    """A view of a space in which there is something else as well."""
    vault = vaults.create()
    vault.space().remember_many(
        [Draft(f"outside {n}, a seat by the window", agent="another", ref=("out", str(n))) for n in range(3)]
    )
    yield Kept(vault.space().view(agent="tester"), vault.lock)


@contextmanager
def for_asyncio(vaults: QuickVaults) -> Iterator[Kept]:
    """A space for asyncio, each call run to its end."""
    vault = vaults.create()
    with asyncio.Runner() as runner:
        awaited = AsyncVault(vault)
        memory = DrivenMemory(runner, runner.run(awaited.space()))
        yield Kept(cast("MemoryProtocol", memory), lambda: runner.run(awaited.lock()))
        runner.run(awaited.lock())


IMPLEMENTATIONS: dict[str, Callable[[QuickVaults], AbstractContextManager[Kept]]] = {
    "a space": a_space,
    "a view": a_view,
    "asyncio": for_asyncio,
}
"""Each gives, of a factory of quick vaults, an empty memory and what locks its vault."""
