"""What the contract says of locking in asyncio, and of leaving without it: nothing acknowledged is lost."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

import mimir_vault as mimir
from memory_implementations import texts
from mimir_vault import AsyncVault, Draft, Memory
from quick_vaults import QuickVaults

SOURCE = Path(__file__).resolve().parents[2] / "src"
SECONDS = 60
"""How long a test may wait for what has to happen."""


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine in a loop of its own, which may not take for ever."""

    async def bounded() -> Any:
        async with asyncio.timeout(SECONDS):
            return await coroutine

    return asyncio.run(bounded())


@pytest.fixture
def vault(vaults: QuickVaults) -> Iterator[AsyncVault]:
    """An open quick vault, for asyncio; locked at the end."""
    made = AsyncVault(vaults.create())
    yield made
    run(made.lock())


def workers() -> list[threading.Thread]:
    """Return the worker threads that there are, those that are just ending left out."""
    found = [one for one in threading.enumerate() if one.name.startswith("mimir the ") or "mimir space" in one.name]
    for one in found:
        one.join(0.2)
    return [one for one in found if one.is_alive()]


def test_locking_waits_for_calls_and_takes_no_more(vault: AsyncVault, vaults: QuickVaults) -> None:
    """What was taken is done; afterwards every verb is a LockedError; a second lock is nothing."""
    begun, may_end = threading.Event(), threading.Event()

    def drafts() -> Iterator[Draft]:
        begun.set()
        assert may_end.wait(SECONDS)
        yield Draft("under way")

    async def main() -> None:
        memory = await vault.space()
        tasks = [asyncio.create_task(memory.remember_many(drafts())), asyncio.create_task(memory.remember("waiting"))]
        await asyncio.to_thread(begun.wait, SECONDS)
        locks = [asyncio.create_task(vault.lock()) for _ in range(2)]
        await asyncio.sleep(0.01)
        assert not locks[0].done()
        with pytest.raises(mimir.LockedError, match="space main is locked; open the vault again"):
            await memory.remember("late")
        with pytest.raises(mimir.LockedError, match="the vault is locked; open it again"):
            await vault.spaces()
        may_end.set()
        await asyncio.gather(*tasks, *locks)
        await vault.close()
        with pytest.raises(mimir.LockedError):
            await memory.count()
        with pytest.raises(mimir.LockedError):
            await anext(aiter(memory.nodes()))

    run(main())
    assert workers() == []
    assert texts(vaults.open().space().nodes()) == ["under way", "waiting"]


def test_a_space_that_is_being_opened_when_the_vault_is_locked_is_refused(vaults: QuickVaults) -> None:
    """Nobody gets a memory of a vault that is locked."""
    plain = vaults.create()
    vault, begun, may_end = AsyncVault(plain), threading.Event(), threading.Event()
    give = plain.space

    def slowly(name: str, **given: Any) -> Memory:
        begun.set()
        assert may_end.wait(SECONDS)
        return give(name, **given)

    plain.space = slowly  # type: ignore[method-assign, assignment]

    async def main() -> None:
        opening = asyncio.create_task(vault.space())
        await asyncio.to_thread(begun.wait, SECONDS)
        locking = asyncio.create_task(vault.lock())
        await asyncio.sleep(0.01)
        may_end.set()
        with pytest.raises(mimir.LockedError, match="the vault is locked; open it again"):
            await opening
        await locking

    run(main())
    assert workers() == []


def test_locking_rolls_an_open_transaction_back(vault: AsyncVault, vaults: QuickVaults) -> None:
    """Also when it is its own block that locks; it does not hang."""

    async def main() -> None:
        memory = await vault.space()
        await memory.remember("before")

        async def block() -> None:
            async with memory.transaction():
                await memory.remember("inside")
                await vault.lock()

        with pytest.raises(mimir.LockedError, match="locked; open the vault again; the transaction was rolled back"):
            await block()

    run(main())
    assert texts(vaults.open().space().nodes()) == ["before"]


LEFT_OPEN = """
import asyncio, sys
import mimir_vault as mimir
from mimir_vault.testing import RAW_KEY, SIZE_FLOOR, HashEmbedder

class Slow(HashEmbedder):
    def embed(self, texts):
        import time
        time.sleep(0.3 if texts and "slow" in texts[0] else 0)
        return super().embed(texts)

async def main():
    vault = await mimir.AsyncVault.create(
        sys.argv[1] + "/vault", raw_key=RAW_KEY, size_floor=SIZE_FLOOR, embedder=Slow(), state_folder=sys.argv[1] + "/s"
    )
    memory = await vault.space()
    await memory.remember("acknowledged")
    task = asyncio.create_task(memory.remember("slow"))
    await asyncio.sleep(0.1)
    HOW

loop = asyncio.new_event_loop()
loop.run_until_complete(main())
END
print("end")
"""


@pytest.mark.parametrize("how", ["the loop is closed", "the program ends"])
def test_leaving_with_a_call_under_way_does_not_hang(tmp_path: Path, vaults: QuickVaults, how: str) -> None:
    """Nobody locked the vault: the program ends by itself, and what was acknowledged is there."""
    code = LEFT_OPEN.replace("HOW", "task._log_destroy_pending = False")
    code = code.replace("END", "loop.close()" if how == "the loop is closed" else "")
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False, timeout=SECONDS,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "end\n"), done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    assert texts(vaults.open().space().nodes())[0] == "acknowledged"
