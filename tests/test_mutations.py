"""The faults that `make mutants` plants: which ones, where not, and that the list of reviewed ones is of this code."""

from __future__ import annotations

import ast
import importlib.util
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "mimir_vault"
FILES = sorted(path for name in ("crypto", "keyslots") for path in (PACKAGE / name).glob("*.py"))
SAMPLE = '''
"""1 == 2 stands in a docstring."""
LIMIT: Final[1 == 2] = 7

@decorated(True)
def check(left: Literal[3], right: bytes = b"") -> bool:
    if len(left) < 5 and not right:
        raise ValueError(f"{1 == 2} is in a message")
    wipe(left)
    for each in left:
        if each is None:
            continue
    while found(left):
        pass
    return equal(left, right)
'''


@pytest.fixture(scope="module")
def mutations() -> Iterator[ModuleType]:
    """The module `tools/mutations.py`."""
    spec = importlib.util.spec_from_file_location("mutations", ROOT / "tools" / "mutations.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["mutations"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["mutations"]


def planted(module: ModuleType, source: str) -> list[tuple[str, str]]:
    return sorted((mutant.kind, mutant.change) for mutant in module.mutants_of("crypto/sample.py", source.encode()))


def test_every_kind_of_fault_is_planted_once(mutations: ModuleType) -> None:
    """Comparisons, limits, logic, conditions, literals, errors, calls and jumps; nothing in what only people read."""
    both = "len(left) < 5 and not right"

    assert planted(mutations, SAMPLE) == sorted(
        [
            ("comparison", "len(left) < 5 -> len(left) >= 5"),
            ("comparison", "len(left) < 5 -> len(left) <= 5"),
            ("comparison", "each is None -> each is not None"),
            ("comparison", "equal(left, right) -> not equal(left, right)"),
            ("limit", "len(left) < 5 -> len(left) < 6"),
            ("limit", "len(left) < 5 -> len(left) < 4"),
            ("logic", f"{both} -> len(left) < 5 or not right"),
            ("logic", f"{both} -> len(left) < 5"),
            ("logic", f"{both} -> not right"),
            ("condition", f"{both} -> not (len(left) < 5 and (not right))"),
            ("condition", "not right -> right"),
            ("condition", "found(left) -> not found(left)"),
            ("literal", "LIMIT: Final[1 == 2] = 7 -> LIMIT: Final[1 == 2] = 8"),
            ("raise", 'raise ValueError(f"{1 == 2} is in a message") -> pass'),
            ("call", "wipe(left) -> pass"),
            ("jump", "continue -> break"),
        ]
    )


def test_a_chain_of_comparisons_is_flipped_link_by_link(mutations: ModuleType) -> None:
    """Both ends of a range have a fault of their own."""
    assert planted(mutations, "inside = low <= size <= high") == [
        ("comparison", "low <= size <= high -> low < size <= high"),
        ("comparison", "low <= size <= high -> low <= size < high"),
        ("comparison", "low <= size <= high -> low <= size > high"),
        ("comparison", "low <= size <= high -> low > size <= high"),
    ]


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_every_mutant_is_a_program_with_one_change(mutations: ModuleType, file: Path) -> None:
    """It can be parsed, it is another program, its lines stay, and its name is its own."""
    source = file.read_bytes()
    mutants: list[Any] = mutations.mutants_of(f"{file.parent.name}/{file.name}", source)

    for mutant in mutants:
        changed = mutant.planted_in(source)
        assert ast.dump(ast.parse(changed)) != ast.dump(ast.parse(source))
        assert changed.splitlines()[: mutant.line - 1] == source.splitlines()[: mutant.line - 1]
    assert len({mutant.name for mutant in mutants}) == len(mutants)


def test_the_reviewed_mutants_are_of_this_code(mutations: ModuleType) -> None:
    """Whoever changes a line whose mutant was reviewed reviews it again; every one has its reason."""
    tables = tomllib.loads((ROOT / "tools" / "equivalent_mutants.toml").read_text(encoding="utf-8")).get("mutant", [])
    there = {
        mutant.name
        for file in FILES
        for mutant in mutations.mutants_of(f"{file.parent.name}/{file.name}", file.read_bytes())
    }

    names = [f"{table['file']} | {table['function']} | {table['change']}" for table in tables]

    assert [name for name in names if name not in there] == []
    assert len(set(names)) == len(names)
    assert all(table["reason"].endswith(".") for table in tables)
