"""What the contract says of `AsyncVault` and `AsyncMemory`: the same names, awaitable, one worker thread per space."""

from __future__ import annotations

import asyncio
import inspect
import os
import shutil
import threading
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

import mimir_vault as mimir
from mimir_vault import AsyncMemory, AsyncVault, Draft, Memory, MemoryProtocol, Vault
from mimir_vault.asynchronous.key_slots import AsyncKeySlots
from mimir_vault.key_slots import KeySlots
from mimir_vault.testing import RAW_KEY, SIZE_FLOOR, FixedClock, HashEmbedder
from quick_vaults import QuickVaults

SOURCE = Path(__file__).resolve().parents[2] / "src"
SECONDS = 60
"""How long a test may wait for what has to happen."""
NOT_AWAITED = {"view", "nodes", "transaction"}
"""Verbs of a memory that are called without await."""
COMING = {"create", "open", "restore", "adopt"}
"""What gives a vault: awaited, or entered with `async with`."""
INTERNAL = {"memory_that_owns", "open_unlocked"}
"""Methods of Vault that callers do not use."""


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine in a loop of its own, which may not take for ever."""

    async def bounded() -> Any:
        async with asyncio.timeout(SECONDS):
            return await coroutine

    return asyncio.run(bounded())


@pytest.fixture
def around(tmp_path: Path) -> dict[str, Any]:
    """What a quick vault is opened with."""
    return {
        "raw_key": RAW_KEY, "state_folder": tmp_path / "state", "embedder": HashEmbedder(), "clock": FixedClock(step=1),
    }  # fmt: skip


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


def texts(found: Any) -> list[str]:
    """Return the texts of nodes or hits."""
    return [one.text for one in found]


# -- the same names ---------------------------------------------------------------------------------------------------


def verbs(kind: type) -> dict[str, Any]:
    """Return the public verbs and properties of a class, those it inherits too."""
    return {name: getattr(kind, name) for name in dir(kind) if not name.startswith("_") and name not in INTERNAL}


def written(function: Any) -> list[tuple[str, Any, Any]]:
    """Return the parameters of a verb: names, kinds and defaults."""
    return [(one.name, one.kind, one.default) for one in inspect.signature(function).parameters.values()]


@pytest.mark.parametrize(
    ("awaited", "plain"),
    [(AsyncVault, Vault), (AsyncMemory, Memory), (AsyncKeySlots, KeySlots), (AsyncMemory, MemoryProtocol)],
)
def test_the_names_are_the_same(awaited: type, plain: type) -> None:
    """Every public verb and property of the plain class is there, with the same parameters, and nothing else is."""
    ours, theirs = verbs(awaited), verbs(plain)
    assert set(ours) - {"path", "read_only"} == set(theirs) | ({"embedder"} if plain is MemoryProtocol else set())
    for name, verb in ours.items():
        if inspect.isfunction(theirs.get(name)) or inspect.ismethod(theirs.get(name)):
            expected = written(theirs[name])
            if (awaited, name) == (AsyncVault, "open"):  # Without a path it opens the one that `mimir.open` would.
                expected[0] = (expected[0][0], expected[0][1], None)
            assert written(verb) == expected, name


def test_type_checkers_see_what_is_awaited() -> None:
    """Every verb takes and gives what `MemoryProtocol` says, but for what is itself awaited."""
    own = {"view": "AsyncMemory", "nodes": "AsyncIterator[Node]", "transaction": "Transaction[AsyncMemory]"}
    for name, plain in verbs(MemoryProtocol).items():
        if inspect.isfunction(plain):
            ours, theirs = inspect.signature(getattr(AsyncMemory, name)), inspect.signature(plain)
            assert ours.return_annotation == own.get(name, theirs.return_annotation), name
            for parameter in theirs.parameters.values():
                assert ours.parameters[parameter.name].annotation == parameter.annotation, (name, parameter.name)


@pytest.mark.parametrize("awaited", [AsyncVault, AsyncMemory, AsyncKeySlots])
def test_every_verb_is_awaited_but_for_three(awaited: type) -> None:
    """And for what gives a vault, which may be awaited or entered."""
    plain = {name for name, verb in verbs(awaited).items() if callable(verb) and not inspect.iscoroutinefunction(verb)}
    assert plain == {AsyncVault: COMING, AsyncMemory: NOT_AWAITED, AsyncKeySlots: set()}[awaited]


def test_the_docstrings_explain_arguments_and_errors() -> None:
    """`help(AsyncMemory.recall)` says what `help(Memory.recall)` does."""
    documents = {name: inspect.getdoc(verb) or "" for name, verb in verbs(AsyncMemory).items()}
    assert "as_of: the world as it was then" in documents["recall"]
    assert "InterruptedBatchError: it ended early" in documents["remember_many"]
    assert documents["remember_many"].startswith("Remember drafts in order")
    assert "Cancelled, it ends with the commit" in documents["remember_many"]
    assert "RollbackError: the vault is older than last seen here" in (inspect.getdoc(AsyncVault.open) or "")


def test_there_is_no_second_implementation() -> None:
    """The package of the awaited verbs knows nothing of stores, keys, embedding or finding."""
    forbidden = ("store", "crypto", "keyslots.header", "embed.minilm", "index", "recall", "reading", "open_space")
    for path in (SOURCE / "mimir_vault" / "asynchronous").glob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert not [name for name in forbidden if f"mimir_vault.{name}" in text], path.name


def test_a_memory_for_asyncio_is_no_memory_protocol(vault: AsyncVault) -> None:
    """An adapter that asks `isinstance` is not given awaitables where it expects answers."""
    memory = run(vault.space())
    assert isinstance(memory, AsyncMemory)
    assert not isinstance(memory, MemoryProtocol)
    assert not issubclass(type(memory), Memory)


# -- opening ----------------------------------------------------------------------------------------------------------


def test_a_vault_is_awaited_or_entered(tmp_path: Path, around: dict[str, Any]) -> None:
    """`create` and `open` do both; leaving the block locks the vault."""

    async def main() -> None:
        path = tmp_path / "vault"
        made = await AsyncVault.create(path, recovery=True, size_floor=SIZE_FLOOR, **around)
        assert (made.path, made.read_only, made.profile, len(made.id)) == (path, False, "moderate", 32)
        assert len((made.recovery_code or "").split()) == 24
        assert made.recovery_code is None
        await (await made.space()).remember("hello")
        assert repr(made) == f"<AsyncVault {str(path)!r}>"
        async with made:
            pass
        assert repr(made) == f"<AsyncVault {str(path)!r} locked>"
        async with AsyncVault.open(path, **around) as opened, await opened.space() as memory:
            assert texts([node async for node in memory.nodes()]) == ["hello"]
            assert (memory.vault, memory.name, repr(memory)) == (opened, "main", "<AsyncMemory 'main'>")
            assert memory.embedder.name == "hash-64"
        with pytest.raises(mimir.LockedError, match="the vault is locked; open it again"):
            await opened.space()

    run(main())


def test_without_a_path_the_usual_vault_is_opened(
    tmp_path: Path, around: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one of MIMIR_VAULT, as `mimir.open()` does."""
    monkeypatch.setenv("MIMIR_VAULT", str(tmp_path / "mine"))

    async def main() -> None:
        await (await AsyncVault.create(tmp_path / "mine", size_floor=SIZE_FLOOR, **around)).lock()
        async with AsyncVault.open(**around) as vault:
            assert vault.path == tmp_path / "mine"

    run(main())


def test_what_cannot_be_opened_is_refused(tmp_path: Path, around: dict[str, Any]) -> None:
    """With the errors of `Vault`, and no thread is left behind."""

    async def main() -> None:
        with pytest.raises(mimir.NotFoundError):
            await AsyncVault.open(tmp_path / "nothing", **around)
        await (await AsyncVault.create(tmp_path / "vault", size_floor=SIZE_FLOOR, **around)).lock()
        with pytest.raises(mimir.ExistsError):
            await AsyncVault.create(tmp_path / "vault", **around)
        with pytest.raises(mimir.WrongKeyError):
            await AsyncVault.open(tmp_path / "vault", **{**around, "raw_key": bytes(32)})

    run(main())
    assert workers() == []


def test_a_vault_that_nobody_takes_is_locked_again(tmp_path: Path, around: dict[str, Any]) -> None:
    """Cancelled while it is made, it is there, and the cancellation says that nobody saw its recovery code."""
    begun, may_end = threading.Event(), threading.Event()

    def random(count: int) -> bytes:
        begun.set()
        assert may_end.wait(SECONDS)
        return os.urandom(count)

    async def main() -> None:
        making = AsyncVault.create(tmp_path / "vault", size_floor=SIZE_FLOOR, random=random, **around)
        task = asyncio.create_task(making)
        await asyncio.to_thread(begun.wait, SECONDS)
        task.cancel()
        may_end.set()
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        report = mimir.CancelledCallError.of(caught.value)
        assert report is not None
        assert (report.committed, report.result) == (True, None)
        assert str(report).endswith("the vault is there; open it, and add a recovery code, as nobody has seen its own")
        assert list((tmp_path / "vault").rglob("*-wal")) == []
        async with AsyncVault.open(tmp_path / "vault", **around) as vault:
            assert len((await vault.keyslots.add_recovery_code()).split()) == 24

    run(main())


# -- the vault's verbs ------------------------------------------------------------------------------------------------


def test_the_verbs_of_the_vault(vault: AsyncVault, tmp_path: Path, around: dict[str, Any]) -> None:
    """Spaces, key slots, verify, rebuild, compact, status, backup and restore do what they do without await."""

    async def main() -> None:
        work = await vault.create_space("work")
        await work.remember("hello")
        await vault.rename_space("work", "job")
        assert [space.name for space in await vault.spaces()] == ["main", "job"]
        assert await (await vault.space("job")).count() == 1
        calls: list[tuple[int, int]] = []
        assert await vault.verify(full=True, progress=lambda *call: calls.append(call)) == []
        assert await vault.rebuild("job", progress=lambda *call: calls.append(call)) == 1
        assert calls == [(1, 1), (1, 1)]
        assert len(await vault.compact()) == 2
        assert (await vault.status()).spaces[1].nodes == 1
        await vault.backup(tmp_path / "backup")
        async with AsyncVault.restore(tmp_path / "backup", tmp_path / "restored", **around) as restored:
            assert await (await restored.space("job")).count() == 1
        await vault.erase_space("job")
        with pytest.raises(mimir.NotFoundError):
            await vault.space("job")
        await vault.keyslots.add_raw_key(bytes(range(1, 33)), "spare")
        slots = await vault.keyslots.list()
        await vault.keyslots.remove(slots[-1].id)
        assert [slot.label for slot in slots][-1] == "spare"
        assert len(await vault.keyslots.list()) == len(slots) - 1
        await vault.lock()

    run(main())


def test_a_copied_vault_is_adopted(vaults: QuickVaults, tmp_path: Path, around: dict[str, Any]) -> None:
    """`adopt` is awaited or entered like `open`."""
    vault = vaults.create()
    vault.space().remember("hello")
    vault.lock()
    shutil.copytree(vaults.path(), tmp_path / "copy")

    async def main() -> None:
        async with AsyncVault.adopt(tmp_path / "copy", **around) as adopted:
            assert await (await adopted.space()).count() == 1

    run(main())


def test_passphrases_are_added_and_changed(tmp_path: Path, around: dict[str, Any]) -> None:
    """Argon2 runs on the worker, not in the loop."""

    async def main() -> None:
        path = tmp_path / "vault"
        async with AsyncVault.create(path, profile="interactive", size_floor=SIZE_FLOOR, **around) as vault:
            await vault.keyslots.add_passphrase("first")
            await vault.keyslots.change_passphrase("second")
        with pytest.raises(mimir.WrongKeyError):
            await AsyncVault.open(path, **{**around, "raw_key": None, "passphrase": "first"})
        async with AsyncVault.open(path, **{**around, "raw_key": None, "passphrase": "second"}):
            pass

    run(main())


def test_a_space_that_goes_while_it_is_opened_is_not_found(vaults: QuickVaults) -> None:
    """Somebody else renamed it between the two looks at the catalog."""
    plain = vaults.create()
    vault = AsyncVault(plain)
    give = plain.space

    def renamed(name: str, **given: Any) -> Memory:
        memory = give(name, **given)
        plain.rename_space(name, "elsewhere")
        return memory

    plain.space = renamed  # type: ignore[method-assign, assignment]

    async def main() -> None:
        with pytest.raises(mimir.NotFoundError, match="somebody renamed or erased it just now"):
            await vault.space()
        await vault.lock()

    run(main())


def test_calls_of_a_space_share_one_thread_and_spaces_have_their_own(vault: AsyncVault) -> None:
    """Views and memories got twice too; two spaces work side by side."""

    async def thread_of(memory: AsyncMemory) -> int:
        seen: list[int] = []
        await memory.remember("a text")
        await memory.context("text", counter=lambda text: seen.append(threading.get_ident()) or 1)  # type: ignore[func-returns-value]
        return seen[0]

    async def main() -> None:
        first, again = await vault.space(), await vault.space()
        view, other = first.view(session="s1"), await vault.create_space("other")
        threads = [await thread_of(one) for one in (first, again, view, other)]
        assert threads[0] == threads[1] == threads[2] != threads[3]
        assert threading.get_ident() not in threads

        meeting = threading.Barrier(2)

        def drafts(name: str) -> Iterator[Draft]:
            meeting.wait(SECONDS)  # Only passed when both are under way at once.
            yield Draft(name)

        await asyncio.gather(first.remember_many(drafts("a")), other.remember_many(drafts("b")))
        await vault.lock()

    run(main())


def test_event_loops_and_threads_may_share_a_vault(vault: AsyncVault) -> None:
    """It is bound to no loop: two in two threads at once, and one after the other."""
    memory = run(vault.space())

    def work(name: str) -> None:
        run(asyncio.wait_for(remember(name), SECONDS))

    async def remember(name: str) -> None:
        for number in range(10):
            async with memory.transaction():
                await memory.remember(f"{name} {number}")

    threads = [threading.Thread(target=work, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
    assert run(memory.count()) == 20
    run(vault.lock())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
def test_a_forked_child_has_to_open_again(vault: AsyncVault) -> None:
    """Every call is refused, and locking does nothing; the parent's vault stays open."""
    memory = run(vault.space())
    run(memory.remember("hello"))
    child = os.fork()
    if child == 0:
        code = 1
        try:
            run(vault.lock())
            calls: list[Callable[[], Any]] = [lambda: memory.remember("child"), vault.spaces, lambda: vault.space()]
            for call in calls:
                with pytest.raises(mimir.LockedError, match="forked; open the vault again in the child"):
                    run(call())
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert run(memory.count()) == 1
    run(vault.lock())
