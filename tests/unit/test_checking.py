"""Checking finds what is not as it was written and says what to do; rebuilding makes all that is derived again."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import apsw
import numpy as np
import pytest

from mimir_vault import Draft, Link, Memory, Vault
from mimir_vault.checking import DERIVED_TABLES, REBUILD_BATCH, check_database
from mimir_vault.model.facets import Facets
from mimir_vault.store import audit
from mimir_vault.testing import HashEmbedder


@pytest.fixture
def memory(vault: Vault) -> Memory:
    """Ten nodes of two sessions, one superseded, one erased, with tags, metadata, refs and data."""
    memory = vault.space()
    nodes = memory.remember_many([
        Draft(
            f"said word{number} about seats", speaker="Ada", session=f"s{number % 2}", tags=["t", f"t{number}"],
            metadata={"n": number, "deep": {"a": [1, number]}}, ref=("r", f"{number}"), data=b"d" if number else None,
        )
        for number in range(10)
    ])  # fmt: skip
    memory.supersede(nodes[3].id, "said word3 otherwise")
    memory.remember("points at another", links=[Link("about", nodes[0].id)])
    memory.forget(nodes[5].id)
    return memory


def damage(memory: Memory, *statements: str) -> None:
    """Change the database past all that keeps its digests."""
    database = memory._space.store.fresh.database
    with database.write() as connection:
        for statement in statements:
            connection.execute(statement)


def findings(memory: Memory, full: bool = True) -> list[str]:
    """Return what verify says."""
    found = memory.verify(full=full)
    assert all(finding.space == "space main" for finding in found)
    assert all("\n" not in finding.what for finding in found)
    return [finding.what for finding in found]


def test_a_sound_space_has_no_findings(memory: Memory) -> None:
    """Neither quick nor full; progress goes up to all nodes."""
    calls: list[tuple[int, int]] = []
    assert memory.verify() == []
    assert memory.verify(full=True, progress=lambda *call: calls.append(call)) == []
    assert calls[-1] == (11, 11)


DERIVED_DAMAGE = [
    "DELETE FROM facet WHERE seq = 1",
    "UPDATE name SET text = 'Eve' WHERE text = 'Ada'",
    "UPDATE term SET text = 'other' WHERE text = 'word1'",
    "UPDATE words SET data = (SELECT data FROM words WHERE seq = 2) WHERE seq = 1",
    "UPDATE posting SET data = zeroblob(length(data))",
    "DELETE FROM attribute WHERE seq = 2",
    "UPDATE ref SET seq = 1 WHERE seq = 3",
    "DELETE FROM ref WHERE seq = 2",
    "DELETE FROM link",
    "UPDATE thread SET head = 1",
    "UPDATE vector SET data = zeroblob(length(data)) WHERE seq = 1",
    "INSERT INTO change VALUES (1, 1)",
]


@pytest.mark.parametrize("statement", DERIVED_DAMAGE)
def test_derived_data_that_was_changed_is_found_and_made_again(memory: Memory, statement: str) -> None:
    """Whatever table it stands in: the finding says to rebuild, and after that everything is sound."""
    before = [node.id for node in memory.nodes()]
    damage(memory, statement)
    assert any("run `mimir rebuild`" in what for what in findings(memory))
    assert memory.rebuild() == 11
    assert findings(memory) == []
    assert [node.id for node in memory.nodes()] == before
    assert memory.recall("word1", lanes=["lexical"])[0].text == "said word1 about seats"


TRUTH_DAMAGE = {
    "DELETE FROM node WHERE seq = 2": "nodes are not those last written; restore a backup",
    "UPDATE node SET state = (SELECT state FROM node WHERE seq = 1) WHERE seq = 2": "restore a backup",
    "UPDATE node SET state = x'' WHERE seq = 2": "the nodes are not those last written; restore a backup",
    "UPDATE node SET payload = (SELECT payload FROM node WHERE seq = 1) WHERE seq = 2": "restore a backup",
    "UPDATE node SET wrap = (SELECT wrap FROM node WHERE seq = 1) WHERE seq = 2": "restore a backup",
    "DELETE FROM tombstone": "restore a backup",
    "UPDATE sqlite_sequence SET seq = 3 WHERE name = 'node'": "restore a backup",
    "DELETE FROM chain WHERE generation = 2": "the chain of generations has a gap; restore a backup",
    "UPDATE audit SET at = at + 1": "restore a backup|run `mimir rebuild`",
    "DELETE FROM freshness": "the freshness of a database is missing; restore a backup",
}


@pytest.mark.parametrize("statement", TRUTH_DAMAGE)
def test_truth_that_was_changed_is_found(memory: Memory, statement: str) -> None:
    """A quick check finds it as well as a full one; the sentence says to restore a backup."""
    damage(memory, statement)
    for full in (False, True):
        found = memory.verify(full=full) if "freshness" not in statement else quietly(memory, full)
        assert any(re.search(TRUTH_DAMAGE[statement], str(what)) for what in found), found


def quietly(memory: Memory, full: bool) -> list[Any]:
    """Return the findings, or the error where the check cannot go on."""
    try:
        return list(memory.verify(full=full))
    except Exception as error:
        return [error]


def test_damaged_pages_are_findings_not_errors(memory: Memory, vaults: Any) -> None:
    """A page that does not open ends the check of its space with a sentence, and that of the vault goes on."""
    memory.vault.create_space("other")
    path = memory._space.store.fresh.database.path
    memory.vault.lock()
    content = bytearray(path.read_bytes())
    for start in range(8_192, len(content), 4_096):
        content[start + 2_000] ^= 1
    path.write_bytes(content)
    found = vaults.open().verify(full=True)
    assert found
    assert {finding.space for finding in found} == {"space main"}
    assert all("restore a backup" in finding.what for finding in found)


def test_a_broken_audit_is_found(vault: Vault) -> None:
    """In the catalog too."""
    with vault._catalog.fresh.database.write() as connection:
        connection.execute("DELETE FROM audit WHERE place = 1")
    found = vault.verify()
    assert found
    assert {finding.space for finding in found} == {"the catalog"}


def test_check_database_goes_through_what_it_can(memory: Memory) -> None:
    """A generator: nothing is done before it is asked."""
    with memory._space.store.read() as connection:
        assert list(check_database(connection, memory._space.store.sealer, "it")) == []
        assert isinstance(connection, apsw.Connection)


# -- rebuilding -------------------------------------------------------------------------------------------------------


def told(memory: Memory) -> dict[str, Any]:
    """Return what the reading verbs say."""
    return {
        "nodes": list(memory.nodes()),
        "seats": [(hit.id, round(hit.score, 6)) for hit in memory.recall("seats word3 word7", k=20)],
        "tags": memory.count({"tags": "t4"}),
        "metadata": [node.id for node in memory.nodes({"metadata.deep.a": {"contains": 7}})],
        "sessions": [[node.id for node in memory.nodes(session=session)] for session in ("s0", "s1")],
        "refs": [getattr(memory.get(ref=("r", f"{number}")), "id", None) for number in range(10)],
        "history": [len(memory.history(node.id)) for node in memory.nodes()],
    }


def test_a_rebuild_changes_nothing_that_is_said(memory: Memory) -> None:
    """All reading verbs answer as before; it is audited; the index in memory is made anew."""
    before = told(memory)
    calls: list[tuple[int, int]] = []
    assert memory.rebuild(progress=lambda *call: calls.append(call)) == 11
    assert calls[-1] == (11, 11)
    assert told(memory) == before
    assert memory.verify(full=True) == []
    with memory._space.store.read() as connection:
        verbs = [event.verb for event in audit.events(connection, memory._space.store.sealer)]
    assert verbs[-1] == "rebuilt"


def test_a_rebuild_fills_emptied_tables(memory: Memory) -> None:
    """Drop all that is derived, vectors included: it comes back from the envelopes alone."""
    before = told(memory)
    damage(memory, *(f"DELETE FROM {table}" for table in (*DERIVED_TABLES, "vector", "passage", "derived")))
    memory._space.index.clear()
    assert memory.count() == 0
    assert memory.rebuild() == 11
    assert told(memory) == before


def test_sessions_go_on_after_a_rebuild(memory: Memory) -> None:
    """The next turn follows the newest one, at its place."""
    last = list(memory.nodes(session="s1"))[-1]
    memory.rebuild()
    node = memory.remember("next", session="s1", ref=("r", "next"))
    assert [link.target for link in node.links if link.kind == "follows"] == [last.id]


def test_many_nodes_are_rebuilt_in_batches(vault: Vault) -> None:
    """More than fit in one: progress is told for each."""
    memory = vault.space()
    memory.remember_many([Draft(f"{number}") for number in range(REBUILD_BATCH + 5)])
    calls: list[tuple[int, int]] = []
    assert memory.rebuild(lambda *call: calls.append(call)) == REBUILD_BATCH + 5
    assert calls == [(REBUILD_BATCH, REBUILD_BATCH + 5), (REBUILD_BATCH + 5, REBUILD_BATCH + 5)]


def test_an_empty_space_is_rebuilt(vault: Vault) -> None:
    """To nothing; without nodes there is no progress to tell. A vault rebuilds all its spaces."""
    vault.create_space("work").remember("x")
    assert vault.space().rebuild() == 0
    assert vault.rebuild() == 1
    assert vault.rebuild("work") == 1
    assert vault.verify(full=True) == []


def test_a_rebuild_without_the_embedder_keeps_the_vectors(vaults: Any) -> None:
    """They are truth as long as what made them is not at hand; the right embedder finds by them afterwards."""
    vaults.create().space().remember_many([Draft(f"word{number} of it") for number in range(5)])
    vaults.lock_all()
    other = vaults.open(embedder=HashEmbedder(16, "other")).space()
    assert other.rebuild() == 5
    other.vault.lock()
    memory = vaults.open().space()
    assert memory.recall("word3", lanes=["dense"])[0].text == "word3 of it"
    assert memory.verify(full=True) == []


def test_a_rebuild_that_fails_leaves_everything(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    """One transaction: nothing is half-made."""
    before = told(memory)

    def fail(*_: Any) -> None:
        raise KeyError("in the middle")

    monkeypatch.setattr("mimir_vault.checking.find_by", fail)
    with pytest.raises(KeyError):
        memory.rebuild()
    monkeypatch.undo()
    assert told(memory) == before
    assert memory.verify() == []


# -- rebuilding vectors -----------------------------------------------------------------------------------------------


def vector_rows(memory: Memory) -> list[tuple[Any, ...]]:
    """Return seq, model, window and stored row of every vector, and every passage."""
    with memory._space.read() as connection:
        rows = connection.execute("SELECT seq, model, window, data FROM vector ORDER BY seq, model, window").fetchall()
        return rows + connection.execute("SELECT * FROM passage ORDER BY seq, model, window").fetchall()


def given(seed: int, count: int, dimension: int = 64) -> Any:
    """Return vectors, float32 (count, d)."""
    return np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32)


@pytest.fixture
def mixed(vault: Vault) -> Memory:
    """Nodes with vectors of the space's own embedder, of one that a view brought, and of their owners'."""
    memory = vault.space()
    view = memory.view(embedder=HashEmbedder(16, "brought"))
    memory.remember("own")
    view.remember("brought", speaker="Ada")
    memory.remember("given", vector=given(1, 1))
    view.remember("given to another", vector=given(2, 3, 16))
    memory.remember("passages", index=["one passage", "another"])
    view.remember("passages given", index=["one passage", "another"], vector=given(3, 2, 16))
    memory.remember("never found", index=False)
    memory.hide(memory.remember("hidden").id)
    return memory


def test_a_rebuild_keeps_every_vector_as_it_was(mixed: Memory, vaults: Any) -> None:
    """Bit for bit, with passages: own ones are made again, given ones of what was sealed, others are kept."""
    before, texts = vector_rows(mixed), [node.text for node in mixed.nodes()]
    assert mixed.rebuild() == 8
    assert vector_rows(mixed) == before
    assert mixed.verify(full=True) == []
    damage(
        mixed, "UPDATE vector SET data = zeroblob(length(data)) WHERE seq IN (1, 3, 4, 5, 6, 8)", "DELETE FROM facet"
    )
    mixed._space.index.clear()
    mixed.rebuild()
    assert vector_rows(mixed) == before
    assert [node.text for node in mixed.nodes()] == texts
    view = mixed.view(embedder=HashEmbedder(16, "brought"))
    assert view.recall("brought", lanes=["dense"])[0].text == "brought"
    assert view.recall("", vector=given(2, 1, 16)[0])[0].text == "given to another"


def test_given_vectors_are_made_again_without_their_embedder(mixed: Memory, vaults: Any) -> None:
    """They are truth: gone from the derived tables they come back; what needs an embedder that is not here does not."""
    before = vector_rows(mixed)
    mixed.vault.lock()
    memory = vaults.open(embedder=HashEmbedder(16, "another one")).space()
    memory.rebuild()
    assert vector_rows(memory) == before
    damage(memory, "DELETE FROM vector", "DELETE FROM passage")
    memory.rebuild()
    assert {row[0] for row in vector_rows(memory)} == {3, 4, 6}
    memory.vault.lock()
    memory = vaults.open().space()
    memory.rebuild()
    kept = [row for row in before if row[0] != 2]
    assert [row for row in vector_rows(memory) if row[0] != 2] == kept
    assert memory.verify(full=True) == []


def test_hidden_nodes_and_graces_come_through_a_rebuild(memory: Memory) -> None:
    """As they stand in the states."""
    hidden, graced = list(memory.nodes())[:2]
    memory.hide(hidden.id)
    memory.forget(graced.id, grace=timedelta(days=1))
    with memory._space.read() as connection:
        before = connection.execute("SELECT data FROM facet WHERE seq <= 2 ORDER BY seq").fetchall()
    ends = [Facets.unpack(row[0])[:4] for row in before]
    memory.rebuild()
    with memory._space.read() as connection:
        after = connection.execute("SELECT data FROM facet WHERE seq <= 2 ORDER BY seq").fetchall()
    assert [Facets.unpack(row[0])[:4] for row in after] == ends
    assert [node.id for node in memory.nodes(hidden=True)] == [hidden.id, graced.id]
    assert memory.keep(graced.id).id == graced.id
