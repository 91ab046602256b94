"""Transactions of tasks: who belongs to one, who waits, and how it ends whatever happens to its task."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from functools import partial

import pytest

from blocking_space import SECONDS, Space, run, until
from mimir_vault.asynchronous.transaction import current_hold
from mimir_vault.errors import CancelledCallError, LockedError, VaultBusyError


@pytest.fixture
def space() -> Iterator[Space]:
    """A space whose worker is stopped at the end."""
    made = Space()
    yield made
    made.worker.close()


def test_calls_of_other_tasks_wait_for_the_end(space: Space) -> None:
    """Also those of a task that was started before, and those in the middle of the block."""

    async def main() -> None:
        inside, outside = asyncio.Event(), asyncio.Event()

        async def other() -> None:
            await inside.wait()
            outside.set()
            await space.do("outside")

        task = asyncio.create_task(other())
        async with space.transaction() as given:
            assert given is space
            await space.do("one")
            inside.set()
            await outside.wait()
            await asyncio.sleep(0.02)
            await space.do("two")
        await task

    run(main())
    assert space.notes == ["begin", "one", "two", "commit", "outside"]


def test_tasks_that_are_started_inside_belong_to_it(space: Space) -> None:
    """By gather and by a task group alike."""

    async def main() -> None:
        async with space.transaction():
            await asyncio.gather(space.do("a"), space.do("b"))
            async with asyncio.TaskGroup() as group:
                group.create_task(space.do("c"))
        await space.do("after")

    run(main())
    assert (space.notes[0], sorted(space.notes[1:4]), space.notes[4:]) == (
        "begin",
        ["a", "b", "c"],
        ["commit", "after"],
    )


def test_a_task_that_outlives_the_transaction_is_told(space: Space) -> None:
    """What it does later is not done outside of the transaction in silence."""

    async def main() -> None:
        ended = asyncio.Event()

        async def straggler() -> None:
            await ended.wait()
            await space.do("late")

        async with space.transaction():
            task = asyncio.create_task(straggler())
        ended.set()
        with pytest.raises(ValueError, match="started inside a transaction that has ended, so nothing was done"):
            await task
        await space.do("after")

    run(main())
    assert space.notes == ["begin", "commit", "after"]


def test_an_error_rolls_back_and_goes_on(space: Space) -> None:
    """The very error of the block."""
    error = KeyError("mine")

    async def main() -> None:
        with pytest.raises(KeyError) as caught:
            async with space.transaction():
                raise error
        assert caught.value is error
        await space.do("after")

    run(main())
    assert space.notes == ["begin", "roll back: KeyError", "after"]


@pytest.mark.parametrize("when", ["at_begin", "at_commit"])
def test_a_beginning_or_a_commit_that_fails_leaves_nothing_open(space: Space, when: str) -> None:
    """Its error is raised; the block of a transaction that did not begin is not entered."""
    setattr(space, when, VaultBusyError("busy"))

    async def main() -> None:
        with pytest.raises(VaultBusyError, match="busy"):
            async with space.transaction():
                await space.do("inside")
        assert current_hold(space.worker) is None
        await space.do("after")

    run(main())
    assert space.notes == (["after"] if when == "at_begin" else ["begin", "inside", "after"])


def test_transactions_of_several_tasks_come_one_after_the_other(space: Space) -> None:
    """None sees the middle of another."""

    async def one(name: str) -> None:
        async with space.transaction():
            await space.do(f"{name} 1")
            await asyncio.sleep(0.002)
            await space.do(f"{name} 2")

    async def main() -> None:
        await asyncio.gather(*(one(name) for name in "abc"))

    run(main())
    blocks = [space.notes[begin : begin + 4] for begin in range(0, 12, 4)]
    assert sorted(blocks) == [["begin", f"{name} 1", f"{name} 2", "commit"] for name in "abc"]


def test_a_task_that_is_cancelled_inside_rolls_back_and_its_call_says_so(space: Space) -> None:
    """The call was finished, and nothing of it is there: `committed` is False once the transaction has ended."""
    begun, may_end = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        assert may_end.wait(SECONDS)

    async def block() -> None:
        async with space.transaction():
            await space.do("inside", work)

    async def main() -> None:
        task = asyncio.create_task(block())
        await until(begun.is_set)
        task.cancel()
        may_end.set()
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        report = CancelledCallError.of(caught.value)
        assert report is not None
        assert "holds if the transaction it belongs to is committed" in str(report)
        assert report.committed is False

    run(main())
    assert space.notes == ["begin", "inside", "roll back: CancelledError"]


def test_a_call_that_timed_out_inside_is_committed_with_the_rest(space: Space) -> None:
    """The block goes on: what is said of the call is None at first, and True after the commit."""

    async def main() -> None:
        may_end = threading.Event()
        threading.Timer(0.1, may_end.set).start()
        async with space.transaction():
            with pytest.raises(TimeoutError) as caught:
                async with asyncio.timeout(0.02):
                    await space.do("inside", partial(may_end.wait, SECONDS))
            report = CancelledCallError.of(caught.value)
            assert report is not None
            assert report.committed is None
        assert report.committed is True

    run(main())
    assert space.notes == ["begin", "inside", "commit"]


def test_a_call_that_timed_out_inside_is_not_committed_where_the_commit_fails(space: Space) -> None:
    """What is said of it becomes False then."""
    space.at_commit = VaultBusyError("busy")

    async def main() -> None:
        may_end = threading.Event()
        threading.Timer(0.1, may_end.set).start()
        transaction = space.transaction()
        await transaction.__aenter__()
        with pytest.raises(TimeoutError) as caught:
            async with asyncio.timeout(0.02):
                await space.do("inside", partial(may_end.wait, SECONDS))
        report = CancelledCallError.of(caught.value)
        with pytest.raises(VaultBusyError, match="busy"):
            await transaction.__aexit__(None, None, None)
        assert report is not None
        assert report.committed is False

    run(main())


def test_a_beginning_that_is_cancelled_is_taken_back(space: Space) -> None:
    """While it waits for another one it is withdrawn; while it begins, it is rolled back and its block not entered."""
    entered: list[str] = []

    async def enter() -> None:
        async with space.transaction():
            entered.append("block")

    async def main() -> None:
        space.hold_up.clear()
        tasks = [asyncio.create_task(enter()) for _ in range(2)]
        await asyncio.sleep(0.01)
        reports = []
        for task in reversed(tasks):
            task.cancel()
            threading.Timer(0.02, space.hold_up.set).start()
            with pytest.raises(asyncio.CancelledError) as caught:
                await task
            reports.append(CancelledCallError.of(caught.value))
        assert [(one.committed, one.result) for one in reports if one is not None] == [(False, None)] * 2
        assert "before it had begun" in str(reports[0])
        await space.do("after")

    run(main())
    assert (entered, space.notes) == ([], ["begin", "roll back: CancelledError", "after"])


def test_a_cancelled_commit_is_waited_for_and_says_committed(space: Space) -> None:
    """Whoever cancels it then learns that all of it is stored."""

    async def block() -> None:
        async with space.transaction():
            await space.do("inside")
            space.hold_up.clear()

    async def main() -> None:
        task = asyncio.create_task(block())
        await until(lambda: not space.hold_up.is_set())
        await asyncio.sleep(0.01)
        task.cancel()
        space.hold_up.set()
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        report = CancelledCallError.of(caught.value)
        assert report is not None
        assert (report.committed, str(report)) == (
            True, "transaction was cancelled after it had begun, and was finished: it is committed",
        )  # fmt: skip

    run(main())
    assert space.notes == ["begin", "inside", "commit"]


def test_a_worker_that_is_closed_inside_rolls_back(space: Space) -> None:
    """The next call of the block is refused, and so is a commit."""

    async def main() -> None:
        with pytest.raises(LockedError, match="space main is locked; open the vault again; the transaction was rolled"):
            async with space.transaction():
                await asyncio.to_thread(space.worker.close)
        with pytest.raises(LockedError, match="space main is locked"):
            async with space.transaction():
                pass

    run(main())
    assert space.notes == ["begin", "roll back: LockedError"]


def test_a_task_that_is_torn_down_inside_rolls_back(space: Space) -> None:
    """Its loop is gone, so nobody waits; the worker is free for others."""

    async def block() -> None:
        async with space.transaction():
            await asyncio.Event().wait()

    loop = asyncio.new_event_loop()
    task = loop.create_task(block())
    loop.run_until_complete(until(lambda: "begin" in space.notes))
    loop.run_until_complete(asyncio.sleep(0.01))
    loop.close()
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    task.get_coro().close()
    run(space.do("after"))
    assert space.notes == ["begin", "roll back: MimirError", "after"]


def test_a_transaction_is_entered_once(space: Space) -> None:
    """A second time is a ValueError, and so is leaving one that was never entered."""

    async def main() -> None:
        transaction = space.transaction()
        async with transaction:
            with pytest.raises(ValueError, match="entered already"):
                await transaction.__aenter__()
        with pytest.raises(ValueError, match="never entered"):
            await space.transaction().__aexit__(None, None, None)

    run(main())
    assert space.notes == ["begin", "commit"]


def test_waiting_inside_for_a_task_outside_is_not_for_ever() -> None:
    """The task outside gets VaultBusyError, which the block can see; it does not hang in silence."""
    space = Space(hold_seconds=0.05)

    async def main() -> None:
        go = asyncio.Event()

        async def outside() -> None:
            await go.wait()
            await space.do("outside")

        async def block(task: asyncio.Task[None]) -> None:
            async with space.transaction():
                go.set()
                await task

        with pytest.raises(VaultBusyError, match="another task holds a transaction of space main"):
            await block(asyncio.create_task(outside()))

    run(main())
    space.worker.close()
    assert space.notes == ["begin", "roll back: VaultBusyError"]
