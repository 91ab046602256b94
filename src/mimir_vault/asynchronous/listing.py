"""Listing nodes for asyncio: batches are taken on the worker, and given one by one."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from itertools import islice
from typing import TYPE_CHECKING

from mimir_vault.errors import CancelledCallError

if TYPE_CHECKING:
    from mimir_vault.memory_protocol import MemoryProtocol
    from mimir_vault.model.node import Node

    Run = Callable[[Callable[[MemoryProtocol], list[Node]]], Awaitable[list[Node]]]

BATCH_NODES = 256
"""Nodes taken at a time, as many as the memory opens at a time."""


class NodeIterator(AsyncIterator["Node"]):
    """The nodes of `AsyncMemory.nodes`. Nothing is read before the first one is asked for.

    A cancellation loses none of them: what was read meanwhile comes when the iteration goes on.
    """

    def __init__(self, listed: Callable[[MemoryProtocol], Iterator[Node]], run: Run) -> None:
        self._listed, self._run = listed, run
        self._nodes: Iterator[Node] | None = None
        self._ready: deque[Node] = deque()
        self._ended = False
        self._failure: Exception | None = None

    def __aiter__(self) -> NodeIterator:
        return self

    async def __anext__(self) -> Node:
        if not self._ready and not self._ended:
            try:
                self._keep(await self._run(self._take))
            except BaseException as error:
                report = CancelledCallError.of(error)
                if report is not None and report.result is not None:
                    self._keep(report.result)
                elif report is not None and isinstance(report.__cause__, Exception):
                    self._failure = report.__cause__
                raise
        if not self._ready:
            raise StopAsyncIteration
        return self._ready.popleft()

    def _take(self, memory: MemoryProtocol) -> list[Node]:
        """On the worker: take the next batch."""
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        if self._nodes is None:
            self._nodes = self._listed(memory)
        batch: list[Node] = []
        try:
            batch.extend(islice(self._nodes, BATCH_NODES))
        except Exception as error:
            if not batch:
                raise
            self._failure = error  # What was read before comes first, as from a generator.
        return batch

    def _keep(self, batch: list[Node]) -> None:
        self._ready.extend(batch)
        self._ended = self._ended or (len(batch) < BATCH_NODES and self._failure is None)

    async def aclose(self) -> None:
        """End the iteration; there is nothing to give back."""
        self._ended = True
        self._ready.clear()
