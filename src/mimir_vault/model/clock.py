"""Time: the clock that is handed in, and moments as aware datetimes and as microseconds since 1970 (UTC)."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, timezone
from typing import Protocol

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
"""The zero of all stored moments."""


class Clock(Protocol):
    """Tells the present moment."""

    def now(self) -> int:
        """Return microseconds since 1970-01-01 UTC."""


class SystemClock:
    """The machine's own clock."""

    def now(self) -> int:
        """Return microseconds since 1970-01-01 UTC."""
        return time.time_ns() // 1_000


def to_micros(moment: datetime) -> int:
    """Return an aware datetime as microseconds since 1970-01-01 UTC, exactly (no float is involved)."""
    return (moment - EPOCH) // timedelta(microseconds=1)


def from_micros(micros: int, offset_s: int = 0) -> datetime:
    """Return microseconds since 1970-01-01 UTC as a datetime in the zone that is `offset_s` seconds east of UTC."""
    zone = timezone(timedelta(seconds=offset_s)) if offset_s else UTC
    return (EPOCH + timedelta(microseconds=micros)).astimezone(zone)


def offset_seconds(moment: datetime) -> int:
    """Return how many seconds east of UTC an aware datetime was given."""
    offset = moment.utcoffset()
    return int(offset.total_seconds()) if offset is not None else 0


def parse_moment(value: datetime | str, name: str = "at") -> datetime:
    """Return an aware datetime from one, or from ISO 8601 text such as `2026-05-01T09:00+02:00`.

    A moment without a time zone is refused: two machines would read it differently.

    Raises:
        TypeError: `value` is neither a datetime nor text.
        ValueError: the text is no ISO 8601 moment, or it names no time zone, or it lies outside the years 1 to 9999.
    """
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value.strip())
        except ValueError:
            raise ValueError(f"{name}={value[:60]!r} is no date; write it like 2026-05-01T09:00+02:00") from None
    elif isinstance(value, datetime):
        moment = value
    else:
        raise TypeError(f"{name} must be a datetime or ISO 8601 text, not {type(value).__name__}")
    if moment.tzinfo is None or moment.utcoffset() is None:
        raise ValueError(f"{name}={moment} names no time zone; add one, for example +00:00 or Z")
    try:
        from_micros(to_micros(moment), offset_seconds(moment))
    except (OverflowError, ValueError):
        raise ValueError(f"{name}={moment} lies outside the years 1 to 9999") from None
    return moment
