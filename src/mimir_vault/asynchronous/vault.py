"""A vault for asyncio: the verbs of `Vault`, awaited; one worker thread for itself and one for each space."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Coroutine, Generator
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack

from mimir_vault.asynchronous.calls import Effect, Stop, finish
from mimir_vault.asynchronous.described import described_as
from mimir_vault.asynchronous.key_slots import AsyncKeySlots
from mimir_vault.asynchronous.memory import AsyncMemory
from mimir_vault.asynchronous.worker import Job, Worker
from mimir_vault.creating import FIRST_SPACE
from mimir_vault.errors import CancelledCallError, LockedError, NotFoundError
from mimir_vault.given_secret import Opening
from mimir_vault.memory import Memory
from mimir_vault.memory_protocol import Progress
from mimir_vault.surroundings import default_path
from mimir_vault.vault import Vault

if TYPE_CHECKING:
    from mimir_vault.backing_up import BackupDone
    from mimir_vault.checking import Finding
    from mimir_vault.compacting import Compacted
    from mimir_vault.embed.embedder import Embedder
    from mimir_vault.keyslots.slot import KeySlot
    from mimir_vault.model.clock import Clock
    from mimir_vault.spaces import SpaceInfo
    from mimir_vault.status import VaultStatus
    from mimir_vault.surroundings import Random

T = TypeVar("T")
AFTERWARDS = {
    "create": "the vault is there; open it, and add a recovery code, as nobody has seen its own",
    "open": "the vault was locked again",
    "restore": "the vault is there; open it",
    "adopt": "the vault is adopted; open it",
}
"""What is said of a vault that nobody was there any more to take."""


class ComingVault(Coroutine[Any, Any, "AsyncVault"]):
    """A vault on its way: `await` it, make a task of it, or enter it with `async with` and have it locked then."""

    def __init__(self, vault: Coroutine[Any, Any, AsyncVault]) -> None:
        self._coming = vault
        self._vault: AsyncVault | None = None

    def __await__(self) -> Generator[Any, Any, AsyncVault]:
        return self._coming.__await__()

    def send(self, value: Any) -> Any:
        """Go on, as any coroutine."""
        return self._coming.send(value)

    def throw(self, *error: Any) -> Any:
        """Go on with an error, as any coroutine."""
        return self._coming.throw(*error)

    def close(self) -> None:
        """End, as any coroutine."""
        self._coming.close()

    async def __aenter__(self) -> AsyncVault:
        self._vault = await self._coming
        return self._vault

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._vault is not None:
            await self._vault.lock()


@described_as(Vault)
class AsyncVault:
    """An open vault for asyncio. Use with `async with`, or await `lock()` (= `close()`) at the end.

    `await AsyncVault.open(…)` gives one, `async with AsyncVault.open(…) as vault:` locks it too. Tasks, threads and
    event loops may share it; a forked child has to open it again.
    """

    def __init__(self, vault: Vault, worker: Worker | None = None) -> None:
        """Take an open vault, which is locked together with this one; it may still be used from other threads."""
        self._vault = vault
        self._worker = worker or Worker("the vault")
        self._workers: dict[str, Worker] = {}
        self._lock = threading.Lock()
        self._locking: Job[None] | None = None
        self._process = os.getpid()
        self.keyslots = AsyncKeySlots(vault.keyslots, self._run)

    @classmethod
    def create(
        cls,
        path: str | os.PathLike[str],
        *,
        passphrase: str | bytearray | None = None,
        raw_key: bytes | None = None,
        profile: str = "moderate",
        recovery: bool = True,
        size_floor: int | None = None,
        embedder: Embedder | None = None,
        clock: Clock | None = None,
        random: Random = os.urandom,
        state_folder: str | os.PathLike[str] | None = None,
        memory_budget: int | str | None = None,
    ) -> ComingVault:
        """Create a vault with one space, `main`, and return it open: awaited, or with `async with`."""
        make = partial(
            Vault.create, path, passphrase=passphrase, raw_key=raw_key, profile=profile, recovery=recovery,
            size_floor=size_floor, embedder=embedder, clock=clock, random=random, state_folder=state_folder,
            memory_budget=memory_budget,
        )  # fmt: skip
        return ComingVault(cls._coming("create", make, Effect.WHOLE))

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str] | None = None,
        *,
        passphrase: str | bytearray | None = None,
        recovery_code: str | None = None,
        raw_key: bytes | None = None,
        keyslot: KeySlot | None = None,
        read_only: bool = False,
        accept_rollback: bool = False,
        embedder: Embedder | None = None,
        clock: Clock | None = None,
        random: Random = os.urandom,
        state_folder: str | os.PathLike[str] | None = None,
        memory_budget: int | str | None = None,
    ) -> ComingVault:
        """Open a vault: awaited, or with `async with`. Without a path the one that `mimir.open()` would open."""
        make = partial(
            Vault.open, default_path() if path is None else Path(path), passphrase=passphrase,
            recovery_code=recovery_code, raw_key=raw_key, keyslot=keyslot, read_only=read_only,
            accept_rollback=accept_rollback, embedder=embedder, clock=clock, random=random, state_folder=state_folder,
            memory_budget=memory_budget,
        )  # fmt: skip
        return ComingVault(cls._coming("open", make, Effect.READS))

    @classmethod
    def restore(
        cls,
        backup: str | os.PathLike[str],
        path: str | os.PathLike[str],
        *,
        progress: Progress | None = None,
        **opening: Unpack[Opening],
    ) -> ComingVault:
        """Make the vault of a backup at `path` and return it open: awaited, or with `async with`."""
        stop = Stop()
        make = partial(Vault.restore, backup, path, progress=stop.progress(progress), **opening)
        return ComingVault(cls._coming("restore", make, Effect.WHOLE, stop))

    @classmethod
    def adopt(cls, path: str | os.PathLike[str], **opening: Unpack[Opening]) -> ComingVault:
        """Make a copied vault a replica of its own and return it open: awaited, or with `async with`."""
        return ComingVault(cls._coming("adopt", partial(Vault.adopt, path, **opening), Effect.WHOLE))

    @classmethod
    async def _coming(
        cls, verb: str, make: Callable[[], Vault], effect: Effect, stop: Stop | None = None
    ) -> AsyncVault:
        """Make a vault on a worker of its own; when nobody is there to take it any more, lock it again."""
        worker = Worker("the vault")
        made = worker.submit(make)
        try:
            return cls(await finish(made, verb, effect, stop), worker)
        except BaseException as error:
            if not made.future.cancelled() and made.future.exception() is None:
                report = CancelledCallError.of(error)
                if report is not None:
                    report.result, report.args = None, (f"{report}; {AFTERWARDS[verb]}",)
                await finish(worker.submit(made.future.result().lock), "lock", Effect.WHOLE, withdraw=False)
            worker.stop()
            raise

    # -- what is known without asking the disk --------------------------------------------------------------------

    @property
    def path(self) -> Path:
        """The folder of the vault."""
        return self._vault.path

    @property
    def read_only(self) -> bool:
        """Whether nothing of the vault can be changed."""
        return self._vault.read_only

    @property
    def id(self) -> str:
        """The vault's id, 32 hexadecimal digits."""
        return self._vault.id

    @property
    def recovery_code(self) -> str | None:
        """The 24 words of a new vault's recovery code: given once, then None for ever."""
        return self._vault.recovery_code

    @property
    def profile(self) -> str:
        """The cost of the vault's passphrases by name."""
        return self._vault.profile

    # -- spaces ---------------------------------------------------------------------------------------------------

    async def spaces(self) -> list[SpaceInfo]:
        """Return the spaces, oldest first."""
        return await self._run("spaces", Effect.READS, self._vault.spaces)

    async def space(self, name: str = FIRST_SPACE, *, embedder: Embedder | None = None) -> AsyncMemory:
        """Return a space as a memory; all memories of a space share one worker thread."""
        return await self._opened("space", Effect.READS, name, partial(self._vault.space, name, embedder=embedder))

    async def create_space(self, name: str, embedder: Embedder | None = None) -> AsyncMemory:
        """Create an empty space, an encrypted database with a key of its own."""
        work = partial(self._vault.create_space, name, embedder)
        return await self._opened("create_space", Effect.WHOLE, name, work)

    async def rename_space(self, old: str, new: str) -> None:
        """Give a space another name; its id, file and keys stay."""
        await self._run("rename_space", Effect.WHOLE, partial(self._vault.rename_space, old, new))

    async def erase_space(self, name: str) -> None:
        """Erase a space for ever: first the only copy of its keys, then its file."""
        await self._run("erase_space", Effect.IN_PARTS, partial(self._vault.erase_space, name))

    async def _opened(self, verb: str, effect: Effect, name: str, work: Callable[[], Memory]) -> AsyncMemory:
        """Return a space as a memory with the worker of that space, which is known by its id."""

        def opened() -> tuple[Memory, str]:
            memory = work()
            for space in self._vault.spaces():
                if space.name == name:
                    return memory, space.id
            raise NotFoundError(f"there is no space {name} any more; somebody renamed or erased it just now")

        memory, space_id = await self._run(verb, effect, opened)
        with self._lock:
            if self._locking is not None:
                raise _locked()
            worker = self._workers.get(space_id)
            if worker is None:
                worker = self._workers[space_id] = Worker(f"space {name}")
        return AsyncMemory(self, memory, worker)

    # -- the vault itself -----------------------------------------------------------------------------------------

    async def verify(self, full: bool = False, progress: Progress | None = None) -> list[Finding]:
        """Check the catalog and every space; an empty list is good news. `full` opens every node."""
        stop = Stop()
        return await self._run("verify", Effect.READS, partial(self._vault.verify, full, stop.progress(progress)), stop)

    async def rebuild(self, space: str | None = None, progress: Progress | None = None) -> int:
        """Make everything derived again, in one space or in all; return how many nodes there are."""
        stop = Stop()
        work = partial(self._vault.rebuild, space, stop.progress(progress))
        return await self._run("rebuild", Effect.IN_PARTS, work, stop)

    async def backup(self, path: str | os.PathLike[str], progress: Progress | None = None) -> BackupDone:
        """Back the vault up into one sealed file while it is in use; a backup of it at `path` is gone on from."""
        stop = Stop()
        return await self._run(
            "backup", Effect.OUTSIDE, partial(self._vault.backup, path, stop.progress(progress)), stop
        )

    async def compact(self, space: str | None = None, progress: Progress | None = None) -> list[Compacted]:
        """Pack the file of one space or of all, down to its size class; `progress` counts spaces."""
        stop = Stop()
        work = partial(self._vault.compact, space, stop.progress(progress))
        return await self._run("compact", Effect.IN_PARTS, work, stop)

    async def status(self) -> VaultStatus:
        """Return the vault in figures."""
        return await self._run("status", Effect.READS, self._vault.status)

    async def _run(self, verb: str, effect: Effect, work: Callable[[], T], stop: Stop | None = None) -> T:
        """Do a call on the worker of the vault."""
        if self._locking is not None and self._process == os.getpid():
            raise _locked()
        return await finish(self._worker.submit(work), verb, effect, stop)

    async def lock(self) -> None:
        """Take no more calls, finish those that were taken, then lock the vault; open transactions are rolled back."""
        if self._process != os.getpid():
            return  # The vault is the parent's, and so are the threads.
        with self._lock:
            if self._locking is None:
                self._locking = self._worker.submit(partial(self._lock_now, list(self._workers.values())))
                for worker in (*self._workers.values(), self._worker):
                    worker.stop()
        await finish(self._locking, "lock", Effect.WHOLE, withdraw=False)

    close = lock

    def _lock_now(self, workers: list[Worker]) -> None:
        """On the worker of the vault: wait for those of the spaces, then lock."""
        for worker in workers:
            worker.close()
        self._vault.lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.lock()

    def __repr__(self) -> str:
        return f"<Async{repr(self._vault).removeprefix('<')}"


def _locked() -> LockedError:
    return LockedError("the vault is locked; open it again")
