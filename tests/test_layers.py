"""The layers hold, and the contracts in `.importlinter` would notice if they did not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

PLANTED = {
    "index knows storage": ("index/exact.py", "from mimir_vault.store import nodes"),
    "index knows keys": ("index/sketch.py", "from mimir_vault.crypto import envelope"),
    "embed knows storage": ("embed/windows.py", "import apsw"),
    "recall knows its neighbour": ("recall/fusion.py", "from mimir_vault.index import exact"),
    "recall knows keys": ("recall/terms.py", "from mimir_vault.keyslots import unlock"),
    "store knows its neighbour": ("store/nodes.py", "from mimir_vault.keyslots import header"),
    "store calls a crypto library": ("store/nodes.py", "from cryptography.hazmat.primitives import hashes"),
    "a joining module calls a crypto library": ("vault.py", "import nacl.bindings"),
    "crypto knows storage": ("crypto/wrap.py", "from mimir_vault.store import database"),
    "crypto and model are strangers": ("crypto/keys.py", "from mimir_vault.model import clock"),
    "keys need a large library": ("keyslots/slot.py", "import numpy"),
    "ONNX Runtime is imported past the place that silences it": ("embed/minilm.py", "import onnxruntime"),
    "a joining module cuts tokens": ("findable.py", "import tokenizers"),
    "a value knows the memory": ("model/hit.py", "from mimir_vault import memory"),
    "the core knows a room": ("memory.py", "from mimir_vault.cli import output"),
    "the core prints": ("status.py", "import rich"),
    "memories of one level know each other": ("recalling.py", "from mimir_vault import remembering"),
    "an annotation is an import too": (
        "index/planner.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from mimir_vault.store import space",
    ),
    "a module inside takes the front door": ("store/feed.py", "import mimir_vault"),
    "a module without a layer": ("drawer.py", ""),
    "a room without a layer": ("peers/__init__.py", ""),
}
"""What is planted -> where, and the line."""


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the source tree and its contracts."""
    folder = tmp_path_factory.mktemp("clean")
    wanted = shutil.ignore_patterns("__pycache__", "assets", "*.egg-info")
    shutil.copytree(ROOT / "src" / "mimir_vault", folder / "src" / "mimir_vault", ignore=wanted)
    shutil.copy(ROOT / ".importlinter", folder)
    return folder


@pytest.fixture
def tree(clean: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    shutil.copytree(clean, tmp_path / "tree")
    return tmp_path / "tree"


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run Python over a copy of the source tree, without writing anything beside it."""
    environment = os.environ | {"PYTHONPATH": str(folder / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the linter over a copy of the source tree."""
    return run(folder, "-c", "from importlinter.cli import lint_imports_command as run; run()", "--no-cache")


def test_imports_point_down(clean: Path) -> None:
    """Every contract holds."""
    result = lint(clean)

    assert result.returncode == 0, result.stdout + result.stderr
    assert " 0 broken" in result.stdout


@pytest.mark.parametrize("planted", PLANTED)
def test_a_planted_violation_is_found(tree: Path, planted: str) -> None:
    """One wrong import, or one module without a place, breaks the check."""
    name, line = PLANTED[planted]
    file = tree / "src" / "mimir_vault" / name
    file.parent.mkdir(exist_ok=True)
    file.write_text((file.read_text(encoding="utf-8") if file.exists() else "") + f"\n{line}\n", encoding="utf-8")

    result = lint(tree)

    assert result.returncode == 1, result.stdout + result.stderr
    assert " 0 broken" not in result.stdout
    assert "BROKEN" in result.stdout


def test_the_command_line_can_be_deleted(tree: Path) -> None:
    """Without the room's folder the contracts hold and everything else can be imported."""
    shutil.rmtree(tree / "src" / "mimir_vault" / "cli")

    result = lint(tree)
    smoke = run(
        tree,
        "-c",
        "import mimir_vault as mimir\n"
        "for name in mimir.__all__: getattr(mimir, name)\n"
        "import sys; assert not any(name.startswith('mimir_vault.cli') for name in sys.modules)\n"
        "print(mimir.__file__)",
    )

    assert result.returncode == 0, result.stdout + result.stderr
    assert smoke.returncode == 0, smoke.stderr
    assert smoke.stdout.startswith(str(tree))


def test_the_front_door_loads_nothing_large(clean: Path) -> None:
    """`import mimir_vault` brings in no library and no other module of the package."""
    result = run(
        clean,
        "-c",
        "import sys, mimir_vault\n"
        "large = {'apsw', 'cryptography', 'nacl', 'numpy', 'onnxruntime', 'rich', 'tokenizers', 'typer', 'usearch'}\n"
        "print(sorted(large & set(sys.modules)), [name for name in sys.modules if name.startswith('mimir_vault.')])",
    )

    assert result.stdout == "[] []\n", result.stderr
