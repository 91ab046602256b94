"""`Memory` is thread-safe: whatever eight threads do to one, what was acknowledged is there, and nothing else."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import mimir_vault as mimir
from mimir_vault import Draft, Memory
from quick_vaults import QuickVaults

THREADS = 8
ROUNDS = 25
"""Rounds of each thread; one takes about 0.1 s of the whole."""


class Crowd:
    """Runs work in eight threads that begin together, and keeps what each acknowledged and what went wrong."""

    def __init__(self) -> None:
        self.there: dict[str, str] = {}
        self.gone: set[str] = set()
        self.errors: list[BaseException] = []
        self._start = threading.Barrier(THREADS + 1)
        self._threads: list[threading.Thread] = []

    def start(self, work: Callable[[int], Any]) -> None:
        """Let the threads go."""

        def run(name: int) -> None:
            self._start.wait(60)
            try:
                work(name)
            except BaseException as error:
                self.errors.append(error)

        self._threads = [threading.Thread(target=run, args=(name,), daemon=True) for name in range(THREADS)]
        for thread in self._threads:
            thread.start()
        self._start.wait(60)

    def join(self) -> None:
        """Wait for all of them."""
        for thread in self._threads:
            thread.join(240)
            assert not thread.is_alive(), "a thread hangs"

    def expected(self) -> dict[str, str]:
        """Return the text of every node that has to be there, by id."""
        return {node_id: text for node_id, text in self.there.items() if node_id not in self.gone}


def busy(memory: Memory, crowd: Crowd, name: int) -> None:
    """Do all verbs, round after round, on nodes of one thread; what others do meanwhile is in the way."""
    for number in range(ROUNDS):
        text = f"thread{name} says word{name}x{number}"
        node = memory.remember(text, session=f"s{name}", ref=("by", str(name), str(number)))
        crowd.there[node.id] = text
        assert memory.get(node.id) == node
        assert memory.recall(f"word{name}x{number}", k=3, lanes=["lexical"])[0].id == node.id
        if number % 5 == 1:
            forgotten = memory.forget(ref=("by", str(name), str(number - 1)))
            crowd.gone.update(forgotten.ids)
            assert memory.get(forgotten.ids[0]) is None
        elif number % 5 == 2:
            newer = memory.supersede(node.id, f"{text} again")
            crowd.there[newer.id] = f"{text} again"
        elif number % 5 == 3:
            with memory.transaction():
                pair = memory.remember_many([Draft(f"{text} one"), Draft(f"{text} two")])
                assert memory.count(session=f"s{name}") > 0
            crowd.there.update((one.id, one.text) for one in pair)
        elif number % 5 == 4:
            memory.hide(node.id)
            assert memory.keep(node.id).id == node.id
        assert all(one.session == f"s{name}" for one in memory.view(session=f"s{name}").nodes(limit=20))


def check(memory: Memory, crowd: Crowd) -> None:
    """Compare a memory with what the threads were told, verb by verb."""
    assert crowd.errors == []
    expected = crowd.expected()
    assert {node.id: node.text for node in memory.nodes()} == expected
    assert memory.count() == len(expected)
    for node_id, text in expected.items():
        node = memory.get(node_id)
        assert node is not None
        assert node.text == text
    assert memory.verify(full=True) == []


def test_eight_threads_lose_nothing(vaults: QuickVaults) -> None:
    """Remember, recall, get, forget, supersede, hide and transactions at once: no foreign error, and all is there."""
    memory, crowd = vaults.create().space(), Crowd()

    crowd.start(lambda name: busy(memory, crowd, name))
    crowd.join()

    check(memory, crowd)
    for name in range(THREADS):
        numbers = [int(node.ref[2]) for node in memory.nodes(session=f"s{name}") if node.ref is not None]
        assert numbers == sorted(numbers)


def test_eight_threads_with_a_view_each_see_nothing_of_the_others(vaults: QuickVaults) -> None:
    """One memory object each, all of one space; what one writes never shows in another's answers."""
    space, crowd = vaults.create().space(), Crowd()

    def work(name: int) -> None:
        mine = space.view(user=f"user{name}")
        for number in range(ROUNDS):
            node = mine.remember(f"the secret of {name} is number {number}")
            crowd.there[node.id] = node.text
            assert {hit.node.user for hit in mine.recall("the secret number", k=20)} == {f"user{name}"}
            assert mine.count() == number + 1

    crowd.start(work)
    crowd.join()

    check(space, crowd)


def test_locking_in_the_midst_ends_every_thread_with_locked_error(vaults: QuickVaults) -> None:
    """And with no other; what was acknowledged before is there when the vault is opened again."""
    vault, crowd = vaults.create(), Crowd()
    memory, enough = vault.space(), threading.Semaphore(0)

    def work(name: int) -> None:
        for number in range(100_000):
            try:
                node = memory.remember(f"thread {name} number {number}")
                crowd.there[node.id] = node.text
                memory.recall("thread number", k=2)
            except mimir.LockedError:
                return
            enough.release()
        raise AssertionError("the vault was never locked")

    crowd.start(work)
    for _ in range(3 * THREADS):
        assert enough.acquire(timeout=60)
    vault.lock()
    crowd.join()

    check_after = vaults.open().space()
    assert crowd.errors == []
    assert crowd.expected().items() <= {node.id: node.text for node in check_after.nodes()}.items()
    assert check_after.verify(full=True) == []
