"""The public face: names, signatures and fields as the contract has them, and an import that costs next to nothing."""

from __future__ import annotations

import dataclasses
import inspect
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import mimir_vault as mimir
from mimir_vault import testing
from mimir_vault.key_slots import KeySlots

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src"

NAMES = {
    "open", "default_path", "Vault", "Memory", "Finding", "Draft", "Node", "Link", "Receipt", "Hit", "Hits", "Lane",
    "Context", "Embedder", "MimirError", "LockedError", "WrongKeyError", "TamperedError", "RollbackError",
    "FormatError", "NotFoundError", "AmbiguousIdError", "ExistsError", "ModelMismatchError", "VaultBusyError",
    "StorageError",
    "DiskFullError", "ReadOnlyError", "InterruptedBatchError", "AsyncVault", "AsyncMemory", "MemoryProtocol",
    "CancelledCallError", "__version__",
}  # fmt: skip

SIGNATURES: dict[str, tuple[Any, str]] = {
    # Opening
    "open": (mimir.open, "path=None, space='main', *, memory_budget=None"),
    "Vault.create": (
        mimir.Vault.create,
        "path, *, passphrase=None, raw_key=None, profile='moderate', recovery=True, size_floor=None, embedder=None,"
        " clock=None, random, state_folder=None, memory_budget=None",
    ),
    "Vault.open": (
        mimir.Vault.open,
        "path, *, passphrase=None, recovery_code=None, raw_key=None, keyslot=None, read_only=False,"
        " accept_rollback=False, embedder=None, clock=None, random, state_folder=None, memory_budget=None",
    ),
    "vault.space": (mimir.Vault.space, "name='main'"),
    "vault.create_space": (mimir.Vault.create_space, "name"),
    "vault.spaces": (mimir.Vault.spaces, ""),
    "vault.rename_space": (mimir.Vault.rename_space, "old, new"),
    "vault.erase_space": (mimir.Vault.erase_space, "name"),
    "vault.verify": (mimir.Vault.verify, "full=False, progress=None"),
    "vault.rebuild": (mimir.Vault.rebuild, "space=None, progress=None"),
    "Vault.restore": (mimir.Vault.restore, "backup, path, *, progress=None, **opening"),
    "Vault.adopt": (mimir.Vault.adopt, "path, **opening"),
    "vault.backup": (mimir.Vault.backup, "path, progress=None"),
    "vault.compact": (mimir.Vault.compact, "space=None, progress=None"),
    "vault.status": (mimir.Vault.status, ""),
    "vault.lock": (mimir.Vault.lock, ""),
    "vault.close": (mimir.Vault.close, ""),
    "keyslots.list": (KeySlots.list, ""),
    "keyslots.add_passphrase": (KeySlots.add_passphrase, "passphrase, label=''"),
    "keyslots.add_recovery_code": (KeySlots.add_recovery_code, "label=''"),
    "keyslots.add_raw_key": (KeySlots.add_raw_key, "raw_key, label=''"),
    "keyslots.change_passphrase": (KeySlots.change_passphrase, "passphrase, slot_id=None"),
    "keyslots.remove": (KeySlots.remove, "slot_id"),
    # Views and transactions
    "memory.view": (
        mimir.Memory.view,
        "*, user=None, agent=None, session=None, under=(), embedder=None, kind=None, read_only=False, duplicates=None",
    ),
    "memory.transaction": (mimir.Memory.transaction, ""),
    # Remembering
    "memory.remember": (
        mimir.Memory.remember,
        "text='', *, speaker=None, role=None, session=None, user=None, agent=None, kind='turn', at=None, tags=(),"
        " metadata=None, links=(), ref=None, data=None, index=True, vector=None, expires_at=None, pinned=False,"
        " duplicates='mark'",
    ),
    "memory.remember_many": (mimir.Memory.remember_many, "drafts, progress=None"),
    "memory.supersede": (mimir.Memory.supersede, "node_id, text=None, **fields"),
    "memory.move": (mimir.Memory.move, "old_ref, new_ref"),
    # Reading
    "memory.recall": (
        mimir.Memory.recall,
        "query, *, k=10, where=None, user=None, agent=None, session=None, under=(), as_of=None, known_at=None,"
        " vector=None, lanes=None, min_score=None, collapse=False, explain=False",
    ),
    "memory.context": (
        mimir.Memory.context,
        "query=None, *, budget=800, counter=None, where=None, user=None, agent=None, session=None, under=(),"
        " as_of=None, known_at=None",
    ),
    "memory.get": (mimir.Memory.get, "node_id=None, *, ref=None"),
    "memory.history": (mimir.Memory.history, "node_id"),
    "memory.nodes": (
        mimir.Memory.nodes,
        "where=None, *, under=(), order='oldest', limit=None, after=None, user=None, agent=None, session=None,"
        " hidden=False",
    ),
    "memory.count": (mimir.Memory.count, "where=None, *, under=(), user=None, agent=None, session=None"),
    "memory.refs": (mimir.Memory.refs, "under=(), depth=None"),
    "memory.vectors": (mimir.Memory.vectors, "node_ids"),
    # Letting go
    "memory.forget": (
        mimir.Memory.forget,
        "node_id=None, *, ref=None, under=None, where=None, user=None, agent=None, session=None, derived=False,"
        " dry_run=False, grace=None",
    ),
    "memory.hide": (mimir.Memory.hide, "node_id=None, *, ref=None"),
    "memory.keep": (mimir.Memory.keep, "node_id=None, *, ref=None"),
    "memory.verify": (mimir.Memory.verify, "*, full=False, progress=None"),
    "memory.rebuild": (mimir.Memory.rebuild, "progress=None"),
    "memory.close": (mimir.Memory.close, ""),
    # Testing
    "testing.HashEmbedder": (testing.HashEmbedder, "dimension=64, name=None"),
    "testing.FixedClock": (testing.FixedClock, f"moment={testing.FIRST_MOMENT!r}, *, step=0.0"),
    "testing.clock.advance": (testing.FixedClock.advance, "seconds"),
    "testing.temporary_vault": (testing.temporary_vault, "folder=None, **given"),
    "testing.temporary_memory": (testing.temporary_memory, "folder=None, space='main', **given"),
}  # fmt: skip
"""What a caller may write; `random` is os.urandom unless a test hands in another."""

FIELDS: dict[type, str] = {
    mimir.Draft: "text speaker role session user agent kind at tags metadata links ref data index vector expires_at"
    " pinned duplicates",
    mimir.Node: "id text at recorded_at kind speaker role user agent session tags metadata links ref data superseded_by"
    " expires_at pinned",
    mimir.Link: "kind target",
    mimir.Hit: "node score lanes passage start end why",
    mimir.Lane: "score rank",
    mimir.Context: "text hits tokens",
    mimir.Receipt: "ids at generation_before generation_after digest on_disk current_again dry_run due out_of_reach",
    mimir.Finding: "space what",
}

ERRORS = {
    mimir.MimirError: Exception, mimir.LockedError: mimir.MimirError, mimir.WrongKeyError: mimir.LockedError,
    mimir.TamperedError: mimir.MimirError, mimir.RollbackError: mimir.TamperedError,
    mimir.FormatError: mimir.MimirError, mimir.NotFoundError: mimir.MimirError,
    mimir.AmbiguousIdError: mimir.NotFoundError, mimir.ExistsError: mimir.MimirError,
    mimir.ModelMismatchError: mimir.MimirError, mimir.VaultBusyError: mimir.MimirError,
    mimir.StorageError: mimir.MimirError, mimir.DiskFullError: mimir.StorageError,
    mimir.ReadOnlyError: mimir.StorageError, mimir.InterruptedBatchError: mimir.MimirError,
    mimir.CancelledCallError: mimir.MimirError,
}  # fmt: skip


def python(code: str, *arguments: str) -> str:
    """Run code in a fresh interpreter that finds the source; return what it prints."""
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *arguments], capture_output=True, text=True, check=False,
        env=environment, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2_000:]
    return done.stdout


def test_all_names_are_there_and_no_others() -> None:
    """`__all__` is the list of the contract; each name can be imported, and `dir` shows just these."""
    assert set(mimir.__all__) == NAMES
    assert len(mimir.__all__) == len(NAMES)
    assert dir(mimir) == sorted(NAMES)
    for name in NAMES:
        assert getattr(mimir, name) is not None
        assert getattr(mimir, name) is getattr(mimir, name)
    with pytest.raises(AttributeError, match="has no attribute 'Vaults'"):
        _ = mimir.Vaults  # type: ignore[attr-defined]


def test_every_public_name_is_explained() -> None:
    """In the README, the documents or a guide; errors in the glossary, a guide or where they are raised."""
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), SOURCE / "mimir_vault" / "errors.py"]
    words = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    missing = sorted(name for name in NAMES - {"__version__"} if name not in words)
    assert missing == []


def test_public_things_have_docstrings() -> None:
    """Classes, functions and every public method say what they do."""
    for name in NAMES - {"__version__"}:
        thing = getattr(mimir, name)
        assert inspect.getdoc(thing), name
        if inspect.isclass(thing):
            for method, value in inspect.getmembers_static(thing):
                if not method.startswith("_") and (inspect.isfunction(value) or isinstance(value, property)):
                    assert inspect.getdoc(value), f"{name}.{method}"


def written(function: Any) -> str:
    """Return the signature of a function as the table has it: without self, types, and the default of `random`."""
    parts, starred = [], False
    for name, parameter in inspect.signature(function).parameters.items():
        if name in ("self", "cls"):
            continue
        if parameter.kind is parameter.VAR_KEYWORD:
            parts.append(f"**{name}")
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and not starred:
            parts.append("*")
            starred = True
        plain = parameter.default is parameter.empty or name == "random"
        parts.append(name if plain else f"{name}={parameter.default!r}")
    return ", ".join(parts)


@pytest.mark.parametrize("verb", SIGNATURES)
def test_signatures_are_those_of_the_contract(verb: str) -> None:
    """Names, order, what is keyword-only, and defaults: each is a promise."""
    function, expected = SIGNATURES[verb]
    assert written(function) == expected


def test_no_public_method_is_missing_from_the_table() -> None:
    """A new verb of Vault, Memory or the key slots is a promise too, and belongs into the table."""
    known = {name.split(".")[-1] for name in SIGNATURES} | {"memory_that_owns", "open_unlocked"}
    for kind in (mimir.Vault, mimir.Memory, KeySlots):
        verbs = {name for name, value in inspect.getmembers(kind) if not name.startswith("_") and callable(value)}
        assert verbs - {"open", "create"} <= known, kind


@pytest.mark.parametrize("kind", FIELDS, ids=lambda kind: kind.__name__)
def test_fields_are_those_of_the_contract(kind: type) -> None:
    """Values have these fields in this order, cannot be changed, and carry no more."""
    assert [field.name for field in dataclasses.fields(kind)] == FIELDS[kind].split()
    assert kind.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert not hasattr(object.__new__(kind), "__dict__")


def test_a_hit_forwards_the_fields_of_its_node() -> None:
    """id, text, at, metadata and speaker; a vault has path, id, profile, read_only and the recovery code."""
    for kind, names in (
        (mimir.Hit, ("id", "text", "at", "metadata", "speaker")),
        (mimir.Vault, ("id", "profile", "recovery_code")),
        (mimir.Memory, ("name", "embedder")),
    ):
        assert all(isinstance(inspect.getattr_static(kind, name), property) for name in names)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_the_tree_of_errors(error: type[mimir.MimirError]) -> None:
    """Each error has its place, and a sentence of its own for when nothing more exact is known."""
    assert error.__bases__ == (ERRORS[error],)
    if error not in (mimir.InterruptedBatchError, mimir.CancelledCallError, mimir.MimirError):
        message = str(error())
        assert message.endswith(".")
        assert "\n" not in message
    assert set(ERRORS) == {getattr(mimir, name) for name in NAMES if name.endswith("Error")}


HEAVY = "numpy onnxruntime tokenizers usearch apsw cryptography nacl msgspec typer rich platformdirs mnemonic asyncio"
LOADED = "; import sys; print([name for name in sys.argv[1].split() if name in sys.modules])"


def test_importing_loads_no_library() -> None:
    """`import mimir_vault` loads nothing but itself; a name loads what it needs."""
    assert python(f"import mimir_vault{LOADED}", HEAVY).strip() == "[]"
    light = "LockedError, CancelledCallError, MemoryProtocol, Draft, Node"
    assert python(f"from mimir_vault import {light}{LOADED}", HEAVY).strip() == "[]"
    code = "import sys, mimir_vault; print([m for m in sys.modules if m.startswith('mimir_vault')])"
    assert python(code).strip() == "['mimir_vault']"


def test_the_vault_is_imported_without_the_model_and_the_command_line() -> None:
    """`Vault` needs neither the runtime of the model nor what the terminal needs."""
    code = f"from mimir_vault import Vault{LOADED}"
    assert python(code, "onnxruntime tokenizers typer rich asyncio mimir_vault.testing").strip() == "[]"


EACH_FIRST = """
import importlib, os, sys
import apsw, cryptography, mnemonic, msgspec, nacl, numpy, onnxruntime, platformdirs, rich, tokenizers, typer, usearch
failed = []
for name in sys.argv[1].split():
    child = os.fork()
    if child == 0:
        try:
            importlib.import_module(name)
        except BaseException as error:
            print(name, type(error).__name__, error, flush=True)
        os._exit(0)
    os.waitpid(child, 0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
def test_every_module_can_be_imported_first() -> None:
    """No module needs another one to be imported before it: there are no circles."""
    modules = [
        ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__")
        for path in sorted((SOURCE / "mimir_vault").rglob("*.py"))
    ]
    assert len(modules) > 80
    assert python(EACH_FIRST, " ".join(modules)) == ""


ORDERS = {
    "the graph first": "from mimir_vault.index.graph import Graph; from mimir_vault.embed.registry import bundled",
    "the model first": "from mimir_vault.embed.registry import bundled; bundled().embed(['x']); import usearch.index",
    "numpy and apsw first": "import numpy, apsw; from mimir_vault.embed.registry import bundled",
}


@pytest.mark.parametrize("order", ORDERS)
def test_libraries_get_along_in_any_order(order: str) -> None:
    """Whichever of ours is imported first, model and graph work in one process."""
    code = (
        f"{ORDERS[order]}\nfrom mimir_vault.index.graph import Graph\nprint(bundled().embed(['hello', 'world']).shape)"
    )
    assert python(code).strip() == "(2, 384)"


def test_a_library_imported_in_the_wrong_order_does_not_crash_the_process() -> None:
    """usearch before onnxruntime kills the process when both are loaded so: a sentence says what to import first."""
    code = """
import usearch.index
from mimir_vault.embed.registry import bundled
try:
    bundled().embed(["x"])
except Exception as error:
    print(error)
"""
    assert "before usearch" in python(code)


def test_types_come_with_the_package() -> None:
    """`py.typed` is there, so that type checkers read the annotations."""
    assert (SOURCE / "mimir_vault" / "py.typed").is_file()


def test_the_version_is_that_of_the_project() -> None:
    """One number in both places."""
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert f'version = "{mimir.__version__}"' in project
