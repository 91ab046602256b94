"""A space that does nothing but take notes, on a worker of its own: what tests of asyncio's transactions work with."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

from mimir_vault.asynchronous.calls import Effect, finish
from mimir_vault.asynchronous.transaction import Transaction, current_hold
from mimir_vault.asynchronous.worker import Worker
from mimir_vault.errors import MimirError

SECONDS = 30.0
"""How long a test waits for what has to happen."""


class Space:
    """Stands in for a memory: notes what is done, on a worker of its own."""

    def __init__(self, hold_seconds: float = SECONDS) -> None:
        self.worker = Worker("space main", hold_seconds=hold_seconds)
        self.notes: list[str] = []
        self.hold_up = threading.Event()
        self.hold_up.set()
        self.at_begin: Exception | None = None
        self.at_commit: Exception | None = None
        self._depth, self._failed = 0, False

    @contextmanager
    def _blocking(self) -> Iterator[None]:
        assert self.hold_up.wait(SECONDS)
        if self._depth:
            yield from self._joined()
            return
        if self.at_begin is not None:
            raise self.at_begin
        self.notes.append("begin")
        self._depth += 1
        try:
            yield
        except BaseException as error:
            self.notes.append(f"roll back: {type(error).__name__}")
            raise
        finally:
            self._depth -= 1
        if self._failed:
            raise MimirError("nothing of this transaction is stored")
        assert self.hold_up.wait(SECONDS)
        if self.at_commit is not None:
            raise self.at_commit
        self.notes.append("commit")

    def _joined(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._failed = True
            raise

    def transaction(self) -> Transaction[Space]:
        """Return a transaction, as a memory does."""
        return Transaction(self.worker, self._blocking, self)

    async def do(self, name: str, work: Callable[[], Any] | None = None) -> None:
        """Do a verb: note its name, then whatever else."""

        def verb() -> None:
            self.notes.append(name)
            if work is not None:
                work()

        await finish(self.worker.submit(verb, current_hold(self.worker)), name, Effect.WHOLE)


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine in a loop of its own, which may not take for ever."""

    async def bounded() -> Any:
        async with asyncio.timeout(SECONDS):
            return await coroutine

    return asyncio.run(bounded())


async def until(happened: Callable[[], bool]) -> None:
    """Wait, letting other tasks go on, all of those that were just created to begin with."""
    await asyncio.sleep(0)
    while not happened():
        await asyncio.sleep(0.001)
