"""Tests of the pages that secrets lie on: what the operating system is asked for, and what a fork leaves."""

from __future__ import annotations

import ctypes
import mmap
import os
import re
import sys
from pathlib import Path

import pytest

from mimir_vault.crypto import locked_pages
from mimir_vault.crypto.locked_pages import LockedPages

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/smaps, which only Linux has")
forking_only = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")


def flags_of(pages: LockedPages) -> set[str]:
    address = ctypes.addressof(ctypes.c_char.from_buffer(pages.memory))
    current = range(0)
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if found := re.match(r"([0-9a-f]+)-([0-9a-f]+) ", line):
            current = range(int(found[1], 16), int(found[2], 16))
        elif line.startswith("VmFlags:") and address in current:
            return set(line.split()[1:])
    raise AssertionError("the mapping is not listed")


@linux_only
def test_pages_stay_out_of_core_dumps_and_children() -> None:
    """The kernel reports the mapping as not dumped, wiped on fork and, where it was granted, locked."""
    pages = LockedPages(100)

    flags = flags_of(pages)

    assert {"dd", "wf"} <= flags
    assert pages.locked == ("lo" in flags)


def test_a_mapping_has_whole_pages() -> None:
    """Lengths are rounded up, so no other data shares a locked page."""
    assert len(LockedPages(1).memory) == mmap.PAGESIZE
    assert len(LockedPages(mmap.PAGESIZE + 1).memory) == 2 * mmap.PAGESIZE


@pytest.mark.parametrize("error", [OSError, AttributeError])
def test_a_system_without_locking_still_gives_pages(monkeypatch: pytest.MonkeyPatch, error: type[Exception]) -> None:
    """Where the lock is refused or unknown, the pages work and say that they are not locked."""

    def refuse(name: object) -> object:
        raise error

    monkeypatch.setattr(ctypes, "CDLL", refuse)

    pages = LockedPages(64)
    pages.memory[:3] = b"abc"

    assert not pages.locked
    assert pages.memory[:3] == b"abc"


def test_a_refused_advice_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that does not know an advice is no reason to fail."""
    monkeypatch.setattr(locked_pages, "_MADV_WIPEONFORK", 9_999)

    assert LockedPages(64).memory[:1] == b"\0"


@linux_only
def test_each_advice_is_given_without_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages are wiped on fork also where a system has no name for keeping them out of core dumps, or refuses it."""
    monkeypatch.setattr(mmap, "MADV_DONTDUMP", 9_999)
    assert "wf" in flags_of(LockedPages(100))

    monkeypatch.delattr(mmap, "MADV_DONTDUMP")
    assert "wf" in flags_of(LockedPages(100))


@forking_only
def test_a_child_finds_its_pages_empty_and_marked() -> None:
    """The handler that runs in a forked child wipes every mapping, also without help of the kernel.

    It runs in a real child here: in this process it would empty the secrets of every other test.
    """
    pages = LockedPages(64)
    pages.memory[:6] = b"secret"
    child = os.fork()
    if child == 0:
        pages.memory[:6] = b"filled"  # As if the kernel had not emptied it.
        locked_pages._empty_in_child()
        os._exit(0 if pages.forked and pages.memory[:6] == bytes(6) else 1)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert not pages.forked
    assert pages.memory[:6] == b"secret"
