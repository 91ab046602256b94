"""Encoding of payload, metadata and state: round trip, one encoding for one value, versions told from damage."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimir_vault.errors import FormatError, MimirError, TamperedError
from mimir_vault.model.codec import (
    CODEC_VERSION,
    DEFAULT_STATE,
    Metadata,
    Payload,
    State,
    decode,
    decode_state,
    decode_values,
    encode,
    encode_state,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
MAYBE = st.none() | TEXT
INT64 = st.integers(-(1 << 63), (1 << 63) - 1)
VERSION = st.just(CODEC_VERSION)

PAYLOADS = st.builds(Payload, VERSION, TEXT, st.none() | st.binary(max_size=40), st.none() | st.tuples(TEXT, TEXT))
METADATA = st.builds(
    Metadata, VERSION, INT64, st.integers(-86_399, 86_399), INT64, st.integers(0, 1 << 32), MAYBE, MAYBE, MAYBE, MAYBE,
    MAYBE, TEXT, st.tuples(TEXT), st.tuples(st.tuples(st.integers(0, 3), st.binary(min_size=32, max_size=32))), TEXT,
    st.booleans(),
)  # fmt: skip
STATES = st.builds(
    State, version=VERSION, ref=st.none() | st.tuples(TEXT, TEXT), expires=st.none() | INT64, pinned=st.booleans(),
    hidden=st.booleans(), forget_at=st.none() | INT64, seen=st.integers(0, 1 << 32), last_seen=st.none() | INT64,
)  # fmt: skip
VALUES = PAYLOADS | METADATA | STATES


@given(VALUES)
def test_what_is_encoded_decodes_to_itself(value: Payload | Metadata | State) -> None:
    """Encoding loses nothing and changes no type."""
    assert decode(type(value), encode(value)) == value


@given(st.sampled_from([Payload, Metadata, State]), st.binary(max_size=60))
def test_whatever_decodes_encodes_to_the_same_bytes(kind: Any, encoded: bytes) -> None:
    """Arbitrary bytes are either refused with a MimirError or are the one encoding of what they give."""
    try:
        value = decode(kind, encoded)
    except MimirError:
        return
    assert encode(value) == encoded


@given(VALUES, st.data())
def test_a_changed_byte_is_refused_or_gives_another_value(
    value: Payload | Metadata | State, data: st.DataObject
) -> None:
    """No two byte strings stand for one value: an altered encoding never decodes to the original."""
    encoded = bytearray(encode(value))
    place = data.draw(st.integers(0, len(encoded) - 1))
    encoded[place] ^= data.draw(st.integers(1, 255))
    try:
        other = decode(type(value), bytes(encoded))
    except MimirError:
        return
    assert other != value
    assert encode(other) == bytes(encoded)


@given(VALUES)
def test_cut_and_extended_encodings_are_refused(value: Payload | Metadata | State) -> None:
    """Bytes after the end, or missing from it, are damage."""
    encoded = encode(value)
    for broken in (encoded + b"\x00", encoded[:-1], b""):
        with pytest.raises(TamperedError):
            decode(type(value), broken)


PAYLOAD = Payload(CODEC_VERSION, "text", None, None)


@pytest.mark.parametrize(
    "encoded",
    [
        msgspec.msgpack.encode({"version": 1, "text": "text", "data": None, "passages": None}),
        msgspec.msgpack.encode([1, "text", None]),
        msgspec.msgpack.encode([1, "text", None, None, "more"]),
        msgspec.msgpack.encode([1, b"text", None, None]),
        msgspec.msgpack.encode([1.0, "text", None, None]),
        msgspec.msgpack.encode([True, "text", None, None]),
        b"\x94\x01\xd9\x04text\xc0\xc0",  # the text with a longer length field than it needs
        b"\xdc\x00\x04\x01\xa4text\xc0\xc0",  # the list with a longer length field than it needs
        b"\x94\xcc\x01\xa4text\xc0\xc0",  # the version in two bytes
        b"\x94\x01\xa4\xff\xfe\xfd\xfc\xc0\xc0",  # no UTF-8
        b"\x91" * 100_000,  # lists within lists
    ],
)
def test_other_encodings_of_a_payload_are_refused(encoded: bytes) -> None:
    """Mappings, missing or added fields, other types and longer forms of the same value are damage."""
    with pytest.raises(TamperedError, match="restore a backup"):
        decode(Payload, encoded)


@pytest.mark.parametrize(
    "encoded",
    [
        msgspec.msgpack.encode([2, "text", None, None]),
        msgspec.msgpack.encode([2, "text", None, None, "a field of a later version"]),
        msgspec.msgpack.encode([200, {"all": "new"}]),
        msgspec.msgpack.encode([0, "text", None, None]),
    ],
)
def test_another_version_is_a_format_error(encoded: bytes) -> None:
    """A version that is not known is told from damage, whatever follows it."""
    with pytest.raises(FormatError, match="this version knows 1; update Mimir"):
        decode(Payload, encoded)


def test_a_value_of_one_kind_is_none_of_another() -> None:
    """A payload is no state, and a state no metadata."""
    with pytest.raises(TamperedError, match="the state of a node"):
        decode(State, encode(PAYLOAD))
    with pytest.raises(TamperedError, match="the metadata of a node"):
        decode(Metadata, encode(DEFAULT_STATE))


@given(STATES)
def test_what_is_encoded_as_a_state_decodes_to_itself(state: State) -> None:
    """Nothing stands for the default state and for no other."""
    encoded = encode_state(state)

    assert decode_state(encoded) == state
    assert (encoded == b"") == (state == DEFAULT_STATE)


def test_the_default_state_has_two_forms() -> None:
    """It is left out of a new node and written out where a state came back to it; as a value it is never nothing."""
    assert encode_state(DEFAULT_STATE) == b""
    assert decode_state(b"") == decode_state(encode(DEFAULT_STATE)) == DEFAULT_STATE
    assert encode(DEFAULT_STATE) == bytes.fromhex("98 01 c0 c0 c2 c2 c0 00 c0")
    with pytest.raises(TamperedError):
        decode(State, b"")


def test_a_state_says_when_it_is_to_be_forgotten_right_after_hidden() -> None:
    """Made without, it is never to be forgotten, and its encoding holds the place all the same."""
    fields = {"version": CODEC_VERSION, "ref": None, "expires": 1, "pinned": False, "hidden": True}

    assert encode(State(**fields, forget_at=7, seen=2, last_seen=3)) == bytes.fromhex("98 01 c0 01 c2 c3 07 02 03")
    assert encode(State(**fields, seen=2, last_seen=3)) == bytes.fromhex("98 01 c0 01 c2 c3 c0 02 03")


@pytest.mark.parametrize(
    "fields",
    [
        [1, None, None, False, False, 0, None],  # the layout without `forget_at`
        [1, None, None, False, False],
        [1, None, None, False, False, None, 0],
        [1, None, None, False, False, None, 0, None, None],
        [1, None, None, False, False, 1.0, 0, None],
        [1, None, None, False, False, False, 0, None],
        [1, None, None, False, 0, None, 0, None],
    ],
)
def test_other_encodings_of_a_state_are_refused(fields: list[object]) -> None:
    """Missing or added elements and other types are damage: no default fills a place in an encoding."""
    encoded = msgspec.msgpack.encode(fields)
    for act in (decode_state, lambda given: decode(State, given)):
        with pytest.raises(TamperedError, match="the state of a node"):
            act(encoded)


def test_a_state_of_a_later_version_is_a_format_error() -> None:
    """decode_state tells it from damage, as decode does."""
    with pytest.raises(FormatError, match="update Mimir"):
        decode_state(msgspec.msgpack.encode([2, {"all": "new"}]))


def test_callers_metadata_comes_back_from_its_json() -> None:
    """No text stands for no metadata; JSON gives the mapping."""
    assert decode_values("") == {}
    assert decode_values('{"a":[1,2.5,null,true,"é"]}') == {"a": [1, 2.5, None, True, "é"]}


@pytest.mark.parametrize("text", ["{", "[]", '"text"', "1", "null"])
def test_metadata_that_is_no_json_mapping_is_damage(text: str) -> None:
    """What `metadata_json` cannot have written is refused."""
    with pytest.raises(TamperedError, match="restore a backup"):
        decode_values(text)
