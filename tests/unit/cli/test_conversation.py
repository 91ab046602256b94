"""Tests that the bundled demo conversation is well formed and that its questions point at real evidence."""

from __future__ import annotations

import json
import re
from collections import Counter
from datetime import date, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[3] / "src" / "mimir_vault" / "cli" / "conversation"
KINDS = {"single", "multi", "time", "changed", "preference"}
LINE_CHARACTERS_MAX = 1_200


def read_lines(name: str) -> list[str]:
    """Return the lines of one JSON Lines file of the conversation."""
    return (FOLDER / name).read_text(encoding="utf-8").splitlines()


@pytest.fixture(scope="module")
def turns() -> list[dict[str, Any]]:
    """All turns, in file order."""
    return [json.loads(line) for line in read_lines("turns.jsonl")]


@pytest.fixture(scope="module")
def questions() -> list[dict[str, Any]]:
    """All questions, in file order."""
    return [json.loads(line) for line in read_lines("questions.jsonl")]


@pytest.fixture(scope="module")
def text_of(turns: list[dict[str, Any]]) -> dict[str, str]:
    """The text of each turn by its id."""
    return {turn["id"]: turn["text"] for turn in turns}


def test_size(turns: list[dict[str, Any]], questions: list[dict[str, Any]]) -> None:
    """The conversation is large enough to make recall a real test and small enough for a demo."""
    assert 150 <= len(turns) <= 300
    assert 40 <= len(questions) <= 60
    assert 14 <= len({turn["session"] for turn in turns}) <= 18


@pytest.mark.parametrize("name", ["turns.jsonl", "questions.jsonl"])
def test_no_line_is_too_long(name: str) -> None:
    """No line is longer than the limit, and none is empty."""
    for line in read_lines(name):
        assert 0 < len(line.strip()) <= LINE_CHARACTERS_MAX


def test_turn_fields(turns: list[dict[str, Any]]) -> None:
    """Every turn has exactly the agreed fields, each a text without stray blanks."""
    for turn in turns:
        assert set(turn) == {"id", "session", "at", "speaker", "role", "text"}
        assert all(isinstance(value, str) and value and value == value.strip() for value in turn.values())


def test_question_fields(questions: list[dict[str, Any]]) -> None:
    """Every question has exactly the agreed fields, an answer and a known kind."""
    for question in questions:
        assert set(question) == {"id", "text", "answer", "turns", "kind"}
        assert question["text"].strip().endswith("?")
        assert question["answer"].strip()
        assert question["kind"] in KINDS
    assert {question["kind"] for question in questions} == KINDS


def test_ids_are_unique(turns: list[dict[str, Any]], questions: list[dict[str, Any]]) -> None:
    """No id is given twice."""
    ids = [each["id"] for each in turns + questions]
    assert [each for each, count in Counter(ids).items() if count > 1] == []


def test_turn_ids_count_up_within_their_session(turns: list[dict[str, Any]]) -> None:
    """Turn ids number the sessions and the turns in them without a gap, and one session has one date."""
    sessions = list(dict.fromkeys(turn["session"] for turn in turns))
    seen: Counter[str] = Counter()
    for turn in turns:
        seen[turn["session"]] += 1
        assert turn["id"] == f"s{sessions.index(turn['session']) + 1:02d}-{seen[turn['session']]:02d}"


def test_texts_are_unique(turns: list[dict[str, Any]], questions: list[dict[str, Any]]) -> None:
    """No text stands twice, so every gold turn is the only one of its wording."""
    texts = [each["text"].casefold() for each in turns + questions]
    assert [each for each, count in Counter(texts).items() if count > 1] == []


def test_times_are_aware_and_increase(turns: list[dict[str, Any]]) -> None:
    """Every time has an offset, is later than the one before and lies on the date of its session."""
    times = [datetime.fromisoformat(turn["at"]) for turn in turns]
    assert all(at.utcoffset() is not None for at in times)
    assert all(earlier < later for earlier, later in pairwise(times))
    assert [at.date() for at in times] == [date.fromisoformat(turn["session"]) for turn in turns]


def test_sessions_span_january_to_june(turns: list[dict[str, Any]]) -> None:
    """The sessions are in order of their dates and reach from January to June 2026."""
    sessions = list(dict.fromkeys(turn["session"] for turn in turns))
    assert sessions == sorted(sessions)
    assert (sessions[0][:7], sessions[-1][:7]) == ("2026-01", "2026-06")


def test_speakers_and_roles_agree(turns: list[dict[str, Any]]) -> None:
    """Two people speak as users and one assistant as the assistant."""
    speakers = {(turn["speaker"], turn["role"]) for turn in turns}
    assert speakers == {("Nora", "user"), ("Tomas", "user"), ("Assistant", "assistant")}


def test_every_gold_turn_exists(questions: list[dict[str, Any]], text_of: dict[str, str]) -> None:
    """Every question names at least one turn, no turn twice, and only turns that are there."""
    for question in questions:
        assert question["turns"]
        assert len(set(question["turns"])) == len(question["turns"])
        assert set(question["turns"]) <= set(text_of), question["id"]


def test_a_question_of_kind_multi_needs_several_turns(questions: list[dict[str, Any]]) -> None:
    """A question that is said to join several turns names several."""
    for question in questions:
        if question["kind"] == "multi":
            assert len(question["turns"]) > 1, question["id"]


def test_numbers_in_an_answer_stand_in_its_gold_turns(questions: list[dict[str, Any]], text_of: dict[str, str]) -> None:
    """Every figure of an answer is found in the evidence it names."""
    number = re.compile(r"\d+(?:[.,:]\d+)*")
    for question in questions:
        evidence = {each for turn in question["turns"] for each in number.findall(text_of[turn])}
        assert set(number.findall(question["answer"])) <= evidence, question["id"]
