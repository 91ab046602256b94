"""Tests that remembered text cannot reach a terminal raw."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimir_vault.cli.text import byte_size, counted, moment, one_line, printable

TURNING = set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@given(st.text(st.characters(codec=None, exclude_categories=())))
def test_nothing_dangerous_stays(text: str) -> None:
    """No control character but tab and line end, no mark of direction and no half character comes through."""
    for character in printable(text):
        assert character in "\t\n" or unicodedata.category(character) not in {"Cc", "Cs"}
        assert character not in TURNING


@given(st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S"])))
def test_harmless_text_is_not_changed(text: str) -> None:
    """Letters, digits, marks and signs of all scripts are shown as they are."""
    assert printable(text) == text


def test_escape_sequences_are_spelled_out() -> None:
    """A sequence that would colour or retitle a terminal is shown as text."""
    assert printable("\x1b[31mred\x1b]0;t\x07\u202e") == "\\x1b[31mred\\x1b]0;t\\x07\\u202e"


@pytest.mark.parametrize(("text", "line"), [("a\n\tb  c", "a b c"), ("abcdef", "abc…"), ("", "")])
def test_one_line_is_cut(text: str, line: str) -> None:
    """Line ends become blanks and what is too long ends with an ellipsis."""
    assert one_line(text, 4 if text == "abcdef" else None) == line


def test_moment_is_shown_in_its_own_zone() -> None:
    """A date is shown as it was given, with its offset."""
    assert moment(datetime(2026, 5, 1, 9, 0, tzinfo=timezone(timedelta(hours=2)))) == "2026-05-01 09:00 +02:00"
    assert moment(datetime(2026, 5, 1, 9, 0, tzinfo=UTC)) == "2026-05-01 09:00 UTC"


def test_figures() -> None:
    """Numbers come with the right noun and sizes with the right unit."""
    assert counted(1, "node") == "1 node"
    assert counted(2000, "node") == "2,000 nodes"
    assert [byte_size(size) for size in (5, 1024, 16 << 20)] == ["5 B", "1.0 KiB", "16.0 MiB"]
