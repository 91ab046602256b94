"""What the contract says of cancellation and transactions in asyncio: done or not, and it says which."""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import mimir_vault as mimir
from mimir_vault import AsyncMemory, AsyncVault, CancelledCallError, Draft
from mimir_vault.testing import HashEmbedder
from quick_vaults import QuickVaults

SECONDS = 60
"""How long a test may wait for what has to happen."""


class GatedEmbedder(HashEmbedder):
    """Embeds at once, but a text with the word "slow" only when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.may_end = threading.Event(), threading.Event()

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return one unit vector per text."""
        if any("slow" in text for text in texts):
            self.begun.set()
            assert self.may_end.wait(SECONDS)
        return super().embed(texts)


@pytest.fixture
def gate() -> GatedEmbedder:
    """The embedder of the vault."""
    return GatedEmbedder()


@pytest.fixture
def vault(vaults: QuickVaults, gate: GatedEmbedder) -> Iterator[AsyncVault]:
    """An open quick vault, for asyncio; locked at the end."""
    made = AsyncVault(vaults.create(embedder=gate))
    yield made
    gate.may_end.set()
    run(made.lock())


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine in a loop of its own, which may not take for ever."""

    async def bounded() -> Any:
        async with asyncio.timeout(SECONDS):
            return await coroutine

    return asyncio.run(bounded())


def on(vault: AsyncVault, work: Callable[[AsyncMemory], Coroutine[Any, Any, None]]) -> None:
    """Run work on the first space of a vault."""

    async def main() -> None:
        await work(await vault.space())

    run(main())


async def texts(memory: AsyncMemory) -> list[str]:
    """Return the texts of all nodes."""
    return [node.text async for node in memory.nodes()]


async def report_of(task: asyncio.Task[Any]) -> CancelledCallError:
    """Return what the cancellation of a task says."""
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    assert task.cancelled()
    report = CancelledCallError.of(caught.value)
    assert report is not None
    return report


# -- cancellation -----------------------------------------------------------------------------------------------------


def test_a_remember_that_was_cancelled_is_committed_or_not_and_says_which(
    vault: AsyncVault, gate: GatedEmbedder
) -> None:
    """The one under way is finished; the one that waits is taken back."""

    async def work(memory: AsyncMemory) -> None:
        under_way = asyncio.create_task(memory.remember("a slow text"))
        await asyncio.to_thread(gate.begun.wait, SECONDS)
        waiting = asyncio.create_task(memory.remember("another text"))
        await asyncio.sleep(0.01)
        under_way.cancel()
        waiting.cancel()
        report = await report_of(waiting)
        assert (report.committed, str(report)) == (
            False, "remember was cancelled before it had begun: nothing was done",
        )  # fmt: skip
        gate.may_end.set()
        report = await report_of(under_way)
        assert (report.committed, report.result) == (True, await memory.get(report.result.id))
        assert await texts(memory) == ["a slow text"]

    on(vault, work)


def test_what_was_cancelled_and_fails_in_a_transaction_is_not_there(vault: AsyncVault, gate: GatedEmbedder) -> None:
    """Nor is anything else of that transaction."""

    async def work(memory: AsyncMemory) -> None:
        async def block() -> None:
            async with memory.transaction():
                await memory.remember("first")
                await memory.remember("a slow text", links=[mimir.Link("about", "0" * 64)])

        task = asyncio.create_task(block())
        await asyncio.to_thread(gate.begun.wait, SECONDS)
        task.cancel()
        gate.may_end.set()
        report = await report_of(task)
        assert report.committed is False
        assert str(report).endswith("nothing of it is stored")
        assert await memory.count() == 0

    on(vault, work)


def test_a_timeout_leads_to_what_became_of_the_call(vault: AsyncVault, gate: GatedEmbedder) -> None:
    """TimeoutError as ever, with the node that is there after all."""

    async def work(memory: AsyncMemory) -> None:
        threading.Timer(0.1, gate.may_end.set).start()
        with pytest.raises(TimeoutError) as caught:
            async with asyncio.timeout(0.02):
                await memory.remember("a slow text")
        report = CancelledCallError.of(caught.value)
        assert report is not None
        assert report.result == await memory.get(report.result.id)

    on(vault, work)


def test_what_was_cancelled_and_fails_is_not_there(vault: AsyncVault, gate: GatedEmbedder) -> None:
    """The error is the cause of what is said."""

    async def work(memory: AsyncMemory) -> None:
        task = asyncio.create_task(memory.remember("a slow text", links=[mimir.Link("about", "0" * 64)]))
        await asyncio.to_thread(gate.begun.wait, SECONDS)
        task.cancel()
        gate.may_end.set()
        report = await report_of(task)
        assert report.committed is False
        assert isinstance(report.__cause__, mimir.NotFoundError)
        assert await memory.count() == 0

    on(vault, work)


@pytest.mark.parametrize("kind", ["a list", "an iterator without an end"])
def test_a_batch_that_was_cancelled_ends_with_the_commit_under_way(
    vault: AsyncVault, gate: GatedEmbedder, kind: str
) -> None:
    """`result` has the nodes that are stored, and no others are."""

    def endless() -> Iterator[Draft]:
        number = 0
        while True:
            yield Draft(f"text {number}" if number != 400 else "a slow text")
            number += 1

    drafts = [Draft(f"text {number}" if number != 1_500 else "a slow text") for number in range(3_000)]

    async def work(memory: AsyncMemory) -> None:
        calls: list[tuple[int, int]] = []
        given = drafts if kind == "a list" else endless()
        task = asyncio.create_task(memory.remember_many(given, lambda *call: calls.append(call)))
        await asyncio.to_thread(gate.begun.wait, SECONDS)
        task.cancel()
        await asyncio.sleep(0.01)
        gate.may_end.set()
        report = await report_of(task)
        stored = [node async for node in memory.nodes()]
        assert report.committed is None
        assert f"{len(stored):,} nodes are stored" in str(report)
        assert stored == report.result
        assert 0 < len(stored) < 3_000
        assert calls[-1][0] == len(stored)

    on(vault, work)


def test_a_batch_whose_last_commit_is_under_way_is_whole(vault: AsyncVault, gate: GatedEmbedder) -> None:
    """Cancelled then, there is nothing left to stop: all is committed."""

    async def work(memory: AsyncMemory) -> None:
        task = asyncio.create_task(memory.remember_many([Draft("a text"), Draft("a slow text")]))
        await asyncio.to_thread(gate.begun.wait, SECONDS)
        task.cancel()
        gate.may_end.set()
        report = await report_of(task)
        assert (report.committed, len(report.result), await memory.count()) == (True, 2, 2)

    on(vault, work)


def test_an_import_that_was_cancelled_goes_on_another_time(vault: AsyncVault, gate: GatedEmbedder) -> None:
    """`result` says how much is done; the same import does the rest, and nothing twice."""
    lines = [f'{{"text": "text {number}"}}\n' if number != 2_500 else '{"text": "slow"}\n' for number in range(5_000)]

    async def work(memory: AsyncMemory) -> None:
        task = asyncio.create_task(memory.import_from(io.StringIO("".join(lines)), import_id="mine"))
        await asyncio.to_thread(gate.begun.wait, SECONDS)
        task.cancel()
        await asyncio.sleep(0.01)
        gate.may_end.set()
        report = await report_of(task)
        assert report.committed is None
        assert 0 < report.result.stored == await memory.count() < 5_000
        done = await memory.import_from(io.StringIO("".join(lines)), import_id="mine")
        assert (done.known, await memory.count()) == (report.result.stored, 5_000)

    on(vault, work)


def test_a_rebuild_that_was_cancelled_changed_nothing(vault: AsyncVault, gate: GatedEmbedder) -> None:
    """It stops where it reports, and is one transaction."""

    async def work(memory: AsyncMemory) -> None:
        await memory.remember_many([Draft(f"text {number}") for number in range(600)])
        begun, may_go_on = threading.Event(), threading.Event()

        def progress(done: int, total: int) -> None:
            begun.set()
            assert may_go_on.wait(SECONDS)

        task = asyncio.create_task(memory.rebuild(progress))
        await asyncio.to_thread(begun.wait, SECONDS)
        task.cancel()
        await asyncio.sleep(0.01)
        may_go_on.set()
        report = await report_of(task)
        assert (report.committed, report.__cause__) == (False, None)
        assert await memory.verify(full=True) == []

    on(vault, work)


def test_an_iteration_that_was_cancelled_loses_nothing(vault: AsyncVault) -> None:
    """What was read meanwhile comes when it goes on."""

    async def work(memory: AsyncMemory) -> None:
        drafts = [Draft(f"text {number}") for number in range(600)]
        await memory.remember_many(drafts)
        nodes, seen = memory.nodes(), []
        for number in range(600):
            reading = asyncio.ensure_future(anext(nodes))
            if number % 128 == 0:
                await asyncio.sleep(0)
                reading.cancel()
                if (await asyncio.wait([reading]))[0].pop().cancelled():
                    reading = asyncio.ensure_future(anext(nodes))
            seen.append((await reading).text)
        assert seen == [draft.text for draft in drafts]
        with pytest.raises(StopAsyncIteration):
            await anext(nodes)

    on(vault, work)


def test_many_cancelled_calls_say_the_truth(vault: AsyncVault, gate: GatedEmbedder) -> None:
    """Whenever it comes: what says committed is there, what says not is not, and nothing else is."""

    async def work(memory: AsyncMemory) -> None:
        tasks = [asyncio.create_task(memory.remember(f"text {number}", ref=("n", str(number)))) for number in range(60)]
        for number, task in enumerate(tasks):
            await asyncio.sleep(0.0005 * (number % 4))
            task.cancel()
        await asyncio.wait(tasks)
        there = {node.ref: node for node in [node async for node in memory.nodes()]}
        for number, task in enumerate(tasks):
            node = there.pop(("n", str(number)), None)
            if task.cancelled():
                with pytest.raises(asyncio.CancelledError) as caught:
                    await task
                report = CancelledCallError.of(caught.value)
                assert (node is not None) == (report is not None and report.committed is True)
            else:
                assert task.result() == node
        assert there == {}

    on(vault, work)


# -- nodes ------------------------------------------------------------------------------------------------------------


def test_nodes_are_read_a_batch_at_a_time(vault: AsyncVault) -> None:
    """Nothing before the first is asked for; wrong arguments are refused then; closed, it has no more."""

    async def work(memory: AsyncMemory) -> None:
        listed = memory.nodes()
        await memory.remember_many([Draft(f"text {number}") for number in range(300)])
        assert (await anext(listed)).text == "text 0"
        refused = memory.nodes(order="sideways")
        with pytest.raises(ValueError, match="order"):
            await anext(refused)
        assert [node.text async for node in memory.nodes(limit=2, order="newest")] == ["text 299", "text 298"]
        await listed.aclose()  # type: ignore[attr-defined]
        assert [node async for node in listed] == []

    on(vault, work)


def test_an_embedder_of_a_view_is_looked_at_by_the_first_call(vault: AsyncVault, gate: GatedEmbedder) -> None:
    """`view` reads nothing; an embedder that is none is refused when it is first needed."""

    async def work(memory: AsyncMemory) -> None:
        small = memory.view(embedder=HashEmbedder(16)).view(session="s1")
        node = await small.remember("a walrus")
        assert (await small.vectors([node.id])).shape == (1, 16)
        assert (node.session, small.embedder.dimension) == ("s1", 16)
        nonsense: Any = object()
        refused = memory.view(embedder=nonsense)
        with pytest.raises(TypeError, match="embedder"):
            await refused.count()
        with pytest.raises(ValueError, match="session"):
            small.view(session="s2")

    on(vault, work)
