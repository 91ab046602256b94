"""A transaction for tasks: it has the space's worker to itself, and the tasks started inside it belong to it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from contextvars import ContextVar
from functools import partial
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
    a call they make after its end is a ValueError. A transaction inside another of the same space joins it; where the
    inner block fails, nothing of the outer one is stored.
    """

    def __init__(self, worker: Worker, make: Callable[[], AbstractContextManager[object]], memory: T) -> None:
        """Take what makes the blocking transaction, and the memory that the block is given."""
        self._worker, self._make, self._memory = worker, make, memory
        self._hold: Hold | None = None
        self._joined: AbstractContextManager[object] | None = None

    async def __aenter__(self) -> T:
        if self._hold is not None:
            raise ValueError("this transaction was entered already; ask for another one")
        hold = current_hold(self._worker)
        if hold is None:
            hold = await self._begin()
            _entered.set((*_entered.get(), hold))
        else:
            self._joined = await self._join(hold)
        self._hold = hold
        return self._memory

    async def _join(self, hold: Hold) -> AbstractContextManager[object]:
        """Enter a block inside the open transaction, as the plain memory does."""
        joining = self._worker.submit(self._enter, hold)
        try:
            return await finish(joining, "transaction", Effect.READS)
        except BaseException:
            if not joining.future.cancelled() and joining.future.exception() is None:  # Cancelled while it was entered.
                with suppress(LockedError, ValueError):
                    self._worker.submit(partial(joining.future.result().__exit__, None, None, None), hold)
            raise

    def _enter(self) -> AbstractContextManager[object]:
        """On the worker: enter a block."""
        block = self._make()
        block.__enter__()
        return block

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
        if self._joined is not None:
            await self._leave(hold, self._joined, error)
            return
        _entered.set(tuple(one for one in _entered.get() if one is not hold))
        await self._end(hold, error)

    async def _leave(self, hold: Hold, block: AbstractContextManager[object], error: BaseException | None) -> None:
        """Leave a block inside the open transaction, which is told of its error."""
        trace = error.__traceback__ if error is not None else None
        try:
            leaving = self._worker.submit(
                partial(block.__exit__, None if error is None else type(error), error, trace), hold
            )
        except (LockedError, ValueError):
            if error is None:
                raise
            return
        if not isinstance(error, GeneratorExit):
            await finish(leaving, "transaction", Effect.READS, withdraw=False)

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
