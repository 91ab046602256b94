"""Tests of what is typed on the command line: dates, filters, metadata."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from mimir_vault.cli.parsing import json_value, local_moment, metadata_of, tags_condition, where_of


@pytest.fixture
def in_kolkata(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine whose own time zone is five and a half hours east."""
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize("text", ["2026-05-01T09:00", "2026-05-01 09:00", "2026-05-01T09:00+05:30"])
def test_naive_moment_is_local(in_kolkata: None, text: str) -> None:
    """A date without a time zone is meant in the zone of the machine; one with a zone keeps it."""
    moment = local_moment(text, "--at")

    assert moment == datetime.fromisoformat("2026-05-01T03:30+00:00")
    assert moment is not None
    assert moment.utcoffset() == timedelta(hours=5, minutes=30)


def test_date_alone_is_midnight(in_kolkata: None) -> None:
    """A day stands for its beginning."""
    assert local_moment("2026-05-01", "--at") == datetime.fromisoformat("2026-05-01T00:00+05:30")


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "2026-02-30T10:00", "25:00"])
def test_bad_dates_are_refused(text: str) -> None:
    """What is no date is named, with an example of one."""
    with pytest.raises(ValueError, match="is no date; write it like"):
        local_moment(text, "--at")


@pytest.mark.parametrize("text", ["0001-01-01T00:00+14:00", "9999-12-31T23:59-14:00"])
def test_dates_outside_the_years_are_refused(text: str) -> None:
    """Moments that no UTC year can hold are refused."""
    with pytest.raises(ValueError, match="outside the years"):
        local_moment(text, "--at")


def test_where_joins_the_filter_and_the_options() -> None:
    """All that is asked for must hold; what is not given does not count."""
    assert where_of(None) is None
    assert where_of('{"a": 1}') == {"a": 1}
    assert where_of(None, speaker="Ada", role=None) == {"speaker": "Ada"}
    assert where_of('{"a": 1}', speaker="Ada") == {"and": [{"a": 1}, {"speaker": "Ada"}]}
    assert tags_condition(["x", "y"]) == {"contains": ["x", "y"]}
    assert tags_condition([]) is None


@pytest.mark.parametrize("text", ["[1]", '"x"', "3", "null"])
def test_where_must_be_an_object(text: str) -> None:
    """Other JSON values are no filters."""
    with pytest.raises(ValueError, match="JSON object"):
        where_of(text)


@pytest.mark.parametrize("text", ["NaN", '{"a": Infinity}', "[-Infinity]"])
def test_nan_is_no_json(text: str) -> None:
    """Python's additions to JSON are refused."""
    with pytest.raises(ValueError, match="which JSON does not know"):
        json_value(text, "--metadata")


@pytest.mark.parametrize("text", ["{", "", "{'a': 1}", "[" * 100_000])
def test_broken_json_is_refused(text: str) -> None:
    """Broken or bottomless JSON gets one sentence."""
    with pytest.raises(ValueError, match="--where is"):
        json_value(text, "--where")


def test_metadata_of_pairs_and_objects() -> None:
    """Pairs are text, objects are what they are, and later ones win."""
    assert metadata_of(["a=1", '{"b": 2, "c": [true]}', "b=x=y"]) == {"a": "1", "b": "x=y", "c": [True]}
    assert metadata_of([]) is None


@pytest.mark.parametrize("pair", ["a", "=b", ""])
def test_bad_metadata_is_refused(pair: str) -> None:
    """What is neither a pair nor an object is refused."""
    with pytest.raises(ValueError, match="neither KEY=VALUE nor a JSON object"):
        metadata_of([pair])
