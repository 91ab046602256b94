"""A transaction for tasks: it has the space's worker to itself, and the tasks started inside it belong to it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from contextvars import ContextVar
from types import TracebackType
from typing import Generic, TypeVar

from mimir_vault.asynchronous.calls import Effect, finish
from mimir_vault.asynchronous.worker import Hold, Worker
from mimir_vault.errors import CancelledCallError, LockedError, MimirError

T = TypeVar("T")
_entered: ContextVar[tuple[Hold, ...]] = ContextVar("mimir_transactions", default=())
"""The transactions that the running task is in, the outermost first; tasks it starts are in them too."""


def current_hold(worker: Worker) -> Hold | None:
    """Return the transaction of a worker that the running task is in; one that has ended counts, to be refused."""
    return next((hold for hold in reversed(_entered.get()) if hold.worker is worker), None)


class Transaction(Generic[T]):
    """`async with memory.transaction():` all or nothing; calls of tasks outside wait for its end.

    Tasks that are started inside (by `asyncio.gather` or a task group) belong to it, and have to be waited for inside:
    a call they make after its end is a ValueError. A transaction inside another of the same space joins it.
    """

    def __init__(self, worker: Worker, make: Callable[[], AbstractContextManager[object]], memory: T) -> None:
        """Take what makes the blocking transaction, and the memory that the block is given."""
        self._worker, self._make, self._memory = worker, make, memory
        self._hold: Hold | None = None
        self._joined = False

    async def __aenter__(self) -> T:
        if self._hold is not None:
            raise ValueError("this transaction was entered already; ask for another one")
        hold = current_hold(self._worker)
        if hold is not None:
            await finish(self._worker.submit(_nothing, hold), "transaction", Effect.READS)  # It may have ended.
            self._joined = True
        else:
            hold = await self._begin()
            _entered.set((*_entered.get(), hold))
        self._hold = hold
        return self._memory

    async def _begin(self) -> Hold:
        beginning = self._worker.begin(self._make)
        try:
            return await finish(beginning, "transaction", Effect.READS)
        except BaseException as error:
            begun = beginning.future
            if not begun.cancelled() and begun.exception() is None:  # It was cancelled while it began.
                if (report := CancelledCallError.of(error)) is not None:
                    report.result = None
                await self._end(begun.result(), error)
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        hold = self._hold
        if hold is None:
            raise ValueError("this transaction was never entered")
        if not self._joined:
            _entered.set(tuple(one for one in _entered.get() if one is not hold))
            await self._end(hold, error)

    async def _end(self, hold: Hold, failure: BaseException | None) -> None:
        """Commit, or roll back because of a failure, and tell the calls that were cancelled inside which it was."""
        leaving = isinstance(failure, GeneratorExit)  # The task is torn down and may not wait for anything any more.
        if leaving:
            failure = MimirError("the task was torn down inside its transaction")
        try:
            end = self._worker.end(hold, failure)
        except LockedError as locked:  # The worker rolled it back when it was closed.
            hold.settle(committed=False)
            if failure is None:
                raise LockedError(f"{locked}; the transaction was rolled back") from None
            return
        if leaving:
            return
        effect = Effect.COMMITS if failure is None else Effect.READS
        try:
            await finish(end, "transaction", effect, withdraw=False)
        finally:
            hold.settle(committed=failure is None and end.future.exception() is None)


def _nothing() -> None:
    """Do nothing, as a part of a transaction that may have ended."""
