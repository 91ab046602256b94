"""The one buffer type for key material: wipeable, out of swap and core dumps, never shown, copied or pickled."""

from __future__ import annotations

from collections import deque
from types import TracebackType
from typing import Final, NoReturn, Self

from mimir_vault.crypto.locked_pages import LockedPages
from mimir_vault.crypto.primitives import Octets, equal
from mimir_vault.crypto.randomness import Random, draw
from mimir_vault.crypto.wiping import discard, wipe
from mimir_vault.errors import LockedError

__all__ = ["SecretBytes", "discard", "wipe"]

_CELL_LENGTH: Final = 128  # bytes; holds the keys of one envelope (88), so the common secrets all share pages
_CELLS_OF_MAPPING: Final = 128  # 16 KiB at a time: thousands of secrets fit the 8 MiB that Linux lets a user lock

# Free cells of shared mappings. `deque.pop` and `deque.append` are atomic, so no lock is held while the garbage
# collector may wipe another secret, and none can be left locked by a fork.
_free_cells: deque[tuple[LockedPages, int]] = deque()


class SecretBytes:
    """`length` bytes of key material, zero at first; `wipe()` (or leaving the `with`, or the last reference going)
    overwrites them. After that, and in a forked child, `view()` raises LockedError.
    """

    __slots__ = ("__weakref__", "_held", "_length", "_offset", "_pages")

    def __init__(self, length: int) -> None:
        # A list of at most one, because `list.pop` lets exactly one of several threads do the wiping.
        self._held: list[memoryview] = []
        if length < 1:
            raise ValueError(f"A secret needs at least one byte, not {length}.")
        self._length = length
        self._pages, self._offset = pages, offset = _take(length)
        self._held.append(pages.view[offset : offset + length])

    @classmethod
    def copy_of(cls, content: Octets) -> Self:
        """Copy `content`; the caller still owns (and wipes) the original."""
        secret = cls(len(content))
        secret._held[0][:] = content
        return secret

    @classmethod
    def random(cls, length: int, random: Random) -> Self:
        """Take `length` bytes from `random`, a source fit for keys, and overwrite what it returned."""
        drawn = draw(random, length)
        secret = cls.copy_of(drawn)
        discard(drawn)
        return secret

    def view(self) -> memoryview:
        """Return the live bytes (writable, `length` long).

        The secret must outlive the view: wiping, which the last reference to the secret does too, releases it.
        """
        try:
            view = self._held[0]
        except IndexError:
            raise LockedError("This key was wiped; unlock the vault again.") from None
        if self._pages.forked:
            raise LockedError("A forked process does not inherit keys; open the vault again in it.")
        return view

    def wipe(self) -> None:
        """Overwrite the bytes with zeros; again and again is harmless."""
        if not self._held:
            return
        try:
            view = self._held.pop()
        except IndexError:
            return  # Another thread was faster.
        wipe(view)
        try:
            view.release()
        except BufferError:
            return  # Somebody reads it this moment: the cell is given up rather than lent to another secret.
        if self._length <= _CELL_LENGTH and not self._pages.forked:
            _free_cells.append((self._pages, self._offset))

    @property
    def wiped(self) -> bool:
        """Whether the bytes are gone."""
        return not self._held or self._pages.forked

    def __len__(self) -> int:
        return self._length

    def __eq__(self, other: object) -> bool:
        """Compare the contents of two secrets in constant time."""
        if not isinstance(other, SecretBytes):
            return NotImplemented
        return equal(self.view(), other.view())

    __hash__ = None  # type: ignore[assignment]  # a hash would be a function of the content

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.wipe()

    def __del__(self) -> None:
        self.wipe()

    def __repr__(self) -> str:
        return f"<SecretBytes, {self._length} bytes{', wiped' if self.wiped else ''}>"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("A secret is never pickled or copied; use SecretBytes.copy_of on its view.")


def _take(length: int) -> tuple[LockedPages, int]:
    """Return pages and an offset with room for `length` bytes: a cell of a shared mapping, or a mapping of its own."""
    if length > _CELL_LENGTH:
        return LockedPages(length), 0
    while True:
        try:
            pages, offset = _free_cells.pop()
        except IndexError:
            pages = LockedPages(_CELL_LENGTH * _CELLS_OF_MAPPING)
            _free_cells.extend((pages, cell * _CELL_LENGTH) for cell in range(1, _CELLS_OF_MAPPING))
            return pages, 0
        if not pages.forked:
            return pages, offset
