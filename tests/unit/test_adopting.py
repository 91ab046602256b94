"""Adopting a copy: it opens from then on, is guarded anew, and the vault it came from is guarded as before."""

from __future__ import annotations

import os
import shutil

import pytest

from mimir_vault.errors import MimirError, NotFoundError, ReadOnlyError, RollbackError, TamperedError, WrongKeyError
from mimir_vault.keyslots import header_file
from mimir_vault.store import audit
from mimir_vault.store.catalog import HEADER_EPOCH
from mimir_vault.vault import Vault
from quick_vaults import QuickVaults


def copy(vaults: QuickVaults, name: str) -> None:
    """Copy the closed vault by hand."""
    shutil.copytree(vaults.path(), vaults.path(name))


def put_back(vaults: QuickVaults, name: str) -> None:
    """Put a copy in the place of the vault."""
    shutil.rmtree(vaults.path())
    os.rename(vaults.path(name), vaults.path())


@pytest.fixture
def rolled_back(vaults: QuickVaults) -> QuickVaults:
    """A vault in whose place an old copy was put."""
    with vaults.create() as vault:
        vault.space().remember("of old")
    copy(vaults, "older")
    with vaults.open() as vault:
        vault.space().remember("of today")
    put_back(vaults, "older")
    with pytest.raises(RollbackError):
        vaults.open().space()
    return vaults


def test_an_old_copy_opens_from_then_on(rolled_back: QuickVaults) -> None:
    """What was a rollback is a replica of its own, with all it holds."""
    with rolled_back.adopt() as vault:
        assert [node.text for node in vault.space().nodes()] == ["of old"]
        vault.space().remember("another way")
    for _ in range(2):
        with rolled_back.open() as vault:
            assert [node.text for node in vault.space().nodes()] == ["of old", "another way"]
            assert vault.verify(full=True) == []


def test_it_is_guarded_anew(rolled_back: QuickVaults) -> None:
    """An old copy of the adopted vault is a rollback again."""
    rolled_back.adopt().lock()
    copy(rolled_back, "adopted")
    with rolled_back.open() as vault:
        vault.space().remember("another way")
    put_back(rolled_back, "adopted")
    with pytest.raises(RollbackError):
        rolled_back.open().space()


def test_every_space_is_guarded_at_once(vaults: QuickVaults) -> None:
    """Also one that nobody opened since: an older file of it is a rollback, though it was adopted with a newer one."""
    vaults.create().lock()
    older = {path: path.read_bytes() for path in (vaults.path() / "spaces").iterdir()}
    with vaults.open() as vault:
        vault.space().remember("of today")
    vaults.adopt().lock()
    for path, data in older.items():
        path.write_bytes(data)
    with vaults.open() as vault, pytest.raises(RollbackError):
        vault.space()


def test_a_damaged_space_does_not_keep_the_others_from_being_adopted(vaults: QuickVaults) -> None:
    """It is refused when it is opened."""
    with vaults.create() as vault:
        vault.create_space("damaged").remember("turn")
        file = vault.space("damaged")._space.store.fresh.database.path
    file.write_bytes(bytes(16) + file.read_bytes()[16:])
    with vaults.adopt() as vault:
        assert vault.space().count() == 0
        with pytest.raises(TamperedError):
            vault.space("damaged")


def test_the_vault_it_came_from_is_guarded_as_before(vaults: QuickVaults) -> None:
    """Adopting a copy beside it does not lower its pins: put back to the state of the copy, it is a rollback."""
    vaults.create().lock()
    copy(vaults, "copy")
    copy(vaults, "older")
    with vaults.open() as vault:
        vault.space().remember("of today")
    vaults.adopt("copy").lock()
    with vaults.open() as vault:
        assert vault.space().count() == 1
    put_back(vaults, "older")
    with pytest.raises(RollbackError):
        vaults.open().space()


def test_what_changes_and_what_stays(rolled_back: QuickVaults) -> None:
    """A new replica id and the next epoch of the header, in both copies; the vault's id stays; the audit says it."""
    before = header_file.read(rolled_back.path()).header
    with rolled_back.adopt() as vault:
        found = header_file.read(rolled_back.path())
        assert found.stale == ()
        assert found.header.vault_id == before.vault_id
        assert found.header.replica_id != before.replica_id
        assert found.header.epoch == before.epoch + 1 == vault._catalog.setting(HEADER_EPOCH)
        assert vault._root.epoch == found.header.epoch
        with vault._catalog.fresh.read() as connection:
            events = list(audit.events(connection, vault._catalog.fresh.digester))
        assert [event.verb for event in events][-1] == "adopted"
        vault.keyslots.add_raw_key(bytes(32))
    rolled_back.open(raw_key=bytes(32)).lock()


def test_an_old_header_is_adopted(vaults: QuickVaults) -> None:
    """A header put back is refused by `open`, and taken by its owner."""
    with vaults.create() as vault:
        old = {name: (vault.path / name).read_bytes() for name in ("header", "header.copy")}
        vault.keyslots.add_raw_key(bytes(32))
        vault.keyslots.add_raw_key(bytes(range(1, 33)))
    for name, raw in old.items():
        (vaults.path() / name).write_bytes(raw)
    with pytest.raises(RollbackError):
        vaults.open()
    vaults.adopt().lock()
    vaults.open().lock()


def test_on_another_machine(vaults: QuickVaults, tmp_path: object) -> None:
    """Where the vault was never seen, a copy may be adopted too, so that the two never take each other for old."""
    with vaults.create() as vault:
        vault.space().remember("turn")
    copy(vaults, "copy")
    elsewhere = vaults.folder / "state elsewhere"
    with vaults.adopt("copy", state_folder=elsewhere) as vault:
        assert vault.space().count() == 1
    assert list(elsewhere.rglob("*.db"))


def test_a_wrong_secret_changes_nothing(rolled_back: QuickVaults) -> None:
    """Only the owner adopts."""
    before = (rolled_back.path() / "header").read_bytes()
    with pytest.raises(WrongKeyError):
        rolled_back.adopt(raw_key=bytes(32))
    assert (rolled_back.path() / "header").read_bytes() == before


def test_nothing_there(vaults: QuickVaults) -> None:
    """There is nothing to adopt."""
    with pytest.raises(NotFoundError):
        vaults.adopt("nowhere")


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_folder_that_may_not_be_written(rolled_back: QuickVaults) -> None:
    """Says so."""
    rolled_back.path().chmod(0o500)
    try:
        with pytest.raises(ReadOnlyError):
            rolled_back.adopt()
    finally:
        rolled_back.path().chmod(0o700)


def test_a_crash_between_header_and_catalog(rolled_back: QuickVaults, monkeypatch: pytest.MonkeyPatch) -> None:
    """The header goes first: it opens, as a replica of its own, and the catalog accepts it."""
    with monkeypatch.context() as patch:
        patch.setattr("mimir_vault.store.catalog.Catalog.audit", fail)
        with pytest.raises(MimirError):
            rolled_back.adopt()
    with rolled_back.open() as vault:
        assert vault.space().count() == 1


def fail(*given: object, **facts: object) -> None:
    """Fail as a full disk does."""
    raise MimirError("the disk is full")


def test_it_takes_the_secret_as_open_does(vaults: QuickVaults) -> None:
    """Exactly one of them."""
    vaults.create().lock()
    with pytest.raises(ValueError, match="exactly one"):
        Vault.adopt(vaults.path(), raw_key=bytes(32), passphrase="x", state_folder=vaults.folder / "state")
