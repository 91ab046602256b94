"""Several processes and threads on one vault at once: no write is lost, no answer is stale, no chain of turns forks."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from crash.killing import Working
from crash.writing import TEXT
from mimir_vault.errors import ExistsError, LockedError, MimirError, NotFoundError
from mimir_vault.memory import Memory
from mimir_vault.model.draft import Draft
from mimir_vault.model.node import Node
from mimir_vault.store import traces
from mimir_vault.vault import Vault
from quick_vaults import QuickVaults

TURNS = 40
SECONDS_MAX = 60.0


def follows(node: Node) -> list[str]:
    """Return the ids that a node says it follows."""
    return [link.target for link in node.links if link.kind == "follows"]


def check_chain(turns: list[Node]) -> None:
    """Assert that each turn of one session follows just the one stored before it."""
    assert [follows(turn) for turn in turns] == [[], *([turn.id] for turn in turns[:-1])]


def test_two_writers_and_a_reader(vaults: QuickVaults, tmp_path: Path) -> None:
    """Two processes write one session while a third reads: what either acknowledged is in the very next answer."""
    vaults.create().lock()
    acknowledged: list[str] = []
    ada, bo = (Working(tmp_path, "remember", who, "shared", str(TURNS)) for who in ("Ada", "Bo"))
    with ada, bo, vaults.open() as vault:
        memory = vault.space()
        for number in range(-1, TURNS):
            for who, writer in (("Ada", ada), ("Bo", bo)):
                if (line := writer.hear()) != "open":
                    acknowledged.append(line)
                    assert memory.get(line) is not None
                    found = memory.recall(TEXT.format(number, who), k=2, where={"speaker": who})
                    assert line in [hit.id for hit in found]
        ada.end()
        bo.end()
        turns = list(memory.nodes(session="shared"))
        assert sorted(turn.id for turn in turns) == sorted(acknowledged)
        assert len(turns) == 2 * TURNS
        check_chain(turns)
        assert {turn.speaker for turn in turns[: TURNS // 2 * 3]} == {"Ada", "Bo"}
        assert not vault.verify(full=True)


def test_one_forgets_while_another_reads(vaults: QuickVaults, tmp_path: Path) -> None:
    """What another process forgot is gone from the very next answer of a reader that had it in memory."""
    with vaults.create() as vault:
        memory = vault.space()
        ids = [memory.remember(TEXT.format(number, "Ada"), speaker="Ada").id for number in range(30)]
        assert len(memory.recall("turn things day", k=50)) == 30
        with Working(tmp_path, "forget") as other:
            assert other.hear() == "open"
            for number, node_id in enumerate(ids):
                assert other.hear() == node_id
                assert memory.get(node_id) is None
                assert node_id not in {hit.id for hit in memory.recall(TEXT.format(number, "Ada"), k=50)}
            other.end()
        assert memory.count() == 0
        assert not vault.verify(full=True)


def test_rebuilding_the_file_beside_a_writer(
    vaults: QuickVaults, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An erasure that rebuilds the whole file while another process writes takes nothing from it."""
    monkeypatch.setattr(traces, "are_left", lambda *_: True)
    with vaults.create() as vault:
        memory = vault.space()
        ids = [memory.remember(f"a turn to forget, number {number}").id for number in range(12)]
        with Working(tmp_path, "remember", "Bo", "talk", str(TURNS)) as other:
            assert other.hear() == "open"
            acknowledged = [other.hear()]
            states = [memory.forget(node_id).on_disk for node_id in ids]
            acknowledged += [other.hear() for _ in range(TURNS - 1)]
            other.end()
        assert set(states) <= {"erased", "pending"}
        turns = list(memory.nodes())
        assert [turn.id for turn in turns] == acknowledged
        check_chain(turns)
        assert memory.recall(TEXT.format(7, "Bo"), k=1)[0].text == TEXT.format(7, "Bo")
        assert not vault.verify(full=True)
    with vaults.open() as vault:
        assert not vault.verify(full=True)
        assert vault.space().count() == TURNS
    assert [path.stat().st_size for path in (tmp_path / "vault" / "spaces").iterdir()] == [1 << 20]


def test_a_killed_writer_holds_nobody_up(vaults: QuickVaults, tmp_path: Path) -> None:
    """When one of two processes is killed in the middle of its writes, the other goes on at once."""
    with vaults.create() as vault:
        for _ in range(3):
            with Working(tmp_path, "remember_many", "200") as other:
                assert other.hear() == "open"
                assert other.hear()
                assert not other.kill()
                vault.space().remember("and on it goes")
        assert vault.space().recall("and on it goes", k=1)[0].text == "and on it goes"
        assert not vault.verify(full=True)


def test_threads_share_a_memory(vault: Vault) -> None:
    """Threads that write one session and read at once lose nothing, and their chain does not fork."""
    memory = vault.space()
    trouble: list[BaseException] = []

    def write(who: str) -> None:
        try:
            for number in range(15):
                node = memory.remember(TEXT.format(number, who), speaker=who, session="shared")
                assert memory.get(node.id) == node
            memory.remember_many([Draft(f"{who} at the end {number}", session="shared") for number in range(10)])
        except BaseException as error:
            trouble.append(error)

    def read() -> None:
        try:
            for _ in range(40):
                check_consistent(memory)
        except BaseException as error:
            trouble.append(error)

    threads = [threading.Thread(target=write, args=(who,)) for who in ("Ada", "Bo", "Cy")]
    threads += [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS_MAX)
    assert not trouble
    turns = list(memory.nodes(session="shared"))
    assert len(turns) == 3 * 25
    check_chain(turns)
    assert not vault.verify(full=True)


def check_consistent(memory: Memory) -> None:
    """Assert that whatever a recall gives can be read."""
    for hit in memory.recall("turn about the things of the day", k=5):
        assert hit.node.text.endswith("of the day.") or "at the end" in hit.node.text


@pytest.mark.parametrize("attempt", range(4))
def test_two_make_one_vault(vaults: QuickVaults, tmp_path: Path, attempt: int) -> None:
    """Of several that make a vault at one place at once, one does; the others hear that there is something already."""
    made: list[Vault] = []
    refused: list[BaseException] = []
    barrier = threading.Barrier(3)

    def make() -> None:
        barrier.wait()
        try:
            made.append(vaults.create())
        except BaseException as error:
            refused.append(error)

    threads = [threading.Thread(target=make) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS_MAX)
    assert len(made) == 1
    assert [type(error) for error in refused] == [ExistsError, ExistsError]
    made[0].space().remember("whose vault is it?")
    assert not made[0].verify(full=True)
    assert {path.name for path in tmp_path.iterdir()} == {"state", "vault"}


def test_two_processes_make_spaces(vaults: QuickVaults, tmp_path: Path) -> None:
    """A name that two processes give to a space at once belongs to one of them; the other hears that it exists."""
    with vaults.create() as vault:
        with Working(tmp_path, "create_spaces") as other:
            assert other.hear() == "open"
            taken = 0
            for number in range(12):
                try:
                    vault.create_space(f"space {number}")
                except ExistsError:
                    taken += 1
            complaint = other.kill()
        assert "ExistsError" in complaint or not complaint
        names = [info.name for info in vault.spaces()]
        assert len(names) == len(set(names)) >= 13
    with vaults.open() as vault:
        assert not vault.verify(full=True)
        assert len(list((vault.path / "spaces").glob("*.db"))) == len(vault.spaces())


def test_a_space_erased_by_another_process(vaults: QuickVaults) -> None:
    """A space that another handle erased is gone from the list, and no write into it is acknowledged any more."""
    with vaults.create() as vault, vaults.open() as other:
        vault.create_space("short").remember("a turn")
        held = other.space("short")
        assert held.count() == 1
        vault.erase_space("short")
        assert [info.name for info in other.spaces()] == ["main"]
        with pytest.raises(NotFoundError):
            other.space("short")
        with pytest.raises(MimirError):
            held.remember("into nothing")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform cannot fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_has_no_keys(vault: Vault) -> None:
    """After a fork the child's handles raise LockedError, and the parent goes on undisturbed."""
    memory = vault.space()
    memory.remember("before the fork")
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        refused = 0
        for work in (lambda: memory.recall("before"), lambda: memory.remember("in the child"), vault.verify):
            try:
                work()
            except LockedError:
                refused += 1
            except BaseException:
                os._exit(99)
        vault.lock()
        os._exit(refused)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 3
    assert memory.recall("before the fork", k=1)[0].text == "before the fork"
    assert memory.count() == 1
