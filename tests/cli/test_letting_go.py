"""Tests of the command `forget`."""

from __future__ import annotations

import pytest

from cli.command_runs import TURNS, Run


def ids_of(quick: Run) -> list[str]:
    """Return the ids of all nodes, oldest first."""
    return [node["id"] for node in quick("list", "--json").values]


def test_forget_by_id_echoes_whole_ids_and_prints_the_receipt(quick: Run) -> None:
    """What goes is named in full, is gone afterwards, and the receipt says so."""
    ids = ids_of(quick)

    ran = quick("forget", ids[0][:8], ids[1], ids[1][:10], "--yes")

    assert ran.code == 0
    assert ids[0] in ran.out
    assert ids[1] in ran.out
    assert ran.out.count("forgot 1 node at") == 2
    assert "on disk: erased" in ran.out
    assert ids_of(quick) == ids[2:]


def test_forget_by_filter(quick: Run) -> None:
    """All that fits a filter goes, under one receipt."""
    receipt = quick("forget", "--where", '{"speaker": "Bo"}', "--session", "s2", "--yes", "--json").values[0]

    assert len(receipt["ids"]) == 1
    assert receipt["generation_after"] > receipt["generation_before"]
    assert len(ids_of(quick)) == len(TURNS) - 1


def test_forget_nothing(quick: Run) -> None:
    """A filter that fits nothing asks nothing and forgets nothing."""
    ran = quick("forget", "--where", '{"speaker": "Nobody"}')
    assert (ran.code, ran.out) == (0, "would forget 0 nodes; nothing was changed\n")


@pytest.mark.parametrize("what", [["--session", "s1"], ["--where", '{"session": "s1"}'], []])
def test_dry_run_changes_nothing(quick: Run, what: list[str]) -> None:
    """A dry run lists what would go, asks nothing and changes nothing."""
    ids = ids_of(quick)

    ran = quick("forget", *(what or ids[:2]), "--dry-run")

    assert ran.code == 0
    assert ids[0] in ran.out
    assert ids[1] in ran.out
    assert "nothing was changed" in ran.out
    assert ids_of(quick) == ids


def test_without_a_terminal_it_wants_yes(quick: Run) -> None:
    """Nobody can be asked, so nothing is forgotten, and the sentence says what to add."""
    ids = ids_of(quick)

    ran = quick("forget", ids[0])

    assert ran.code == 2
    assert "add --yes" in ran.err
    assert ids_of(quick) == ids


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ([], 2),
        (["--where", "{}", "--yes"], 2),
        (["deadbeef", "--session", "s1", "--yes"], 2),
        (["deadbeef", "--yes"], 4),
        (["--where", '{"colour": "red"}', "--yes"], 2),
    ],
)
def test_unclear_requests_are_refused(quick: Run, arguments: list[str], code: int) -> None:
    """Nothing, everything, both ways at once, or what is not there: refused, and nothing is forgotten."""
    ran = quick("forget", *arguments)

    assert (ran.code, ran.err.count("\n")) == (code, 1)
    assert len(ids_of(quick)) == len(TURNS)


def test_one_missing_id_forgets_none(quick: Run) -> None:
    """All ids are looked up before the first is forgotten."""
    ids = ids_of(quick)

    assert quick("forget", ids[0], "deadbeef", "--yes").code == 4
    assert ids_of(quick) == ids
