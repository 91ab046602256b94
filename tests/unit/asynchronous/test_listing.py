"""Listing for asyncio: in batches, lazily, and without losing what was read while its reader was cancelled."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mimir_vault.asynchronous.calls import Effect, finish
from mimir_vault.asynchronous.listing import BATCH_NODES, NodeIterator
from mimir_vault.asynchronous.worker import Worker

SECONDS = 30
"""How long a test waits for what has to happen."""


class Source:
    """Gives numbers in the place of nodes, and may be held up; counts what it gave."""

    def __init__(self, count: int, *, fails_at: int = -1) -> None:
        self.begun, self.may_go_on = threading.Event(), threading.Event()
        self.may_go_on.set()
        self.given = 0
        self._count, self._fails_at = count, fails_at

    def listed(self, memory: Any) -> Iterator[Any]:
        """Stand in for `Memory.nodes`."""
        for number in range(self._count):
            self.begun.set()
            assert self.may_go_on.wait(SECONDS)
            if number == self._fails_at:
                raise OSError("the disk is gone")
            self.given += 1
            yield number


@pytest.fixture
def worker() -> Iterator[Worker]:
    """A worker, stopped at the end."""
    made = Worker("space main")
    yield made
    made.close()


def iterator(source: Source, worker: Worker) -> Any:
    """Return an iterator over a source that reads on a worker."""

    async def run(take: Callable[[Any], list[Any]]) -> list[Any]:
        return await finish(worker.submit(lambda: take(None)), "nodes", Effect.READS)

    return NodeIterator(source.listed, run)


@pytest.mark.parametrize("count", [0, 1, BATCH_NODES - 1, BATCH_NODES, BATCH_NODES + 1, 3 * BATCH_NODES])
def test_all_come_once_and_in_order(worker: Worker, count: int) -> None:
    """However they fall into batches; at the end it stays at the end."""

    async def main() -> None:
        listed = iterator(Source(count), worker)
        assert [one async for one in listed] == list(range(count))
        assert [one async for one in listed] == []

    asyncio.run(main())


def test_no_more_than_a_batch_is_read_ahead(worker: Worker) -> None:
    """And nothing before the first is asked for."""
    source = Source(10_000)

    async def main() -> None:
        listed = iterator(source, worker)
        assert source.given == 0
        await anext(listed)
        assert source.given == BATCH_NODES
        await listed.aclose()
        assert [one async for one in listed] == []

    asyncio.run(main())


def test_what_was_read_while_the_reader_was_cancelled_comes_next(worker: Worker) -> None:
    """The batch that was under way is not lost."""
    source = Source(600)
    source.may_go_on.clear()

    async def main() -> None:
        listed = iterator(source, worker)
        reading = asyncio.ensure_future(anext(listed))
        await asyncio.to_thread(source.begun.wait, SECONDS)
        reading.cancel()
        await asyncio.sleep(0.01)
        source.may_go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert source.given == BATCH_NODES
        assert [one async for one in listed] == list(range(600))

    asyncio.run(main())


def test_an_error_is_raised_where_it_comes(worker: Worker) -> None:
    """After all that came before it; the iteration has ended then, as that of a generator has."""

    async def main() -> None:
        listed = iterator(Source(600, fails_at=300), worker)
        seen: list[Any] = [await anext(listed) for _ in range(300)]
        assert seen == list(range(300))
        with pytest.raises(OSError, match="the disk is gone"):
            await anext(listed)
        assert [one async for one in listed] == []

    asyncio.run(main())


def test_an_error_that_came_while_the_reader_was_cancelled_comes_next(worker: Worker) -> None:
    """An iteration that goes on must not look as if it had come to its end."""
    source = Source(600, fails_at=0)
    source.may_go_on.clear()

    async def main() -> None:
        listed = iterator(source, worker)
        reading = asyncio.ensure_future(anext(listed))
        await asyncio.to_thread(source.begun.wait, SECONDS)
        reading.cancel()
        await asyncio.sleep(0.01)
        source.may_go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await reading
        with pytest.raises(OSError, match="the disk is gone"):
            await anext(listed)

    asyncio.run(main())
