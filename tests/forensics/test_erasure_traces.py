"""After `forget` nothing of a node is in any file, even for somebody who has every key and looks into every page."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from forensics import pages, scanning
from forensics.building import codes_of, make_sketch, page_keys, remember_turns, sketch_from
from forensics.invented import Inventor, texts_of
from mimir_vault.index.sketch import Sketch
from mimir_vault.memory import Memory
from mimir_vault.store.fresh_database import FreshDatabase
from mimir_vault.testing import HashEmbedder
from mimir_vault.vault import Vault
from quick_vaults import QuickVaults

NODES = 240
SKETCH_FROM = 80
LIVING = {"sketch", "posting", "freshness", "chain", "setting", "lease", "derived", "padding", "audit", "thread"}
"""Tables whose rows change in place; what goes from them is searched as words, codes and session names instead."""
PIECE = 12
"""A value is searched by pieces of so many bytes: a page may hold only a part of it."""


@pytest.fixture(params=["codes alone", "graph"])
def vault(request: pytest.FixtureRequest, vaults: QuickVaults, monkeypatch: pytest.MonkeyPatch) -> Iterator[Vault]:
    """A vault whose space has a sketch of 300 invented turns, saved: as codes alone, and with a graph."""
    if request.param == "graph":
        for made in (Sketch.__init__, Sketch.load):
            defaults: Any = getattr(made, "__func__", made).__kwdefaults__
            monkeypatch.setitem(defaults, "graph_from", SKETCH_FROM)
    with sketch_from(SKETCH_FROM):
        vault = vaults.create(embedder=HashEmbedder(384))
        remember_turns(vault.space(), Inventor(23), NODES)
        make_sketch(vault.space())
        yield vault
        vaults.lock_all()


def space_file(vault: Vault) -> tuple[Path, bytes]:
    """Return the file of the first space and its page key."""
    name, key = next((name, key) for name, key in page_keys(vault).items() if name.startswith("spaces/"))
    return vault.path / name, key


def rows(path: Path, key: bytes, folder: Path) -> dict[str, set[bytes]]:
    """Return every text and blob of at least 8 bytes in a database, by table, read from a copy of it."""
    copy = folder / f"copy-{path.name}"
    for suffix in ("", "-wal"):
        if Path(f"{path}{suffix}").exists():
            shutil.copyfile(f"{path}{suffix}", f"{copy}{suffix}")
    connection = pages.connect(copy, key)
    found: dict[str, set[bytes]] = {}
    tables = [str(row[0]) for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    for table in tables:
        values = (value for row in connection.execute(f'SELECT * FROM "{table}"') for value in row)
        held = (value.encode() if isinstance(value, str) else value for value in values)
        found[table] = {value for value in held if isinstance(value, bytes) and len(value) >= 8}
    connection.close()
    for left in folder.glob(f"{copy.name}*"):
        left.unlink()
    return found


def pieces(values: set[bytes]) -> set[bytes]:
    """Return the pieces that values are searched by: start, quarters and end."""
    found: set[bytes] = set()
    for value in values:
        last = max(0, len(value) - PIECE)
        found |= {value[at : at + PIECE] for at in (0, last // 4, last // 2, 3 * last // 4, last)}
    return {piece for piece in found if len(set(piece)) > 3}


def opened_pages(path: Path, key: bytes) -> dict[str, bytes]:
    """Return the pages of a database and of its WAL, all opened, free pages and the gaps inside pages included."""
    found = {"pages": b"".join(pages.open_file(path.read_bytes(), key))}
    wal = Path(f"{path}-wal")
    if wal.exists():
        found["wal"] = b"".join(pages.open_wal(wal.read_bytes(), key))
    return found


def sought(gone: dict[str, set[bytes]], left: dict[str, set[bytes]]) -> list[tuple[str, bytes]]:
    """Return pieces of what was in a database and is not any more, but for those that living rows share."""
    live = b"\0".join(value for values in left.values() for value in values)
    found: list[tuple[str, bytes]] = []
    for table in gone.keys() - LIVING:
        values = gone[table] - left[table]
        # A facet row is mostly small numbers; its place and its moments together stand nowhere else.
        cut = {value[:24] for value in values} if table == "facet" else pieces(values)
        found += [(table, piece) for piece in cut]
    shared = {trace.form for trace in scanning.search({"live": live}, "", ((piece.hex(), piece) for _, piece in found))}
    return [(table, piece) for table, piece in found if piece.hex() not in shared]


def forget_some(memory: Memory, how: str) -> list[str]:
    """Forget two thirds of the nodes, one after the other, in fives, or at once; return the words that went."""
    gone = [node for number, node in enumerate(memory.nodes()) if number % 3]
    step = {"one by one": 1, "in fives": 5, "at once": len(gone)}[how]
    for at in range(0, len(gone), step):
        part = gone[at : at + step]
        speakers = [node.speaker for node in part]
        receipt = memory.forget(part[0].id) if step == 1 else memory.forget(where={"speaker": {"in": speakers}})
        assert receipt.on_disk == "erased"
        assert len(receipt.ids) == len(part)
    fields = ("text", "speaker", "user", "agent", "session", "kind", "role", "tags", "metadata", "ref")
    texts = [text for node in gone for text in texts_of([getattr(node, name) for name in fields])]
    return [word for text in texts for word in text.split() if len(word) >= 10]


@pytest.mark.parametrize(
    ("vault", "how"),
    [("codes alone", "one by one"), ("codes alone", "in fives"), ("codes alone", "at once"), ("graph", "in fives")],
    indirect=["vault"],
)
def test_nothing_is_left_of_forgotten_nodes(vault: Vault, how: str, vaults: QuickVaults, tmp_path: Path) -> None:
    """No word, envelope, wrapped key, vector, code, name or ref of a forgotten node is in any page, right after the
    receipt and after the vault was closed; all of them were there before.
    """
    path, key = space_file(vault)
    memory = vault.space()
    before = rows(path, key, tmp_path)
    texts = [node.text for number, node in enumerate(memory.nodes()) if number % 3]
    codes = codes_of(memory)
    words = forget_some(memory, how)
    forms = sought(before, rows(path, key, tmp_path))
    forms += [("word", word.encode()) for word in words] + [("text", text.encode()) for text in texts]
    forms += [("code", piece) for number, code in enumerate(codes) if number % 3 for piece in pieces({code})]
    assert len(forms) > 10_000
    assert not scanning.search(opened_pages(path, key), "erased", forms)
    other = {name: found for name, found in page_keys(vault).items() if "spaces" not in name}
    vaults.lock_all()
    assert not scanning.search(opened_pages(path, key), "erased", forms)
    for name, found in other.items():
        file = vault.path / name if name != "pins" else next((tmp_path / "state" / "pins").glob("*.db"))
        assert not scanning.search(opened_pages(file, found), "erased", forms)
    assert not scanning.search(scanning.files_below(tmp_path), "erased", forms)


def test_the_search_would_find_them(vault: Vault, tmp_path: Path) -> None:
    """Before `forget`, nearly all of what is searched for afterwards is found in the opened pages."""
    path, key = space_file(vault)
    memory = vault.space()
    memory.vault._spaces.open("main").store.fresh.checkpoint()
    before, opened = rows(path, key, tmp_path), opened_pages(path, key)
    everything = sought(before, {table: set() for table in before})
    forms = [(str(number), piece) for number, (_, piece) in enumerate(everything)]
    assert len(forms) > 10_000
    assert len({trace.form for trace in scanning.search(opened, "present", forms)}) > 0.95 * len(forms)
    forms = [(str(number), code[:16]) for number, code in enumerate(codes_of(memory))]
    assert len({trace.form for trace in scanning.search(opened, "code", forms)}) > 0.9 * len(forms) > 0.9 * NODES - 1


def test_an_erasure_that_was_cut_short_is_finished(vaults: QuickVaults, tmp_path: Path) -> None:
    """Where a process ends between the commit of an erasure and its receipt, the next clean close leaves no trace."""
    vault = vaults.create()
    memory = vault.space()
    remember_turns(memory, Inventor(29), NODES)
    path, key = space_file(vault)
    before = rows(path, key, tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FreshDatabase, "remove_traces", lambda *_: False)
        for node in list(memory.nodes())[: NODES // 2]:
            assert memory.forget(node.id).on_disk == "pending"
    copy = tmp_path / "copy"
    shutil.copytree(vault.path, copy)
    forms = sought(before, rows(path, key, tmp_path))
    copied = copy / "spaces" / path.name
    assert scanning.search(opened_pages(copied, key), "erased", forms)
    vaults.lock_all()
    assert not scanning.search(opened_pages(path, key), "erased", forms)
    elsewhere = tmp_path / "other state"
    vaults.open(copy, state_folder=elsewhere).space()
    vaults.lock_all()
    with vaults.open(copy, state_folder=elsewhere) as opened:
        assert opened.space().count() == NODES // 2
    assert not scanning.search(opened_pages(copied, key), "erased", forms)


def test_a_reader_elsewhere_holds_an_erasure_back(vaults: QuickVaults, tmp_path: Path) -> None:
    """While another handle reads an older state, the receipt says pending; after both are closed no trace is left."""
    vault, reader = vaults.create(), vaults.open()
    memory = vault.space()
    remember_turns(memory, Inventor(37), 30)
    path, key = space_file(vault)
    before = rows(path, key, tmp_path)
    with reader._spaces.open("main").store.read():
        receipts = [memory.forget(node.id).on_disk for node in list(memory.nodes())[:3]]
        assert receipts == ["pending"] * 3
        assert memory.count() == 27
    forms = sought(before, rows(path, key, tmp_path))
    vaults.lock_all()
    assert len(forms) > 100
    assert not scanning.search(opened_pages(path, key), "erased", forms)


def test_nothing_is_left_of_erased_spaces(vaults: QuickVaults, tmp_path: Path) -> None:
    """The name, file name and key ring of an erased space are in no page of the catalog: its old file stays sealed."""
    inventor = Inventor(31)
    vault = vaults.create()
    names = [inventor.word() + " " + inventor.word() for _ in range(40)]
    for name in names:
        vault.create_space(name)
    key = page_keys(vault)["catalog.db"]
    path = vault.path / "catalog.db"
    before = rows(path, key, tmp_path)["space"]
    assert {name.encode() for name in names} <= before
    for name in names[::2] + names[1::4]:
        vault.erase_space(name)
    left = rows(path, key, tmp_path)["space"]
    forms = sought({"space": before}, {"space": left})
    assert len(forms) > 200
    for _ in range(2):
        assert not scanning.search(opened_pages(path, key), "erased", forms)
        vaults.lock_all()
    assert len(list((vault.path / "spaces").iterdir())) == 1 + 10
