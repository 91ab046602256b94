"""Tests of overwriting: mutable buffers, and immutable bytes that nobody else holds."""

from __future__ import annotations

import ctypes
import os
import sys

import pytest

from mimir_vault.crypto import wiping
from mimir_vault.crypto.wiping import discard, discard_text, wipe

CONSTANT = b"a constant that every caller shares"


def test_wipe_overwrites_a_bytearray_in_place() -> None:
    """A wiped bytearray keeps its length and holds zeros."""
    buffer = bytearray(b"secret")

    wipe(buffer)

    assert buffer == bytes(6)


def test_wipe_overwrites_what_a_view_shows() -> None:
    """Wiping a view wipes the buffer behind it, and only that part of it."""
    buffer = bytearray(b"secretrest")

    wipe(memoryview(buffer)[:6])

    assert buffer == bytes(6) + b"rest"


@pytest.mark.skipif(sys.implementation.name != "cpython", reason="only CPython's objects can be overwritten in place")
@pytest.mark.parametrize("length", [2, 3, 32])
def test_discard_overwrites_bytes_that_one_variable_holds(length: int) -> None:
    """After discard the memory of a fresh bytes object holds zeros, however short it is."""
    fresh = bytes(bytearray(b"\xa5" * length))
    address = id(fresh) + bytes.__basicsize__ - 1

    overwritten = discard(fresh)

    assert overwritten
    assert ctypes.string_at(address, length) == bytes(length)


@pytest.mark.skipif(sys.implementation.name != "cpython", reason="only CPython's objects can be overwritten in place")
def test_discard_text_overwrites_words_that_one_variable_holds() -> None:
    """After discard_text the memory of a fresh text holds zeros."""
    fresh = " ".join(["wool", "canoe", "tent"])
    address = id(fresh) + sys.getsizeof("") - 1
    assert ctypes.string_at(address, 15) == b"wool canoe tent"

    overwritten = discard_text(fresh)

    assert overwritten
    assert ctypes.string_at(address, 15) == bytes(15)


@pytest.mark.skipif(sys.implementation.name != "cpython", reason="only CPython's objects can be overwritten in place")
def test_discard_text_overwrites_two_letters() -> None:
    """The shortest text that the interpreter does not share is overwritten, too."""
    fresh = "".join(["w", "o"])
    address = id(fresh) + sys.getsizeof("") - 1

    assert discard_text(fresh)
    assert ctypes.string_at(address, 2) == bytes(2)


def test_discard_text_leaves_texts_of_another_make_alone() -> None:
    """An object of a subclass keeps its characters elsewhere; what lies in their place must not be overwritten."""

    class Word(str):
        pass

    fresh = Word("".join(["wool", "canoe"]))

    assert not discard_text(fresh)
    assert fresh == "wool" + "canoe"


def test_discard_text_leaves_other_texts_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that somebody else can see, a literal, one character, one that is not ASCII, and on other interpreters."""
    shared = "".join(["wool", "canoe"])
    other = shared
    literal = "a literal"
    accented, single = "".join(["wóól", "canoe"]), "".join(["x"])

    assert [discard_text(text) for text in (shared, literal, accented, single)] == [False] * 4
    assert not discard_text(shared)
    assert not discard_text(accented)
    assert not discard_text(single)
    assert not discard_text(literal)
    assert (other, accented, single, literal) == ("woolcanoe", "wóólcanoe", "x", "a literal"[:])
    monkeypatch.setattr(wiping, "_IS_CPYTHON", False)
    fresh = "".join(["wool", "canoe"])
    assert not discard_text(fresh)
    assert fresh == other


def test_discard_leaves_shared_bytes_alone() -> None:
    """An object that another variable can see keeps its content."""
    fresh = os.urandom(32)
    other = fresh
    before = bytearray(fresh)

    overwritten = discard(fresh)

    assert not overwritten
    assert other == before


def test_discard_leaves_constants_alone() -> None:
    """What a source of randomness in a test may return, a module's constant or a literal, survives."""
    of_module, whole_slice, literal = CONSTANT, CONSTANT[:], b"a literal"

    assert not discard(of_module)
    assert not discard(whole_slice)
    assert not discard(literal)
    assert CONSTANT == b"a constant " + b"that every caller shares"


@pytest.mark.parametrize("length", [0, 1])
def test_discard_leaves_cached_objects_alone(length: int) -> None:
    """The interpreter shares empty and one-byte objects, so they are never overwritten."""
    assert not discard(bytes(bytearray(b"x" * length)))
    assert bytes(bytearray(b"x")) == b"x"


def test_discard_does_nothing_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """On an interpreter with another layout of objects nothing is touched."""
    monkeypatch.setattr(wiping, "_IS_CPYTHON", False)
    fresh = os.urandom(32)
    before = bytearray(fresh)

    assert not discard(fresh)
    assert fresh == before
