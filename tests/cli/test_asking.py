"""Tests of the commands `recall`, `context`, `list`, `show` and `history`."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.command_runs import TURNS, Run
from mimir_vault.vault import Vault


def ids_of(quick: Run) -> list[str]:
    """Return the ids of all nodes, oldest first."""
    return [node["id"] for node in quick("list", "--json").values]


def test_recall_prints_dated_hits(quick: Run) -> None:
    """A hit shows score, date, speaker, session, id and text; JSON has the same and more."""
    ran = quick("recall", "window seats on long flights", "-k", "2")
    hits = quick("recall", "window seats on long flights", "-k", "2", "--json").values

    assert ran.code == 0
    first, text = ran.out.splitlines()[:2]
    assert first == f"{hits[0]['score']:.2f} 2026-03-01 09:00 UTC  Ada  s1  {hits[0]['id'][:12]}"
    assert text.strip() == TURNS[0][4]
    assert len(hits) == 2
    assert 0 < hits[1]["score"] <= hits[0]["score"] <= 1
    assert set(hits[0]["lanes"]) <= {"dense", "lexical"}
    assert hits[0]["text"][hits[0]["start"] : hits[0]["end"]] == hits[0]["passage"]


@pytest.mark.parametrize(
    ("options", "texts"),
    [
        (["--speaker", "Bo"], {TURNS[1][4], TURNS[4][4]}),
        (["--session", "s1"], {TURNS[0][4], TURNS[1][4]}),
        (["--role", "assistant", "--session", "s2"], {TURNS[4][4]}),
        (["--tag", "assistant"], {TURNS[1][4], TURNS[4][4]}),
        (["--as-of", "2026-03-15"], {TURNS[0][4], TURNS[1][4]}),
        (["--known-at", "2020-01-01"], set()),
        (["--where", '{"text": {"contains": "Henrik"}}'], {TURNS[2][4], TURNS[3][4]}),
        (["--where", '{"at": {"lt": "2026-03-01T09:01Z"}}'], {TURNS[0][4]}),
        (["--user", "nobody"], set()),
        (["--kind", "fact"], set()),
    ],
)
def test_recall_is_restricted(quick: Run, options: list[str], texts: set[str]) -> None:
    """Every restriction holds of every hit."""
    ran = quick("recall", "Henrik window October", *options, "--json")

    assert ran.code == 0
    assert {hit["text"] for hit in ran.values} == texts


def test_lanes_and_reasons(quick: Run) -> None:
    """One lane may be asked alone, and --explain says what found each hit."""
    ran = quick("recall", "boiler Henrik", "--lane", "lexical", "--json")
    assert all(set(hit["lanes"]) <= {"lexical"} for hit in ran.values)
    assert "lexical rank 1" in quick("recall", "boiler Henrik", "--explain").out


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["-k", "0"], "k must be 1 to"),
        (["-k", "many"], "-k"),
        (["--where", '{"colour": "red"}'], "knows no field 'colour'"),
        (["--where", '{"at": "2026-05-01T09:00"}'], "names no time zone"),
        (["--where", '{"speaker": {"like": "A"}}'], "knows no operator 'like'"),
        (["--where", '{"speaker"'], "no JSON"),
        (["--where", '{"metadata.x": NaN}'], "NaN"),
        (["--lane", "sparse"], "no lane 'sparse'"),
        (["--as-of", "soon"], "is no date"),
    ],
)
def test_bad_questions_get_one_sentence(quick: Run, arguments: list[str], why: str) -> None:
    """Nonsense ends with code 2 and one line."""
    ran = quick("recall", "anything", *arguments)

    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert why in ran.err


@pytest.mark.parametrize("query", ["", "\udcff", "a\0b"])
def test_odd_queries_do_no_harm(quick: Run, query: str) -> None:
    """An empty query finds what it finds or is refused; halves of characters and NUL are refused."""
    ran = quick("recall", query)
    assert ran.code in ({0, 2} if not query else {2})
    assert ran.err.count("\n") == ran.code // 2


def test_context_stays_within_its_budget(quick: Run) -> None:
    """The text is made for a prompt, and smaller for a smaller budget."""
    found = quick("context", "Henrik and the boiler", "--json").values[0]
    smaller = quick("context", "Henrik and the boiler", "--budget", "40", "--json").values[0]

    assert TURNS[2][4] in found["text"]
    assert quick("context", "Henrik and the boiler").out == found["text"] + "\n"
    assert smaller["tokens"] <= 40 < found["tokens"]
    assert set(smaller["ids"]) < set(found["ids"])
    assert quick("context").out != ""
    assert quick("context", "x", "--budget", "0").code == 2


def test_list_in_order(quick: Run) -> None:
    """Oldest first unless told otherwise, one line each, restricted as asked."""
    texts = [turn[4] for turn in TURNS]

    assert [node["text"] for node in quick("list", "--json").values] == texts
    assert [node["text"] for node in quick("list", "--newest", "-n", "2", "--json").values] == texts[:-3:-1]
    lines = quick("list", "--speaker", "Ada").out.splitlines()
    assert len(lines) == 3
    assert lines[0].endswith(f"2026-03-01 09:00 UTC  Ada  {texts[0]}")
    assert quick("list", "--limit", "0").code == 2
    assert quick("list", "--user", "nobody").out == ""


def test_show_takes_the_first_digits(quick: Run) -> None:
    """Eight digits name a node; all fields are shown, then the text."""
    node_id = ids_of(quick)[2]

    ran = quick("show", node_id[:8])

    assert ran.out.startswith(f"id:             {node_id}\n")
    assert ran.out.endswith(f"\n\n{TURNS[2][4]}\n")
    assert quick("show", node_id.upper()[:12], "--json").code in (0, 4)


@pytest.mark.parametrize("node_id", ["deadbeef", "0" * 64])
def test_show_knows_what_is_not_there(quick: Run, node_id: str) -> None:
    """A node that is not there ends with code 4."""
    ran = quick("show", node_id)
    assert (ran.code, ran.err.count("\n")) == (4, 1)


@pytest.mark.parametrize("node_id", ["abc", "xyz", "", "../etc"])
def test_what_is_no_id_is_refused(quick: Run, node_id: str) -> None:
    """Too few digits, or none, get one sentence."""
    ran = quick("show", node_id)
    assert ran.code in (2, 4)
    assert ran.err.count("\n") == 1


def test_ambiguous_ids_are_told(quick: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A beginning that fits several nodes ends with code 4 and asks for more digits."""
    from mimir_vault.errors import AmbiguousIdError
    from mimir_vault.memory import Memory

    def ambiguous(self: Memory, node_id: str) -> None:
        raise AmbiguousIdError

    monkeypatch.setattr(Memory, "get", ambiguous)
    ran = quick("show", "deadbeef")
    assert (ran.code, ran.err) == (4, "mimir: That shortened node id fits several nodes; give more digits.\n")


def test_nodes_of_others_are_not_shown(quick: Run) -> None:
    """With --user a node of somebody else, or of nobody, is not there."""
    node_id = ids_of(quick)[0]
    for command in ("show", "history", "forget"):
        assert quick(command, node_id, "--user", "ada", "--yes").code == 4


def test_history_shows_versions(quick: Run, tmp_path: Path) -> None:
    """The newest version comes first, whichever version is asked about."""
    old = ids_of(quick)[0]
    with Vault.open(tmp_path / "vault") as vault:
        new = vault.space().supersede(old, "I prefer aisle seats now.").id

    for asked in (old, new):
        assert [node["id"] for node in quick("history", asked, "--json").values] == [new, old]
    assert quick("history", old).out.splitlines()[1].startswith(old[:12])
    assert quick("show", old, "--json").values[0]["superseded_by"] == new


def test_remembered_escape_sequences_do_not_reach_the_terminal(quick: Run) -> None:
    """What steers terminals is spelled out in every view for people, and kept as it is in JSON."""
    evil = "\x1b]0;owned\x07\x1b[2Jhello\u202e"
    node = quick("remember", evil, "--speaker", "E\x1bve", "--session", "s\x9b1", "--tag", "t\x1b", "--json").values[0]
    assert node["text"] == evil

    for arguments in (
        ["recall", "hello"],
        ["list"],
        ["show", node["id"]],
        ["context", "hello"],
        ["history", node["id"]],
    ):
        out = quick(*arguments).out
        assert "hello" in out
        assert not {"\x1b", "\x07", "\u202e", "\x9b"} & set(out)
