"""Whole files, and the whole vault, put back from an older copy; copies that went on separately; and honest moves."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from forensics.damage import Aged, contents, examine, flip
from mimir_vault.errors import MimirError, NotFoundError, RollbackError, TamperedError
from mimir_vault.store import audit
from mimir_vault.store.pins import PinOf
from mimir_vault.vault import Vault
from quick_vaults import QuickVaults

HEADERS = ("header", "header.copy")


def put_file(folder: Path, aged: Aged, name: str) -> None:
    """Put one file of the older copy back."""
    shutil.copyfile(aged.older / "vault" / name, folder / "vault" / name)


def audited(vault: Vault) -> list[str]:
    """Return the verbs of the vault's audit."""
    with vault._catalog.fresh.read() as connection:
        return [event.verb for event in audit.events(connection, vault._catalog.fresh.digester)]


def test_newer_copy_is_fine(aged: Aged, tmp_path: Path) -> None:
    """The newer copy opens, verifies and reads as it was: what the tests below refuse is not refused for nothing."""
    outcome = examine(aged.copy(tmp_path))
    assert not outcome.noticed
    assert outcome.held == aged.held


@pytest.mark.parametrize(
    "names",
    [["SPACE"], ["catalog.db"], ["catalog.db", "SPACE"], ["catalog.db", *HEADERS], ["catalog.db", "SPACE", *HEADERS]],
)
def test_old_database_files(aged: Aged, tmp_path: Path, names: list[str]) -> None:
    """An older file of a space, of the catalog, of both, or with the headers of their time is refused."""
    vaults = aged.copy(tmp_path)
    for name in names:
        put_file(tmp_path, aged, aged.space_file if name == "SPACE" else name)
    assert isinstance(examine(vaults).refused, RollbackError)


def test_old_space_where_it_was_never_seen(aged: Aged, tmp_path: Path) -> None:
    """Without a pin an older file of a space is what nobody can tell: it opens, whole and at its own time."""
    vaults = aged.copy(tmp_path, state=None)
    put_file(tmp_path, aged, aged.space_file)
    outcome = examine(vaults)
    assert outcome.noticed or len(outcome.held["main"]) == 16


@pytest.mark.parametrize("state", ["newer", None])
def test_old_headers(aged: Aged, tmp_path: Path, state: str | None) -> None:
    """Both copies of an older header are refused, pin or no pin: the catalog knows the newest change."""
    vaults = aged.copy(tmp_path, state=state)
    for name in HEADERS:
        put_file(tmp_path, aged, name)
    assert isinstance(examine(vaults).refused, RollbackError)


@pytest.mark.parametrize("name", HEADERS)
def test_one_old_header(aged: Aged, tmp_path: Path, name: str) -> None:
    """Where one copy of the header is older, the newer one is taken and the older one mended."""
    vaults = aged.copy(tmp_path)
    put_file(tmp_path, aged, name)
    assert examine(vaults).held == aged.held
    newest = (aged.newer / "vault" / name).read_bytes()
    assert [(tmp_path / "vault" / name).read_bytes() for name in HEADERS] == [newest, newest]
    with vaults.open() as vault:
        assert "header repaired" in audited(vault)


def test_old_passphrase_with_its_header(vaults: QuickVaults, tmp_path: Path) -> None:
    """After a change of passphrase the headers of before, put back, do not let the old passphrase in."""
    with vaults.create(passphrase="old words", profile="interactive") as vault:
        shutil.copytree(vaults.path(), tmp_path / "before")
        vault.keyslots.change_passphrase("new words", slot_id=vault.keyslots.list()[0].id)
    for name in HEADERS:
        shutil.copyfile(tmp_path / "before" / name, vaults.path() / name)
    with pytest.raises(RollbackError):
        vaults.open(passphrase="old words")
    with pytest.raises(MimirError):
        vaults.open(passphrase="new words")


def test_whole_old_vault(aged: Aged, tmp_path: Path) -> None:
    """The whole vault as it once was is refused where a newer state was seen."""
    assert isinstance(examine(aged.copy(tmp_path, "older")).refused, RollbackError)


def test_accepting_a_rollback(aged: Aged, tmp_path: Path) -> None:
    """An older vault opens with accept_rollback, the audit says so, and from then on it is the vault."""
    vaults = aged.copy(tmp_path, "older")
    with vaults.open(accept_rollback=True) as vault:
        assert len(contents(vault)["main"]) == 16
        assert "rollback accepted" in audited(vault)
        vault.space().remember("a new beginning")
    outcome = examine(vaults)
    assert not outcome.noticed
    assert len(outcome.held["main"]) == 17


def test_accepting_an_old_space_or_header(aged: Aged, tmp_path: Path) -> None:
    """An older file of a space, and older headers, are accepted likewise, and only then."""
    for number, names in enumerate(([aged.space_file], HEADERS)):
        place = tmp_path / str(number)
        vaults = aged.copy(place)
        for name in names:
            put_file(place, aged, name)
        assert isinstance(examine(vaults).refused, RollbackError)
        assert not examine(vaults, accept_rollback=True).noticed
        assert not examine(vaults).noticed


def test_reading_only_an_old_vault(aged: Aged, tmp_path: Path) -> None:
    """An older vault is refused for reading as well, as long as its state can be looked up."""
    assert isinstance(examine(aged.copy(tmp_path, "older"), read_only=True).refused, RollbackError)


@pytest.fixture
def forked(aged: Aged, tmp_path: Path) -> tuple[QuickVaults, Path]:
    """Two copies of a vault that went on separately, the second one further, and the state that saw the first."""
    first, second = aged.copy(tmp_path / "first"), aged.copy(tmp_path / "second")
    for vaults, turns in ((first, 2), (second, 9)):
        with vaults.open() as vault:
            for number in range(turns):
                vault.space().remember(f"turn {number} of a copy")
                vault.keyslots.add_raw_key(bytes([number]) * 32)
    return QuickVaults(tmp_path / "second", tmp_path / "first" / "state"), tmp_path


def test_forked_vault(forked: tuple[QuickVaults, Path]) -> None:
    """A copy that went on separately is refused, although it is further than the one last seen."""
    vaults, _ = forked
    assert isinstance(examine(vaults).refused, RollbackError)


def test_forked_space(forked: tuple[QuickVaults, Path], aged: Aged) -> None:
    """The file of one space from a copy that went on separately is refused likewise."""
    _, folder = forked
    shutil.copyfile(folder / "second" / "vault" / aged.space_file, folder / "first" / "vault" / aged.space_file)
    assert isinstance(examine(QuickVaults(folder / "first", folder / "first" / "state")).refused, RollbackError)


def test_swapped_spaces(aged: Aged, tmp_path: Path) -> None:
    """The files of two spaces with their names exchanged open under neither name."""
    vaults = aged.copy(tmp_path)
    one, two = sorted((tmp_path / "vault" / "spaces").iterdir())
    held = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(held)
    assert isinstance(examine(vaults).refused, TamperedError)


def test_renamed_file_of_a_space(aged: Aged, tmp_path: Path) -> None:
    """A file of a space that is renamed, or gone, is missed by its name."""
    vaults = aged.copy(tmp_path)
    (tmp_path / "vault" / aged.space_file).rename(tmp_path / "vault" / "spaces" / ("0" * 32 + ".db"))
    assert isinstance(examine(vaults).refused, NotFoundError)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.999])
def test_cut_file(aged: Aged, tmp_path: Path, share: float) -> None:
    """A file of a space that was cut, at a page or inside one, is refused or found."""
    for place, shift in (("at a page", 0), ("inside", 1_234)):
        vaults = aged.copy(tmp_path / place)
        path = tmp_path / place / "vault" / aged.space_file
        data = path.read_bytes()
        path.write_bytes(data[: int(share * len(data)) // 4_096 * 4_096 + shift * (share > 0)])
        assert examine(vaults).noticed


def test_moved_and_copied_vault(aged: Aged, tmp_path: Path) -> None:
    """A vault that is moved, copied, or renamed opens with the same state: no false alarm."""
    vaults = aged.copy(tmp_path)
    for name in ("moved", "copied"):
        (shutil.move if name == "moved" else shutil.copytree)(vaults.path(), tmp_path / name)
        with vaults.open(tmp_path / name) as vault:
            assert contents(vault) == aged.held
        shutil.copytree(tmp_path / name, vaults.path(), dirs_exist_ok=True)


def test_lost_and_old_state_folder(aged: Aged, tmp_path: Path) -> None:
    """A state folder that is gone means a first use, and one that lags behind is no false alarm."""
    for name in (None, "older"):
        vaults = aged.copy(tmp_path / str(name), state=name)
        assert examine(vaults).held == aged.held
        with vaults.open() as vault:
            vault.space().remember("once more")
        shutil.rmtree(vaults.path())
        shutil.copytree(aged.older / "vault", vaults.path())
        assert isinstance(examine(vaults).refused, RollbackError)


@pytest.mark.parametrize("commits", [1, 3])
def test_killed_between_commit_and_pin(vaults: QuickVaults, monkeypatch: pytest.MonkeyPatch, commits: int) -> None:
    """A state file that missed the newest commits, be they the first ones of a space, is no false alarm."""
    with vaults.create() as vault:
        memory = vault.create_space("new")
        monkeypatch.setattr(PinOf, "hold", lambda *_, **__: None)
        for number in range(commits):
            memory.remember(f"turn {number}")
            vault.space().remember(f"turn {number}")
    monkeypatch.undo()
    outcome = examine(vaults)
    assert not outcome.noticed
    assert {name: len(nodes) for name, nodes in outcome.held.items()} == {"main": commits, "new": commits}


@pytest.mark.parametrize("damage", ["flip in the clear bytes", "flip in a page", "other file", "cut"])
def test_damaged_state_file(aged: Aged, tmp_path: Path, damage: str) -> None:
    """A state file that is damaged is not taken for a first use; accepting the vault as it is makes a new one."""
    vaults = aged.copy(tmp_path)
    (path,) = (tmp_path / "state" / "pins").iterdir()
    data = path.read_bytes()
    if damage == "other file":
        path.write_bytes(b"something else " * 400)
    elif damage == "cut":
        path.write_bytes(data[: len(data) - 4_096])
    else:
        flip(path, 100 if damage == "flip in the clear bytes" else 8 * 3_000)
    refused = examine(vaults).refused
    assert isinstance(refused, RollbackError)
    assert str(path) in str(refused)
    assert examine(vaults, accept_rollback=True).held == aged.held
    assert examine(vaults).held == aged.held
    assert [left.name for left in path.parent.iterdir()] == [path.name]


def test_state_file_of_another_vault(aged: Aged, tmp_path: Path) -> None:
    """The state file of another vault under this one's name says nothing about this one, and is refused."""
    vaults = aged.copy(tmp_path)
    QuickVaults(tmp_path / "elsewhere", tmp_path / "other").create().lock()
    (ours,), (theirs,) = ((tmp_path / name / "pins").iterdir() for name in ("state", "other"))
    shutil.copyfile(theirs, ours)
    assert isinstance(examine(vaults).refused, RollbackError)
