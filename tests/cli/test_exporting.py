"""Tests of the command `export` on a real vault."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cli.command_runs import TURNS, Run

PLAIN = "is not encrypted: whoever can read it can read these memories\n"


def test_a_file_holds_all_nodes(quick: Run, tmp_path: Path) -> None:
    """As `list --json` shows them; a sentence on standard error says that it is in clear."""
    place = tmp_path / "out.jsonl"

    ran = quick("export", str(place))

    assert (ran.code, ran.out) == (0, f"exported 5 nodes to {place}\n")
    assert ran.err == f"mimir: warning: what was written to {place} {PLAIN}"
    assert [json.loads(line) for line in place.read_text().splitlines()] == quick("list", "--json").values
    assert quick("export", str(place), "--force", "--json", "--quiet").values == [{"file": str(place), "nodes": 5}]


def test_standard_output_has_the_export_alone(quick: Run) -> None:
    """Restricted by filters, and to whom the options say."""
    ran = quick("export", "-", "--speaker", "Ada", "--session", "s2")

    assert [value["text"] for value in ran.values] == [text for who, _, session, _, text in TURNS
                                                       if (who, session) == ("Ada", "s2")]  # fmt: skip
    assert ran.err.endswith(PLAIN)
    assert quick("export", "-", "--quiet", "--user", "nobody").err == ""
    assert quick("export", "-", "--user", "nobody").out == ""
    assert quick("export", "-", "--under", "a/b", "--where", '{"tags": {"contains": "user"}}').out == ""
    assert len(quick("export", "-", "--role", "user", "--kind", "turn", "--tag", "user").values) == 3


def test_markdown_for_people(quick: Run) -> None:
    """With headings, and control characters spelled out."""
    quick("remember", "a\x1b[31mb", "--session", "s3")

    ran = quick("export", "-", "--format", "markdown", "--session", "s3")

    assert ran.out.startswith("# Export of the space main\n\n## Session s3\n")
    assert ran.out.endswith("> a\\x1b[31mb\n")


def test_an_export_can_be_imported(quick: Run, tmp_path: Path) -> None:
    """Into another space, by a pipe; and where it came from it changes nothing."""
    export = quick("export", "-").out.encode()
    quick("space", "create", "other")

    assert quick("import", "-", stdin=export).out.startswith("0 nodes stored, 5 there already")
    assert quick("import", "-", "--space", "other", stdin=export).out.startswith("5 nodes stored, 0 there already")
    assert [value["text"] for value in quick("list", "--space", "other", "--json").values] == [one[4] for one in TURNS]


@pytest.mark.parametrize(
    ("arguments", "code", "why"),
    [
        (["-", "--format", "xml"], 2, "format is one of jsonl, markdown"),
        (["nowhere/out.jsonl"], 4, "there is no folder nowhere"),
        (["."], 1, "there is something at . already"),
        (["-", "--under", "/"], 2, "--under is empty"),
        ([], 2, "Missing"),
    ],
)
def test_bad_calls_get_one_sentence(quick: Run, arguments: list[str], code: int, why: str) -> None:
    """What cannot be written is told, and nothing is on standard output."""
    ran = quick("export", *arguments)

    assert (ran.code, ran.out, ran.err.count("\n")) == (code, "", 1)
    assert why in ran.err
