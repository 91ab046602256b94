"""Parsing: dates, filters and metadata as they are typed on the command line; errors are one sentence."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from mimir_vault.model.clock import parse_moment


def local_moment(text: str | None, name: str) -> datetime | None:
    """Return a moment; one that names no time zone is meant in this machine's own."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(f"{name} {text[:60]!r} is no date; write it like 2026-05-01T09:00 or 2026-05-01") from None
    if moment.tzinfo is None:
        try:
            moment = moment.astimezone()
        except (OverflowError, ValueError, OSError):
            raise ValueError(f"{name} {text[:60]!r} lies outside the years that can be stored") from None
    return parse_moment(moment, name)


_SPANS = {"w": 7 * 86_400, "d": 86_400, "h": 3_600, "m": 60, "s": 1}


def time_span(text: str | None, name: str) -> timedelta | None:
    """Return a span of time written like 7d, 12h or 30m; None for none."""
    if text is None:
        return None
    number, unit = text.strip()[:-1], text.strip()[-1:].lower()
    if unit not in _SPANS or not number.isdecimal() or len(number) > 9:
        raise ValueError(f"{name} {text[:40]!r} is no span of time; write it like 7d, 12h or 30m")
    return timedelta(seconds=int(number) * _SPANS[unit])


def json_value(text: str, name: str) -> Any:
    """Return a JSON value; NaN and infinity are not JSON and refused."""

    def refuse(constant: str) -> None:
        raise ValueError(f"{name} holds {constant}, which JSON does not know")

    try:
        return json.loads(text, parse_constant=refuse)
    except json.JSONDecodeError as error:
        raise ValueError(f"{name} is no JSON: {error.msg} at character {error.pos + 1}") from None
    except RecursionError:
        raise ValueError(f"{name} is nested too deeply") from None


def where_of(text: str | None, **fields: Any) -> dict[str, Any] | None:
    """Return the filter of `--where` and of the options that stand for one field; all must hold."""
    parts: list[dict[str, Any]] = []
    if text is not None:
        given = json_value(text, "--where")
        if not isinstance(given, dict):
            raise ValueError('--where is a JSON object such as {"speaker": "Ada"}')
        parts.append(given)
    parts.extend({name: value} for name, value in fields.items() if value is not None)
    if not parts:
        return None
    return parts[0] if len(parts) == 1 else {"and": parts}


def ref_of(text: str | None, name: str) -> tuple[str, ...] | None:
    """Return a ref from its parts with / between, or from a JSON list of them; None for none."""
    if text is None:
        return None
    if text.lstrip().startswith("["):
        parts = json_value(text, name)
        if not parts or not all(isinstance(part, str) for part in parts):
            raise ValueError(f"{name} is a list of at least one text, or parts with / between: prefs/ada/seat")
        return tuple(parts)
    if not text.strip("/"):
        raise ValueError(f"{name} is empty; write it like prefs/ada/seat")
    return tuple(text.strip("/").split("/"))


def tags_condition(tags: Sequence[str] | None) -> dict[str, Any] | None:
    """Return the condition that a node has all these tags."""
    return {"contains": list(tags)} if tags else None


def metadata_of(pairs: Sequence[str] | None) -> dict[str, Any] | None:
    """Return metadata from KEY=VALUE pairs (values are text) and JSON objects, later ones over earlier ones."""
    if not pairs:
        return None
    metadata: dict[str, Any] = {}
    for pair in pairs:
        if pair.lstrip().startswith("{"):
            given = json_value(pair, "--metadata")
            metadata.update(given)
            continue
        name, sign, value = pair.partition("=")
        if not sign or not name:
            raise ValueError(f"--metadata {pair[:60]!r} is neither KEY=VALUE nor a JSON object")
        metadata[name] = value
    return metadata
