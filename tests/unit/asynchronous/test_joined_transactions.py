"""Transactions inside transactions: of the same space they are one, of several spaces each has its own end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from blocking_space import Space, run
from mimir_vault.asynchronous.transaction import current_hold
from mimir_vault.errors import MimirError


@pytest.fixture
def space() -> Iterator[Space]:
    """A space whose worker is stopped at the end."""
    made = Space()
    yield made
    made.worker.close()


def test_one_inside_another_joins_it(space: Space) -> None:
    """There is one commit, at the end of the outer one; what the inner one did goes with it."""

    async def main() -> None:
        async with space.transaction():
            async with space.transaction():
                await space.do("inner")
            await space.do("outer")
        assert current_hold(space.worker) is None

    run(main())
    assert space.notes == ["begin", "inner", "outer", "commit"]


def test_one_inside_that_fails_takes_the_outer_with_it(space: Space) -> None:
    """Also where its error is caught, for a part cannot be taken back."""

    async def inner() -> None:
        async with space.transaction():
            await space.do("inner")
            raise KeyError("mine")

    async def outer() -> None:
        async with space.transaction():
            with pytest.raises(KeyError, match="mine"):
                await inner()
            await space.do("outer")

    async def main() -> None:
        with pytest.raises(MimirError, match="nothing of this transaction is stored"):
            await outer()
        await space.do("after")

    run(main())
    assert space.notes == ["begin", "inner", "outer", "after"]


def test_one_inside_that_is_cancelled_as_it_begins_spoils_nothing(space: Space) -> None:
    """Its block was not entered, so nothing of it can be missing."""

    async def main() -> None:
        async with space.transaction():
            space.hold_up.clear()
            threading.Timer(0.05, space.hold_up.set).start()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01), space.transaction():
                    raise AssertionError("the block was entered")
            await space.do("outer")

    run(main())
    assert space.notes == ["begin", "outer", "commit"]


def test_inner_ones_of_several_tasks_end_in_any_order(space: Space) -> None:
    """They all belong to the same transaction."""

    async def main() -> None:
        turn = [asyncio.Event() for _ in range(3)]

        async def inner(number: int) -> None:
            async with space.transaction():
                await space.do(f"inner {number}")
                await turn[number].wait()

        async with space.transaction():
            tasks = [asyncio.create_task(inner(number)) for number in range(3)]
            await asyncio.sleep(0.01)
            for event, task in zip(turn, tasks, strict=True):
                event.set()
                await task

    run(main())
    assert space.notes == ["begin", "inner 0", "inner 1", "inner 2", "commit"]


def test_two_spaces_have_transactions_of_their_own(space: Space) -> None:
    """One inside the other, each with its own end."""
    other = Space()

    async def main() -> None:
        async with space.transaction():
            async with other.transaction():
                await other.do("theirs")
            await space.do("ours")

    run(main())
    other.worker.close()
    assert (space.notes, other.notes) == (["begin", "ours", "commit"], ["begin", "theirs", "commit"])


def test_an_inner_one_that_ends_after_the_outer_is_told(space: Space) -> None:
    """By a ValueError, unless it has an error of its own to raise."""

    async def main() -> None:
        ended = asyncio.Event()

        async def inner(error: Exception | None) -> None:
            async with space.transaction():
                await ended.wait()
                if error is not None:
                    raise error

        async with space.transaction():
            tasks = [asyncio.create_task(inner(error)) for error in (None, KeyError("mine"))]
            await asyncio.sleep(0.01)
        ended.set()
        with pytest.raises(ValueError, match="transaction that has ended"):
            await tasks[0]
        with pytest.raises(KeyError, match="mine"):
            await tasks[1]

    run(main())
    assert space.notes[0] == "begin"
    assert space.notes[-1] == "commit"


def test_an_error_of_a_block_whose_worker_was_closed_goes_on(space: Space) -> None:
    """It is the block's error that is raised, from inner and outer alike."""

    async def main() -> None:
        async with space.transaction(), space.transaction():
            await asyncio.to_thread(space.worker.close)
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        run(main())
    assert space.notes == ["begin", "roll back: LockedError"]
