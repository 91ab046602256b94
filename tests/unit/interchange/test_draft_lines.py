"""Tests of reading the lines of an import and turning them into drafts."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimir_vault.interchange import draft_lines
from mimir_vault.interchange.draft_lines import FIELDS, Given, Reading, read_lines, reading_of
from mimir_vault.model.link import Link

ID = "ab" * 32


def reading(fields: dict[str, str] | None = None, ignored: tuple[str, ...] = (), *, local: bool = False) -> Reading:
    """Return a reading with these names."""
    return reading_of(fields or {}, ignored, local_time=local)


def given_of(fields: object, using: Reading | None = None) -> Given:
    """Return what one object says."""
    return (using or reading()).given(json.dumps(fields).encode())


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
    monkeypatch.setattr(draft_lines, "LINE_BYTES_MAX", 10)

    found = list(read_lines(io.BytesIO(b"x" * 35 + b"\n{}\n")))

    assert [(line.number, len(line.content), line.end) for line in found] == [(1, 11, 36), (2, 2, 39)]
    with pytest.raises(ValueError, match="longer than 10 bytes"):
        reading().given(found[0].content)


def test_all_fields_are_taken() -> None:
    """An object with every field becomes a draft with every field."""
    fields = {
        "text": "I prefer window seats", "speaker": "Ada", "role": "user", "session": "s1",
        "at": "2026-05-01T09:00+02:00", "tags": ["travel"], "metadata": {"n": 1}, "ref": ["prefs", "seat"],
        "user": "ada", "agent": "travel", "kind": "fact", "links": [{"kind": "about", "target": ID}], "data": "AP8=",
        "index": ["a passage"], "vector": [1.0, 0.0], "expires_at": "2030-01-01T00:00Z", "pinned": True,
    }  # fmt: skip
    assert set(fields) == set(FIELDS)

    made = given_of(fields)

    assert made.origin is None
    assert made.vectors == {}
    expected = {**fields, "ref": ("prefs", "seat"), "links": (Link("about", ID),), "data": b"\x00\xff"}
    assert {name: getattr(made.draft, name) for name in FIELDS} == expected


def test_a_line_of_an_export_has_more() -> None:
    """Its id is where it came from; vectors come with the embedder they are of; the rest another vault makes anew."""
    line = {"id": ID, "text": "a", "recorded_at": "2026-05-01T09:00Z", "superseded_by": ID,
            "vectors": [{"model": "m", "dimension": 2, "float32": "AACAPwAAAAAAAAAAAACAPw=="}]}  # fmt: skip

    made = given_of(line)

    assert made.origin == bytes.fromhex(ID)
    assert list(made.vectors) == [("m", 2)]
    assert made.vectors["m", 2].tolist() == [[1, 0], [0, 1]]
    assert made.vectors["m", 2].dtype == np.float32


def test_null_says_nothing() -> None:
    """A field with null is as if it were not there."""
    assert given_of({"text": "a", "speaker": None, "unknown": None}).draft.speaker is None


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"{", "no JSON"),
        (b"[1]", "no JSON object"),
        (b"\xff\xfe", "no UTF-8"),
        (b'{"text": "a", "metadata": {"x": NaN}}', "NaN"),
        (b'{"text": "a", "metadata": [1]}', "metadata must be a JSON object"),
        (b'{"text": "a", "txet": "b"}', "the field 'txet' is not known; known are text, speaker"),
        (b'{"text": "a", "id": 3}', "the field 'id' is not known"),
        (b'{"text": "a", "superseded_by": "' + ID.encode() + b'"}', "the field 'superseded_by' is not known"),
        (b'{"text": "a", "links": [["about", "x"]]}', "links must be a list of"),
        (b'{"text": "a", "links": [{"kind": "of", "target": "x"}]}', "a link's kind is one of"),
        (b'{"text": "a", "data": "\xc3\xa4"}', "data must be base64"),
        (b'{"text": "a", "data": 3}', "data must be base64"),
        (b'{"id": "' + ID.encode() + b'", "vectors": [{"model": "m"}]}', "vectors must be a list of"),
        (
            b'{"id": "' + ID.encode() + b'", "vectors": [{"model": "m", "dimension": 2, "float32": "AAAA"}]}',
            "vectors must be a list of",
        ),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
def test_bad_lines_are_refused(content: bytes, why: str) -> None:
    """What cannot be a memory is refused with the reason."""
    with pytest.raises((ValueError, TypeError), match=why):
        reading().given(content)


def test_names_of_fields_and_others_as_metadata() -> None:
    """A field may come under another name, and what has no field can be kept or left out."""
    using = reading({"text": "content", "metadata.score": "points"}, ("id",))

    made = given_of({"content": "a", "points": 3, "id": 7, "metadata": {"b": 1}}, using).draft

    assert made.text == "a"
    assert made.metadata == {"b": 1, "score": 3}


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"txet": "a"}, "give one of text"), ({"metadata.": "a"}, "give one of text"), ({"text": ""}, "give one of"),
        ({"text": "a", "role": "a"}, "twice"), ({"text": 3}, "must be names"),
    ],
)  # fmt: skip
def test_bad_names_are_refused(fields: dict[str, Any], why: str) -> None:
    """A field that there is not, or a name for two."""
    with pytest.raises((ValueError, TypeError), match=why):
        reading(fields)


def test_a_field_under_two_names_is_refused() -> None:
    """An object that has a field by its own name and by another one is ambiguous."""
    with pytest.raises(ValueError, match="there twice"):
        given_of({"text": "a", "content": "b"}, reading({"text": "content"}))


def test_a_list_of_names_to_leave_out_is_no_text() -> None:
    """Else every letter of it would be left out."""
    with pytest.raises(TypeError, match="list of names"):
        reading_of({}, "id", local_time=False)


def test_local_time_is_a_choice() -> None:
    """A date without a zone is then taken as this machine's; one that is no date is refused."""
    made = given_of({"text": "a", "at": "2026-05-01T09:00", "expires_at": "2030-01-01"}, reading(local=True)).draft

    assert getattr(made.at, "tzinfo", None) is not None
    assert getattr(made.expires_at, "tzinfo", None) is not None
    with pytest.raises(ValueError, match="is no date"):
        given_of({"text": "a", "at": "soon"}, reading(local=True))
