"""Restoring: the vault that comes out is the one that went in, checked to the last node, or nothing is there."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backups import contents, fill
from mimir_vault import restoring
from mimir_vault.errors import (
    ExistsError,
    WrongKeyError,
)
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


def test_an_older_release(vaults: QuickVaults, vault: Vault, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A backup of before a migration is put into tables of its time, which are then migrated."""
    vault.space().remember("turn")
    vault.backup(place)
    later = (
        "CREATE TABLE later (a INTEGER NOT NULL) STRICT; ALTER TABLE node ADD COLUMN more INTEGER NOT NULL DEFAULT 7"
    )
    kind = replace(restoring.SPACE_KIND, migrations=(*restoring.SPACE_KIND.migrations, later))
    monkeypatch.setattr(restoring, "SPACE_KIND", kind)
    monkeypatch.setattr("mimir_vault.store.space.SPACE", kind)
    with vaults.restore(place) as restored, restored.space()._space.space.store.read() as connection:
        assert connection.pragma("user_version") == 2
        assert fetch(connection, "SELECT more FROM node") == [(7,)]
