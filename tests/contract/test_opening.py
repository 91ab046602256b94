"""What the contract says of opening: the chain of `mimir.open`, options of `Vault.open`, spaces, locking."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import mimir_vault as mimir
from mimir_vault import Draft, Memory, MemoryProtocol, Vault
from mimir_vault.keyslots.raw_key import RawKeySlot
from mimir_vault.testing import RAW_KEY, HashEmbedder, temporary_vault
from mimir_vault.unlockers import UnlockChain
from mimir_vault.unlocking import terminal_prompt
from quick_vaults import QuickVaults

PASSPHRASE = "correct horse battery staple"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A locked vault that a passphrase and the raw key open; copied by tests."""
    folder = tmp_path_factory.mktemp("opening")
    with temporary_vault(folder, passphrase=PASSPHRASE, raw_key=RAW_KEY, profile="interactive") as vault:
        vault.space().remember("hello")
        vault.create_space("work")
    return folder / "vault"


class Asked:
    """Stands for the ways to unlock: notes who is asked, and gives what a test puts there."""

    def __init__(self) -> None:
        self.order: list[str] = []
        self.slot: RawKeySlot | None = None
        self.kept: object | None = None
        self.typed: str | None = None

    def chain(self) -> UnlockChain:
        """Return a chain of a keeper, a keyring, the file, the command and the prompt."""
        chain = UnlockChain(os.environ, lambda: self._prompt)
        chain._unlockers = [("keeper", _Way(self, "keeper", 10)), ("keyring", _Way(self, "keyring", 20))]
        return chain

    def _prompt(self, question: str) -> bytearray:
        self.order.append("prompt")
        return bytearray((self.typed or "").encode())


class _Way:
    def __init__(self, asked: Asked, name: str, order: int) -> None:
        self._asked, self._name, self.order = asked, name, order

    def memory(self, path: Path, space: str) -> object | None:
        if self._name != "keeper":
            return None
        self._asked.order.append("keeper")
        return self._asked.kept

    def key_slot(self, path: Path, header: object) -> RawKeySlot | None:
        if self._name == "keyring":
            self._asked.order.append("keyring")
            return self._asked.slot
        return None


@pytest.fixture
def asked(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Asked:
    """The ways to unlock the vault that MIMIR_VAULT names, none of which has anything yet."""
    shutil.copytree(template, tmp_path / "vault")
    for name in [name for name in os.environ if name.startswith("MIMIR_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MIMIR_VAULT", str(tmp_path / "vault"))
    monkeypatch.setattr("mimir_vault.surroundings.default_state_folder", lambda: tmp_path / "state")
    monkeypatch.setattr("mimir_vault.embed.registry.bundled", HashEmbedder)
    found = Asked()
    monkeypatch.setattr(UnlockChain, "of_this_process", found.chain)
    return found


def counted() -> tuple[int, Memory]:
    """Return how many nodes `mimir.open()` finds, and its memory, closed again."""
    with mimir.open() as memory:
        return memory.count(), memory


# -- mimir.open -------------------------------------------------------------------------------------------------------


def test_open_takes_the_variable_or_the_platforms_folder(
    asked: Asked, template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MIMIR_VAULT, else the folder for data; a path and a space may be said; closing locks the vault."""
    asked.slot = RawKeySlot(RAW_KEY)
    count, memory = counted()
    assert (count, memory.name, memory.vault.path) == (1, "main", tmp_path / "vault")
    with pytest.raises(mimir.LockedError):
        memory.count()
    asked.slot = RawKeySlot(RAW_KEY)
    with mimir.open(tmp_path / "vault", "work") as memory:
        assert (memory.name, memory.count(), isinstance(memory, MemoryProtocol)) == ("work", 0, True)
    monkeypatch.delenv("MIMIR_VAULT")
    monkeypatch.setattr("platformdirs.user_data_path", lambda *_, **__: tmp_path / "data")
    assert mimir.default_path().is_relative_to(tmp_path / "data")
    with pytest.raises(mimir.NotFoundError):
        mimir.open()


def test_the_ways_to_unlock_are_asked_in_their_order(
    asked: Asked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keeper, keyring or TPM, passphrase file, command, prompt: the first that serves ends the search."""
    asked.typed = PASSPHRASE
    assert counted()[0] == 1
    assert asked.order == ["keeper", "keyring", "prompt"]
    (tmp_path / "secret").write_text(PASSPHRASE + "\n")
    monkeypatch.setenv("MIMIR_PASSPHRASE_COMMAND", f"cat {tmp_path / 'secret'}")
    asked.order.clear()
    assert counted()[0] == 1
    assert asked.order == ["keeper", "keyring"]
    monkeypatch.setenv("MIMIR_PASSPHRASE_COMMAND", f"touch {tmp_path / 'called'}")
    monkeypatch.setenv("MIMIR_PASSPHRASE_FILE", str(tmp_path / "secret"))
    assert counted()[0] == 1
    assert not (tmp_path / "called").exists()
    monkeypatch.setenv("MIMIR_PASSPHRASE_FILE", str(tmp_path / "no such file"))
    asked.slot = RawKeySlot(RAW_KEY)
    assert counted()[0] == 1
    asked.order.clear()
    asked.kept = object()
    assert mimir.open() is asked.kept
    assert asked.order == ["keeper"]


def test_when_nothing_unlocks_the_error_lists_what_was_tried(asked: Asked, tmp_path: Path) -> None:
    """A LockedError, from `mimir.open` and from `Vault.open` without a secret alike."""
    for call in (mimir.open, lambda: Vault.open(tmp_path / "vault")):
        with pytest.raises(mimir.LockedError) as caught:
            call()
        for way in ("keyring", "MIMIR_PASSPHRASE_FILE", "MIMIR_PASSPHRASE_COMMAND"):
            assert way in str(caught.value)
        assert not isinstance(caught.value, mimir.WrongKeyError)
        assert "prompt" in asked.order


def test_a_notebook_asks_by_getpass(monkeypatch: pytest.MonkeyPatch) -> None:
    """The prompt is the terminal's; in a notebook it is `getpass`, which shows a field there."""
    asked: list[str] = []
    shell = SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    monkeypatch.setattr("getpass.getpass", lambda question: asked.append(question) or PASSPHRASE)
    prompt = terminal_prompt()
    assert prompt is not None
    assert prompt("Passphrase: ") == PASSPHRASE.encode()
    assert asked == ["Passphrase: "]


# -- Vault.open -------------------------------------------------------------------------------------------------------


def test_a_vault_opens_by_a_key_slot_object(vaults: QuickVaults) -> None:
    """`keyslot=` is any object that holds the secret of a slot."""
    vaults.create().lock()
    assert vaults.open(keyslot=RawKeySlot(RAW_KEY)).space().count() == 0
    with pytest.raises(mimir.WrongKeyError):
        vaults.open(keyslot=RawKeySlot(bytes(32)))


WRITES: dict[str, Callable[[Vault, Memory, str], object]] = {
    "remember": lambda vault, memory, node_id: memory.remember("x"),
    "remember_many": lambda vault, memory, node_id: memory.remember_many([Draft("x")]),
    "supersede": lambda vault, memory, node_id: memory.supersede(node_id, "x"),
    "move": lambda vault, memory, node_id: memory.move(("a",), ("b",)),
    "forget": lambda vault, memory, node_id: memory.forget(node_id),
    "hide": lambda vault, memory, node_id: memory.hide(node_id),
    "keep": lambda vault, memory, node_id: memory.keep(node_id),
    "rebuild": lambda vault, memory, node_id: memory.rebuild(),
    "create_space": lambda vault, memory, node_id: vault.create_space("x"),
    "rename_space": lambda vault, memory, node_id: vault.rename_space("main", "x"),
    "erase_space": lambda vault, memory, node_id: vault.erase_space("main"),
    "compact": lambda vault, memory, node_id: vault.compact(),
    "keyslots": lambda vault, memory, node_id: vault.keyslots.add_recovery_code(),
}


def test_a_read_only_vault_answers_and_changes_nothing(vaults: QuickVaults) -> None:
    """Every verb that would write is a ReadOnlyError; not a byte of the folder changes."""
    vault = vaults.create()
    node = vault.space().remember("a zebra", ref=("a",))
    vault.lock()
    before = {path: path.read_bytes() for path in vaults.path().rglob("*") if path.is_file()}
    vault = vaults.open(read_only=True)
    memory = vault.space()
    assert (vault.read_only, memory.recall("zebra")[0].node, memory.get(ref=("a",)), memory.count()) == (
        True, node, node, 1,
    )  # fmt: skip
    for verb, call in WRITES.items():
        with pytest.raises(mimir.ReadOnlyError):
            pytest.fail(f"{verb} gave {call(vault, memory, node.id)}")
    vault.lock()
    assert {path: path.read_bytes() for path in vaults.path().rglob("*") if path.is_file()} == before


def test_an_older_vault_is_refused_until_it_is_accepted(vaults: QuickVaults, tmp_path: Path) -> None:
    """RollbackError, and with `accept_rollback` it is taken as it is, from then on."""
    vault = vaults.create()
    vault.space().remember("old")
    vault.lock()
    shutil.copytree(vaults.path(), tmp_path / "copy")
    vault = vaults.open()
    vault.space().remember("new")
    vault.lock()
    shutil.rmtree(vaults.path())
    os.rename(tmp_path / "copy", vaults.path())
    with pytest.raises(mimir.RollbackError, match="older"):
        vaults.open().space()
    vault = vaults.open(accept_rollback=True)
    assert [node.text for node in vault.space().nodes()] == ["old"]
    vault.lock()
    assert vaults.open().space().count() == 1


def test_no_secret_is_kept_of_the_recovery_code(vaults: QuickVaults) -> None:
    """Given once and wiped: the vault holds no words any more, read or not."""
    read, unread = vaults.create("read", recovery=True), vaults.create("unread", recovery=True)
    words = read.recovery_code
    assert words is not None
    assert len(words.split()) == 24
    assert (read._recovery_code, read.recovery_code) == (None, None)
    unread.lock()
    assert (unread._recovery_code, unread.recovery_code) == (None, None)


# -- spaces and locking -----------------------------------------------------------------------------------------------


def test_a_space_with_an_embedder_of_its_own_needs_it_again(vaults: QuickVaults) -> None:
    """`create_space(name, embedder=…)`: another embedder is a ModelMismatchError that names the one it needs."""
    own = HashEmbedder(32, "a model of its own")
    vault = vaults.create()
    vault.create_space("small", embedder=own).remember("a walrus")
    assert vault.space().embedder.dimension == 64
    vault.lock()
    vault = vaults.open()
    with pytest.raises(mimir.ModelMismatchError, match="a model of its own"):
        vault.space("small").recall("a walrus")
    vault.lock()
    memory = vaults.open().space("small", embedder=own)
    assert [hit.text for hit in memory.recall("a walrus", lanes=["dense"])] == ["a walrus"]


def test_lock_is_close_and_every_opening_is_a_context_manager(vaults: QuickVaults) -> None:
    """One and the same verb; vaults, memories, views and transactions are for `with`."""
    assert Vault.lock is Vault.close
    with vaults.create() as vault, vault.space() as memory, memory.view(user="ada") as view, view.transaction():
        view.remember("x")
    with pytest.raises(mimir.LockedError):
        memory.count()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
def test_a_forked_child_opens_the_vault_again(vaults: QuickVaults) -> None:
    """There every verb is a LockedError, and locking touches nothing of the parent's."""
    vault = vaults.create()
    memory = vault.space()
    memory.remember("hello")
    child = os.fork()
    if child == 0:
        code = 1
        try:
            calls: list[Callable[[], Any]] = [memory.count, lambda: memory.recall("hello"), vault.spaces, vault.space]
            for call in calls:
                with pytest.raises(mimir.LockedError, match="open the vault again in the child"):
                    call()
            vault.lock()
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert memory.recall("hello")[0].text == "hello"
