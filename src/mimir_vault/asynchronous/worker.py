"""A worker: one thread that does the blocking calls of one space, one after the other; it knows nothing of asyncio."""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager, suppress
from contextvars import Context, copy_context
from typing import Any, Generic, TypeVar

from mimir_vault.errors import CancelledCallError, LockedError, VaultBusyError

T = TypeVar("T")

IDLE_SECONDS = 60.0
"""After so long without a call the thread ends; the next call starts it anew."""
HOLD_SECONDS = 20.0
"""So long calls wait for a transaction that does nothing, as long as a writer waits for another process."""
EXIT_SECONDS = 30.0
"""How long the end of the interpreter waits for the call that is under way."""


class Hold:
    """A transaction that is open on a worker: while it is, the worker does only the calls that belong to it."""

    def __init__(self, worker: Worker, transaction: AbstractContextManager[object]) -> None:
        self.worker, self.transaction = worker, transaction
        self.cancelled: list[CancelledCallError] = []
        """What was said of calls that were cancelled inside; the end of the transaction decides of them."""

    def settle(self, *, committed: bool) -> None:
        """Say of the calls that were cancelled inside whether they are committed now."""
        for report in self.cancelled:
            report.committed = committed


class Job(Generic[T]):
    """A call on its way: waiting, under way, or done (`future`)."""

    def __init__(self, work: Callable[[], T], hold: Hold | None, since: float) -> None:
        self.hold, self.since = hold, since
        self.future: Future[T] = Future()
        self._work: Callable[[], T] | None = work
        self._context: Context | None = copy_context()

    def withdraw(self) -> bool:
        """Take the call back; say whether that was still possible, which is to say that nothing was done."""
        return self.future.cancel()

    def run(self) -> None:
        """Do the call, in the context of who asked for it."""
        work, context = self._work, self._context
        self._work = self._context = None
        if work is None or context is None or not self.future.set_running_or_notify_cancel():
            return
        try:
            result = context.run(work)
        except BaseException as error:
            self.future.set_exception(error)
        else:
            self.future.set_result(result)

    def refuse(self, error: Exception) -> None:
        """End a call that has not begun with an error."""
        if self.future.set_running_or_notify_cancel():
            self.future.set_exception(error)


class Worker:
    """Does calls in the order they come. Any thread may submit; those of an open transaction go first."""

    def __init__(
        self,
        name: str,
        *,
        idle_seconds: float = IDLE_SECONDS,
        hold_seconds: float = HOLD_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self._idle_seconds, self._hold_seconds, self._monotonic = idle_seconds, hold_seconds, monotonic
        self._process = os.getpid()
        self._changed = threading.Condition()
        self._waiting: deque[Job[Any]] = deque()
        self._held: deque[Job[Any]] = deque()
        self._hold: Hold | None = None
        self._rested = 0.0
        self._thread: threading.Thread | None = None
        self._closing = False

    def check(self) -> None:
        """Raise LockedError when no call is taken any more; in a forked child that comes before any lock is taken."""
        if self._process != os.getpid():
            raise LockedError("this process was forked; open the vault again in the child")
        if self._closing:
            raise LockedError(f"{self.name} is locked; open the vault again")

    def submit(self, work: Callable[[], T], hold: Hold | None = None) -> Job[T]:
        """Queue a call; with `hold`, as a part of that transaction.

        Raises:
            LockedError: the worker was closed, or belongs to another process. ValueError: the transaction has ended.
        """
        self.check()
        job = Job(work, hold, self._monotonic())
        with self._changed:
            self.check()
            if hold is not None and hold is not self._hold:
                raise _ended()
            self._start()
            (self._waiting if hold is None else self._held).append(job)
            self._changed.notify()
        return job

    # -- transactions ---------------------------------------------------------------------------------------------

    def begin(self, make: Callable[[], AbstractContextManager[object]]) -> Job[Hold]:
        """Queue the beginning of a transaction; from then on only its own calls are done, until it has ended."""

        def enter() -> Hold:
            transaction = make()
            transaction.__enter__()
            with self._changed:
                self._hold, self._rested = Hold(self, transaction), self._monotonic()
                return self._hold

        return self.submit(enter)

    def end(self, hold: Hold, error: BaseException | None) -> Job[None]:
        """Queue the end of a transaction: commit it, or with an error roll it back (that error is not raised again)."""
        return self.submit(lambda: self._exit(hold, error), hold)

    def _exit(self, hold: Hold, error: BaseException | None) -> None:
        """In the thread: leave the transaction; calls of it that are still waiting are refused."""
        try:
            if error is None:
                hold.transaction.__exit__(None, None, None)
            else:
                hold.transaction.__exit__(type(error), error, error.__traceback__)
        finally:
            with self._changed:
                self._hold = None
                left, self._held = self._held, deque()
            for job in left:
                job.refuse(_ended())

    # -- the thread -----------------------------------------------------------------------------------------------

    def _start(self) -> None:
        """Under the lock: start the thread where there is none."""
        if self._thread is None:
            # A daemon, so that a vault nobody locked does not keep the interpreter; what is under way is waited for.
            thread = threading.Thread(target=self._work, name=f"mimir {self.name}", daemon=True)
            thread.start()
            self._thread = thread
            atexit.register(self._finish)

    def _work(self) -> None:
        while (job := self._next()) is not None:
            job.run()
            if job.hold is not None:
                self._rested = self._monotonic()
            del job  # Nothing of a call outlives it here while the next one is waited for.

    def _next(self) -> Job[Any] | None:
        """Return the next call; None when the thread is to end."""
        while True:
            with self._changed:
                hold = self._hold
                queue = self._waiting if hold is None else self._held
                if queue:
                    return queue.popleft()
                if not self._closing and (self._changed.wait(self._patience()) or hold is not None or self._waiting):
                    self._give_up_waiting()
                    continue
                if hold is None:
                    self._thread = None
                    atexit.unregister(self._finish)
                    return None
            with suppress(Exception):
                self._exit(hold, LockedError(f"{self.name} was locked inside a transaction"))

    def _patience(self) -> float | None:
        """Return how many seconds there is nothing to do unless somebody calls."""
        if self._hold is None:
            return self._idle_seconds
        return max(0.0, self._deadline(self._waiting[0]) - self._monotonic()) if self._waiting else None

    def _deadline(self, job: Job[Any]) -> float:
        return max(job.since, self._rested) + self._hold_seconds

    def _give_up_waiting(self) -> None:
        """Refuse calls that have waited too long for a transaction that does nothing: it may be waiting for them."""
        now = self._monotonic()
        while self._hold is not None and not self._held and self._waiting and self._deadline(self._waiting[0]) <= now:
            self._waiting.popleft().refuse(
                VaultBusyError(
                    f"another task holds a transaction of {self.name} and does nothing with it; "
                    "nothing was done, try again when it has ended"
                )
            )

    def stop(self) -> None:
        """Take no more calls; the thread ends when it has finished those taken and rolled back an open transaction."""
        if self._process == os.getpid():
            with self._changed:
                self._closing = True
                self._changed.notify()

    def close(self) -> None:
        """Stop, and wait until the thread has ended."""
        if self._process == os.getpid():
            self.stop()
            with self._changed:
                thread = self._thread
            if thread is not None:
                thread.join()

    def _finish(self) -> None:
        """At the end of the interpreter: finish the call that is under way, and do none of those waiting."""
        with self._changed:
            self._closing = True
            for job in (*self._waiting, *self._held):
                job.withdraw()
            self._changed.notify()
            thread = self._thread
        if thread is not None:
            thread.join(EXIT_SECONDS)


def _ended() -> ValueError:
    return ValueError(
        "this task was started inside a transaction that has ended, so nothing was done; wait for it inside the block, "
        "or start it outside"
    )
