"""The rules of this code base, as a test: change one here, in the open, or keep it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "mimir_vault"
FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60
LINE_CHARACTERS_MAX = 120
PRAGMA = re.compile(r"\s+# (?:type: ignore|noqa|fmt:)[^#]*$")
"""What is said to a tool at the end of a line has no other place, and does not count."""
VAGUE_NAMES = {"util", "utils", "helper", "helpers", "manager", "managers", "common", "misc"}
LEFTOVERS = ("FIX" + "ME", "TO" + "DO", "X" * 3)
PRINTING_PLACES = ("src/mimir_vault/cli/", "benchmarks/", "tools/", "tests/vectors/generate.py")
WALL_CLOCKS = {
    "time.time", "time.time_ns", "time.localtime", "time.gmtime",
    "datetime.now", "datetime.utcnow", "datetime.today", "date.today",
}  # fmt: skip
TEXT_FILES = {".py", ".md", ".txt", ".toml", ".json", ".jsonl", ".cfg", ".ini", ".yml", ".yaml", ".sh", ""}
MACHINE_PATHS = re.compile(r"(?<![\w.~/-])/(?:work|root|home/\w+|Users/\w+|opt/pypi)/")
REGISTRY_HOSTS = re.compile("|".join(("py" + r"pi\.org", "python" + r"hosted\.org", r"files\.python", "/simp" + "le/")))
ADDRESSES = re.compile(r"https?:|file:|--(?:extra-)?index-url|--find-links|--trusted-host")
NO_CIPHER = re.compile(
    r"(?i)\b(?:null|none|no|plain|identity|clear|un(?:encrypted|sealed))_?(?:text)?_?"
    r"(?:cipher|crypto|encryption|pages|sealer|envelope|suite)s?\b|\bunencrypted\b|\bcipher\W+none\b"
)


def python_files() -> list[Path]:
    """Return every Python file of the project."""
    return [
        path for folder in ("src", "tests", "tools", "benchmarks") for path in sorted((ROOT / folder).rglob("*.py"))
    ]


def project_files() -> Iterator[tuple[str, str]]:
    """Yield (name, text) of every text file that belongs to the project."""
    folders = [ROOT / name for name in ("src", "tests", "tools", "benchmarks", "docs", "requirements", ".ci")]
    paths = [path for folder in folders for path in sorted(folder.rglob("*"))] + sorted(ROOT.glob("[!.]*"))
    for path in [*paths, ROOT / ".importlinter", ROOT / ".gitignore"]:
        built = "__pycache__" in path.parts or any(part.endswith(".egg-info") for part in path.parts)
        if path.is_file() and path.suffix in TEXT_FILES and not built and path != Path(__file__).resolve():
            yield name_of(path), path.read_text(encoding="utf-8", errors="ignore")


def name_of(path: Path) -> str:
    """Return the name of a file from the root of the project."""
    return path.relative_to(ROOT).as_posix()


def dotted(node: ast.AST) -> str:
    """Return `a.b` for an attribute of a name, as far as it goes from the right; "" for anything else."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value).split('.')[-1]}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def calls(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Yield (dotted name, line) of every call."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield dotted(node.func), node.lineno


def imported(tree: ast.AST) -> set[str]:
    """Return the modules that a file imports."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            found.add(node.module)
    return found


@pytest.fixture(scope="module")
def trees() -> dict[Path, ast.Module]:
    """Every Python file, parsed once."""
    return {path: ast.parse(path.read_bytes(), str(path)) for path in python_files()}


def test_there_is_something_to_look_at(trees: dict[Path, ast.Module]) -> None:
    """The tests below would pass over an empty list."""
    assert len(trees) > 100


def test_files_say_what_they_are_for(trees: dict[Path, ast.Module]) -> None:
    """Every file begins with a docstring."""
    silent = [name_of(path) for path, tree in trees.items() if not (ast.get_docstring(tree) or "").strip()]

    assert silent == []


def test_files_are_short() -> None:
    """One file, one job."""
    lengths = {name_of(path): len(path.read_bytes().splitlines()) for path in python_files()}

    assert {name: length for name, length in lengths.items() if length > FILE_LINES_MAX} == {}


def test_functions_fit_a_screen(trees: dict[Path, ast.Module]) -> None:
    """A function can be seen at once, its docstring included."""
    long = [
        f"{name_of(path)}:{node.lineno} {node.name}"
        for path, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and (node.end_lineno or 0) - node.lineno + 1 > FUNCTION_LINES_MAX
    ]

    assert long == []


def test_lines_are_short() -> None:
    """Lines fit beside one another on a screen."""
    long = [
        f"{name_of(path)}:{number}"
        for path in python_files()
        for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1)
        if len(PRAGMA.sub("", line)) > LINE_CHARACTERS_MAX
    ]

    assert long == []


def test_modules_are_named_by_what_they_do() -> None:
    """No module is a drawer for what has no place."""
    vague = [
        name_of(path)
        for path in python_files()
        if VAGUE_NAMES & set(path.stem.removeprefix("test_").split("_")) or path.parent.name in VAGUE_NAMES
    ]

    assert vague == []


def test_nothing_is_left_for_later() -> None:
    """What is not done is an open task, not a comment."""
    left = [
        f"{name}:{number}"
        for name, text in project_files()
        if name.endswith((".py", ".md", ".toml"))
        for number, line in enumerate(text.splitlines(), 1)
        if re.search(rf"\b(?:{'|'.join(LEFTOVERS)})\b", line)
    ]

    assert left == []


def test_only_rooms_and_tools_print(trees: dict[Path, ast.Module]) -> None:
    """A library never writes on its caller's terminal."""
    printing = [
        f"{name_of(path)}:{line}"
        for path, tree in trees.items()
        if not name_of(path).startswith(PRINTING_PLACES)
        for name, line in calls(tree)
        if name == "print"
    ]

    assert printing == []


def test_keys_come_from_the_system(trees: dict[Path, ast.Module]) -> None:
    """The module `random` is for games."""
    playing = [
        name_of(path)
        for path, tree in trees.items()
        if SOURCE in path.parents and {"random", "numpy.random"} & imported(tree)
    ]

    assert playing == []


def test_the_time_is_handed_in(trees: dict[Path, ast.Module]) -> None:
    """One file reads the wall clock; everything else is given a clock."""
    reading = [
        f"{name_of(path)}:{line} {name}"
        for path, tree in trees.items()
        if SOURCE in path.parents and name_of(path) != "src/mimir_vault/model/clock.py"
        for name, line in calls(tree)
        if name in WALL_CLOCKS
    ]

    assert reading == []


def test_no_source_can_be_told_not_to_encrypt() -> None:
    """There is no "none" algorithm in the package; what measures the cost of sealing lies in benchmarks/."""
    found = [
        f"{name}:{number} {match.group()}"
        for name, text in project_files()
        if name.startswith("src/") and name.endswith(".py")
        for number, line in enumerate(text.splitlines(), 1)
        for match in NO_CIPHER.finditer(line)
    ]

    assert found == []


@pytest.mark.parametrize(
    ("pattern", "planted"),
    [
        (NO_CIPHER, "class PlainCipher:"),
        (NO_CIPHER, "class NullPages(PageCipher):"),
        (NO_CIPHER, "def no_encryption() -> None:"),
        (NO_CIPHER, 'connection.pragma("cipher", "none")'),
        (MACHINE_PATHS, "see " + "/wo" + "rk/data for it"),
        (MACHINE_PATHS, '"/ho' + 'me/ada/vault"'),
        (REGISTRY_HOSTS, "https://py" + "pi.org/simple"),
        (ADDRESSES, "--index-url somewhere"),
    ],
)
def test_the_patterns_find_what_they_are_for(pattern: re.Pattern[str], planted: str) -> None:
    """A rule that finds nothing anywhere would not be noticed otherwise."""
    assert pattern.search(planted)


@pytest.mark.parametrize("pattern", [MACHINE_PATHS, REGISTRY_HOSTS], ids=["machine paths", "registry hosts"])
def test_nothing_points_to_one_machine(pattern: re.Pattern[str]) -> None:
    """No file names a place that others do not have, or where packages must come from."""
    found = [
        f"{name}:{number} {match.group()}"
        for name, text in project_files()
        for number, line in enumerate(text.splitlines(), 1)
        for match in pattern.finditer(line)
    ]

    assert found == []


def test_lock_files_pin_everything_and_name_no_address() -> None:
    """Each package has one version and its hashes; where it comes from is the business of whoever installs it."""
    for path in sorted((ROOT / "requirements").glob("*.txt")):
        text = path.read_text(encoding="utf-8")
        pins = re.findall(r"(?m)^([a-z0-9.-]+==\S+)[^\n]*\\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", text)
        loose = [line for line in text.splitlines() if line and not line.startswith((" ", "#")) and "==" not in line]

        assert not ADDRESSES.search(text), path.name
        assert loose == [], path.name
        assert len(pins) == len(re.findall(r"(?m)^[^\s#]", text)) > 0, path.name
    run, development = (
        set(re.findall(r"(?m)^\S+==\S+", (ROOT / "requirements" / name).read_text(encoding="utf-8")))
        for name in ("run.txt", "dev.txt")
    )
    assert run <= development
