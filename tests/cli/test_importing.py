"""Tests of the command `import` on a real vault."""

from __future__ import annotations

import json
import os
import shlex
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from cli.command_runs import TURNS, Run
from mimir_vault.cli import import_file
from mimir_vault.interchange import importing


def jsonl(path: Path, *objects: dict[str, Any]) -> str:
    """Write objects as JSON Lines and return the file's name."""
    path.write_text("".join(json.dumps(one) + "\n" for one in objects), encoding="utf-8")
    return str(path)


LINES = tuple({"text": f"Line number {number}", "session": "log", "speaker": "Ada"} for number in range(1, 31))


def imported(quick: Run) -> list[dict[str, Any]]:
    """Return the nodes that came by imports, oldest first."""
    return [node for node in quick("list", "--json").values if "import_id" in node["metadata"]]


def test_all_lines_become_nodes_in_order(quick: Run, tmp_path: Path) -> None:
    """Every line is a node with its fields; the session's turns follow one another; the report says how many."""
    file = jsonl(tmp_path / "lines", *LINES)

    report = quick("import", file, "--json").values[0]

    nodes = imported(quick)
    assert (report["stored"], report["there"], report["bad"]) == (30, 0, 0)
    assert [node["text"] for node in nodes] == [line["text"] for line in LINES]
    assert {node["metadata"]["import_id"] for node in nodes} == {report["import_id"]}
    assert [link["target"] for link in nodes[1]["links"]] == [nodes[0]["id"]]


def test_the_same_file_imported_again_stores_nothing(quick: Run, tmp_path: Path) -> None:
    """Neither under its name, nor under another, nor from standard input."""
    file = jsonl(tmp_path / "lines", *LINES)
    assert quick("import", file).out.startswith("30 nodes stored, 0 there already; import id ")
    copy = jsonl(tmp_path / "copy", *LINES)

    for ran in (quick("import", file), quick("import", copy), quick("import", "-", stdin=Path(file).read_bytes())):
        assert ran.out.startswith("0 nodes stored, 30 there already")
    assert len(imported(quick)) == 30


def test_an_interrupted_import_goes_on(quick: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C ends with code 130 and says what was done; the same import then stores the rest."""
    monkeypatch.setattr(importing, "BATCH_LINES", 10)
    file = jsonl(tmp_path / "lines", *LINES)
    really = importing.store_all
    calls = []

    def interrupted(*given: Any, **named: Any) -> Any:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return really(*given, **named)

    monkeypatch.setattr(importing, "store_all", interrupted)
    ran = quick("import", file)

    assert (ran.code, ran.out) == (130, "")
    assert ran.err == "mimir: interrupted; 20 nodes stored, 0 there already, and the same import goes on from there\n"
    assert quick("import", file).out.startswith("10 nodes stored, 20 there already")
    assert [node["text"] for node in imported(quick)] == [line["text"] for line in LINES]


def test_a_growing_file_under_a_name(quick: Run, tmp_path: Path) -> None:
    """A file may grow: only what is new is stored; a name undoes it all, by the very line that was printed."""
    assert quick("import", jsonl(tmp_path / "a", *LINES[:10]), "--import-id", "log").code == 0

    ran = quick("import", jsonl(tmp_path / "a", *LINES), "--import-id", "log")

    done, undo = ran.out.splitlines()
    assert done == "20 nodes stored, 10 there already; import id log"
    assert undo.startswith("to undo it: mimir forget --where ")
    assert quick(*shlex.split(undo)[4:], "--yes").code == 0
    assert len(quick("list", "--json").values) == len(TURNS)


def test_a_broken_line_is_named(quick: Run, tmp_path: Path) -> None:
    """The first bad line ends it with code 2, its number and what was stored before it; mended, it goes on."""
    path = tmp_path / "lines"
    path.write_bytes(b'{"text": "one"}\n{"text": "two"}\n{"text": "three"\n{"text": "four"}\n')

    ran = quick("import", str(path), "--import-id", "x")

    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert "line 3: it is no JSON" in ran.err
    assert "2 nodes stored" in ran.err
    path.write_bytes(path.read_bytes().replace(b'"three"', b'"three"}'))
    assert quick("import", str(path), "--import-id", "x").out.startswith("2 nodes stored, 2 there already")


def test_bad_lines_may_be_skipped(quick: Run, tmp_path: Path) -> None:
    """With --skip-bad all good lines are stored, and the bad ones are listed with their reasons."""
    path = tmp_path / "lines"
    path.write_bytes(b'{"text": "one"}\nnonsense\n{"text": "two", "colour": "red"}\n{"text": "three"}\n')

    ran = quick("import", str(path), "--skip-bad")

    assert ran.code == 0
    assert ran.out.startswith("2 nodes stored")
    assert "warning: line 2: it is no JSON" in ran.err
    assert "warning: line 3: the field 'colour' is not known" in ran.err
    again = quick("import", str(path), "--skip-bad", "--json").values[0]
    assert (again["stored"], again["there"], again["bad"]) == (0, 2, 2)
    assert [bad["line"] for bad in again["bad_lines"]] == [2, 3]


def test_other_names_for_fields(quick: Run, tmp_path: Path) -> None:
    """--map renames, --ignore leaves out, --local-time reads naive dates, --user fills in."""
    file = jsonl(tmp_path / "lines", {"content": "Hello", "who": "Ada", "id": 3, "when": "2026-05-01T09:00", "n": 1})
    options = ["--map", "text=content", "--map", "speaker=who", "--map", "at=when", "--map", "metadata.n=n"]

    assert quick("import", file, *options).code == 2
    assert "names no time zone" in quick("import", file, *options, "--ignore", "id").err
    assert quick("import", file, *options, "--ignore", "id", "--local-time", "--user", "ada").code == 0

    node = imported(quick)[0]
    assert (node["text"], node["speaker"], node["user"], node["metadata"]["n"]) == ("Hello", "Ada", "ada", 1)


def test_what_could_not_be_kept_is_told(quick: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Expired lines, links that lead nowhere, vectors of another model, and how many more bad lines there are."""
    monkeypatch.setattr(importing, "BAD_SHOWN_MAX", 1)
    foreign = [{"model": "another", "dimension": 1, "float32": "AACAPw=="}]
    file = jsonl(
        tmp_path / "lines", {"text": "gone", "expires_at": "2020-01-01T00:00Z"}, {"x": 1}, {"x": 2},
        {"text": "linked", "links": [{"kind": "about", "target": "0" * 64}]},
        {"id": "1" * 64, "text": "with a vector", "vectors": foreign},
    )  # fmt: skip

    ran = quick("import", file, "--skip-bad")

    assert (ran.code, ran.out.splitlines()[0][:31]) == (0, "2 nodes stored, 0 there already")
    warned = [line.removeprefix("mimir: warning: ").split("; ")[0] for line in ran.err.splitlines()]
    assert warned == [
        "left out: 1 line that had expired", "left out: 1 link to nodes that are neither in the file nor here",
        "embedded anew: 1 node with vectors of another model", "line 2: the field 'x' is not known",
        "and 1 more bad lines",
    ]  # fmt: skip


@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="this platform has no /dev/fd")
def test_a_pipe_is_counted_by_lines(quick: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody knows how much is to come, the bar has the lines."""
    told: list[tuple[int, ...]] = []
    monkeypatch.setattr(import_file, "progress_bar", lambda *_: nullcontext(lambda *call: told.append(call)))
    read, write = os.pipe()
    os.write(write, b'{"text": "a"}\n{"text": "b"}\n')
    os.close(write)

    assert quick("import", f"/dev/fd/{read}").code == 0

    os.close(read)
    assert told[-1] == (2, 0, 2)


@pytest.mark.parametrize(
    ("arguments", "code", "why"),
    [
        (["nowhere.jsonl"], 4, "there is no file nowhere.jsonl"),
        (["/"], 1, "directory"),
        (["-", "--map", "text=a", "--map", "text=b"], 2, "--map names 'text' twice"),
        (["-", "--map", "x"], 2, "is not FIELD=NAME"),
        (["-", "--import-id", ""], 2, "--import-id is empty"),
        ([], 2, "Missing"),
    ],
)
def test_bad_calls_get_one_sentence(quick: Run, arguments: list[str], code: int, why: str) -> None:
    """What cannot be read is told before anything is stored."""
    ran = quick("import", *arguments)

    assert (ran.code, ran.out, ran.err.count("\n")) == (code, "", 1)
    assert why in ran.err


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf"])
def test_empty_files_are_no_error(quick: Run, content: bytes) -> None:
    """Nothing in, nothing stored."""
    ran = quick("import", "-", stdin=content)
    assert (ran.code, ran.out.split(";")[0]) == (0, "0 nodes stored, 0 there already")
