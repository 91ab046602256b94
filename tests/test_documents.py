"""The documents hold: links lead somewhere, examples run, and what they name is there."""

from __future__ import annotations

import ast
import asyncio
import doctest
import inspect
import re
import subprocess
import sys
import tomllib
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import mimir_vault as mimir
from mimir_vault.testing import HashEmbedder, temporary_vault

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


def name_of(path: Path) -> str:
    """Return the name of a file from the root of the project."""
    return path.relative_to(ROOT).as_posix()


def anchors(path: Path) -> set[str]:
    """Return the anchors of a document's headings, as hosts of repositories make them."""
    headings = re.findall(r"(?m)^#+ (.+)$", path.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_links_lead_somewhere(document: Path) -> None:
    """Every link to a file of the project, and to a heading in it, has its target."""
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", document.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        file, _, anchor = target.partition("#")
        place = document if not file else (document.parent / file).resolve()
        if not place.exists() or (anchor and anchor not in anchors(place)):
            broken.append(target)

    assert broken == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_files_that_are_named_exist(document: Path) -> None:
    """A path of the source tree or the tests in back quotes is one that is there."""
    named = set(
        re.findall(r"`((?:src|tests|tools|benchmarks|requirements|docs)/[\w./-]+)`", document.read_text("utf-8"))
    )

    assert sorted(path for path in named if not (ROOT / path).exists()) == []


@pytest.mark.parametrize("name", ["README.md", "docs/guides/first-steps.md", "docs/guides/backup.md"])
def test_examples_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Python of a document, from top to bottom in one go, does what it says without an error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mimir_vault.surroundings.default_state_folder", lambda: tmp_path / "state")
    monkeypatch.setattr(mimir.Vault, "create", partial(mimir.Vault.create, profile="interactive"))
    names: dict[str, Any] = {"chat": [("Ada", "The train is late again"), ("Bo", "Then take the bus")]}
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / name).read_text(encoding="utf-8"), re.DOTALL)

    for block in blocks:
        if "Vault.open" in block:
            names["vault"].lock()
        exec(compile(block, name, "exec"), names)

    assert blocks


@pytest.mark.parametrize("name", ["scope", "time", "export-and-import"])
def test_outputs_of_guides_are_real(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a session in a guide shows is what comes out, from top to bottom."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mimir_vault.surroundings.default_state_folder", lambda: tmp_path / "state")
    monkeypatch.setattr(mimir.Vault, "create", partial(mimir.Vault.create, profile="interactive"))
    text = (ROOT / "docs" / "guides" / f"{name}.md").read_text(encoding="utf-8")
    session = "\n".join(re.findall(r"```pycon\n(.*?)```", text, re.DOTALL))
    example = doctest.DocTestParser().get_doctest(session, {}, name, f"{name}.md", 0)
    said: list[str] = []

    failed, tried = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example, out=said.append)

    assert not failed, "".join(said)
    assert tried > 10


def test_the_guide_to_testing_is_a_file_of_tests(tmp_path: Path) -> None:
    """Its Python, put together, is what pytest runs; every test in it passes."""
    text = (ROOT / "docs" / "guides" / "testing.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (tmp_path / "test_guide.py").write_text("\n\n".join(blocks), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", "test_guide.py"]

    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)

    assert run.returncode == 0, run.stdout + run.stderr
    assert f"{len(re.findall('(?m)^def test_', text))} passed" in run.stdout


def test_the_way_to_unlock_of_the_guide_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its class and its entry point, installed as they stand there, open a vault; without the stick they say why."""
    text = (ROOT / "docs" / "guides" / "unlocking.md").read_text(encoding="utf-8")
    ((code,), (table,)) = (re.findall(rf"```{kind}\n(.*?)```", text, re.DOTALL) for kind in ("python", "toml"))
    ((group, entries),) = tomllib.loads(table)["project"]["entry-points"].items()
    (about := tmp_path / "stick-1.0.dist-info").mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: stick\nVersion: 1.0\n")
    lines = [f"[{group}]", *(f"{name} = {value}" for name, value in entries.items())]
    (about / "entry_points.txt").write_text("\n".join(lines))
    (tmp_path / "key_on_a_stick.py").write_text(code.replace("/media/stick", str(tmp_path / "stick")))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("mimir_vault.unlocking.terminal_prompt", lambda: None)
    around: dict[str, Any] = {"state_folder": tmp_path / "state", "embedder": HashEmbedder()}
    with temporary_vault(tmp_path) as vault:
        path, vault_id = vault.path, vault.id
        vault.keyslots.add_raw_key(bytes(range(1, 33)), label="stick")

    with pytest.raises(mimir.LockedError, match=r"the vault is locked: .*stick: the stick is not plugged in; "):
        mimir.Vault.open(path, **around)
    (tmp_path / "stick").mkdir()
    (tmp_path / "stick" / f"{vault_id}.key").write_bytes(bytes(range(1, 33)))
    with mimir.Vault.open(path, **around) as vault:
        assert [slot.label for slot in vault.keyslots.list() if slot.current] == ["stick"]


def test_the_examples_of_the_guide_to_asyncio_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From top to bottom in one loop, as if pasted into `python -m asyncio`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mimir_vault.surroundings.default_state_folder", lambda: tmp_path / "state")
    monkeypatch.setattr(mimir.AsyncVault, "create", partial(mimir.AsyncVault.create, profile="interactive"))
    text = (ROOT / "docs" / "guides" / "async.md").read_text(encoding="utf-8")
    names: dict[str, Any] = {}

    async def pasted() -> None:
        for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
            done = eval(compile(block, "async.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names)
            if inspect.iscoroutine(done):
                await done

    asyncio.run(pasted())

    with mimir.Vault.open("ada-vault", passphrase="correct horse battery staple") as vault:
        assert names["seats_of"](vault.space(), "ada") == []
        assert vault.space().refs() == [("trip", "begin"), ("trip", "place"), ("trip", "with")]


def test_every_decision_is_listed() -> None:
    """The list of decisions links to each of them."""
    folder = ROOT / "docs" / "decisions"
    linked = set(re.findall(r"\]\((\d{4}-[\w-]+\.md)\)", (folder / "README.md").read_text(encoding="utf-8")))

    assert linked == {path.name for path in folder.glob("[0-9]*.md")}


def test_the_readme_names_targets_that_exist() -> None:
    """Every `make TARGET` of a document is a target of the Makefile."""
    targets = set(re.findall(r"(?m)^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8")))
    named = {
        target
        for document in DOCUMENTS
        for target in re.findall(r"(?m)(?:`|^)make ([a-z]+)\b", document.read_text(encoding="utf-8"))
    }

    assert {"demo", "test", "check"} <= named <= targets


def test_the_glossary_has_the_words_of_the_public_names() -> None:
    """Every class a user meets, but for the errors, has an entry."""
    text = (ROOT / "docs" / "GLOSSARY.md").read_text(encoding="utf-8").lower()
    words = {"Vault", "Memory", "Draft", "Node", "Link", "Receipt", "Hit", "Lane", "Context"}

    assert words <= set(mimir.__all__)
    assert sorted(word for word in words if f"**{word.lower()}**" not in text) == []
