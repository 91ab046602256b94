"""Workers: one thread, one call after the other, transactions first, and an end that waits for nobody too long."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from pathlib import Path

import pytest

from mimir_vault.asynchronous.worker import Hold, Worker
from mimir_vault.errors import LockedError, VaultBusyError

SOURCE = Path(__file__).resolve().parents[3] / "src"
SECONDS = 30
"""How long a test waits for what has to happen."""


@pytest.fixture
def worker() -> Iterator[Worker]:
    """A worker, stopped at the end."""
    made = Worker("space main")
    yield made
    made.close()


class Journal:
    """Takes note of what a transaction does, and in which thread."""

    def __init__(self, *, at_end: Exception | None = None) -> None:
        self.notes: list[str] = []
        self.threads: set[int] = set()
        self._at_end = at_end

    def note(self, text: str) -> None:
        """Take note of something."""
        self.notes.append(text)
        self.threads.add(threading.get_ident())

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Stand in for the transaction of a memory."""
        self.note("begin")
        try:
            yield
        except BaseException as error:
            self.note(f"roll back: {error}")
            raise
        if self._at_end is not None:
            raise self._at_end
        self.note("commit")


class Gate:
    """A call that begins, says so, and waits until it is let through."""

    def __init__(self) -> None:
        self.begun, self.open = threading.Event(), threading.Event()

    def __call__(self) -> str:
        self.begun.set()
        assert self.open.wait(SECONDS)
        return "through"


def test_calls_are_done_in_order_in_one_thread_that_is_not_ours(worker: Worker) -> None:
    """Whoever submits them."""
    seen: list[tuple[int, int]] = []
    jobs = [worker.submit(partial(lambda n: seen.append((n, threading.get_ident())), n)) for n in range(50)]
    for job in jobs:
        job.future.result(SECONDS)
    assert [number for number, _ in seen] == list(range(50))
    (thread,) = {thread for _, thread in seen}
    assert thread != threading.get_ident()


def test_a_call_gives_its_result_or_its_error(worker: Worker) -> None:
    """The very same object."""
    error = KeyError("mine")

    def fail() -> None:
        raise error

    assert worker.submit(lambda: 7).future.result(SECONDS) == 7
    assert worker.submit(fail).future.exception(SECONDS) is error
    assert worker.submit(lambda: 8).future.result(SECONDS) == 8


def test_a_call_sees_the_context_of_who_asked(worker: Worker) -> None:
    """Context variables go along, so that a caller's tracing works; what the call sets stays in it."""
    variable = ContextVar("variable", default="unset")
    variable.set("asked here")
    assert worker.submit(variable.get).future.result(SECONDS) == "asked here"
    worker.submit(lambda: variable.set("changed")).future.result(SECONDS)
    assert variable.get() == "asked here"


def test_what_has_not_begun_can_be_withdrawn(worker: Worker) -> None:
    """And is not done; what has begun cannot."""
    gate, done = Gate(), []
    first = worker.submit(gate)
    second = worker.submit(lambda: done.append(2))
    third = worker.submit(lambda: done.append(3))
    assert gate.begun.wait(SECONDS)
    assert (first.withdraw(), second.withdraw()) == (False, True)
    gate.open.set()
    third.future.result(SECONDS)
    assert (first.future.result(SECONDS), done) == ("through", [3])


def test_while_a_transaction_is_open_only_its_own_calls_are_done(worker: Worker) -> None:
    """The others wait for its end, then come in their order; all of it is in one thread."""
    journal = Journal()
    hold = worker.begin(journal.transaction).future.result(SECONDS)
    outside = [worker.submit(partial(journal.note, f"outside {n}")) for n in range(2)]
    worker.submit(lambda: journal.note("inside 1"), hold).future.result(SECONDS)
    worker.submit(lambda: journal.note("inside 2"), hold).future.result(SECONDS)
    worker.end(hold, None).future.result(SECONDS)
    for job in outside:
        job.future.result(SECONDS)
    assert journal.notes == ["begin", "inside 1", "inside 2", "commit", "outside 0", "outside 1"]
    assert len(journal.threads) == 1


def test_a_transaction_is_rolled_back_with_the_error_of_its_block(worker: Worker) -> None:
    """The error is the block's to raise, not the worker's; another error on the way is raised."""
    journal = Journal()
    hold = worker.begin(journal.transaction).future.result(SECONDS)
    worker.end(hold, OSError("in the block")).future.result(SECONDS)
    assert journal.notes == ["begin", "roll back: in the block"]
    failing = Journal(at_end=VaultBusyError("at the commit"))
    hold = worker.begin(failing.transaction).future.result(SECONDS)
    with pytest.raises(VaultBusyError, match="at the commit"):
        worker.end(hold, None).future.result(SECONDS)
    assert worker.submit(lambda: "free again").future.result(SECONDS) == "free again"


def test_a_transaction_that_cannot_begin_holds_nothing(worker: Worker) -> None:
    """Its error is raised, and the next call is done."""

    def refuse() -> Hold:
        raise LockedError("no")

    job = worker.begin(refuse)  # type: ignore[arg-type]
    assert str(job.future.exception(SECONDS)) == "no"
    assert worker.submit(lambda: 1).future.result(SECONDS) == 1


def test_calls_of_a_transaction_that_has_ended_are_refused(worker: Worker) -> None:
    """Those that wait when it ends, and those that come later: nothing of it is done outside of it."""
    journal, gate = Journal(), Gate()
    hold = worker.begin(journal.transaction).future.result(SECONDS)
    worker.submit(gate, hold)
    end = worker.end(hold, None)
    late = worker.submit(lambda: journal.note("late"), hold)
    gate.open.set()
    end.future.result(SECONDS)
    with pytest.raises(ValueError, match="transaction that has ended, so nothing was done"):
        late.future.result(SECONDS)
    with pytest.raises(ValueError, match="transaction that has ended"):
        worker.submit(lambda: journal.note("later"), hold)
    assert journal.notes == ["begin", "commit"]


def test_a_transaction_that_does_nothing_is_not_waited_for_for_ever() -> None:
    """A task that waits inside for one outside gets out again: the call outside ends with VaultBusyError."""
    worker = Worker("space main", hold_seconds=0.05)
    journal = Journal()
    hold = worker.begin(journal.transaction).future.result(SECONDS)
    waiting = worker.submit(lambda: journal.note("outside"))
    with pytest.raises(VaultBusyError, match="holds a transaction of space main and does nothing with it; nothing was"):
        waiting.future.result(SECONDS)
    worker.submit(lambda: journal.note("inside"), hold).future.result(SECONDS)
    worker.end(hold, None).future.result(SECONDS)
    worker.submit(lambda: journal.note("after")).future.result(SECONDS)
    assert journal.notes == ["begin", "inside", "commit", "after"]
    worker.close()


def test_a_transaction_that_works_is_waited_for_however_long_it_takes() -> None:
    """What counts is how long it has done nothing, not how long a call has waited for it."""
    now = [0.0]
    worker = Worker("space main", monotonic=lambda: now[0])
    journal = Journal()
    hold = worker.begin(journal.transaction).future.result(SECONDS)
    waiting = worker.submit(lambda: journal.note("outside"))
    worker.submit(lambda: now.append(now.pop() + 1_000), hold).future.result(SECONDS)
    worker.submit(lambda: journal.note("inside"), hold).future.result(SECONDS)
    threading.Event().wait(0.05)  # The thread has nothing to do meanwhile, and looks at who waits.
    assert not waiting.future.done()
    worker.end(hold, None).future.result(SECONDS)
    waiting.future.result(SECONDS)
    assert journal.notes == ["begin", "inside", "commit", "outside"]
    worker.close()


def test_a_thread_without_calls_ends_and_the_next_call_starts_one() -> None:
    """So that a thousand spaces that rest are not a thousand threads; one with an open transaction stays."""
    worker = Worker("space main", idle_seconds=0.01)
    first = worker.submit(threading.current_thread).future.result(SECONDS)
    first.join(SECONDS)
    assert not first.is_alive()
    hold = worker.begin(Journal().transaction).future.result(SECONDS)
    second = worker.submit(threading.current_thread, hold).future.result(SECONDS)
    second.join(0.1)
    assert second.is_alive()
    assert worker.submit(threading.current_thread, hold).future.result(SECONDS) is second
    worker.end(hold, None).future.result(SECONDS)
    worker.close()


def test_closing_finishes_what_was_taken_and_takes_no_more(worker: Worker) -> None:
    """Calls that wait are done; the thread has ended when `close` returns."""
    gate, done = Gate(), []
    first = worker.submit(gate)
    thread = worker.submit(threading.current_thread)
    worker.submit(lambda: done.append("taken"))
    assert gate.begun.wait(SECONDS)
    worker.stop()
    with pytest.raises(LockedError, match="space main is locked; open the vault again"):
        worker.submit(lambda: done.append("late"))
    gate.open.set()
    worker.close()
    worker.close()
    assert (first.future.result(0), done) == ("through", ["taken"])
    assert not thread.future.result(0).is_alive()


def test_closing_rolls_an_open_transaction_back(worker: Worker) -> None:
    """Its calls that were taken are done before, those waiting outside afterwards."""
    journal = Journal()
    hold = worker.begin(journal.transaction).future.result(SECONDS)
    outside = worker.submit(lambda: journal.note("outside"))
    worker.submit(lambda: journal.note("inside"), hold)
    worker.close()
    outside.future.result(0)
    assert journal.notes == ["begin", "inside", "roll back: space main was locked inside a transaction", "outside"]
    with pytest.raises(LockedError):
        worker.end(hold, None)


def test_a_worker_that_never_worked_is_closed_at_once(worker: Worker) -> None:
    """There is no thread to wait for."""
    worker.close()
    with pytest.raises(LockedError):
        worker.check()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
def test_a_forked_child_is_refused_before_any_lock(worker: Worker) -> None:
    """The thread is not there, and its lock may be held for ever; closing does nothing."""
    worker.submit(lambda: None).future.result(SECONDS)
    with worker._changed:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                worker.close()
                worker.submit(lambda: None)
            except LockedError as error:
                code = 0 if "forked" in str(error) else 2
            finally:
                os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


AT_EXIT = """
import sys, threading, time
from mimir_vault.asynchronous.worker import Worker
worker, begun = Worker("space main"), threading.Event()

def under_way():
    begun.set()
    time.sleep(0.2)
    print("finished", flush=True)

worker.submit(under_way)
worker.submit(lambda: print("waiting", flush=True))
begun.wait()
print("ending", flush=True)
"""


def test_the_end_of_the_interpreter_waits_for_the_call_under_way_alone() -> None:
    """Nobody locked the vault: what has begun is finished, what waits is not done, and nothing hangs."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", AT_EXIT], capture_output=True, text=True, check=False, timeout=60,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "ending\nfinished\n", "")
