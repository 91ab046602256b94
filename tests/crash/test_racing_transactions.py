"""Transactions that race: four threads and four processes count one number up; nothing is ever half there or lost."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path

from crash.killing import Working, run_and_kill
from crash.writing import count_up
from mimir_vault.memory import Memory
from quick_vaults import QuickVaults

RACERS = 4
ROUNDS = 15


def check_whole(memory: Memory, acknowledged: int, more: int = 0) -> int:
    """Assert that the number counts the transactions, each with both of its turns; return how many there were."""
    number = memory.get(ref=("number",))
    assert number is not None
    counted = int(number.text)
    assert acknowledged <= counted <= acknowledged + more
    pairs = Counter(node.text.rsplit(" ", 1)[0] for node in memory.nodes({"tags": "pair"}))
    assert len(pairs) == counted
    assert set(pairs.values()) == {2}
    assert [node.text for node in memory.history(number.id)] == [str(one) for one in range(counted, 0, -1)]
    assert memory.refs(("pair",)) == []
    return counted


def test_four_threads(vaults: QuickVaults) -> None:
    """Each reads the number and writes it one higher in one transaction: no count is lost, no pair is half there."""
    failures: list[BaseException] = []
    with vaults.create() as vault:
        memory = vault.space()

        def race(who: str) -> None:
            try:
                for number in range(ROUNDS):
                    count_up(memory, who, number)
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=race, args=(f"thread {one}",)) for one in range(RACERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        assert failures == []
        assert check_whole(memory, RACERS * ROUNDS) == RACERS * ROUNDS
        assert len(memory.recall("thread left right", k=500)) == 2 * RACERS * ROUNDS + 1
        assert vault.verify(full=True) == []


def test_four_processes(vaults: QuickVaults, tmp_path: Path) -> None:
    """The same across processes, while this one reads: at no moment is there a pair with one half."""
    vaults.create().lock()
    workers = [Working(tmp_path, "transact", f"process {one}", str(ROUNDS)) for one in range(RACERS)]
    with vaults.open() as vault:
        memory = vault.space()
        while any(worker.process.poll() is None for worker in workers):
            assert memory.count({"tags": "pair"}) % 2 == 0
            with memory.transaction():
                number = memory.get(ref=("number",))
                assert memory.count({"tags": "pair"}) == 2 * int(number.text if number else 0)
        for worker in workers:
            worker.end()
            worker.__exit__()
        assert check_whole(memory, RACERS * ROUNDS) == RACERS * ROUNDS
        assert vault.verify(full=True) == []


def test_killed_in_transactions(vaults: QuickVaults, tmp_path: Path) -> None:
    """Killed at any moment: what was acknowledged is there, of the one under way all or nothing."""
    vaults.create().lock()
    acknowledged = 0
    for round_ in range(4):
        acknowledged_now = len(run_and_kill(tmp_path, "transact", f"round {round_}", lines=3 + round_))
        with vaults.open() as vault:
            acknowledged = check_whole(vault.space(), acknowledged + acknowledged_now, more=1)
            assert vault.verify(full=True) == []
