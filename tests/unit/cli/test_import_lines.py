"""Tests of reading the lines of an import and turning them into drafts."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimir_vault.cli import import_lines
from mimir_vault.cli.import_lines import FIELDS, Reading, read_lines, reading_of
from mimir_vault.model.draft import Draft


def reading(*maps: str, ignored: tuple[str, ...] = (), **options: Any) -> Reading:
    """Return a reading with these maps."""
    return reading_of(maps, ignored, **{"user": None, "agent": None, "local_time": False, **options})


def draft(fields: object, using: Reading | None = None) -> Draft:
    """Return the draft of one object, marked as line 1 of import x."""
    return (using or reading()).draft(json.dumps(fields).encode(), {"import_id": "x", "import_line": 1})


@given(st.lists(st.binary(max_size=20).filter(lambda line: b"\n" not in line and not line.endswith(b"\r"))))
def test_lines_are_numbered_and_placed(lines: list[bytes]) -> None:
    """Every line comes once, with its number and the place of its end."""
    content = b"".join(line + b"\n" for line in lines)

    found = list(read_lines(io.BytesIO(content)))

    expected = [lines[0].removeprefix(b"\xef\xbb\xbf").rstrip(b"\r"), *lines[1:]] if lines else []
    assert [line.content for line in found] == expected
    assert [line.number for line in found] == list(range(1, len(lines) + 1))
    assert [line.end for line in found][-1:] == ([len(content)] if lines else [])


def test_a_line_without_end_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line of any length is read in bounded pieces, and the next one is found."""
    monkeypatch.setattr(import_lines, "LINE_BYTES_MAX", 10)

    found = list(read_lines(io.BytesIO(b"x" * 35 + b"\n{}\n")))

    assert [(line.number, len(line.content), line.end) for line in found] == [(1, 11, 36), (2, 2, 39)]
    with pytest.raises(ValueError, match="longer than 10 bytes"):
        reading().draft(found[0].content, {})


def test_all_fields_are_taken() -> None:
    """An object with every field becomes a draft with every field."""
    given_fields = {
        "text": "I prefer window seats", "speaker": "Ada", "role": "user", "session": "s1",
        "at": "2026-05-01T09:00+02:00", "tags": ["travel"], "metadata": {"n": 1}, "ref": ["prefs", "seat"],
        "user": "ada", "agent": "travel", "kind": "fact",
    }  # fmt: skip
    assert set(given_fields) == set(FIELDS)

    made = draft(given_fields)

    assert (made.text, made.speaker, made.role, made.session) == ("I prefer window seats", "Ada", "user", "s1")
    assert (made.tags, made.ref, made.user, made.agent, made.kind) == (
        ("travel",), ("prefs", "seat"), "ada", "travel", "fact",
    )  # fmt: skip
    assert made.metadata == {"n": 1, "import_id": "x", "import_line": 1}


def test_null_says_nothing() -> None:
    """A field with null is as if it were not there."""
    assert draft({"text": "a", "speaker": None, "unknown": None}).speaker is None


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"{", "no JSON"),
        (b"[1]", "no JSON object"),
        (b"\xff\xfe", "no UTF-8"),
        (b'{"text": "a", "metadata": {"x": NaN}}', "NaN"),
        (b'{"text": "a", "metadata": [1]}', "metadata must be a JSON object"),
        (b'{"text": ""}', None),
        (b'{"text": "a", "txet": "b"}', "the field 'txet' is not known; known are text, speaker"),
        (b'{"text": 3}', "text must be text"),
        (b'{"text": "a", "at": "2026-05-01T09:00"}', "names no time zone"),
        (b'{"text": "a", "at": "soon"}', "is no date"),
        (b'{"text": "a", "tags": "x"}', "tags must be a list"),
        (b'{"text": "\\ud800"}', "lone surrogate"),
        (b'{"text": "a\\u0000b"}', "NUL"),
        (b'{"text": "a", "links": []}', "not known"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
def test_bad_lines_are_refused(content: bytes, why: str | None) -> None:
    """What cannot be a memory is refused with the reason."""
    if why is None:  # Marks make metadata, and a text may be empty beside metadata.
        assert reading().draft(content, {"import_line": 1}).text == ""
        return
    with pytest.raises((ValueError, TypeError), match=why):
        reading().draft(content, {})


def test_maps_rename_fields_and_keep_others_as_metadata() -> None:
    """A field may come under another name, and what has no field can be kept or left out."""
    using = reading("text=content", "metadata.score=points", ignored=("id",))

    made = draft({"content": "a", "points": 3, "id": 7, "metadata": {"b": 1}}, using)

    assert made.text == "a"
    assert made.metadata == {"b": 1, "score": 3, "import_id": "x", "import_line": 1}


@pytest.mark.parametrize("pair", ["text", "text=", "txet=content", "metadata.=x", "=x", "metadata=x=y="])
def test_bad_maps_are_refused(pair: str) -> None:
    """A map names a field and a name."""
    if pair == "metadata=x=y=":  # A name may hold the sign.
        assert reading(pair).names == {"x=y=": "metadata"}
        return
    with pytest.raises(ValueError, match="is not FIELD=NAME"):
        reading(pair)


@pytest.mark.parametrize("maps", [("text=a", "text=b"), ("text=a", "role=a")])
def test_maps_that_meet_are_refused(maps: tuple[str, ...]) -> None:
    """Neither a field nor a name may be mapped twice."""
    with pytest.raises(ValueError, match="twice"):
        reading(*maps)


def test_a_field_under_two_names_is_refused() -> None:
    """An object that has a field by its own name and by a mapped one is ambiguous."""
    with pytest.raises(ValueError, match="there twice"):
        draft({"text": "a", "content": "b"}, reading("text=content"))


def test_user_of_the_call_is_filled_in_and_enforced() -> None:
    """--user is set where a line names nobody, and a line of somebody else is refused."""
    using = reading(user="ada")

    assert draft({"text": "a"}, using).user == "ada"
    with pytest.raises(ValueError, match="--user says 'ada'"):
        draft({"text": "a", "user": "bob"}, using)


def test_local_time_is_a_choice() -> None:
    """With --local-time a date without a zone is taken as this machine's."""
    made = draft({"text": "a", "at": "2026-05-01T09:00"}, reading(local_time=True))

    assert made.at is not None
    assert getattr(made.at, "tzinfo", None) is not None
