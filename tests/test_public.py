"""The public face: names, signatures and fields are those of docs/API.md, and importing costs next to nothing."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import mimir_vault as mimir
from mimir_vault import testing
from mimir_vault.cli import commands
from mimir_vault.cli.exit_codes import MEANINGS
from mimir_vault.key_slots import KeySlots

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src"

PAGE = (ROOT / "docs" / "API.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"(?ms)^## ([^\n]+)\n(.*?)(?=^## |\Z)", PAGE))
"""The parts of the page by their headings."""
INTERNAL = {"memory_that_owns", "open_unlocked"}
"""Methods of Vault that callers do not use."""
CLASSES: dict[str, type] = {"Vault": mimir.Vault, "KeySlots": KeySlots, "Memory": mimir.Memory}
"""Whose verbs and properties the page lists."""


def entries(section: str) -> dict[str, str]:
    """Return what the code blocks of a section list: names, and what stands behind them, without remarks."""
    blocks = re.findall(r"(?ms)^```(?:python)?\n(.*?)^```", SECTIONS[section])
    lines = [line.partition("  # ")[0] for block in blocks for line in block.splitlines() if not line.startswith("#")]
    found = dict(re.match(r"([\w.]+)(.*)", line).groups() for line in lines)  # type: ignore[union-attr]
    assert len(found) == len(lines), section
    return found


def tree_of_errors() -> dict[str, str]:
    """Return the errors of the page with the one that each is a kind of."""
    above: dict[int, str] = {}
    found: dict[str, str] = {}
    for name in re.finditer(r"(?m)^([│├└─ ]*)(\w+Error)\b", SECTIONS["Errors"].partition("```\n")[2]):
        depth = len(name[1]) // 4
        above[depth] = name[2]
        found[name[2]] = above[depth - 1] if depth else "Exception"
    return found


VALUES = entries("Values")
ERRORS = tree_of_errors()
NAMES = (
    {name for name in entries("mimir_vault") if name != "import"}
    | {word for heading in SECTIONS for word in heading.split() if word[0].isupper() and word in dir(mimir)}
    | {name for name in VALUES if "." not in name}
    | {name for name in re.findall(r"`(\w+)`", PAGE) if name in ("Hits", "MemoryProtocol")}
    | set(ERRORS)
)
"""All public names that the page knows."""


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
    """`__all__` has the names of the page; each name can be imported, and `dir` shows just these."""
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
    """Return the signature of a function as the page has it: as `inspect` writes it, without the types of arguments."""
    signature = inspect.signature(function)
    parameters = [
        one.replace(annotation=one.empty) for name, one in signature.parameters.items() if name not in ("self", "cls")
    ]
    plain = str(signature.replace(parameters=parameters, return_annotation=signature.empty))
    return f"{plain} -> {signature.return_annotation}".replace(repr(os.urandom), "os.urandom")


@pytest.mark.parametrize("name", CLASSES)
def test_the_page_lists_what_a_class_has(name: str, vault: mimir.Vault) -> None:
    """Every verb with its exact signature (names, order, what is keyword-only, defaults, result), every property, and
    nothing else: each is a promise."""
    kind, listed = CLASSES[name], entries(name)
    thing = {"Vault": vault, "KeySlots": vault.keyslots, "Memory": vault.space()}[name]
    public = {one for one in dir(thing) if not one.startswith("_")} - INTERNAL
    assert set(listed) == public
    for one, said in listed.items():
        member = inspect.getattr_static(kind, one, None)
        if isinstance(member, property):
            assert said == f": {inspect.signature(member.fget).return_annotation}", one  # type: ignore[arg-type]
        elif member is None:
            assert said == f": {type(getattr(thing, one)).__name__.removeprefix('Posix')}", one
        else:
            assert said == written(getattr(kind, one)), one


@pytest.mark.parametrize("section", ["mimir_vault", "mimir_vault.testing"])
def test_the_page_lists_what_a_module_has(section: str) -> None:
    """Functions and classes with their signatures, other names with their types."""
    module = importlib.import_module(section)
    for name, said in entries(section).items():
        thing = getattr(module, name)
        assert said == (written(thing) if callable(thing) else f": {type(thing).__name__}"), name
    if section == "mimir_vault.testing":
        assert set(entries(section)) == set(testing.__all__)


def test_a_memory_protocol_has_the_verbs_of_a_memory() -> None:
    """All that the page lists of `Memory` but for the vault behind it; asyncio's are compared in the contract."""
    verbs = {name for name in dir(mimir.MemoryProtocol) if not name.startswith("_")}
    assert verbs == set(entries("Memory")) - {"vault", "embedder"}  # That one is for type checkers alone.
    for name in verbs - {"name", "view", "transaction"}:
        ours, theirs = getattr(mimir.MemoryProtocol, name), getattr(mimir.Memory, name)
        assert list(inspect.signature(ours).parameters) == list(inspect.signature(theirs).parameters), name


@pytest.mark.parametrize("name", VALUES)
def test_fields_are_those_of_the_page(name: str) -> None:
    """Values have these fields in this order, cannot be changed, and carry no more."""
    module, _, kind_name = name.rpartition(".")
    kind = getattr(importlib.import_module(module or "mimir_vault"), kind_name)
    assert ", ".join(field.name for field in dataclasses.fields(kind)) == VALUES[name].removeprefix(": ")
    assert kind.__dataclass_params__.frozen
    assert not hasattr(object.__new__(kind), "__dict__")


def test_a_hit_forwards_the_fields_of_its_node() -> None:
    """id, text, at, metadata and speaker."""
    names = ("id", "text", "at", "metadata", "speaker")
    assert all(isinstance(inspect.getattr_static(mimir.Hit, name), property) for name in names)
    assert f"it forwards {', '.join(names[:-1])} and {names[-1]}" in SECTIONS["Values"]


def test_the_commands_and_exit_codes_are_those_of_the_page() -> None:
    """Every command, those of groups too, and the table of codes."""

    def below(command: Any, path: str) -> list[str]:
        inner = getattr(command, "commands", None)
        return [path] if not inner else [one for name in inner for one in below(inner[name], f"{path} {name}")]

    listed = re.findall(r"(?m)^mimir (.+)$", SECTIONS["The command line"])
    assert listed == [one for name in commands.BUILT_IN for one in below(commands.load(name), name)]
    rows = re.findall(r"(?m)^\| (\d+) \| (.+) \|$", SECTIONS["The command line"])
    assert {int(code): meaning for code, meaning in rows} == MEANINGS


@pytest.mark.parametrize("name", ERRORS)
def test_the_tree_of_errors(name: str) -> None:
    """Each error has its place, and a sentence of its own for when nothing more exact is known."""
    error = getattr(mimir, name)
    assert [base.__name__ for base in error.__bases__] == [ERRORS[name]]
    if name not in ("InterruptedBatchError", "CancelledCallError", "MimirError"):
        message = str(error())
        assert message.endswith(".")
        assert "\n" not in message


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
