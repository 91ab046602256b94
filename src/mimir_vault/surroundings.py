"""What a vault is handed: embedder, clock, randomness, state folder, and how it may be opened."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mimir_vault.model.clock import Clock, SystemClock

if TYPE_CHECKING:
    from mimir_vault.embed.embedder import Embedder
    from mimir_vault.store.database import Database

Random = Callable[[int], bytes]
MEMORY_BUDGET = "MIMIR_MEMORY_BUDGET"
MEMORY_BUDGET_MIN = 16 << 20
"""Bytes; below this a vault would only get slower, not smaller."""
CACHE_SHARE = 8
"""One connection's page cache may take this part of the budget: each thread has one to the catalog, to the state file
and to every space it reads."""
_AMOUNT = re.compile(r"(\d{1,15}(?:\.\d{1,9})?)\s*(?:([kmgt])(i?))?b?", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """All that a vault takes from outside; `embedder` None stands for the bundled model, loaded when first needed."""

    embedder: Embedder | None
    clock: Clock
    random: Random
    state_folder: Path
    read_only: bool = False
    accept_rollback: bool = False
    memory_budget: int | None = None

    @classmethod
    def of(
        cls,
        embedder: Embedder | None,
        clock: Clock | None,
        random: Random,
        state_folder: str | os.PathLike[str] | None,
        read_only: bool = False,
        accept_rollback: bool = False,
        memory_budget: int | str | None = None,
    ) -> Surroundings:
        """Return the surroundings with what was not given filled in; the budget from MIMIR_MEMORY_BUDGET, else None.

        Raises:
            ValueError, TypeError: the memory budget is no number of bytes, or too small.
        """
        folder = default_state_folder() if state_folder is None else Path(state_folder)
        budget: int | None = None
        if memory_budget is not None:
            budget = bytes_of(memory_budget, "memory_budget")
        elif written := os.environ.get(MEMORY_BUDGET):
            budget = bytes_of(written, MEMORY_BUDGET)
        return cls(embedder, clock or SystemClock(), random, folder, read_only, accept_rollback, budget)

    def bound(self, database: Database) -> None:
        """Keep the page cache of each connection to a database within its share of the memory budget."""
        if self.memory_budget is not None:
            database.bound_cache(self.memory_budget // CACHE_SHARE // 1_024)


def bytes_of(budget: int | str, name: str) -> int:
    """Return a memory budget in bytes from a number, or from text such as "256MiB" (2**20) or "1 GB" (10**9).

    Raises:
        TypeError: it is neither. ValueError: the text is no amount, or it is less than 16 MiB. `name` is in both.
    """
    if isinstance(budget, bool) or not isinstance(budget, int | str):
        raise TypeError(f'{name} is a number of bytes or text such as "256MiB", not {type(budget).__name__}')
    if isinstance(budget, int):
        amount = budget
    else:
        found = _AMOUNT.fullmatch(budget.strip())
        if found is None:
            raise ValueError(f'{name}={budget[:60]!r} is no amount of memory; write it like "256MiB" or "1GB"')
        number, prefix, binary = found.groups()
        power = " kmgt".index(prefix.lower()) if prefix else 0
        amount = int(float(number) * (1_024 if binary else 1_000) ** power)
    if amount < MEMORY_BUDGET_MIN:
        raise ValueError(f"{name}={budget!r} is too little: a vault needs at least {MEMORY_BUDGET_MIN >> 20} MiB")
    return amount


def default_path() -> Path:
    """Return where the vault lies when nobody says: MIMIR_VAULT, else the platform's folder for user data."""
    if given := os.environ.get("MIMIR_VAULT"):
        return Path(given)
    import platformdirs

    return platformdirs.user_data_path("mimir", appauthor=False) / "vault"


def default_state_folder() -> Path:
    """Return where the newest state seen of each vault is kept, outside all vaults."""
    import platformdirs

    return platformdirs.user_state_path("mimir", appauthor=False)
