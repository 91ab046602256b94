"""What the contract says of transactions in asyncio: of several tasks, stored as a whole or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

import mimir_vault as mimir
from mimir_vault import AsyncMemory, AsyncVault
from quick_vaults import QuickVaults

SECONDS = 60
"""How long a test may wait for what has to happen."""


@pytest.fixture
def vault(vaults: QuickVaults) -> Iterator[AsyncVault]:
    """An open quick vault, for asyncio; locked at the end."""
    made = AsyncVault(vaults.create())
    yield made
    run(made.lock())


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine in a loop of its own, which may not take for ever."""

    async def bounded() -> Any:
        async with asyncio.timeout(SECONDS):
            return await coroutine

    return asyncio.run(bounded())


def on(vault: AsyncVault, work: Callable[[AsyncMemory], Coroutine[Any, Any, None]]) -> None:
    """Run work on the first space of a vault."""

    async def main() -> None:
        await work(await vault.space())

    run(main())


async def texts(memory: AsyncMemory) -> list[str]:
    """Return the texts of all nodes."""
    return [node.text async for node in memory.nodes()]


def test_a_transaction_of_tasks_is_stored_as_a_whole(vault: AsyncVault) -> None:
    """Tasks that are started inside belong to it; others see none of it before its end, and all of it then."""

    async def work(memory: AsyncMemory) -> None:
        seen: list[int] = []
        inside = asyncio.Event()

        async def other() -> None:
            await inside.wait()
            seen.append(await memory.count())

        task = asyncio.create_task(other())
        async with memory.transaction() as same:
            assert same is memory
            await asyncio.gather(*(memory.remember(f"text {number}") for number in range(20)))
            inside.set()
            await asyncio.sleep(0.01)
            assert await memory.view(read_only=True).count() == 20
        await task
        assert seen == [20]

    on(vault, work)


def test_a_transaction_that_fails_leaves_nothing(vault: AsyncVault) -> None:
    """By an error, by a cancellation, and when one of its tasks fails."""

    async def work(memory: AsyncMemory) -> None:
        async def fails(how: str) -> None:
            async with memory.transaction():
                await memory.remember("never")
                if how == "a task":
                    await asyncio.gather(memory.remember("neither"), memory.remember(""))
                elif how == "a cancellation":
                    asyncio.current_task().cancel()  # type: ignore[union-attr]
                    await memory.remember("nor this")
                raise KeyError("mine")

        with pytest.raises(KeyError, match="mine"):
            await fails("an error")
        with pytest.raises(ValueError, match="text is empty"):
            await fails("a task")
        with pytest.raises(asyncio.CancelledError):
            await asyncio.create_task(fails("a cancellation"))
        assert await texts(memory) == []
        await memory.remember("after")
        assert await memory.verify(full=True) == []

    on(vault, work)


def test_a_failed_verb_spoils_its_transaction_also_where_its_error_is_caught(vault: AsyncVault) -> None:
    """As without asyncio: a verb that was stopped in the middle takes the whole with it."""

    async def work(memory: AsyncMemory) -> None:
        async def block() -> None:
            async with memory.transaction():
                await memory.remember("first")
                with pytest.raises(mimir.NotFoundError):
                    await memory.remember("second", links=[mimir.Link("about", "0" * 64)])

        with pytest.raises(mimir.MimirError, match="nothing of this transaction is stored"):
            await block()
        assert await texts(memory) == []

    on(vault, work)


def test_racing_transactions_of_tasks_lose_nothing(vault: AsyncVault) -> None:
    """Each reads and writes as if it were alone."""

    async def work(memory: AsyncMemory) -> None:
        async def add() -> None:
            async with memory.transaction():
                node = await memory.get(ref=("counter",))
                await memory.remember(str(int(node.text) + 1 if node else 1), ref=("counter",))

        await asyncio.gather(*(add() for _ in range(30)))
        node = await memory.get(ref=("counter",))
        assert node is not None
        assert node.text == "30"

    on(vault, work)
