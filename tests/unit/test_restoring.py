"""Restoring: the vault that comes out is the one that went in, checked to the last node, or nothing is there."""

from __future__ import annotations

import os
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from backups import change, contents, pin
from mimir_vault import restoring
from mimir_vault.backup_file import PORTION_BYTES, PORTIONS_START, BackupReader
from mimir_vault.crypto.backup_sealer import BackupSealer
from mimir_vault.errors import (
    DiskFullError,
    ExistsError,
    FormatError,
    MimirError,
    NotFoundError,
    TamperedError,
    WrongKeyError,
)
from mimir_vault.model.draft import Draft
from mimir_vault.model.link import Link
from mimir_vault.store import audit, freshness, nodes
from mimir_vault.store.query import fetch
from mimir_vault.testing import RAW_KEY, HashEmbedder
from mimir_vault.vault import Vault
from quick_vaults import QuickVaults


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Where backups of these tests go."""
    return tmp_path / "backup"


def fill(vault: Vault) -> None:
    """Remember nodes with every field there is, superseded, forgotten and changed ones, in two spaces."""
    memory = vault.space()
    first = memory.remember(
        "I prefer window seats", speaker="Ada", role="user", session="s1", user="ada", agent="travel", kind="fact",
        at="2026-05-01T09:00+02:00", tags=["travel", "seat"], metadata={"a": {"b": [1, None, "x"]}}, pinned=True,
        ref=("prefs", "ada", "seat"), data=b"\0\1\2", expires_at="2036-05-01T09:00Z",
    )  # fmt: skip
    memory.remember("no, aisle", ref=("prefs", "ada", "seat"), links=[Link("about", first.id)])
    many = memory.remember_many([Draft(f"turn {n} of the talk", session="talk", tags=["t"]) for n in range(30)])
    memory.remember("not to be found", index=False)
    memory.supersede(many[3].id, "said otherwise")
    memory.forget(many[5].id)
    memory.forget(many[29].id)
    pin(memory, many[7].id)
    memory.hide(many[8].id)
    memory.forget(many[9].id, grace=timedelta(days=30))
    memory.remember("with a vector of its own", vector=HashEmbedder().embed(["another text"])[0])
    memory.remember("of two passages", index=["the first of them", "the second of them"])
    foreign = memory.view(embedder=HashEmbedder(32, "foreign"), user="bo")
    foreign.remember("in the words of another model")
    other = vault.create_space("other")
    other.remember("elsewhere", speaker="Bo")
    vault.create_space("empty")


def raw_rows(vault: Vault, name: str, table: str) -> list[tuple[Any, ...]]:
    """Return the rows of a table of a space as they are stored."""
    with vault.space(name)._space.store.read() as connection:
        return fetch(connection, f"SELECT * FROM {table} ORDER BY 1, 2, 3")


@pytest.mark.parametrize("gone_on", [False, True], ids=["whole", "in segments"])
def test_it_equals_its_source(vaults: QuickVaults, vault: Vault, place: Path, gone_on: bool) -> None:
    """Node by node in all fields, order, history and links, and byte by byte in all that is truth."""
    if gone_on:
        vault.space().remember("before all", session="talk")
        vault.backup(place)
    fill(vault)
    vault.backup(place)
    with vaults.restore(place) as restored:
        assert contents(restored) == contents(vault)
        assert [(info.name, info.id, info.created) for info in restored.spaces()] == [
            (info.name, info.id, info.created) for info in vault.spaces()
        ]
        for name in ("main", "other", "empty"):
            for table in ("node", "sealed_vector", "tombstone", "model", "passage"):
                assert raw_rows(restored, name, table) == raw_rows(vault, name, table), table
            ours, theirs = (sorted(row[1:] for row in raw_rows(one, name, "vector")) for one in (vault, restored))
            assert ours == theirs
        for node in vault.space().nodes():
            assert restored.space().history(node.id) == vault.space().history(node.id)
        assert restored.space().get(ref=("prefs", "ada", "seat")) == vault.space().get(ref=("prefs", "ada", "seat"))
        assert restored.verify(full=True) == []


def test_it_finds_the_same(vaults: QuickVaults, vault: Vault, place: Path) -> None:
    """The same hits with the same scores in both lanes."""
    fill(vault)
    vault.backup(place)
    with vaults.restore(place) as restored:
        for query in ("window seats", "turn 7 of the talk", "otherwise"):
            ours, theirs = (one.space().recall(query, k=5) for one in (vault, restored))
            assert [hit.id for hit in ours] == [hit.id for hit in theirs]
            assert [hit.score for hit in ours] == pytest.approx([hit.score for hit in theirs])
            assert any("dense" in hit.lanes for hit in theirs)
        foreign, same = (one.space().view(embedder=HashEmbedder(32, "foreign")) for one in (vault, restored))
        hits = [view.recall("another model", k=3, lanes=("dense",)) for view in (foreign, same)]
        assert [hit.id for hit in hits[0]] == [hit.id for hit in hits[1]] != []


def test_no_embedder_is_needed(vaults: QuickVaults, vault: Vault, place: Path) -> None:
    """Vectors come out of the backup; nothing is embedded, whichever embedder is at hand."""
    fill(vault)
    vault.backup(place)

    class Never(HashEmbedder):
        def embed(self, texts: Any) -> Any:
            raise AssertionError("something was embedded")

    with vaults.restore(place, embedder=Never()) as restored:
        assert len(raw_rows(restored, "main", "vector")) == len(raw_rows(vault, "main", "vector"))


def test_it_goes_on_where_the_source_was(vaults: QuickVaults, vault: Vault, place: Path) -> None:
    """Numbers, moments and generations only rise; sessions go on; erased numbers are not given again."""
    fill(vault)
    newest = max(row[0] for row in raw_rows(vault, "main", "node"))
    given = fetch_one(vault, "SELECT seq FROM sqlite_sequence WHERE name = 'node'")
    before = vault.space()._space.store.freshness()
    last_of_talk = vault.space().remember("the last of the talk", session="talk")
    vault.backup(place)
    with vaults.restore(place) as restored:
        after = restored.space()._space.store.freshness()
        assert after.generation > before.generation
        node = restored.space().remember("and on", session="talk")
        assert Link("follows", last_of_talk.id) in node.links
        assert node.recorded_at > last_of_talk.recorded_at
        assert fetch_one(restored, "SELECT max(seq) FROM node") > max(newest, given)
        with restored.space()._space.store.read() as connection:
            freshness.check_chain(connection)
        assert restored.verify(full=True) == []


def fetch_one(vault: Vault, sql: str) -> Any:
    """Return the one value of a statement over the first space."""
    with vault.space()._space.store.read() as connection:
        return fetch(connection, sql)[0][0]


def test_a_long_chain(vaults: QuickVaults, vault: Vault, place: Path) -> None:
    """Of a space with more generations than are kept, the newest are restored, over two segments."""
    memory = vault.space()
    vault.backup(place)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(freshness, "CHAIN_KEPT", 10)
        patch.setattr("mimir_vault.store.transfer.CHAIN_KEPT", 10)
        for number in range(25):
            memory.remember(f"turn {number}")
            if number % 6 == 0:
                vault.backup(place)
        vault.backup(place)
        with vaults.restore(place) as restored:
            assert contents(restored) == contents(vault)
            assert restored.verify(full=True) == []


def test_same_vault_other_replica(vaults: QuickVaults, vault: Vault, place: Path) -> None:
    """The id of the vault stays, its replica id is new, and neither vault raises an alarm, here or there."""
    fill(vault)
    vault.backup(place)
    vault.space().remember("after the backup")
    vault.lock()
    with vaults.restore(place) as restored:
        assert restored.id == vault.id
        assert restored._header.replica_id != vault._header.replica_id
        restored.space().remember("another way")
    for name in ("vault", "restored"):
        with vaults.open(name) as again:
            assert again.verify(full=True) == []


def test_it_is_audited(vaults: QuickVaults, vault: Vault, place: Path) -> None:
    """With the moment of the backup, and the events before are kept."""
    fill(vault)
    done = vault.backup(place)
    with vaults.restore(place) as restored, restored._catalog.fresh.read() as connection:
        events = list(audit.events(connection, restored._catalog.fresh.digester))
    assert [event.verb for event in events] == ["vault created", "space created", "space created", "space created",
                                                "restored"]  # fmt: skip
    assert events[-1].facts == {"backup_at": round(done.at.timestamp() * 1_000_000), "nodes": done.nodes}


def test_files_are_those_of_a_closed_vault(vaults: QuickVaults, vault: Vault, place: Path) -> None:
    """Names as in the source, sizes in their classes, no WAL, for its owner alone."""
    fill(vault)
    vault.backup(place)
    vault.lock()
    vaults.restore(place).lock()
    ours, theirs = (
        {path.relative_to(folder).as_posix(): path.stat().st_size for path in folder.rglob("*") if path.is_file()}
        for folder in (vaults.path(), vaults.path("restored"))
    )
    assert ours == theirs
    assert vaults.path("restored").stat().st_mode & 0o077 == 0


def test_the_secret_is_of_the_time_of_the_backup(vaults: QuickVaults, place: Path) -> None:
    """A key slot made later opens the vault and the next backup, not this one; a removed one opens the old one."""
    with vaults.create() as vault:
        vault.backup(place)
        vault.keyslots.add_raw_key(bytes(32))
        with pytest.raises(WrongKeyError):
            vaults.restore(place, raw_key=bytes(32))
        assert not vaults.path("restored").exists()
        vault.backup(place)
    vaults.restore(place, raw_key=bytes(32)).lock()


def test_passphrase_and_recovery_code(vaults: QuickVaults, place: Path) -> None:
    """Each opens the backup as it opens the vault."""
    with vaults.create(passphrase="correct horse", profile="interactive", recovery=True) as vault:
        words = vault.recovery_code
        vault.backup(place)
    vaults.restore(place, "one", passphrase="correct horse").lock()
    vaults.restore(place, "two", recovery_code=words).lock()
    with pytest.raises(WrongKeyError):
        vaults.restore(place, "three", passphrase="wrong horse")


def test_without_a_secret_the_chain_is_asked(
    vaults: QuickVaults, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `Vault.open` does."""
    with vaults.create(passphrase="correct horse", profile="interactive") as vault:
        vault.backup(place)
    (tmp_path / "passphrase").write_text("correct horse\n")
    monkeypatch.setenv("MIMIR_PASSPHRASE_FILE", str(tmp_path / "passphrase"))
    Vault.restore(place, tmp_path / "restored", embedder=HashEmbedder(), state_folder=tmp_path / "state").lock()


def test_only_where_nothing_is(vaults: QuickVaults, vault: Vault, place: Path) -> None:
    """An empty folder will do; anything else stays as it is, and is said before a secret is asked for."""
    vault.backup(place)
    for make in (
        lambda path: path.write_text("a letter"),
        lambda path: (path.mkdir(), (path / "letter").write_text("a letter")),
    ):
        make(vaults.path("restored"))
        with pytest.raises(ExistsError):
            vaults.restore(place, raw_key=bytes(32))
        if vaults.path("restored").is_dir():
            shutil.rmtree(vaults.path("restored"))
        else:
            vaults.path("restored").unlink()
    vaults.path("restored").mkdir()
    vaults.restore(place).lock()


def beside(vaults: QuickVaults) -> set[str]:
    """Return the names in the folder of the tests."""
    return {path.name for path in vaults.folder.iterdir()}


def test_no_backup(vaults: QuickVaults, place: Path) -> None:
    """Nothing there, and a file that is none."""
    with pytest.raises(NotFoundError, match="there is no backup at"):
        vaults.restore(place)
    place.write_bytes(b"a letter")
    with pytest.raises(FormatError, match="is not a backup"):
        vaults.restore(place)
    assert not vaults.path("restored").exists()


def contents_at(vault: Vault, place: Path) -> int:
    """Return where the contents of a backup begin."""
    with BackupReader(place) as reader:
        reader.unlock(BackupSealer(vault._keys.backup_key(), vault._keys.vault_id, reader.id, os.urandom))
        return PORTIONS_START + PORTION_BYTES * sum(segment.portions for segment in reader.guide.segments)


DAMAGE = {
    "header": 1_000, "guide": 70_000, "first portion": PORTIONS_START + 9, "second portion": PORTIONS_START + 70_000,
}  # fmt: skip


@pytest.mark.parametrize("where", [*DAMAGE, "contents"])
def test_a_damaged_backup(vaults: QuickVaults, vault: Vault, place: Path, where: str) -> None:
    """One sentence, and nothing at the target or beside it."""
    vault.space().remember_many([Draft(f"turn {number} " + "x" * 900) for number in range(50)])
    vault.backup(place)
    change(place, DAMAGE.get(where) or contents_at(vault, place))
    before = beside(vaults)
    with pytest.raises(TamperedError) as caught:
        vaults.restore(place)
    assert str(caught.value) == f"the backup {place} was changed or cut since it was made; take another one"
    assert beside(vaults) == before


def test_a_backup_that_was_not_whole_to_begin_with(vaults: QuickVaults, vault: Vault, place: Path) -> None:
    """Were a node missing in a backup that is otherwise well made, the digest would tell."""
    vault.space().remember_many([Draft(f"turn {number}") for number in range(5)])
    taken = restoring.transfer.rows_above

    def one_less(connection: Any, table: str, above: int) -> Any:
        rows = list(taken(connection, table, above))
        return iter(rows[:-1] if table == "node" else rows)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mimir_vault.store.transfer.rows_above", one_less)
        vault.backup(place)
    with pytest.raises(TamperedError):
        vaults.restore(place)
    assert not vaults.path("restored").exists()


def test_nodes_are_opened(vaults: QuickVaults, vault: Vault, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every one of them, before the vault is at its place."""
    fill(vault)
    vault.backup(place)
    seen: list[int] = []
    every = nodes.every

    def watched(connection: Any, above: int = 0) -> Any:
        for stored in every(connection, above):
            seen.append(stored.seq)
            assert not vaults.path("restored").exists()
            yield stored

    monkeypatch.setattr(nodes, "every", watched)
    monkeypatch.setattr(Vault, "open_unlocked", classmethod(lambda *given: vault))
    Vault.restore(place, vaults.path("restored"), raw_key=RAW_KEY)
    assert {row[0] for row in raw_rows(vault, "main", "node")} <= set(seen)


def test_progress(vaults: QuickVaults, vault: Vault, place: Path) -> None:
    """Every node is counted when it is read and when it is opened."""
    fill(vault)
    done = vault.backup(place)
    told: list[tuple[int, int]] = []
    vaults.restore(place, progress=lambda now, total: told.append((now, total))).lock()
    assert told[-1] == (2 * done.nodes, 2 * done.nodes)
    assert told == sorted(told)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), DiskFullError()])
def test_an_error_in_between(vaults: QuickVaults, vault: Vault, place: Path, error: BaseException) -> None:
    """Leaves nothing at the target, and nothing beside it."""
    fill(vault)
    vault.backup(place)
    before = beside(vaults)

    def stop(done: int, total: int) -> None:
        if done > total // 2:
            raise error

    with pytest.raises(type(error)):
        vaults.restore(place, progress=stop)
    assert beside(vaults) == before
    vaults.restore(place).lock()


def test_somebody_makes_something_there_meanwhile(vaults: QuickVaults, vault: Vault, place: Path) -> None:
    """It stays."""
    fill(vault)
    vault.backup(place)

    def meddle(done: int, total: int) -> None:
        vaults.path("restored").mkdir(exist_ok=True)
        (vaults.path("restored") / "letter").write_text("mine")

    with pytest.raises(ExistsError):
        vaults.restore(place, progress=meddle)
    assert os.listdir(vaults.path("restored")) == ["letter"]


def test_impossible_rows(vaults: QuickVaults, vault: Vault, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables and columns that its format does not have are refused, whoever sealed them."""
    fill(vault)
    for names in (["seq"], ["seq", "nonsense"]):
        with monkeypatch.context() as patch:
            patch.setattr("mimir_vault.store.transfer.columns", lambda connection, table, names=names: names)
            vault.backup(place)
        with pytest.raises(MimirError):
            vaults.restore(place)
        assert not vaults.path("restored").exists()
        place.unlink()


def test_a_newer_release(vaults: QuickVaults, vault: Vault, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A backup with tables of a later format is a FormatError."""
    with vault.space()._space.store.fresh.database.write() as connection:
        connection.pragma("user_version", 9)
    vault.backup(place)
    with pytest.raises(FormatError, match="newer version"):
        vaults.restore(place)
