"""Lines of an import: JSON objects, one a line, read in bounded memory and turned into drafts."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mimir_vault.interchange.given_file import LineReader
from mimir_vault.model.draft import Draft
from mimir_vault.model.link import Link, is_node_id

FIELDS = (
    "text", "speaker", "role", "session", "at", "tags", "metadata", "ref", "user", "agent", "kind", "links", "data",
    "index", "vector", "expires_at", "pinned",
)  # fmt: skip
"""What an object may hold: the fields of a draft."""
EXPORTED = ("id", "recorded_at", "superseded_by", "vectors")
"""What an object of an export holds besides; they count where its `id` is a whole node id."""
LINE_BYTES_MAX = 64 << 20
"""Longest line read: the longest text, data and passages of one node fit, and memory stays bounded."""


class Line(NamedTuple):
    """A line of a file: its number from 1 on, its bytes without the line end, and where the next one begins."""

    number: int
    content: bytes
    end: int


class Given(NamedTuple):
    """What a line says: a draft that is not checked yet, the id it was exported under, its owner's vectors.

    `vectors` are float32 (n, d) by (name, dimension) of their embedder.
    """

    draft: Draft
    origin: bytes | None
    vectors: Mapping[tuple[str, int], NDArray[np.float32]]


def read_lines(file: LineReader) -> Iterator[Line]:
    """Yield the lines of a file; a longer line than `LINE_BYTES_MAX` is cut, which its reader has to refuse."""
    number, end = 0, 0
    while content := file.readline(LINE_BYTES_MAX + 1):
        number += 1
        end += len(content)
        rest = content
        while len(rest) > LINE_BYTES_MAX and not rest.endswith(b"\n"):
            rest = file.readline(LINE_BYTES_MAX + 1)
            end += len(rest)
            if not rest:
                break
        if number == 1:
            content = content.removeprefix(b"\xef\xbb\xbf")
        yield Line(number, content.rstrip(b"\r\n"), end)


@dataclass(frozen=True, slots=True)
class Reading:
    """How objects become drafts: fields by the names they have in the file, names to leave out, local times."""

    names: Mapping[str, str]
    ignored: frozenset[str]
    local_time: bool = False

    def given(self, content: bytes) -> Given:
        """Return what one line says.

        Raises:
            ValueError, TypeError: it is no JSON object, has a field that is not known, or one of a wrong form.
        """
        fields, exported = self._fields(_parsed(content))
        origin = exported.get("id")
        if isinstance(fields.get("ref"), list):
            fields["ref"] = tuple(fields["ref"])
        if "links" in fields:
            fields["links"] = _links(fields["links"])
        if "data" in fields:
            fields["data"] = _base64(fields["data"], "data")
        if self.local_time:
            for name in ("at", "expires_at"):
                if isinstance(fields.get(name), str):
                    fields[name] = local_moment(fields[name], name)
        if not isinstance(fields.get("metadata", {}), dict):
            raise TypeError("metadata must be a JSON object")
        return Given(Draft(**fields), bytes.fromhex(origin) if origin else None, _vectors(exported.get("vectors", ())))

    def _fields(self, given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the fields of a draft, and those that only an export has."""
        fields: dict[str, Any] = {}
        exported: dict[str, Any] = {}
        extra: dict[str, Any] = {}
        is_export = is_node_id(given.get("id")) and "id" not in self.names
        for name, value in given.items():
            field = self.names.get(name, name)
            if name in self.ignored or value is None:
                continue
            if field.startswith("metadata."):
                extra[field.removeprefix("metadata.")] = value
            elif is_export and name in EXPORTED and field == name:
                exported[name] = value
            elif field in FIELDS:
                if field in fields:
                    raise ValueError(f"the field {field} is there twice, as {name!r} and under another name")
                fields[field] = value
            else:
                raise ValueError(
                    f"the field {name[:60]!r} is not known; known are {', '.join(FIELDS)}; give it as another field, "
                    "keep it as metadata.NAME, or leave it out"
                )
        if extra and isinstance(fields.setdefault("metadata", {}), dict):
            fields["metadata"] = {**fields["metadata"], **extra}
        return fields, exported


def reading_of(fields: Mapping[str, str], ignored: Collection[str], *, local_time: bool) -> Reading:
    """Return how to read objects whose fields have the names that `fields` gives: `{"text": "content"}`.

    Raises:
        ValueError: a field that there is not, or a name that stands for two. TypeError: not text.
    """
    names: dict[str, str] = {}
    if isinstance(ignored, str):
        raise TypeError("ignore must be a list of names")
    for field, name in fields.items():
        if not isinstance(field, str) or not isinstance(name, str):
            raise TypeError("fields must be names of text by names of fields")
        if not name or not (field in FIELDS or (field.startswith("metadata.") and field != "metadata.")):
            raise ValueError(f"fields has {field[:60]!r}; give one of {', '.join(FIELDS)} or metadata.SOMETHING a name")
        if name in names:
            raise ValueError(f"fields names {name!r} twice")
        names[name] = field
    return Reading(names, frozenset(ignored), local_time)


def local_moment(text: str, name: str) -> datetime:
    """Return a moment; one that names no time zone is meant in this machine's own."""
    try:
        moment = datetime.fromisoformat(text.strip())
        return moment if moment.tzinfo is not None else moment.astimezone()
    except (OverflowError, ValueError, OSError):
        raise ValueError(f"{name} {text[:60]!r} is no date; write it like 2026-05-01T09:00 or 2026-05-01") from None


def _parsed(content: bytes) -> dict[str, Any]:
    if len(content) > LINE_BYTES_MAX:
        raise ValueError(f"the line is longer than {LINE_BYTES_MAX:,} bytes")
    try:
        parsed = json.loads(content.decode("utf-8"), parse_constant=_refuse)
    except UnicodeDecodeError as error:
        raise ValueError(f"it is no UTF-8 text (byte {error.start + 1})") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"it is no JSON: {error.msg} at character {error.pos + 1}") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(parsed, dict):
        raise ValueError("it is no JSON object")
    return parsed


def _refuse(constant: str) -> None:
    raise ValueError(f"it holds {constant}, which JSON does not know")


def _links(value: Any) -> tuple[Link, ...]:
    if not isinstance(value, list) or not all(
        isinstance(one, dict) and one.keys() == {"kind", "target"} for one in value
    ):
        raise ValueError('links must be a list of {"kind": …, "target": …}')
    return tuple(Link(one["kind"], one["target"]) for one in value)


def _base64(value: Any, name: str) -> bytes:
    try:
        return base64.b64decode(value.encode("ascii"), validate=True)
    except (AttributeError, UnicodeEncodeError, binascii.Error):
        raise ValueError(f"{name} must be base64 text") from None


def _vectors(value: Any) -> dict[tuple[str, int], NDArray[np.float32]]:
    """Return the vectors of an export, float32 (n, d), by (name, dimension) of their embedder."""
    found: dict[tuple[str, int], NDArray[np.float32]] = {}
    try:
        for one in value:
            name, dimension = one["model"], one["dimension"]
            rows = np.frombuffer(_base64(one["float32"], "vectors"), "<f4").reshape(-1, dimension)
            if not isinstance(name, str) or isinstance(dimension, bool) or not len(rows) or not np.isfinite(rows).all():
                raise ValueError
            found[name, dimension] = rows
    except (ValueError, TypeError, KeyError):
        raise ValueError('vectors must be a list of {"model": …, "dimension": …, "float32": base64}') from None
    return found
