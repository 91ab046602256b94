"""Awaiting a worker's call: what a cancellation does to it, and how it is told what became of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from enum import Enum
from functools import partial
from typing import Any, TypeVar

from mimir_vault.asynchronous.worker import Job
from mimir_vault.errors import CancelledCallError, InterruptedBatchError

T = TypeVar("T")
Progress = Callable[[int, int], None]


class Effect(Enum):
    """What a call does to the vault, and so what may be said of one that was cancelled."""

    READS = "changes nothing"
    WHOLE = "is done as a whole or not at all"
    IN_PARTS = "commits more than once"
    COMMITS = "commits a transaction"
    OUTSIDE = "writes a file outside of the vault"


class Stopped(Exception):
    """Raised inside a long call whose caller was cancelled, where it reports its progress."""

    def __init__(self) -> None:
        super().__init__("the call was cancelled")


class Stop:
    """Stops a long call at a place where nothing is half done: between two drafts, or after a commit."""

    def __init__(self) -> None:
        self.asked = False

    def check(self) -> None:
        """Raise Stopped once the caller was cancelled."""
        if self.asked:
            raise Stopped

    def drafts(self, drafts: Iterable[T]) -> Iterable[T]:
        """Return drafts that end here; a list stays one, as its length is known and it is stopped by `progress`."""
        if isinstance(drafts, Sequence) or not isinstance(drafts, Iterable):
            return drafts
        return self._checked(drafts)

    def _checked(self, drafts: Iterable[T]) -> Iterator[T]:
        for draft in drafts:
            self.check()
            yield draft

    def progress(self, progress: Progress | None) -> Progress:
        """Return a function that reports to the caller's and then stops; after all of all there is nothing to stop."""

        def report(done: int, total: int) -> None:
            if progress is not None:
                progress(done, total)
            if done < total or not total:
                self.check()

        return report


async def finish(job: Job[T], verb: str, effect: Effect, stop: Stop | None = None, *, withdraw: bool = True) -> T:
    """Wait for a call and return what it returned.

    Cancelled before the call has begun, it is withdrawn. Afterwards it is waited for, however often it is cancelled;
    with `stop` it ends where nothing is half done. Then the CancelledError goes on its way, the same object that came,
    as asyncio and what is built on it compare types, arguments and identity; its cause says what became of the call.
    """
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    job.future.add_done_callback(partial(_tell, loop, done))
    cancelled: asyncio.CancelledError | None = None
    while not done.done():
        try:
            await asyncio.shield(done)
        except asyncio.CancelledError as error:
            cancelled = error
            if withdraw and job.withdraw():
                message = f"{verb} was cancelled before it had begun: nothing was done"
                raise error from CancelledCallError(message, committed=False)
            if stop is not None:
                stop.asked = True
    if cancelled is None:
        return job.future.result()
    raise cancelled from what_became_of(job, verb, effect)


def _tell(loop: asyncio.AbstractEventLoop, done: asyncio.Future[None], _: Future[Any]) -> None:
    """In the worker's thread: tell the loop that a call is done; one that was closed has nobody waiting."""
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(done.set_result, None)


def what_became_of(job: Job[Any], verb: str, effect: Effect) -> CancelledCallError:
    """Return what is to be said of a call that was cancelled after it had begun, and is done."""
    error = job.future.exception()
    result = job.future.result() if error is None else getattr(error, "imported", None) or getattr(error, "done", None)
    hold = job.hold if effect in (Effect.WHOLE, Effect.IN_PARTS) else None
    message, committed = _finding(error, effect, hold is not None)
    report = CancelledCallError(
        f"{verb} was cancelled after it had begun, and {message}", committed=committed, result=result
    )
    report.__cause__ = error if not isinstance(error, Stopped) else None
    if hold is not None:
        hold.cancelled.append(report)
    return report


def _finding(error: BaseException | None, effect: Effect, in_transaction: bool) -> tuple[str, bool | None]:
    """Return how a call ended as the rest of a sentence, and whether it is committed."""
    ended = "was finished" if error is None else f"ended early ({error})"
    if effect is Effect.READS:
        return f"{ended}; it changes nothing", False
    if effect is Effect.OUTSIDE:
        return (f"{ended}: the file is written", True) if error is None else (f"{ended}: the file is not whole", None)
    if in_transaction and error is not None:
        return f"{ended}: nothing of it is stored", False
    if in_transaction:
        return f"{ended}: what it did holds if the transaction it belongs to is committed", None
    if error is None:
        return f"{ended}: it is committed", True
    if isinstance(error, InterruptedBatchError) and error.imported is not None:
        return f"{ended}: {error.imported.stored:,} nodes are stored, and the same import goes on from there", None
    if isinstance(error, InterruptedBatchError):
        return f"{ended}: {len(error.done):,} nodes are stored (.result has them), the rest is not", None
    if effect is Effect.IN_PARTS:
        return f"{ended}: what it had committed by then is kept", None
    return f"{ended}: nothing was changed", False
