"""Memory pages for secrets: locked into RAM, out of core dumps, empty in a forked child, where the OS allows."""

from __future__ import annotations

import mmap
import os
import sys
import weakref
from typing import Final

_MADV_WIPEONFORK: Final = 18  # Linux 4.14 and later; the `mmap` module has no name for it


class LockedPages:
    """A private mapping of whole pages. Each protection is asked for and silently done without where it is refused:
    a machine without them must still be able to open its vault, and what remains is wiping after use.
    """

    __slots__ = ("__weakref__", "forked", "locked", "memory", "view")

    def __init__(self, length: int) -> None:
        size = -(-length // mmap.PAGESIZE) * mmap.PAGESIZE
        if sys.platform == "win32":
            self.memory = mmap.mmap(-1, size)
        else:
            self.memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self.view = memoryview(self.memory)
        self.forked = False
        self.locked = _lock(self.memory)
        _advise(self.memory)
        _mapped.add(self)


_mapped: weakref.WeakSet[LockedPages] = weakref.WeakSet()  # every mapping of this process, for the wipe after a fork


def _lock(memory: mmap.mmap) -> bool:
    """Lock the mapping into RAM, so that it never reaches the swap; False where the OS has no such call or refuses."""
    try:
        import ctypes

        library = ctypes.CDLL(None)
        address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        return bool(library.mlock(ctypes.c_void_p(address), ctypes.c_size_t(len(memory))) == 0)
    except (ImportError, OSError, AttributeError, TypeError):
        return False


def _advise(memory: mmap.mmap) -> None:
    for advice in (getattr(mmap, "MADV_DONTDUMP", None), _MADV_WIPEONFORK if sys.platform == "linux" else None):
        if advice is None:
            continue
        try:
            memory.madvise(advice)
        except (OSError, AttributeError):
            continue


def _empty_in_child() -> None:
    """Wipe every mapping in a forked child: its parent's secrets are none of its business (and some systems have no
    wipe-on-fork). Secrets that lie there see `forked` and raise instead of handing out zeros as a key.
    """
    for pages in list(_mapped):
        pages.forked = True
        pages.memory[:] = bytes(len(pages.memory))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_empty_in_child)
