"""Tests of the command `remember`."""

from __future__ import annotations

import json

import pytest

from cli.command_runs import TURNS, Run


def test_a_text_becomes_a_node_with_its_fields(quick: Run) -> None:
    """Everything said about a text is kept with it."""
    ran = quick(
        "remember", "The roof leaks", "--speaker", "Ada", "--role", "user", "--session", "s9", "--at",
        "2026-05-01T09:00+02:00", "--tag", "house", "--tag", "roof", "--metadata", "city=Oslo", "--metadata",
        '{"n": 1}', "--kind", "fact", "--user", "ada", "--agent", "home", "--json",
    )  # fmt: skip

    assert (ran.code, ran.err) == (0, "")
    node = ran.values[0]
    wanted = {
        "text": "The roof leaks", "speaker": "Ada", "role": "user", "session": "s9", "kind": "fact", "user": "ada",
        "agent": "home", "at": "2026-05-01T09:00:00+02:00", "tags": ["house", "roof"],
        "metadata": {"city": "Oslo", "n": 1},
    }  # fmt: skip
    assert {name: node[name] for name in wanted} == wanted
    assert quick("show", node["id"], "--json").values[0] == node


def test_it_says_what_it_did_unless_told_to_be_quiet(quick: Run) -> None:
    """One line names the new node; --quiet is silent."""
    ran = quick("remember", "The roof leaks")

    assert ran.out.startswith("remembered ")
    assert quick("show", ran.out.split()[1]).code == 0
    assert quick("remember", "The roof leaks", "--quiet").out == ""


def test_standard_input_is_one_text(quick: Run) -> None:
    """With - the whole of standard input is the text, without the last line end."""
    node = quick("remember", "-", "--json", stdin="First line\nzweite Zeile: Grüße\n".encode()).values[0]

    assert node["text"] == "First line\nzweite Zeile: Grüße"


def test_lines_are_nodes(quick: Run) -> None:
    """With --lines every line that is not blank is a node with the fields of the call, in order."""
    ran = quick("remember", "-", "--lines", "--tag", "log", "--json", stdin=b"one\n\n  \ntwo\r\nthree")

    assert [(node["text"], node["tags"]) for node in ran.values] == [
        ("one", ["log"]),
        ("two", ["log"]),
        ("three", ["log"]),
    ]
    assert quick("remember", "-", "--lines", stdin=b"four\n").out == "remembered 1 line\n"
    assert quick("remember", "-", "--lines", stdin=b"").out == "remembered 0 lines\n"


def test_lines_before_a_bad_one_are_kept(quick: Run) -> None:
    """A bad line ends it; the error names the line and what is stored."""
    big = b"x" * (1 << 16)
    ran = quick("remember", "-", "--lines", stdin=b"good\n" * 10 + big + b"\nb\0d\n")

    assert ran.code == 2
    assert "line 12: text holds a NUL character" in ran.err
    count = len(quick("list", "--json").values) - len(TURNS)
    assert f"{count} lines before it are remembered" in ran.err


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["remember"], "Missing"),
        (["remember", "a", "b"], "unexpected extra argument"),
        (["remember", "a", "--nonsense"], "No such option"),
        (["remember", ""], "the text is empty"),
        (["remember", "   "], "the text is empty"),
        (["remember", "a\udcffb"], "lone surrogate"),
        (["remember", "a", "--at", "yesterday"], "is no date"),
        (["remember", "a", "--at", "2026-02-30T09:00"], "is no date"),
        (["remember", "a", "--metadata", '{"x": NaN}'], "NaN"),
        (["remember", "a", "--metadata", "x"], "neither KEY=VALUE"),
        (["remember", "a", "--speaker", ""], "speaker is empty"),
        (["remember", "a", "--speaker", "x" * 300], "speaker has 300 characters"),
        (["remember", "a", "--lines"], "give - in place of the text"),
        (["remember", "x" * (1 << 20) + "x"], "the most is 1,048,576"),
    ],
)
def test_bad_input_gets_one_sentence(quick: Run, arguments: list[str], why: str) -> None:
    """Nonsense is refused with code 2 and one line, and nothing is stored."""
    ran = quick(*arguments)

    assert ran.code == 2
    assert why in ran.err
    assert ran.err.startswith("mimir: ")
    assert ran.err.count("\n") == 1
    assert ran.out == ""
    assert len(quick("list", "--json").values) == len(TURNS)


@pytest.mark.parametrize(
    ("stdin", "why"),
    [
        (b"", "the text is empty"),
        (b"a\0b", "NUL"),
        (b"\xff\xfe", "no UTF-8"),
        (b"a" * 10_000_000, "more than 1,048,576 bytes"),
    ],
)
def test_bad_standard_input_gets_one_sentence(quick: Run, stdin: bytes, why: str) -> None:
    """Ten megabytes, binary files and nothing at all are refused alike."""
    ran = quick("remember", "-", stdin=stdin)

    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert why in ran.err
    assert len(quick("list", "--json").values) == len(TURNS)


def test_a_line_without_end_is_refused(quick: Run) -> None:
    """Ten megabytes in one line fill no memory and are refused."""
    ran = quick("remember", "-", "--lines", stdin=b"a" * 10_000_000)

    assert ran.code == 2
    assert "longer than 1,048,576 bytes" in ran.err


def test_errors_are_json_when_asked_for(quick: Run) -> None:
    """With --json an error is one object on standard error, also when the command line itself is wrong."""
    for arguments in (["remember", "", "--json"], ["--json", "remember"], ["list", "--json", "--nonsense"]):
        ran = quick(*arguments)
        error = json.loads(ran.err)
        assert (ran.code, ran.out, error["exit_code"]) == (2, "", 2)
        assert error["message"]
