"""Overwriting of bytes that were secret: mutable buffers openly, immutable ones only where nobody else holds them."""

from __future__ import annotations

import ctypes
import sys
from typing import Final

_IS_CPYTHON: Final = sys.implementation.name == "cpython"
_CONTENT_OFFSET: Final = bytes.__basicsize__ - 1  # CPython keeps a bytes object's content right behind its fixed part
_TEXT_OFFSET: Final = sys.getsizeof("") - 1  # likewise the characters of a text that is ASCII, one byte each
_fill: Final = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t)(
    ctypes.cast(ctypes.memset, ctypes.c_void_p).value or 0
)
"""C's `memset`, called without letting other threads run: `ctypes.memset` does, and then waits for them to let go."""
_SHORTEST_OWN: Final = 2  # CPython shares the empty and all one-byte objects; they must never be overwritten


def wipe(buffer: bytearray | memoryview) -> None:
    """Overwrite `buffer` with zeros in place; its length stays."""
    buffer[:] = bytes(len(buffer))


def discard(raw: bytes) -> bool:
    """Overwrite an immutable bytes object in place if the caller's variable is its only holder; say whether it was.

    `raw` must be handed over from a local variable: that is the one holder that is allowed for. Some libraries
    take and return keys only as `bytes`. Such a copy lives for microseconds, but without this its content would stay
    in the heap until the allocator reuses it. An object that anybody else can still see (a constant, a slice that is
    the whole) is left alone. The caller drops its variable afterwards.
    """
    if not _IS_CPYTHON or len(raw) < _SHORTEST_OWN or sys.getrefcount(raw) > _references_when_sole:
        return False
    _fill(id(raw) + _CONTENT_OFFSET, 0, len(raw))
    return True


def discard_text(text: str) -> bool:
    """Overwrite an ASCII text as `discard` does bytes, for words that only a `str` can hold on their way to a person.

    A text with other characters is left alone: CPython keeps it in another form.
    """
    if not _IS_CPYTHON or len(text) < _SHORTEST_OWN or sys.getrefcount(text) > _references_when_sole:
        return False
    if not text.isascii() or sys.getsizeof(text) != _TEXT_OFFSET + len(text) + 1:
        return False
    _fill(id(text) + _TEXT_OFFSET, 0, len(text))
    return True


def _count_references(raw: bytes) -> int:
    return sys.getrefcount(raw)


def _measure_sole_references() -> int:
    """Return what `sys.getrefcount` says inside a callee about an object held by one variable of its caller.

    Interpreters differ (CPython 3.14 borrows where 3.11 counts), so the figure is measured and not assumed.
    """
    fresh = bytes(bytearray(b"measured"))
    return _count_references(fresh)


_references_when_sole: Final = _measure_sole_references()
