"""What the contract says of getting in: the chain of ways to unlock, and the key slots."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Any

import pytest

import mimir_vault as mimir
from mimir_vault import Memory, Vault
from mimir_vault.crypto import keys
from mimir_vault.keyslots import header_file

PASSPHRASE = "correct horse battery staple"


@pytest.fixture
def argon2_runs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Put a quick hash in the place of Argon2id; list the memory, in KiB, of each run."""
    runs: list[int] = []

    def quick(password: memoryview, salt: bytes, *, memory_kib: int, passes: int, lanes: int, out: memoryview) -> None:
        runs.append(memory_kib)
        out[:] = hashlib.blake2b(password, key=salt + f"{memory_kib}".encode(), digest_size=len(out)).digest()

    monkeypatch.setattr(keys, "argon2id_into", quick)
    return runs


@pytest.fixture(autouse=True)
def nobody_at_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """No passphrase comes from the surroundings unless a test puts it there."""
    for name in ("MIMIR_PASSPHRASE_FILE", "MIMIR_PASSPHRASE_COMMAND", "MIMIR_VAULT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("mimir_vault.unlocking.terminal_prompt", lambda: None)


def open_by_chain(vaults: Any) -> Vault:
    """Open the vault with no secret given."""
    return Vault.open(vaults.path(), **vaults._around)


class TestTheChain:
    """Without a secret: MIMIR_PASSPHRASE_FILE, MIMIR_PASSPHRASE_COMMAND, the terminal, else LockedError."""

    @pytest.fixture(autouse=True)
    def made(self, vaults: Any, argon2_runs: list[int]) -> None:
        """A vault that a passphrase opens."""
        vaults.create(passphrase=PASSPHRASE).lock()

    @pytest.mark.parametrize("end", ["", "\n", "\r\n"])
    def test_a_file_holds_the_passphrase(
        self, vaults: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str
    ) -> None:
        """One newline at its end does not count."""
        (tmp_path / "secret").write_bytes((PASSPHRASE + end).encode())
        monkeypatch.setenv("MIMIR_PASSPHRASE_FILE", str(tmp_path / "secret"))
        with open_by_chain(vaults) as vault:
            assert vault.space().count() == 0

    def test_a_command_prints_the_passphrase(self, vaults: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """It runs without a shell."""
        monkeypatch.setenv("MIMIR_PASSPHRASE_COMMAND", f"{sys.executable} -c \"print('{PASSPHRASE}')\"")
        with open_by_chain(vaults) as vault:
            assert vault.space().count() == 0

    def test_the_file_comes_before_the_command_and_the_command_before_the_terminal(
        self, vaults: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The first way that there is, is the one."""
        asked: list[str] = []

        def ask(question: str) -> bytearray:
            asked.append(question)
            return bytearray(PASSPHRASE.encode())

        monkeypatch.setattr("mimir_vault.unlocking.terminal_prompt", lambda: ask)
        (tmp_path / "secret").write_text(PASSPHRASE)
        monkeypatch.setenv("MIMIR_PASSPHRASE_FILE", str(tmp_path / "secret"))
        monkeypatch.setenv("MIMIR_PASSPHRASE_COMMAND", "false")
        open_by_chain(vaults).lock()
        monkeypatch.delenv("MIMIR_PASSPHRASE_FILE")
        monkeypatch.setenv("MIMIR_PASSPHRASE_COMMAND", f"cat {tmp_path / 'secret'}")
        open_by_chain(vaults).lock()
        assert asked == []
        monkeypatch.delenv("MIMIR_PASSPHRASE_COMMAND")
        open_by_chain(vaults).lock()
        assert len(asked) == 1

    def test_a_way_that_does_not_serve_gives_way_to_the_next(
        self, vaults: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A wrong passphrase in the file, a command that fails, the right one typed."""
        (tmp_path / "secret").write_text("wrong")
        monkeypatch.setenv("MIMIR_PASSPHRASE_FILE", str(tmp_path / "secret"))
        monkeypatch.setenv("MIMIR_PASSPHRASE_COMMAND", "false")
        with pytest.raises(mimir.WrongKeyError, match=r"FILE does not open this vault; .*exit code 1$"):
            open_by_chain(vaults)
        typed = bytearray(PASSPHRASE.encode())
        monkeypatch.setattr("mimir_vault.unlocking.terminal_prompt", lambda: lambda question: typed)
        with open_by_chain(vaults) as vault:
            assert vault.space().count() == 0

    def test_with_none_of_them_the_error_lists_what_was_tried(self, vaults: Any) -> None:
        """LockedError, not a prompt that nobody sees."""
        with pytest.raises(mimir.LockedError) as caught:
            open_by_chain(vaults)
        for way in ("MIMIR_PASSPHRASE_FILE", "MIMIR_PASSPHRASE_COMMAND", "terminal"):
            assert way in str(caught.value)

    def test_what_came_from_the_chain_is_wiped(self, vaults: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """The buffer of a prompt is zeros afterwards, whether it was right or wrong."""
        buffers = [bytearray(PASSPHRASE.encode()), bytearray(b"wrong")]
        waiting = list(buffers)
        monkeypatch.setattr("mimir_vault.unlocking.terminal_prompt", lambda: lambda question: waiting.pop(0))
        open_by_chain(vaults).lock()
        with pytest.raises(mimir.WrongKeyError):
            open_by_chain(vaults)
        assert not any(any(buffer) for buffer in buffers)

    def test_mimir_open_goes_from_nothing_to_a_memory(
        self, vaults: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The path from MIMIR_VAULT, the secret from the chain; closing the memory locks its vault."""
        (tmp_path / "secret").write_text(PASSPHRASE)
        monkeypatch.setenv("MIMIR_PASSPHRASE_FILE", str(tmp_path / "secret"))
        monkeypatch.setenv("MIMIR_VAULT", str(vaults.path()))
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "home"))
        monkeypatch.setattr("mimir_vault.surroundings.default_state_folder", lambda: tmp_path / "state")
        with mimir.open() as memory:
            assert isinstance(memory, Memory)
            assert (memory.name, memory.count()) == ("main", 0)
        with pytest.raises(mimir.LockedError):
            memory.count()
        with pytest.raises(mimir.NotFoundError, match="no space 'gone'"):
            mimir.open(vaults.path(), space="gone")
        with mimir.open(str(vaults.path()), "main") as memory:
            assert memory.vault.path == vaults.path()


# -- key slots --------------------------------------------------------------------------------------------------------


@pytest.fixture
def vault_with_passphrase(vaults: Any, argon2_runs: list[int]) -> Vault:
    """An open vault that a passphrase opens, and nothing else."""
    return vaults.create(passphrase=PASSPHRASE)


def kinds(vault: Vault) -> list[str]:
    """Return the kinds of a vault's key slots, oldest first."""
    return [slot.kind for slot in vault.keyslots.list()]


def opens(vaults: Any, **secret: Any) -> bool:
    """Say whether a secret opens the vault."""
    try:
        vaults.open(**secret).lock()
    except mimir.WrongKeyError:
        return False
    return True


def test_slots_are_listed_oldest_first(vaults: Any, argon2_runs: list[int]) -> None:
    """With id, kind, label, moment, and which one opened this vault; never with what opens them."""
    vault = vaults.create(passphrase=PASSPHRASE, raw_key=bytes(range(32)), recovery=True)
    assert sorted(kinds(vault)) == ["passphrase", "raw key", "recovery code"]
    assert [slot.current for slot in vault.keyslots.list()] == [False] * 3
    vault.lock()
    opened = vaults.open(passphrase=PASSPHRASE)
    opened.keyslots.add_passphrase("another", label="laptop")
    slots = opened.keyslots.list()
    assert [slot.kind for slot in slots if slot.current] == ["passphrase"]
    assert (slots[-1].kind, slots[-1].label) == ("passphrase", "laptop")
    assert len({slot.id for slot in slots}) == 4
    assert all(slot.created.utcoffset() is not None for slot in slots)
    assert PASSPHRASE not in repr(slots)


def test_an_added_passphrase_opens_too(vaults: Any, vault_with_passphrase: Vault) -> None:
    """Beside the one there was."""
    vault_with_passphrase.keyslots.add_passphrase(bytearray(b"another"))
    assert opens(vaults, passphrase="another")
    assert opens(vaults, passphrase=PASSPHRASE)


def test_an_added_recovery_code_is_given_once_and_opens(vaults: Any, vault_with_passphrase: Vault) -> None:
    """24 words, kept nowhere."""
    words = vault_with_passphrase.keyslots.add_recovery_code(label="in the safe")
    assert len(words.split()) == 24
    assert opens(vaults, recovery_code=words)
    assert vault_with_passphrase.keyslots.list()[-1].label == "in the safe"
    assert words not in repr(vault_with_passphrase.keyslots.list())


def test_an_added_raw_key_opens(vaults: Any, vault_with_passphrase: Vault) -> None:
    """32 bytes that somebody keeps elsewhere."""
    vault_with_passphrase.keyslots.add_raw_key(bytes(range(1, 33)))
    assert opens(vaults, raw_key=bytes(range(1, 33)))


def test_a_changed_passphrase_replaces_the_old(vaults: Any, vault_with_passphrase: Vault) -> None:
    """The new one opens, the old one does not; memories are as they were."""
    node = vault_with_passphrase.space().remember("hello")
    vault_with_passphrase.keyslots.change_passphrase("a new one")
    assert kinds(vault_with_passphrase) == ["passphrase"]
    assert not opens(vaults, passphrase=PASSPHRASE)
    with vaults.open(passphrase="a new one") as opened:
        assert list(opened.space().nodes()) == [node]


def test_with_several_passphrases_the_one_in_use_is_changed_or_the_one_named(
    vaults: Any, vault_with_passphrase: Vault
) -> None:
    """Never another."""
    vault_with_passphrase.keyslots.add_passphrase("second")
    with pytest.raises(ValueError, match="several passphrases; name the slot"):
        vault_with_passphrase.keyslots.change_passphrase("third")
    with vaults.open(passphrase="second") as opened:
        opened.keyslots.change_passphrase("third")
    assert (opens(vaults, passphrase=PASSPHRASE), opens(vaults, passphrase="second")) == (True, False)
    first = vault_with_passphrase.keyslots.list()[0].id
    vault_with_passphrase.keyslots.change_passphrase("fourth", slot_id=first)
    assert (opens(vaults, passphrase=PASSPHRASE), opens(vaults, passphrase="third")) == (False, True)
    assert opens(vaults, passphrase="fourth")


def test_a_removed_slot_opens_no_more(vaults: Any, vault_with_passphrase: Vault) -> None:
    """The last one stays; an unknown id is not found."""
    keyslots = vault_with_passphrase.keyslots
    words = keyslots.add_recovery_code()
    by_kind = {slot.kind: slot.id for slot in keyslots.list()}
    keyslots.remove(by_kind["recovery code"])
    assert not opens(vaults, recovery_code=words)
    assert opens(vaults, passphrase=PASSPHRASE)
    with pytest.raises(mimir.MimirError, match="last way to unlock the vault; add another"):
        keyslots.remove(by_kind["passphrase"])
    with pytest.raises(mimir.NotFoundError, match="no key slot"):
        keyslots.remove(by_kind["recovery code"])
    assert kinds(vault_with_passphrase) == ["passphrase"]


def test_an_old_header_put_back_is_refused(vaults: Any, vault_with_passphrase: Vault) -> None:
    """It would undo the removal of a slot: RollbackError, until it is accepted."""
    words = vault_with_passphrase.keyslots.add_recovery_code()
    older = {name: (vaults.path() / name).read_bytes() for name in ("header", "header.copy")}
    vault_with_passphrase.keyslots.remove(vault_with_passphrase.keyslots.list()[-1].id)
    vault_with_passphrase.lock()
    for name, content in older.items():
        (vaults.path() / name).write_bytes(content)
    with pytest.raises(mimir.RollbackError, match=r"the header of this vault is an old copy.*accept_rollback"):
        vaults.open(recovery_code=words)
    with vaults.open(recovery_code=words, accept_rollback=True) as opened:
        assert opened.space().count() == 0
    assert opens(vaults, recovery_code=words)


def test_both_copies_of_the_header_follow_every_change(vaults: Any, vault_with_passphrase: Vault) -> None:
    """And a lost copy is mended at the next opening."""
    vault_with_passphrase.keyslots.add_passphrase("another")
    copies = [(vaults.path() / name).read_bytes() for name in ("header", "header.copy")]
    assert copies[0] == copies[1]
    vault_with_passphrase.lock()
    (vaults.path() / "header").unlink()
    vaults.open(passphrase="another").lock()
    assert (vaults.path() / "header").read_bytes() == copies[1]
    assert header_file.read(vaults.path()).stale == ()


def test_a_read_only_vault_keeps_its_slots(vaults: Any, vault_with_passphrase: Vault) -> None:
    """Every change is a ReadOnlyError; listing works."""
    vault_with_passphrase.lock()
    with vaults.open(passphrase=PASSPHRASE, read_only=True) as reader:
        assert kinds(reader) == ["passphrase"]
        for change in (
            lambda: reader.keyslots.add_passphrase("x"), reader.keyslots.add_recovery_code,
            lambda: reader.keyslots.change_passphrase("x"), lambda: reader.keyslots.remove("x"),
        ):  # fmt: skip
            with pytest.raises(mimir.ReadOnlyError, match="without read_only to change its key slots"):
                change()
