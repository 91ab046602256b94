"""The vault: what happens around opening and locking, when files, folders and other handles get in the way."""

from __future__ import annotations

import logging
import os
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest

from mimir_vault import Vault, errors
from mimir_vault import vault as module
from mimir_vault.crypto.secret import SecretBytes
from mimir_vault.crypto.vault_keys import pins_file_name
from mimir_vault.keyslots import header_file
from mimir_vault.store import audit


def verbs(vault: Vault) -> list[str]:
    """Return the verbs of the vault's audit."""
    with vault._catalog.fresh.read() as connection:
        return [event.verb for event in audit.events(connection, vault._catalog.fresh.digester)]


# -- creating ---------------------------------------------------------------------------------------------------------

REFUSALS = [
    (28, errors.DiskFullError, "the disk is full: no vault could be made at"),
    (122, errors.DiskFullError, "the disk is full"),
    (13, errors.ReadOnlyError, "its folder may not be written"),
    (30, errors.ReadOnlyError, "its folder may not be written"),
    (5, errors.StorageError, "no vault could be made at"),
]


@pytest.mark.parametrize(("number", "error", "says"), REFUSALS)
@pytest.mark.parametrize("step", ["mkdir", "rename"])
def test_a_vault_that_cannot_be_made_leaves_nothing(
    vaults: Any, monkeypatch: pytest.MonkeyPatch, step: str, number: int, error: type[Exception], says: str
) -> None:
    """Neither at its place nor beside it, whatever step the system refuses."""

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(number, os.strerror(number))

    if step == "mkdir":
        monkeypatch.setattr(module.Path, "mkdir", refuse)
    else:
        monkeypatch.setattr(module.os, "rename", refuse)
    with pytest.raises(error, match=says) as caught:
        vaults.create()
    assert type(caught.value) is error
    monkeypatch.undo()
    assert list(vaults.folder.iterdir()) == []
    vaults.create()


def test_a_vault_that_fails_in_the_middle_leaves_nothing(vaults: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also for an interruption, and when its first space cannot be made."""
    for failure in (KeyboardInterrupt, errors.DiskFullError):

        def fail(*_: Any, failure: type[BaseException] = failure) -> None:
            raise failure

        monkeypatch.setattr(module.Spaces, "create", fail)
        with pytest.raises(failure):
            vaults.create()
        monkeypatch.undo()
        assert list(vaults.folder.iterdir()) == []


def test_creating_is_audited(vault: Vault) -> None:
    """The vault and its first space."""
    assert verbs(vault) == ["vault created", "space created"]


def test_a_vault_is_found_wherever_one_goes(vaults: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A relative path means the folder it meant when the vault was made or opened."""
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    around = {"raw_key": bytes(range(32)), **vaults._around}
    for make in (
        lambda: Vault.create("mine", size_floor=1 << 20, recovery=False, **around),
        lambda: Vault.open("mine", **around),
    ):
        monkeypatch.chdir(tmp_path / "here")
        with make() as vault:
            monkeypatch.chdir(tmp_path / "there")
            assert vault.space().count() == 0
            vault.keyslots.add_recovery_code()
            vault.create_space(f"space {len(vault.spaces())}")
    assert list((tmp_path / "there").iterdir()) == []
    assert len(list((tmp_path / "here" / "mine" / "spaces").glob("*.db"))) == 3


# -- the state file ---------------------------------------------------------------------------------------------------


def pins_of(vault: Vault, state_folder: Path) -> Path:
    """Return where the pins of a vault lie."""
    return state_folder / "pins" / f"{pins_file_name(bytes.fromhex(vault.id))}.db"


def test_the_state_file_lies_outside_and_tells_nothing(vaults: Any, state_folder: Path) -> None:
    """Its name is a hash of the vault's id."""
    vault = vaults.create()
    assert pins_of(vault, state_folder).is_file()
    assert vault.id not in str(pins_of(vault, state_folder))
    assert vault.status().state_file == pins_of(vault, state_folder)


def test_a_damaged_state_file_is_a_rollback_until_it_is_accepted(vaults: Any, state_folder: Path) -> None:
    """It could have been damaged to hide an older vault; accepting makes a new one, and is audited."""
    vault = vaults.create()
    vault.space().remember("x")
    vault.lock()
    path = pins_of(vault, state_folder)
    path.write_bytes(b"\x00" * path.stat().st_size)
    with pytest.raises(errors.RollbackError, match=r"the state file .* is damaged or another vault's; accept"):
        vaults.open()
    with vaults.open(accept_rollback=True) as opened:
        assert opened.space().count() == 1
        assert "rollback accepted" in verbs(opened)
    assert vaults.open().space().count() == 1


def test_without_a_state_file_it_is_a_first_use(vaults: Any, state_folder: Path) -> None:
    """Nothing is refused, and the pin is made again."""
    vault = vaults.create()
    vault.space().remember("x")
    vault.lock()
    pins_of(vault, state_folder).unlink()
    assert vaults.open().space().count() == 1
    assert pins_of(vault, state_folder).is_file()


def test_a_state_folder_that_cannot_be_made_is_warned_of(
    vaults: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The vault works, without that guard."""
    (tmp_path / "file").write_text("in the way")
    with caplog.at_level(logging.WARNING, "mimir_vault"):
        vault = vaults.create(state_folder=tmp_path / "file")
        vault.space().remember("x")
    assert "old copies of this vault cannot be noticed" in caplog.text
    assert vault.status().state_file is None


def test_a_reader_makes_no_state_file(vaults: Any, state_folder: Path, tmp_path: Path) -> None:
    """Nor does it change one."""
    vaults.create().lock()
    before = {path.name: path.read_bytes() for path in (state_folder / "pins").glob("*.db")}
    vaults.open(read_only=True).lock()
    assert {path.name: path.read_bytes() for path in (state_folder / "pins").glob("*.db")} == before
    vaults.open(read_only=True, state_folder=tmp_path / "elsewhere").lock()
    assert not (tmp_path / "elsewhere").exists()


def test_an_older_vault_is_a_rollback_until_it_is_accepted(vaults: Any) -> None:
    """The whole folder put back from a copy: refused, accepted on purpose, and then the newest state."""
    vault = vaults.create()
    vault.lock()
    shutil.copytree(vaults.path(), vaults.path("older"))
    newer = vaults.open()
    newer.space().remember("x")
    newer.create_space("work")
    newer.lock()
    shutil.rmtree(vaults.path())
    shutil.copytree(vaults.path("older"), vaults.path())
    with pytest.raises(errors.RollbackError, match="the catalog is older than the state last seen here"):
        vaults.open()
    with vaults.open(accept_rollback=True) as opened:
        assert opened.space().count() == 0
        assert [info.name for info in opened.spaces()] == ["main"]
    assert vaults.open().space().count() == 0


# -- the header -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["header", "header.copy"])
def test_a_lost_copy_of_the_header_is_mended_and_audited(
    vaults: Any, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Not by a reader."""
    vaults.create().lock()
    (vaults.path() / name).unlink()
    vaults.open(read_only=True).lock()
    assert not (vaults.path() / name).exists()
    with caplog.at_level(logging.WARNING, "mimir_vault"):
        opened = vaults.open()
    assert header_file.read(vaults.path()).stale == ()
    assert verbs(opened)[-1] == "header repaired"
    assert "was mended" in caplog.text


# -- locking ----------------------------------------------------------------------------------------------------------


def secrets_of(vault: Vault) -> list[SecretBytes]:
    """Return the keys that an open vault holds."""
    sealer = vault.space()._space.store.sealer
    return [
        vault._root.root_key, vault._root.catalog_key, vault._keys._catalog_key, *sealer._ring.values(),
        vault._catalog.fresh.database._cipher._page_key, vault.space()._space.store.fresh.database._cipher._page_key,
    ]  # fmt: skip


def test_locking_wipes_every_key(vaults: Any) -> None:
    """Root, catalog, pages, rings: none can be read afterwards."""
    vault = vaults.create()
    secrets = secrets_of(vault)
    assert all(len(secret.view()) == 32 for secret in secrets)
    vault.lock()
    for secret in secrets:
        with pytest.raises(errors.LockedError):
            secret.view()


def test_keys_are_wiped_also_when_something_cannot_be_closed(vaults: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever fails on the way, lock ends with nothing to open the vault by."""
    vault = vaults.create()
    secrets = secrets_of(vault)[:3]

    def fail() -> None:
        raise RuntimeError("stuck")

    monkeypatch.setattr(vault._catalog, "close", fail)
    with pytest.raises(RuntimeError, match="stuck"):
        vault.lock()
    for secret in secrets:
        with pytest.raises(errors.LockedError):
            secret.view()


def test_locking_while_others_work_ends_their_calls_and_loses_nothing(vaults: Any) -> None:
    """Threads in the middle of a call hear LockedError; what was acknowledged is there, files are whole."""
    vaults.create().lock()
    told: list[BaseException] = []
    stored: list[str] = []
    for turn in range(6):
        vault = vaults.open()
        memory = vault.space()
        started = threading.Barrier(4)

        def work(memory: Any = memory, started: threading.Barrier = started) -> None:
            started.wait()
            try:
                while True:
                    stored.append(memory.remember("hello").id)
                    memory.recall("hello", k=3)
            except BaseException as error:
                told.append(error)

        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        started.wait()
        threading.Event().wait(0.01 * turn)
        vault.lock()
        for thread in threads:
            thread.join(30)
            assert not thread.is_alive()
    assert {type(error) for error in told} == {errors.LockedError}
    assert {path.name for path in (vaults.path() / "spaces").iterdir() if not path.name.endswith(".db")} == set()
    memory = vaults.open().space()
    assert {node.id for node in memory.nodes()} >= set(stored)
    assert memory.verify(full=True) == []


def test_a_vault_that_fails_to_open_leaves_no_key(vaults: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the catalog cannot be read, the root that was unlocked is wiped."""
    vaults.create().lock()
    roots: list[Any] = []
    real = module.unlock

    def noted(*given: Any, **named: Any) -> Any:
        roots.append(real(*given, **named))
        return roots[-1]

    monkeypatch.setattr(module, "unlock", noted)
    (vaults.path() / "catalog.db").write_bytes(b"x" * 8_192)
    with pytest.raises(errors.TamperedError):
        vaults.open()
    with pytest.raises(errors.LockedError):
        roots[0].root_key.view()


def test_two_handles_on_one_vault_see_one_another(vaults: Any) -> None:
    """As two processes would: spaces, memories and key slots."""
    one, two = vaults.create(), vaults.open()
    one.create_space("work").remember("x")
    assert two.space("work").count() == 1
    two.space("work").remember("y")
    assert one.space("work").count() == 2
    one.keyslots.add_passphrase("second", label="laptop")
    assert [slot.label for slot in two.keyslots.list()] == ["", "laptop"]
    two.keyslots.remove(two.keyslots.list()[-1].id)
    assert len(one.keyslots.list()) == 1
    one.lock()
    assert two.space("work").count() == 2
