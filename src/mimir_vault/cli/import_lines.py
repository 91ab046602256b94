"""Lines of an import: JSON objects, one a line, read in bounded memory and turned into drafts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, NamedTuple

from mimir_vault.cli.parsing import local_moment
from mimir_vault.model.draft import Draft, check_draft

FIELDS = ("text", "speaker", "role", "session", "at", "tags", "metadata", "ref", "user", "agent", "kind")
"""What an object may hold, by Mimir's own names."""
LINE_BYTES_MAX = 4 << 20
"""Longest line read: the longest text with every character escaped fits, and memory stays bounded."""


class Line(NamedTuple):
    """A line of a file: its number from 1 on, its bytes without the line end, and where the next one begins."""

    number: int
    content: bytes
    end: int


def read_lines(file: BinaryIO) -> Iterator[Line]:
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
    """How objects become drafts: other names for fields, names to leave out, and what the options say of all."""

    names: Mapping[str, str]
    ignored: frozenset[str]
    user: str | None = None
    agent: str | None = None
    local_time: bool = False

    def draft(self, content: bytes, marks: Mapping[str, Any]) -> Draft:
        """Return the checked draft of one line; `marks` go into its metadata.

        Raises:
            ValueError, TypeError: it is no JSON object, has a field that is not known, or an impossible value.
        """
        fields = self._fields(_parsed(content))
        for name, given in (("user", self.user), ("agent", self.agent)):
            if given is not None and fields.setdefault(name, given) != given:
                raise ValueError(f"{name} is {str(fields[name])[:60]!r}, but --{name} says {given!r}")
        if isinstance(fields.get("ref"), list):
            fields["ref"] = tuple(fields["ref"])
        if self.local_time and isinstance(fields.get("at"), str):
            fields["at"] = local_moment(fields["at"], "at")
        metadata = fields.get("metadata", {})
        if not isinstance(metadata, dict):
            raise TypeError("metadata must be a JSON object")
        fields["metadata"] = {**metadata, **marks}
        return check_draft(Draft(**fields))

    def _fields(self, given: Mapping[str, Any]) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        extra: dict[str, Any] = {}
        for name, value in given.items():
            field = self.names.get(name, name)
            if name in self.ignored or value is None:
                continue
            if field.startswith("metadata."):
                extra[field.removeprefix("metadata.")] = value
            elif field in FIELDS:
                if field in fields:
                    raise ValueError(f"the field {field} is there twice, as {name!r} and under another name")
                fields[field] = value
            else:
                raise ValueError(
                    f"the field {name[:60]!r} is not known; known are {', '.join(FIELDS)}; rename it with "
                    "--map FIELD=NAME, keep it with --map metadata.NAME=NAME, or leave it out with --ignore NAME"
                )
        if extra and isinstance(fields.setdefault("metadata", {}), dict):
            fields["metadata"] = {**fields["metadata"], **extra}
        return fields


def reading_of(
    maps: Sequence[str], ignored: Iterable[str], *, user: str | None, agent: str | None, local_time: bool
) -> Reading:
    """Return how to read objects from `--map FIELD=NAME` and `--ignore NAME`.

    Raises:
        ValueError: a map that is not of that form, names no field, or names something twice.
    """
    names: dict[str, str] = {}
    for pair in maps:
        field, sign, name = pair.partition("=")
        known = field in FIELDS or (field.startswith("metadata.") and field != "metadata.")
        if not sign or not name or not known:
            raise ValueError(
                f"--map {pair[:60]!r} is not FIELD=NAME with a field of {', '.join(FIELDS)} or metadata.SOMETHING"
            )
        if name in names or field in names.values():
            raise ValueError(f"--map names {name if name in names else field!r} twice")
        names[name] = field
    return Reading(names, frozenset(ignored), user, agent, local_time)


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
