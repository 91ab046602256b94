"""Drafts: every field is checked before anything is done, and each refusal is one sentence."""

from __future__ import annotations

import json
from collections import UserDict
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimir_vault.model import draft as limits
from mimir_vault.model.draft import Draft, check_draft, check_ref, make_draft, metadata_json
from mimir_vault.model.link import Link

ID = "ab" * 32
MIB = 1 << 20


def deep(levels: int) -> dict[str, Any]:
    """Return a mapping nested so many levels."""
    value: dict[str, Any] = {"end": 1}
    for _ in range(levels - 1):
        value = {"more": value}
    return value


def test_a_whole_draft_passes_with_moments_parsed_and_sequences_frozen() -> None:
    """Text moments become aware datetimes, lists become tuples, repeated tags and links fall away."""
    link = Link("about", ID)
    checked = check_draft(
        Draft(
            "hello", speaker="Ada", role="user", session="s1", user="ada", agent="travel", kind="fact",
            at="2026-05-01T09:00+02:00", expires_at=datetime(2027, 1, 1, tzinfo=UTC), tags=["a", "b", "a"],
            metadata={"n": 1}, links=[link, link], ref=["prefs", "seat"], data=bytearray(b"abc"),  # type: ignore[arg-type]
            index=["a passage", "another"], pinned=True,
        )
    )  # fmt: skip
    assert checked.tags == ("a", "b")
    assert checked.links == (link,)
    assert checked.ref == ("prefs", "seat")
    assert checked.data == b"abc"
    assert isinstance(checked.data, bytes)
    assert checked.index == ("a passage", "another")
    assert isinstance(checked.at, datetime)
    assert checked.at.utcoffset() is not None
    assert checked.expires_at == datetime(2027, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("given", [{"ref": ("a",)}, {"metadata": {"a": 1}}, {"data": b""}, {"text": "  .  "}])
def test_text_may_be_empty_where_something_else_is_given(given: dict[str, Any]) -> None:
    """A ref, metadata or data stand for themselves."""
    assert check_draft(Draft(**given)).text == given.get("text", "")


@pytest.mark.parametrize("text", ["", " ", "\n\t \u2003"])
def test_nothing_at_all_is_refused(text: str) -> None:
    """Blank text without anything else is no memory."""
    with pytest.raises(ValueError, match="the text is empty; give a text, or a ref, metadata or data"):
        check_draft(Draft(text, metadata={}))


REFUSED: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"text": None}, TypeError, "text must be text, not NoneType"),
    ({"text": b"bytes"}, TypeError, "text must be text, not bytes"),
    ({"text": 5}, TypeError, "text must be text, not int"),
    ({"text": "a\x00b"}, ValueError, "NUL character; remove it"),
    ({"text": "half \ud800"}, ValueError, "lone surrogate.*decode the source as UTF-8"),
    ({"text": "x" * (MIB + 1)}, ValueError, "1,048,577 bytes, the most is 1,048,576; split it"),
    ({"text": "é" * (MIB // 2 + 1)}, ValueError, "the most is 1,048,576; split it"),
    ({"text": "x" * (10 * MIB)}, ValueError, "the most is 1,048,576; split it"),
    ({"kind": None}, ValueError, "leave it out for a turn"),
    ({"at": "yesterday"}, ValueError, "at='yesterday' is no date"),
    ({"at": datetime(2026, 5, 1)}, ValueError, "names no time zone"),
    ({"at": 5}, TypeError, "at must be a datetime"),
    ({"expires_at": "2026-05-01T00:00"}, ValueError, "expires_at=.*names no time zone"),
    ({"expires_at": 5}, TypeError, "expires_at must be a datetime"),
    ({"tags": "travel"}, TypeError, "tags must be a list of texts"),
    ({"tags": b"travel"}, TypeError, "tags must be a list of texts"),
    ({"tags": None}, TypeError, "tags must be a list of texts"),
    ({"tags": 5}, TypeError, "tags must be a list of texts"),
    ({"tags": [None]}, TypeError, "a tag must be text, not None"),
    ({"tags": [5]}, TypeError, "a tag must be text, not int"),
    ({"tags": [""]}, ValueError, "a tag is empty"),
    ({"tags": [f"t{number}" for number in range(65)]}, ValueError, "at most 64 tags"),
    ({"links": Link("about", ID)}, TypeError, "links must be a list of Link"),
    ({"links": "about"}, TypeError, "links must be a list of Link"),
    ({"links": [("about", ID)]}, TypeError, "links must be a list of Link, not of tuple"),
    ({"links": None}, TypeError, "links must be a list of Link"),
    ({"links": [Link("about", f"{number:064x}") for number in range(65)]}, ValueError, "at most 64 links"),
    ({"ref": "prefs"}, TypeError, "ref must be a tuple of texts"),
    ({"ref": b"prefs"}, TypeError, "ref must be a tuple of texts"),
    ({"ref": 5}, TypeError, "ref must be a tuple of texts"),
    ({"ref": ()}, ValueError, "ref is empty"),
    ({"ref": ("a", 5)}, TypeError, "every part of ref is text, not int"),
    ({"ref": ("a", None)}, TypeError, "every part of ref is text, not NoneType"),
    ({"ref": ("\udfff",)}, ValueError, "lone surrogate"),
    ({"ref": ("x" * 1_025,)}, ValueError, "at most 64 parts and 1024 characters"),
    ({"ref": ("",) * 65}, ValueError, "at most 64 parts and 1024 characters"),
    ({"data": "text"}, TypeError, "data must be bytes, not str"),
    ({"data": 5}, TypeError, "data must be bytes, not int"),
    ({"data": bytes((16 << 20) + 1)}, ValueError, "the most is 16,777,216"),
    ({"index": "a passage"}, TypeError, "True, False or a list of passages"),
    ({"index": 5}, TypeError, "True, False or a list of passages"),
    ({"index": None}, TypeError, "True, False or a list of passages"),
    ({"index": [5]}, TypeError, "a passage of index must be text"),
    ({"index": ["ok", " "]}, ValueError, "a passage of index is empty"),
    ({"index": ["a\x00"]}, ValueError, "NUL"),
    ({"index": ["\ud800"]}, ValueError, "lone surrogate"),
    ({"index": ["x" * MIB, "x"]}, ValueError, "the most is 1,048,576"),
    ({"vector": [1.0], "index": False}, ValueError, "never to be found; leave out vector or index=False"),
    ({"duplicates": "drop"}, ValueError, "duplicates is one of mark, merge, not 'drop'"),
    ({"duplicates": None}, ValueError, "duplicates is one of mark, merge, not 'None'"),
    ({"duplicates": "x" * 999}, ValueError, "duplicates is one of mark, merge"),
    ({"pinned": 1}, TypeError, "pinned must be True or False"),
    ({"pinned": None}, TypeError, "pinned must be True or False"),
    ({"metadata": [1]}, TypeError, "metadata must be a mapping, not list"),
    ({"metadata": "{}"}, TypeError, "metadata must be a mapping, not str"),
    ({"metadata": {"a": float("nan")}}, ValueError, "NaN or infinity.*use None or text"),
    ({"metadata": {"a": [float("inf")]}}, ValueError, "NaN or infinity"),
    ({"metadata": {"a": {"b": -float("inf")}}}, ValueError, "NaN or infinity"),
    ({"metadata": {"a": "\ud800"}}, ValueError, "lone surrogate"),
    ({"metadata": {"\ud800": 1}}, ValueError, "lone surrogate"),
    ({"metadata": {5: 1}}, TypeError, "a name that is no text: 5"),
    ({"metadata": {"a": {None: 1}}}, TypeError, "metadata.a has a name that is no text: None"),
    ({"metadata": {("x",) * 999: 1}}, TypeError, "a name that is no text"),
    ({"metadata": {"a": object()}}, TypeError, "metadata.a is object, which JSON does not know"),
    ({"metadata": {"a": [1, {1}]}}, TypeError, r"metadata.a\[1\] is set"),
    ({"metadata": {"a\nb" * 500: b"x"}}, TypeError, "is bytes, which JSON does not know"),
    ({"metadata": {"a": datetime(2026, 5, 1, tzinfo=UTC)}}, TypeError, "is datetime"),
    ({"metadata": {"a": np.float32(1)}}, TypeError, "is float32"),
    ({"metadata": {"a": 1 << 5_000}}, ValueError, "more than 4,096 bits; give it as text"),
    ({"metadata": {"a": -(10**5_000)}}, ValueError, "more than 4,096 bits; give it as text"),
    ({"metadata": deep(34)}, ValueError, "nested deeper than 32 levels"),
    ({"metadata": {"a": "x" * (64 << 10)}}, ValueError, "bytes as JSON, the most is 65,536"),
]
NAME_FIELDS = ("speaker", "role", "session", "user", "agent", "kind")
for field in NAME_FIELDS:
    REFUSED += [
        ({field: ""}, ValueError, f"{field} is empty; leave it out instead"),
        ({field: 5}, TypeError, f"{field} must be text, not int"),
        ({field: b"x"}, TypeError, f"{field} must be text, not bytes"),
        ({field: "x" * 257}, ValueError, f"{field} has 257 characters, the most is 256"),
        ({field: "x" * 99_999}, ValueError, f"{field} has 99,999 characters, the most is 256"),
        ({field: "\udc80"}, ValueError, f"{field} holds half a character"),
        ({field: "a\x00"}, ValueError, f"{field} holds a NUL"),
    ]


@pytest.mark.parametrize(
    ("given", "error", "says"), REFUSED, ids=[f"{number}-{next(iter(one[0]))}" for number, one in enumerate(REFUSED)]
)
def test_an_impossible_field_is_refused_in_one_sentence(
    given: dict[str, Any], error: type[Exception], says: str
) -> None:
    """The error says what is wrong and what to do, on one line, and never repeats what was given at length."""
    with pytest.raises(error, match=says) as caught:
        check_draft(Draft(**{"text": "text", **given}))
    message = str(caught.value)
    assert type(caught.value) is error
    assert "\n" not in message
    assert len(message) < 300


@pytest.mark.parametrize("field", NAME_FIELDS)
def test_a_name_of_256_characters_of_four_bytes_passes(field: str) -> None:
    """The limit counts characters, not bytes."""
    assert getattr(check_draft(Draft("x", **{field: "😀" * 256})), field) == "😀" * 256  # type: ignore[arg-type]


def test_what_lies_at_the_limits_passes() -> None:
    """A text of 1 MiB, 64 tags, 64 links, 64 parts, 32 levels and 4,096 bits are accepted."""
    check_draft(
        Draft(
            "x" * MIB, tags=[f"t{number}" for number in range(64)], ref=("x" * 16,) * 64, index=["x" * MIB],
            links=[Link("about", f"{number:064x}") for number in range(64)], data=bytes(limits.DATA_BYTES_MAX),
            metadata={"deep": deep(31), "wide": (1 << 4_096) - 1},
        )
    )  # fmt: skip


@pytest.mark.parametrize("given", ["text", {"text": "x"}, None, 5])
def test_what_is_no_draft_is_refused(given: object) -> None:
    """`remember_many` takes Drafts and says so."""
    with pytest.raises(TypeError, match="takes Drafts, not"):
        check_draft(given)  # type: ignore[arg-type]


def test_a_draft_of_keywords_is_that_draft() -> None:
    """Keywords are the fields of `Draft`, all but the text."""
    assert make_draft("x", {"speaker": "Ada", "pinned": True}) == Draft("x", speaker="Ada", pinned=True)


@pytest.mark.parametrize("name", ["colour", "text", "_", "id", "x\n" * 500])
def test_an_unknown_keyword_is_refused_with_those_there_are(name: str) -> None:
    """A slip in a keyword is a TypeError that lists the fields."""
    with pytest.raises(TypeError, match="it has agent, at, data, duplicates, expires_at, index, kind") as caught:
        make_draft("x", {name: 1})
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_tags_may_come_from_any_iterable() -> None:
    """A generator is read once."""
    tags = (tag for tag in ("a", "b", "a"))
    assert check_draft(Draft("x", tags=tags)).tags == ("a", "b")  # type: ignore[arg-type]


def test_a_ref_is_a_tuple_of_any_strings() -> None:
    """Empty parts, blanks and NUL are a caller's own business."""
    assert check_ref(["", "a b", "c\x00d", "é"]) == ("", "a b", "c\x00d", "é")


def test_a_prefix_of_refs_is_named_in_its_errors() -> None:
    """The sentence says which argument is wrong."""
    with pytest.raises(TypeError, match="under must be a tuple of texts"):
        check_ref("prefs", "under")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="under is empty"):
        check_ref((), "under")
    with pytest.raises(ValueError, match="a part of under holds half a character"):
        check_ref(("\ud800",), "under")


def test_a_vector_is_no_part_of_what_makes_drafts_equal() -> None:
    """It may be an array, which cannot be compared by `==`."""
    assert Draft("x", vector=np.ones(3)) == Draft("x", vector=np.zeros(3))
    assert check_draft(Draft("x", vector=np.ones(3), index=["a", "b"])).vector.tolist() == [1, 1, 1]


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 70), 1 << 70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=4), JSON, min_size=1, max_size=4))
def test_any_json_mapping_comes_back_with_its_types(metadata: dict[str, Any]) -> None:
    """Booleans stay booleans, whole numbers whole, floats floats, and the order of names stays."""
    text = metadata_json(metadata)
    assert repr(json.loads(text)) == repr(metadata)
    assert metadata_json(json.loads(text)) == text


def test_no_metadata_is_no_text() -> None:
    """None and an empty mapping are the same."""
    assert metadata_json(None) == metadata_json({}) == metadata_json(UserDict()) == ""


def test_mappings_and_tuples_become_plain_json() -> None:
    """Other mappings and tuples are stored as JSON knows them."""
    assert metadata_json(UserDict(a=(1, UserDict(b=None)))) == '{"a":[1,{"b":null}]}'
