"""An asyncio memory driven by blocking calls, so that one suite tests both."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import TracebackType
from typing import Any, Self

from mimir_vault.asynchronous.memory import AsyncMemory

END = object()
"""What stands for the end of an iteration."""


class DrivenMemory:
    """An AsyncMemory that looks like a Memory: each call runs the loop of a runner until it is done."""

    def __init__(self, runner: asyncio.Runner, memory: AsyncMemory) -> None:
        """Take the runner that all calls of a test share: a transaction lives in its context."""
        self._runner, self._memory = runner, memory

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._memory, name)
        special: dict[str, Callable[..., Any]] = {"view": self._view, "nodes": self._nodes}
        if name in special:
            return partial(special[name], found)
        return partial(self._await, found) if inspect.iscoroutinefunction(found) else found

    def _await(self, verb: Callable[..., Any], *given: Any, **named: Any) -> Any:
        return self._runner.run(verb(*given, **named))

    def _view(self, view: Callable[..., AsyncMemory], **fields: Any) -> DrivenMemory:
        return DrivenMemory(self._runner, view(**fields))

    def _nodes(self, nodes: Callable[..., AsyncIterator[Any]], *given: Any, **named: Any) -> Iterator[Any]:
        listed = nodes(*given, **named)

        async def following() -> Any:
            return await anext(listed, END)

        while (node := self._runner.run(following())) is not END:
            yield node

    @contextmanager
    def transaction(self) -> Iterator[Self]:
        """Hold a transaction for a block of blocking calls."""
        transaction = self._memory.transaction()
        self._runner.run(transaction.__aenter__())
        try:
            yield self
        except BaseException as error:
            self._runner.run(transaction.__aexit__(type(error), error, error.__traceback__))
            raise
        self._runner.run(transaction.__aexit__(None, None, None))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._runner.run(self._memory.close())
