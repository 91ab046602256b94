"""Text for people: remembered text may hold anything, so nothing reaches a terminal before it went through here."""

from __future__ import annotations

import re
from datetime import datetime

SHORT_ID_DIGITS = 12
"""Digits of a shortened id: 48 bits, so that even among a million nodes a chance twin is practically excluded."""

_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters: escape sequences move cursors, set titles, fill clipboards
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # marks that turn the direction and can make text read otherwise
    "\u2028\u2029\ud800-\udfff]"  # other line ends, and halves of characters, which no terminal can show
)


def printable(text: str) -> str:
    """Return text with every control character spelled out, such as `\\x1b`; tabs and line ends stay."""
    return _UNSAFE.sub(_spelled, text.replace("\r\n", "\n"))


def one_line(text: str, width: int | None = None) -> str:
    """Return text as one printable line, cut to `width` characters with an ellipsis."""
    line = " ".join(printable(text).split())
    return line if width is None or len(line) <= width else line[: max(1, width - 1)].rstrip() + "…"


def moment(at: datetime) -> str:
    """Return a moment to the minute, in the time zone it was given in."""
    return f"{at:%Y-%m-%d %H:%M} {at.isoformat()[-6:] if at.utcoffset() else 'UTC'}"


def short_id(node_id: str) -> str:
    """Return the first digits of a node id, enough to name it."""
    return node_id[:SHORT_ID_DIGITS]


def counted(number: int, thing: str, things: str | None = None) -> str:
    """Return a number with its noun in singular or plural: 1 node, 2,000 nodes."""
    return f"{number:,} {thing if number == 1 else things or thing + 's'}"


def byte_size(size: int) -> str:
    """Return a number of bytes for people, such as 16.0 MiB."""
    value = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024 or unit == "GiB":
            break
        value /= 1024
    return f"{size:,} B" if unit == "B" else f"{value:,.1f} {unit}"


def _spelled(found: re.Match[str]) -> str:
    code = ord(found.group())
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
