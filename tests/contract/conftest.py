"""The memories that the suite of `MemoryProtocol` runs over."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from memory_implementations import IMPLEMENTATIONS, Kept
from mimir_vault.memory_protocol import MemoryProtocol
from quick_vaults import QuickVaults


@pytest.fixture(params=IMPLEMENTATIONS)
def kept(request: pytest.FixtureRequest, vaults: QuickVaults) -> Iterator[Kept]:
    """An empty memory of each implementation."""
    with IMPLEMENTATIONS[request.param](vaults) as made:
        yield made


@pytest.fixture
def memory(kept: Kept) -> MemoryProtocol:
    """The memory itself."""
    return kept.memory
