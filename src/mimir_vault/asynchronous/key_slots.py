"""The key slots of a vault for asyncio: the verbs of `KeySlots`, awaited."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol, TypeVar

from mimir_vault.asynchronous.calls import Effect
from mimir_vault.asynchronous.described import described_as
from mimir_vault.key_slots import KeySlotInfo, KeySlots

T = TypeVar("T")


class Run(Protocol):
    """Does a call on the worker of the vault."""

    def __call__(self, verb: str, effect: Effect, work: Callable[[], T], /) -> Awaitable[T]:
        """Return what the call returns."""


@described_as(KeySlots)
class AsyncKeySlots:
    """The ways to unlock a vault, for asyncio."""

    def __init__(self, keyslots: KeySlots, run: Run) -> None:
        """Take the key slots of an open vault; callers use `AsyncVault.keyslots`."""
        self._keyslots, self._run = keyslots, run

    async def add_passphrase(self, passphrase: str | bytearray, label: str = "") -> None:
        """Let another passphrase open the vault."""
        await self._run("add_passphrase", Effect.WHOLE, partial(self._keyslots.add_passphrase, passphrase, label))

    async def add_recovery_code(self, label: str = "") -> str:
        """Let a new recovery code open the vault and return its 24 words."""
        return await self._run("add_recovery_code", Effect.WHOLE, partial(self._keyslots.add_recovery_code, label))

    async def add_raw_key(self, raw_key: bytes, label: str = "") -> None:
        """Let another raw key open the vault."""
        await self._run("add_raw_key", Effect.WHOLE, partial(self._keyslots.add_raw_key, raw_key, label))

    async def change_passphrase(self, passphrase: str | bytearray, slot_id: str | None = None) -> None:
        """Replace the passphrase this vault was opened with, or the one named."""
        await self._run(
            "change_passphrase", Effect.WHOLE, partial(self._keyslots.change_passphrase, passphrase, slot_id)
        )

    async def remove(self, slot_id: str) -> None:
        """Remove a key slot; the last one stays."""
        await self._run("remove", Effect.WHOLE, partial(self._keyslots.remove, slot_id))

    async def list(self) -> list[KeySlotInfo]:
        """Return the key slots, oldest first."""
        return await self._run("list", Effect.READS, self._keyslots.list)
