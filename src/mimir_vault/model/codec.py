"""Encoding of what is sealed: payload, metadata and state; one value has one encoding, nothing else decodes."""

from __future__ import annotations

import json
from typing import Any, TypeVar

import msgspec

from mimir_vault.errors import FormatError, TamperedError

CODEC_VERSION = 1
"""First element of every encoded value; a reader refuses a version it does not know."""


class Payload(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """What was said: text, the caller's opaque bytes, and passages to be found by in place of the text."""

    version: int
    text: str
    data: bytes | None
    passages: tuple[str, ...] | None


class Metadata(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """All that stays true of a node: when, who, where in its session, and its links.

    `at` and `recorded` are microseconds since 1970 UTC, `offset_s` is the zone `at` was given in, `order` the place in
    the session (0 for the first), `links` pairs of (kind number, 32-byte id), `values` the caller's metadata as JSON.
    """

    version: int
    at: int
    offset_s: int
    recorded: int
    order: int
    user: str | None
    agent: str | None
    session: str | None
    speaker: str | None
    role: str | None
    kind: str
    tags: tuple[str, ...]
    links: tuple[tuple[int, bytes], ...]
    values: str
    indexed: bool


class State(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What may change of a node without changing its id; moments are microseconds since 1970 UTC.

    `forget_at` is when a hidden node is to be forgotten for ever. Made without it, a state has none; its encoding
    always says so.
    """

    version: int
    ref: tuple[str, ...] | None
    expires: int | None
    pinned: bool
    hidden: bool
    forget_at: int | None = None
    seen: int
    last_seen: int | None


DEFAULT_STATE = State(
    version=CODEC_VERSION, ref=None, expires=None, pinned=False, hidden=False, forget_at=None, seen=0, last_seen=None
)
"""The state of most nodes; a node that never left it has no state envelope."""


Value = TypeVar("Value", Payload, Metadata, State)
_UNDECODABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_ENCODER = msgspec.msgpack.Encoder()
_DECODERS: dict[type, msgspec.msgpack.Decoder[Any]] = {
    kind: msgspec.msgpack.Decoder(kind, strict=True) for kind in (Payload, Metadata, State)
}


def encode(value: Payload | Metadata | State) -> bytes:
    """Return the MessagePack bytes of a value."""
    return _ENCODER.encode(value)


def decode(kind: type[Value], encoded: bytes) -> Value:
    """Return the value that `encoded` stands for.

    Raises:
        FormatError: a version that this release does not know.
        TamperedError: anything else that `encode` would not have written.
    """
    try:
        value: Value = _DECODERS[kind].decode(encoded)
    except _UNDECODABLE:
        version = _version_of(encoded)
        if version is not None and version > CODEC_VERSION:
            raise FormatError(
                f"a node has format {version}, this version knows {CODEC_VERSION}; update Mimir"
            ) from None
        raise TamperedError(f"the {kind.__name__.lower()} of a node does not decode; restore a backup") from None
    if value.version != CODEC_VERSION:
        raise FormatError(f"a node has format {value.version}, this version knows {CODEC_VERSION}; update Mimir")
    if _ENCODER.encode(value) != encoded:
        raise TamperedError(f"the {kind.__name__.lower()} of a node is not in its one encoding; restore a backup")
    return value


def encode_state(state: State) -> bytes:
    """Return what a new node's state is sealed from: b"" for the default one, else its MessagePack bytes.

    A state that replaces another is always sealed, so it is encoded by `encode`, the default one too.
    """
    return b"" if state == DEFAULT_STATE else encode(state)


def decode_state(encoded: bytes) -> State:
    """Return the state that `encoded` stands for, b"" for the default one. The default one may also be written out: a
    state may have come back to it.

    Raises:
        FormatError: a version that this release does not know.
        TamperedError: anything else that `encode` or `encode_state` would not have written.
    """
    return decode(State, encoded) if encoded else DEFAULT_STATE


def _version_of(encoded: bytes) -> int | None:
    try:
        value = msgspec.msgpack.decode(encoded)
    except _UNDECODABLE:
        return None
    return value[0] if isinstance(value, list) and value and isinstance(value[0], int) else None


def decode_values(text: str) -> dict[str, Any]:
    """Return the caller's metadata from its JSON text ("" stands for none)."""
    if not text:
        return {}
    try:
        values = json.loads(text)
    except ValueError:
        raise TamperedError("the metadata of a node is no JSON; restore a backup") from None
    if not isinstance(values, dict):
        raise TamperedError("the metadata of a node is no mapping; restore a backup")
    return values
