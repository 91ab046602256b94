"""Moments: exact conversion, zones kept, and refusals that say what to write."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, timezone, tzinfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimir_vault.model.clock import EPOCH, SystemClock, from_micros, offset_seconds, parse_moment, to_micros

OFFSETS = st.integers(-86_399, 86_399)
MOMENTS = st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9998, 12, 31))


def test_the_system_clock_tells_microseconds_since_1970() -> None:
    """`SystemClock.now` agrees with the machine's clock to well under a minute."""
    assert abs(SystemClock().now() - time.time() * 1e6) < 60e6


@given(MOMENTS, OFFSETS)
def test_a_moment_and_its_zone_come_back(naive: datetime, offset: int) -> None:
    """Micros and offset together give back the same instant in the same zone, to the microsecond."""
    moment = naive.replace(tzinfo=timezone(timedelta(seconds=offset)))
    back = from_micros(to_micros(moment), offset_seconds(moment))
    assert back == moment
    assert back.utcoffset() == moment.utcoffset()
    assert back.replace(tzinfo=None) == naive


@given(st.integers(-62_135_596_800_000_000, 253_402_300_799_999_999))
def test_every_microsecond_of_the_years_1_to_9999_has_its_number(micros: int) -> None:
    """No float is on the way: the number of a moment is the moment of the number."""
    assert to_micros(from_micros(micros)) == micros


def test_no_offset_is_utc() -> None:
    """An offset of zero gives the zone UTC itself, and 1970 begins at 0."""
    assert from_micros(0).tzinfo is UTC
    assert to_micros(EPOCH) == 0
    assert offset_seconds(datetime(2026, 5, 1, tzinfo=UTC)) == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-05-01T09:00+02:00", datetime(2026, 5, 1, 9, tzinfo=timezone(timedelta(hours=2)))),
        ("2026-05-01T09:00Z", datetime(2026, 5, 1, 9, tzinfo=UTC)),
        ("  2026-05-01 09:00:01.000002+00:00 \n", datetime(2026, 5, 1, 9, 0, 1, 2, tzinfo=UTC)),
        ("20260501T0900-0330", datetime(2026, 5, 1, 9, tzinfo=timezone(-timedelta(hours=3, minutes=30)))),
    ],
)
def test_iso_text_is_read(text: str, expected: datetime) -> None:
    """ISO 8601 in its usual forms, blanks around it aside, is a moment with its zone."""
    assert parse_moment(text) == expected
    assert parse_moment(text).utcoffset() == expected.utcoffset()


def test_an_aware_datetime_is_taken_as_it_is() -> None:
    """A datetime with a zone comes back unchanged."""
    moment = datetime(2026, 5, 1, 9, tzinfo=timezone(timedelta(hours=-5)))
    assert parse_moment(moment) is moment


class NoZone(tzinfo):
    """A zone that cannot tell its offset."""

    def utcoffset(self, moment: datetime | None) -> timedelta | None:
        """Return that the offset is unknown."""
        return None


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("yesterday", "write it like 2026-05-01T09:00\\+02:00"),
        ("", "write it like"),
        ("2026-02-30T09:00Z", "is no date"),
        ("2026-05-01T25:00Z", "is no date"),
        ("2026-05-01\ud800", "is no date"),
        ("x" * 10_000, "is no date"),
        ("2026-05-01T09:00", "add one, for example"),
        ("2026-05-01", "add one, for example"),
        ("2026-05-01\n", "add one, for example"),
        (datetime(2026, 5, 1), "add one, for example"),
        (datetime(2026, 5, 1, tzinfo=NoZone()), "add one, for example"),
    ],
)
def test_what_is_no_moment_is_refused_in_one_sentence(value: datetime | str, says: str) -> None:
    """Text that is no date and moments without a zone are a ValueError that names the field and says what to write."""
    with pytest.raises(ValueError, match=says) as caught:
        parse_moment(value, "expires_at")
    message = str(caught.value)
    assert message.startswith("expires_at=")
    assert "\n" not in message
    assert len(message) < 200


@pytest.mark.parametrize(
    "value",
    [
        datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=5))),
        datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-5))),
    ],
)
def test_moments_whose_utc_lies_outside_the_calendar_are_refused(value: datetime) -> None:
    """What no calendar can show in UTC is a ValueError, not an OverflowError."""
    with pytest.raises(ValueError, match="outside the years 1 to 9999"):
        parse_moment(value)


@pytest.mark.parametrize("value", [5, 1.5, None, b"2026-05-01T09:00Z", ("2026",)])
def test_other_types_are_a_type_error(value: object) -> None:
    """Numbers are no moments: seconds or milliseconds, since when?"""
    with pytest.raises(TypeError, match="at must be a datetime or ISO 8601 text, not"):
        parse_moment(value)  # type: ignore[arg-type]
