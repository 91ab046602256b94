"""Awaited calls: what a cancellation does to one, and that asyncio sees nothing but its own CancelledError."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from mimir_vault.asynchronous.calls import Effect, Stop, Stopped, finish
from mimir_vault.asynchronous.worker import Worker
from mimir_vault.errors import CancelledCallError, DiskFullError, InterruptedBatchError
from mimir_vault.model.import_done import ImportDone

SECONDS = 30
"""How long a test waits for what has to happen."""


@pytest.fixture
def worker() -> Iterator[Worker]:
    """A worker, stopped at the end."""
    made = Worker("space main")
    yield made
    made.close()


class Call:
    """A blocking call that says when it began, and ends when it is let."""

    def __init__(self, result: Any = None, error: Exception | None = None) -> None:
        self.begun, self.may_end = threading.Event(), threading.Event()
        self.ended = False
        self._result, self._error = result, error

    def __call__(self) -> Any:
        self.begun.set()
        assert self.may_end.wait(SECONDS)
        self.ended = True
        if self._error is not None:
            raise self._error
        return self._result


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


async def cancelled(task: asyncio.Task[Any]) -> tuple[asyncio.CancelledError, CancelledCallError]:
    """Return the CancelledError of a task and what it says."""
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    report = CancelledCallError.of(caught.value)
    assert report is not None
    assert task.cancelled()
    return caught.value, report


def test_results_and_errors_come_through(worker: Worker) -> None:
    """As the blocking call gives them."""

    def fail() -> None:
        raise DiskFullError("full")

    async def main() -> None:
        assert await finish(worker.submit(lambda: 7), "count", Effect.READS) == 7
        with pytest.raises(DiskFullError, match="full"):
            await finish(worker.submit(fail), "remember", Effect.WHOLE)

    run(main())


def test_the_loop_goes_on_while_a_call_is_under_way(worker: Worker) -> None:
    """That is what it is for."""

    async def main() -> None:
        call = Call("done")
        task = asyncio.create_task(finish(worker.submit(call), "recall", Effect.READS))
        await until(call.begun.is_set)
        call.may_end.set()
        assert await task == "done"

    run(main())


def test_a_call_that_has_not_begun_is_withdrawn(worker: Worker) -> None:
    """Nothing was done, and it says so; nobody waits for the call before it."""

    async def main() -> None:
        before, call = Call(), Call()
        first = asyncio.create_task(finish(worker.submit(before), "remember", Effect.WHOLE))
        second = asyncio.create_task(finish(worker.submit(call), "remember", Effect.WHOLE))
        await until(before.begun.is_set)
        second.cancel()
        _, report = await cancelled(second)
        assert not before.ended
        assert (report.committed, report.result) == (False, None)
        assert str(report) == "remember was cancelled before it had begun: nothing was done"
        before.may_end.set()
        await first
        assert not call.begun.is_set()

    run(main())


IMPORTED = ImportDone("1", 2, 0)
FINISHED: dict[str, tuple[Effect, Exception | None, bool | None, Any, str]] = {
    "a write": (Effect.WHOLE, None, True, "result", "and was finished: it is committed"),
    "a read": (Effect.READS, None, False, "result", "and was finished; it changes nothing"),
    "many writes": (Effect.IN_PARTS, None, True, "result", "and was finished: it is committed"),
    "a failed write": (Effect.WHOLE, DiskFullError("full"), False, None, "ended early (full): nothing was changed"),
    "failed writes": (Effect.IN_PARTS, DiskFullError("full"), None, None, "what it had committed by then is kept"),
    "a batch that ended early": (
        Effect.WHOLE, InterruptedBatchError("after 2", ["a", "b"]), None, ["a", "b"],  # type: ignore[list-item]
        "2 nodes are stored (.result has them), the rest is not",
    ),
    "an import that ended early": (
        Effect.IN_PARTS, InterruptedBatchError("after 2", [], IMPORTED), None, IMPORTED,
        "2 nodes are stored, and the same import goes on from there",
    ),
    "a file": (Effect.OUTSIDE, None, True, "result", "and was finished: the file is written"),
    "a failed file": (Effect.OUTSIDE, DiskFullError("full"), None, None, "the file is not whole"),
}  # fmt: skip


@pytest.mark.parametrize("case", FINISHED)
def test_a_call_that_has_begun_is_waited_for_and_says_what_became_of_it(worker: Worker, case: str) -> None:
    """However often it is cancelled meanwhile; what went wrong is the cause of what is said."""
    effect, error, committed, result, says = FINISHED[case]

    async def main() -> None:
        call = Call("result", error)
        task = asyncio.create_task(finish(worker.submit(call), "verb", effect))
        await until(call.begun.is_set)
        for _ in range(3):
            task.cancel()
            await asyncio.sleep(0.005)
            assert not task.done()
        call.may_end.set()
        _, report = await cancelled(task)
        assert task.cancelling() == 3
        assert call.ended
        assert (report.committed, report.result, report.__cause__) == (committed, result, error)
        assert str(report).startswith("verb was cancelled after it had begun, and ")
        assert says in str(report)

    run(main())


def test_the_cancelled_error_is_the_very_one_of_asyncio(worker: Worker) -> None:
    """Its type is compared by identity up to Python 3.12, and its message by libraries built on asyncio."""

    async def main() -> None:
        call = Call()
        task = asyncio.create_task(finish(worker.submit(call), "remember", Effect.WHOLE))
        await until(call.begun.is_set)
        task.cancel("a message of the caller's")
        call.may_end.set()
        error, report = await cancelled(task)
        assert type(error) is asyncio.CancelledError
        assert error.args == ("a message of the caller's",)
        assert error.__cause__ is report

    run(main())


@pytest.mark.parametrize("how", ["timeout", "wait_for"])
def test_a_timeout_is_a_timeout_error_that_leads_to_what_became_of_the_call(worker: Worker, how: str) -> None:
    """`asyncio.timeout` and `wait_for` give TimeoutError, and the task goes on uncancelled."""

    async def main() -> None:
        call = Call("result")
        threading.Timer(0.1, call.may_end.set).start()

        async def waiting() -> None:
            await finish(worker.submit(call), "remember", Effect.WHOLE)

        async def timed() -> None:
            async with asyncio.timeout(0.02):
                await waiting()

        with pytest.raises(TimeoutError) as caught:
            await (timed() if how == "timeout" else asyncio.wait_for(waiting(), 0.02))
        report = CancelledCallError.of(caught.value)
        assert report is not None
        assert (report.committed, report.result) == (True, "result")
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0

    run(main())


def test_a_task_group_ends_as_with_any_other_cancellation(worker: Worker) -> None:
    """The error of one task cancels the other, and the group raises that error alone."""

    async def main() -> None:
        call = Call()

        async def fail() -> None:
            await until(call.begun.is_set)
            threading.Timer(0.02, call.may_end.set).start()
            raise KeyError("mine")

        async def grouped() -> None:
            async with asyncio.TaskGroup() as group:
                group.create_task(fail())
                await finish(worker.submit(call), "remember", Effect.WHOLE)

        with pytest.raises(ExceptionGroup) as caught:
            await grouped()
        assert [type(error) for error in caught.value.exceptions] == [KeyError]
        assert call.ended

    run(main())


def test_a_cancellation_that_comes_as_the_call_ends_is_told_too(worker: Worker) -> None:
    """The result is there and the task was cancelled before it could take it: committed, and it says so."""

    async def main() -> None:
        job = worker.submit(lambda: "result")
        task = asyncio.create_task(finish(job, "remember", Effect.WHOLE))
        await asyncio.sleep(0)
        job.future.result(SECONDS)  # The loop is held up here, so the task cannot have been told.
        task.cancel()
        _, report = await cancelled(task)
        assert (report.committed, report.result) == (True, "result")

    run(main())


def test_a_call_that_must_not_be_withdrawn_is_done(worker: Worker) -> None:
    """Locking is like that: it was asked for, and half of it would be worse."""

    async def main() -> None:
        before, call = Call(), Call("locked")
        worker.submit(before)
        task = asyncio.create_task(finish(worker.submit(call), "lock", Effect.WHOLE, withdraw=False))
        await until(before.begun.is_set)
        task.cancel()
        await asyncio.sleep(0.01)
        assert not task.done()
        before.may_end.set()
        call.may_end.set()
        _, report = await cancelled(task)
        assert (report.committed, call.ended) == (True, True)

    run(main())


def test_a_loop_that_is_closed_meanwhile_is_not_missed(worker: Worker) -> None:
    """The call is finished, nobody is told, and nothing is raised in the worker."""
    call, after = Call(), Call()
    loop = asyncio.new_event_loop()
    task = loop.create_task(finish(worker.submit(call), "remember", Effect.WHOLE))
    loop.run_until_complete(until(call.begun.is_set))
    loop.close()
    call.may_end.set()
    after.may_end.set()
    worker.submit(after).future.result(SECONDS)
    assert call.ended
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    task.get_coro().close()


def test_a_long_call_stops_where_it_reports() -> None:
    """The caller's function is called first; after all of all there is nothing to stop; 0 is a total nobody knows."""
    calls: list[tuple[int, int]] = []
    stop = Stop()
    progress = stop.progress(lambda done, total: calls.append((done, total)))
    progress(1, 3)
    stop.asked = True
    with pytest.raises(Stopped):
        progress(2, 3)
    progress(3, 3)
    with pytest.raises(Stopped):
        progress(4, 0)
    assert calls == [(1, 3), (2, 3), (3, 3), (4, 0)]
    Stop().progress(None)(1, 2)


def test_drafts_end_between_two_of_them() -> None:
    """An iterable stops at the next one; a list stays a list, and what is no iterable is for the verb to refuse."""
    stop = Stop()
    drafts = iter(stop.drafts(iter("abc")))
    assert next(drafts) == "a"
    stop.asked = True
    with pytest.raises(Stopped):
        next(drafts)
    given = ["a"]
    assert stop.drafts(given) is given
    nonsense: Any = 7
    assert stop.drafts(nonsense) is nonsense


def test_an_error_that_says_nothing_of_a_call_has_no_report() -> None:
    """Nor has a circle of causes; a report is found along causes and contexts."""
    one, two = ValueError("one"), ValueError("two")
    one.__cause__, two.__cause__ = two, one
    assert CancelledCallError.of(one) is None
    assert CancelledCallError.of(None) is None
    report = CancelledCallError("said", committed=True, result=7)
    outer = TimeoutError()
    outer.__context__ = report
    assert CancelledCallError.of(outer) is report
