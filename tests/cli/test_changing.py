"""Tests of the commands `supersede`, `hide` and `keep`, and of refs, views and grace on the command line."""

from __future__ import annotations

import pytest

from cli.command_runs import TURNS, Run


def texts(quick: Run, *options: str) -> list[str]:
    """Return the texts that `list` shows."""
    return [node["text"] for node in quick("list", "--json", *options).values]


def id_of(quick: Run, place: int = 0) -> str:
    """Return the id of a turn."""
    return str(quick("list", "--json").values[place]["id"])


def test_supersede_replaces_the_text_and_keeps_the_rest(quick: Run) -> None:
    """Speaker, session and tags are carried over, the history shows both."""
    old = id_of(quick)
    node = quick("supersede", old[:8], "I prefer the aisle now", "--json").values[0]
    assert (node["text"], node["speaker"], node["session"], node["tags"]) == (
        "I prefer the aisle now", "Ada", "s1", ["user"],
    )  # fmt: skip
    assert [one["text"] for one in quick("history", node["id"], "--json").values] == [node["text"], TURNS[0][4]]
    assert quick("supersede", old, "Once more").out.endswith(f"supersedes {old[:12]}\n")


def test_supersede_without_a_text_changes_fields_alone(quick: Run) -> None:
    """Tags, metadata, pin and expiry; the text stays. Nothing at all is a usage error."""
    old = id_of(quick)
    node = quick(
        "supersede",
        old,
        "--tag",
        "seat",
        "--metadata",
        "page=2",
        "--pinned",
        "--expires",
        "2099-01-01T00:00Z",
        "--json",
    ).values[0]
    assert (node["text"], node["tags"], node["metadata"], node["pinned"]) == (
        TURNS[0][4],
        ["seat"],
        {"page": "2"},
        True,
    )
    assert node["expires_at"].startswith("2099-01-01")
    assert quick("supersede", node["id"], "--not-pinned", "--json").values[0]["pinned"] is False
    nothing = quick("supersede", old)
    assert nothing.code == 2
    assert "say what changes" in nothing.err


def test_supersede_reads_standard_input(quick: Run) -> None:
    """With - in place of the text."""
    assert quick("supersede", id_of(quick), "-", "--json", stdin=b"from a pipe\n").values[0]["text"] == "from a pipe"


def test_refs_name_nodes(quick: Run) -> None:
    """Remember under a ref, show it, supersede it by its ref, list below a prefix, forget all its versions."""
    assert quick("remember", "window", "--ref", "prefs/ada/seat").code == 0
    assert quick("remember", "aisle", "--ref", '["prefs", "ada", "seat"]').code == 0
    assert quick("remember", "soup", "--ref", "prefs/ada/meal").code == 0
    assert quick("show", "--ref", "prefs/ada/seat", "--json").values[0]["text"] == "aisle"
    assert quick("supersede", "prefs/ada/seat", "middle", "--by-ref").code == 0
    assert texts(quick, "--under", "prefs/ada", "--by-ref") == ["soup", "window", "aisle", "middle"]
    found = quick("recall", "seat soup middle", "--under", "prefs", "--json").values
    assert {hit["text"] for hit in found} == {"soup", "middle"}
    assert quick("forget", "--ref", "prefs/ada/seat", "--yes", "--json").values[0]["ids"]
    assert texts(quick, "--under", "prefs") == ["soup"]
    assert quick("forget", "--under", "prefs", "--yes").code == 0
    assert len(texts(quick)) == len(TURNS)


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["show"], 2, "give the id of a node, or --ref"),
        (["show", "12345678", "--ref", "a"], 2, "give the id of a node, or --ref"),
        (["show", "--ref", "no/such"], 4, "nothing has the ref 'no/such'"),
        (["show", "--ref", "/"], 2, "--ref is empty"),
        (["show", "--ref", "[1]"], 2, "--ref is a list of at least one text"),
        (["remember", "-", "--lines", "--ref", "a"], 2, "--ref names one node"),
        (["list", "--newest", "--by-ref"], 2, "two orders"),
        (["hide"], 2, "give the id of a node, or --ref"),
        (["keep", "--ref", "no/such"], 4, "there is no node"),
        (["forget", "--ref", "a", "--under", "b"], 2, "give either ids, or --ref"),
        (["forget", "--ref", "a", "--grace", "soon"], 2, "is no span of time; write it like 7d"),
        (["forget", "--ref", "no/such", "--yes"], 4, "there is no node"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(quick: Run, arguments: list[str], code: int, sentence: str) -> None:
    """With the right exit code."""
    ran = quick(*arguments)
    assert (ran.code, ran.out) == (code, "")
    assert sentence in ran.err
    assert ran.err.count("\n") == 1


def test_hide_and_keep(quick: Run) -> None:
    """Hidden is out of answers and in `list --hidden`; kept is back."""
    node_id = id_of(quick)
    assert quick("hide", node_id[:10]).out == f"hid {node_id[:12]}\n"
    assert TURNS[0][4] not in texts(quick)
    assert texts(quick, "--hidden") == [TURNS[0][4]]
    assert quick("show", node_id).code == 4
    assert quick("keep", node_id).out == f"kept {node_id[:12]}\n"
    assert texts(quick, "--hidden") == []
    assert len(texts(quick)) == len(TURNS)


def test_forget_with_grace(quick: Run) -> None:
    """It says until when, and `keep` undoes it."""
    node_id = id_of(quick)
    ran = quick("forget", node_id, "--grace", "7d", "--yes")
    assert "hid 1 node; forgotten for ever after " in ran.out
    assert "Copies" not in ran.err
    receipt = quick("forget", id_of(quick), "--grace", "12h", "--yes", "--json").values[0]
    assert (receipt["on_disk"], receipt["due"] > receipt["at"]) == ("hidden", True)
    assert quick("keep", node_id).code == 0
    assert len(texts(quick)) == len(TURNS) - 1


def test_forget_what_was_derived(quick: Run) -> None:
    """With --derived a node that was named and is derived from another that was named is forgotten once."""
    line = '{"text": "summary of %s", "ref": ["s", "%s"]}\n'
    assert quick("import", "-", stdin=(line % (1, 1) + line % (2, 2)).encode()).code == 0
    ids = [node["id"] for node in quick("list", "--under", "s", "--json").values]
    receipts = quick("forget", *ids, "--derived", "--yes", "--json").values
    assert sorted(one for receipt in receipts for one in receipt["ids"]) == sorted(ids)


def test_user_and_agent_are_a_view(quick: Run) -> None:
    """They are set on what is written, required of what is read, and walls for ids of others."""
    mine = quick("remember", "I am Ada", "--user", "ada", "--agent", "travel", "--json").values[0]
    assert (mine["user"], mine["agent"]) == ("ada", "travel")
    assert texts(quick, "--user", "ada") == ["I am Ada"]
    assert quick("show", mine["id"], "--user", "bo").code == 4
    assert quick("supersede", mine["id"], "taken over", "--user", "bo").code == 4
    assert quick("hide", mine["id"], "--user", "bo").code == 4
    assert quick("forget", mine["id"], "--user", "bo", "--yes").code == 4
    assert quick("forget", "--where", '{"text": "I am Ada"}', "--user", "bo", "--yes").out.startswith("would forget 0")
    assert texts(quick, "--user", "ada") == ["I am Ada"]
