"""Things that are no vault, or not one to be opened here: the right error, one clear sentence, and nothing touched."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import mimir_vault as mimir
from mimir_vault import Vault
from mimir_vault.keyslots.header import HEADER_LENGTH, MAGIC
from mimir_vault.testing import HashEmbedder


def refused(error: type[Exception], says: str, work: Callable[[], Any]) -> None:
    """Assert that this is refused by exactly that error in one sentence that says this."""
    with pytest.raises(error, match=says) as caught:
        work()
    message = str(caught.value)
    assert type(caught.value) is error
    assert "\n" not in message
    assert 10 < len(message) < 400


def contents(folder: Path) -> dict[str, bytes]:
    """Return all files below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_is_no_vault_is_told_apart(vaults: Any) -> None:
    """Nothing there, an empty folder, a folder of other things, a file, a folder in a file's place."""
    vaults.path("empty").mkdir()
    vaults.path("letters").mkdir()
    (vaults.path("letters") / "one.txt").write_text("mine")
    vaults.path("file").write_text("mine")
    refused(mimir.NotFoundError, "no vault at .*gone; `mimir init` makes one", lambda: vaults.open("gone"))
    for name in ("empty", "letters"):
        refused(mimir.FormatError, f"{name} is not a vault: it holds no header", lambda name=name: vaults.open(name))
    refused(mimir.FormatError, "is not a vault", lambda: vaults.open("file"))
    assert vaults.path("file").read_text() == "mine"
    assert contents(vaults.path("letters")) == {"one.txt": b"mine"}
    assert not vaults.path("gone").exists()


@pytest.mark.parametrize("content", [b"", b"x", b"hello world" * 9_999, bytes(HEADER_LENGTH), b"\xff" * HEADER_LENGTH])
def test_a_header_of_something_else_is_a_format_error(vaults: Any, content: bytes) -> None:
    """It does not begin as Mimir's do."""
    vaults.path().mkdir()
    for name in ("header", "header.copy"):
        (vaults.path() / name).write_bytes(content)
    refused(mimir.FormatError, "not a vault", vaults.open)
    assert set(contents(vaults.path())) == {"header", "header.copy"}


@pytest.mark.parametrize("change", ["flip", "cut", "long"])
def test_a_damaged_header_is_mended_from_its_copy_or_refused(vaults: Any, change: str) -> None:
    """One damaged copy costs nothing; with both damaged it is TamperedError."""
    vaults.create().lock()
    whole = (vaults.path() / "header").read_bytes()
    broken = {
        "flip": whole[:5_000] + bytes([whole[5_000] ^ 1]) + whole[5_001:], "cut": whole[:-1], "long": whole + b"\x00",
    }[change]  # fmt: skip
    for name in ("header", "header.copy"):
        (vaults.path() / name).write_bytes(broken)
        vaults.open().lock()
        assert (vaults.path() / name).read_bytes() == whole
    for name in ("header", "header.copy"):
        (vaults.path() / name).write_bytes(broken)
    refused(mimir.TamperedError, "header .* restore a backup", vaults.open)


def test_a_header_of_a_newer_format_says_to_update(vaults: Any) -> None:
    """Whatever else is in it."""
    vaults.create().lock()
    for name in ("header", "header.copy"):
        raw = bytearray((vaults.path() / name).read_bytes())
        raw[len(MAGIC)] = 9
        (vaults.path() / name).write_bytes(raw)
    refused(mimir.FormatError, "format 9, this version knows 1; update Mimir", vaults.open)


@pytest.mark.parametrize("which", ["catalog", "space"])
def test_a_database_of_a_newer_format_says_to_update(vaults: Any, which: str) -> None:
    """A newer release migrated it: it is refused, not changed."""
    vault = vaults.create()
    database = vault._catalog.fresh.database if which == "catalog" else vault.space()._space.store.fresh.database
    with database.write() as connection:
        connection.pragma("user_version", 99)
    vault.lock()
    before = contents(vaults.path())

    def work() -> None:
        with vaults.open() as opened:
            opened.space()

    refused(mimir.FormatError, "has format 99, this version of Mimir knows up to 1; update Mimir", work)
    assert {name: len(content) for name, content in contents(vaults.path()).items()} == {
        name: len(content) for name, content in before.items()
    }


@pytest.mark.parametrize("file", ["catalog.db", "space"])
@pytest.mark.parametrize("damage", ["missing", "empty", "foreign", "cut", "folder"])
def test_a_missing_or_foreign_database_is_refused(vaults: Any, file: str, damage: str) -> None:
    """NotFoundError, TamperedError or StorageError; verify says so of a space, and the other spaces go on."""
    vault = vaults.create()
    vault.create_space("other").remember("still here")
    space = vault._catalog.space("main").file
    vault.lock()
    path = vaults.path() / (f"spaces/{space}" if file == "space" else file)
    content = path.read_bytes()
    path.unlink()
    if damage == "folder":
        path.mkdir()
    elif damage != "missing":
        path.write_bytes({"empty": b"", "foreign": b"SQLite format 3\x00" * 99, "cut": content[:-8_192]}[damage])
    errors = {"missing": mimir.NotFoundError, "folder": mimir.StorageError}
    error = errors.get(damage, mimir.TamperedError)
    if file == "catalog.db":
        refused(error, "the catalog", vaults.open)
        return
    opened = vaults.open()
    assert opened.space("other").count() == 1
    if damage == "cut":
        assert opened.verify() != []
        return
    refused(error, "space main", opened.space)
    (finding,) = opened.verify()
    assert finding.space == "space main"
    assert "\n" not in finding.what


def test_secrets_that_cannot_be_are_refused(vaults: Any) -> None:
    """Empty, of another type, of another length, none, several."""
    cases: list[tuple[type[Exception], str, dict[str, Any]]] = [
        (ValueError, "passphrase is empty; choose one", {"passphrase": ""}),
        (TypeError, "passphrase is a str or a bytearray, not int", {"passphrase": 5}),
        (TypeError, "passphrase is a str or a bytearray, not bytes", {"passphrase": b"x"}),
        (ValueError, "lone surrogate", {"passphrase": "\ud800"}),
        (ValueError, "longer than 4096 bytes", {"passphrase": "x" * 5_000}),
        (ValueError, "exactly 32 bytes, not 5", {"raw_key": b"short"}),
        (ValueError, "at least one way to unlock", {"raw_key": None, "recovery": False}),
    ]
    for error, says, given in cases:
        refused(error, says, lambda given=given: vaults.create(**given))
        assert not vaults.path().exists()
    assert list(vaults.folder.iterdir()) == []
    vaults.create().lock()
    for error, says, given in cases[:6]:
        refused(error, says, lambda given=given: vaults.open(**given))
    refused(
        ValueError, "exactly one of passphrase, recovery_code", lambda: vaults.open(raw_key=bytes(32), passphrase="x")
    )
    for words in ("not words at all", "abandon " * 24, "", "x" * 9_999):
        with pytest.raises((mimir.WrongKeyError, ValueError)) as caught:
            vaults.open(recovery_code=words)
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    ("error", "says", "given"),
    [
        (ValueError, "profile", {"profile": "paranoid"}),
        (ValueError, "size_floor is a power of two", {"size_floor": 0}),
        (ValueError, "size_floor is a power of two", {"size_floor": 3 << 20}),
        (ValueError, "size_floor is a power of two", {"size_floor": "1 MiB"}),
        (ValueError, "size_floor is a power of two", {"size_floor": 1 << 19}),
        (ValueError, "size_floor is a power of two", {"size_floor": True}),
    ],
)
def test_options_that_cannot_be_are_refused(vaults: Any, error: Any, says: str, given: dict[str, Any]) -> None:
    """Before anything is made."""
    refused(error, says, lambda: vaults.create(**given))
    assert list(vaults.folder.iterdir()) == []


@pytest.mark.parametrize("embedder", [object(), "MiniLM", 5])
def test_an_embedder_that_is_none_is_a_type_error(vaults: Any, embedder: Any) -> None:
    """It needs a name, a dimension and embed(); nothing is stored."""
    memory = vaults.create(embedder=embedder).space()
    refused(TypeError, r"[Aa]n embedder needs .name, .dimension and .embed\(texts\)", lambda: memory.remember("x"))
    assert memory.count() == 0


def test_another_embedder_is_a_mismatch_that_names_the_one_needed(vaults: Any) -> None:
    """Remembering and recalling are refused; what needs no vectors works, and the right one goes on."""
    with vaults.create(embedder=HashEmbedder(32, "first")) as vault:
        vault.space().remember("a zebra")
    for other in (HashEmbedder(32, "second"), HashEmbedder(16, "first"), Shifted(32, "first")):
        memory = vaults.open(embedder=other).space()
        for verb in (lambda memory=memory: memory.remember("x"), lambda memory=memory: memory.recall("zebra")):
            refused(
                mimir.ModelMismatchError, r"the model first \(32 dimensions\).*hand in the one that made them", verb
            )
        assert memory.count() == 1
        assert len(memory.recall("zebra", lanes=["lexical"])) == 1
        assert memory.remember("found by nothing", index=False).text
        assert memory.forget(where={"text": "found by nothing"}).ids
        assert memory.rebuild() == 1
        assert memory.verify(full=True) == []
        memory.vault.lock()
    memory = vaults.open(embedder=HashEmbedder(32, "first")).space()
    memory.remember("another zebra")
    assert len(memory.recall("zebra", lanes=["dense"])) == 2


class Shifted(HashEmbedder):
    """An embedder of the same name and dimension that gives other vectors."""

    def embed(self, texts: Any) -> Any:
        """Return the vectors of other texts."""
        return super().embed([f"other {text}" for text in texts])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
def test_a_forked_child_is_told_to_open_the_vault_again(vaults: Any) -> None:
    """Every verb raises LockedError there; the parent loses nothing, even if the child locks its copy."""
    vault = vaults.create()
    memory = vault.space()
    memory.remember("before")
    verbs: list[Callable[[], Any]] = [
        lambda: memory.remember("x"), lambda: memory.recall("x"), memory.count, lambda: list(memory.nodes()),
        lambda: memory.get("0" * 64), memory.context, vault.spaces, lambda: vault.create_space("x"), vault.status,
        vault.keyslots.list, vault.lock,
    ]  # fmt: skip
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Forking with threads is what is tested here.
        child = os.fork()
    if child == 0:
        told = []
        for verb in verbs:
            try:
                verb()
                told.append("fine")
            except BaseException as error:
                told.append(type(error).__name__)
        os.write(writer, " ".join(told).encode())
        os._exit(0)
    os.close(writer)
    with open(reader, "rb") as pipe:
        told = pipe.read().decode().split()
    os.waitpid(child, 0)
    assert told == ["LockedError"] * (len(verbs) - 1) + ["fine"]
    memory.remember("after")
    assert [node.text for node in memory.nodes()] == ["before", "after"]
    vault.lock()
    assert isinstance(vaults.open(), Vault)
