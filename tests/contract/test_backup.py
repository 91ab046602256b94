"""The contract's sentences on backup, restore, adopt and compact."""

from __future__ import annotations

from pathlib import Path

import pytest

import mimir_vault as mimir
from mimir_vault.model.draft import Draft
from mimir_vault.store.padding import size_class
from quick_vaults import QuickVaults

MIB = 1 << 20


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where backups of these tests go."""
    return tmp_path / "mimir.backup"


def test_a_vault_in_use_into_one_encrypted_padded_file(vaults: QuickVaults, place: Path) -> None:
    """The vault stays open; beside it lies one file of a size class, whatever is in it."""
    sizes = []
    with vaults.create(size_floor=2 * MIB) as vault:
        for count in (1, 20, 200):
            vault.space().remember_many([Draft(f"turn {number} of {count}") for number in range(count)])
            sizes.append(vault.backup(place).bytes)
            assert place.is_file()
            assert vault.space().recall("turn", k=1)
    assert sizes == [2 * MIB] * 3 == [size_class(1, 2 * MIB)] * 3


def test_incremental(vaults: QuickVaults, place: Path) -> None:
    """A second backup to the same file reads what is new."""
    with vaults.create() as vault:
        vault.space().remember_many([Draft(f"turn {number}") for number in range(50)])
        first = vault.backup(place)
        vault.space().remember("one more")
        second = vault.backup(place)
    assert (first.incremental, first.added, first.nodes) == (False, 50, 50)
    assert (second.incremental, second.added, second.nodes) == (True, 1, 51)


def test_restore_with_verification_and_a_new_replica_id(vaults: QuickVaults, place: Path) -> None:
    """The restored vault equals its source node by node, and neither is taken for an old copy of the other."""
    with vaults.create() as vault:
        old = vault.space().remember("I prefer window seats", ref=("seat",), session="s")
        vault.space().supersede(old.id, "I prefer the aisle")
        nodes, history = list(vault.space().nodes()), vault.space().history(old.id)
        vault.backup(place)
        vault.space().remember("later")
    with vaults.restore(place) as restored:
        assert list(restored.space().nodes()) == nodes
        assert restored.space().history(old.id) == history
        assert restored.verify(full=True) == []
        assert restored.id == vault.id
        restored.space().remember("otherwise")
    for name in ("vault", "restored"):
        with vaults.open(name) as again:
            assert again.verify(full=True) == []


def test_what_was_forgotten_is_not_in_the_next_backup(vaults: QuickVaults, place: Path) -> None:
    """No earlier portion is kept: a key of before opens nothing of the node."""
    with vaults.create() as vault:
        gone = vault.space().remember("to be forgotten")
        vault.space().remember("stays")
        vault.backup(place)
        before = place.read_bytes()
        vault.space().forget(gone.id)
        assert not vault.backup(place).incremental
        after = place.read_bytes()
    portions = range(73_728, len(after), 65_536)
    assert not {before[at : at + 56] for at in portions} & {after[at : at + 56] for at in portions}
    with vaults.restore(place) as restored:
        assert [node.text for node in restored.space().nodes()] == ["stays"]


def test_adopt(vaults: QuickVaults) -> None:
    """A copy put in the place of the vault is refused by `open`, and opens once its owner has adopted it."""
    import shutil

    vaults.create().lock()
    shutil.copytree(vaults.path(), vaults.path("copy"))
    with vaults.open() as vault:
        vault.space().remember("of today")
    shutil.rmtree(vaults.path())
    shutil.copytree(vaults.path("copy"), vaults.path())
    with pytest.raises(mimir.RollbackError):
        vaults.open().space()
    vaults.adopt().lock()
    with vaults.open() as vault:
        assert vault.space().count() == 0


def test_compact(vaults: QuickVaults) -> None:
    """Files fall to the class of what they hold; everything stays."""
    with vaults.create() as vault:
        memory = vault.space()
        memory.remember_many([Draft(f"turn {number} " + f"{number:05} " * 500) for number in range(200)])
        memory.forget(where={"at": {"gte": "2000-01-01T00:00Z"}})
        memory.remember("stays")
        done = vault.compact()
        assert [(one.space, one.bytes_after, one.pending) for one in done] == [("main", MIB, False)]
        assert [node.text for node in memory.nodes()] == ["stays"]


def test_errors_speak_in_one_sentence(vaults: QuickVaults, place: Path, tmp_path: Path) -> None:
    """Each is a MimirError, with what to do."""
    with vaults.create() as vault:
        vault.backup(place)
        (tmp_path / "letter").write_text("dear Bo")
        cases = [
            (mimir.ExistsError, lambda: vault.backup(tmp_path / "letter")),
            (mimir.NotFoundError, lambda: vault.backup(tmp_path / "nowhere" / "backup")),
            (mimir.ExistsError, lambda: vaults.restore(place, "vault")),
            (mimir.NotFoundError, lambda: vaults.restore(tmp_path / "nothing")),
            (mimir.FormatError, lambda: vaults.restore(tmp_path / "letter")),
            (mimir.WrongKeyError, lambda: vaults.restore(place, raw_key=bytes(32))),
            (mimir.NotFoundError, lambda: vaults.adopt("nowhere")),
            (mimir.NotFoundError, lambda: vault.compact("nowhere")),
        ]
        for kind, call in cases:
            with pytest.raises(kind) as caught:
                call()
            assert 10 < len(str(caught.value)) < 300
            assert "\n" not in str(caught.value)
    assert (tmp_path / "letter").read_text() == "dear Bo"
