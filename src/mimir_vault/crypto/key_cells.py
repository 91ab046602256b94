"""Cells of locked memory for keys that live for one call: lent, filled, wiped when they come back, and lent again."""

from __future__ import annotations

from collections import deque
from types import TracebackType
from typing import Final, Self

from mimir_vault.crypto.primitives import KEY_LENGTH
from mimir_vault.crypto.secret import SecretBytes


class KeyCell:
    """A secret that is on loan for a `with` block; leaving it overwrites the bytes and gives the cell back.

    Its views are cut once: the `whole`, its first 32 bytes as `key`, and the `rest`. Whoever keeps one of them, or the
    secret, sees another's keys later.
    """

    __slots__ = ("_home", "_zeros", "key", "rest", "secret", "whole")

    def __init__(self, length: int, home: deque[KeyCell]) -> None:
        self.secret = SecretBytes(length)
        self.whole = self.secret.view()
        self.key = self.whole[:KEY_LENGTH]
        self.rest = self.whole[KEY_LENGTH:]
        self._zeros: Final = bytes(length)
        self._home: Final = home

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.whole[:] = self._zeros
        self._home.append(self)


class KeyCells:
    """Lends cells of one length, as many as are out at once; several threads may ask.

    Every envelope needs one, and making a `SecretBytes` each time would cost four times as much (0.9 against 0.2 µs).
    """

    __slots__ = ("_free", "_length")

    def __init__(self, length: int) -> None:
        self._length: Final = length
        # `deque.pop` and `deque.append` are atomic, so no lock is held that a fork could leave locked.
        self._free: Final[deque[KeyCell]] = deque()

    def borrow(self) -> KeyCell:
        """Return a cell of zeros that nobody else has, for a `with` block."""
        try:
            cell = self._free.pop()
        except IndexError:
            return KeyCell(self._length, self._free)
        # A forked child inherits cells whose memory is locked in its parent only.
        return KeyCell(self._length, self._free) if cell.secret.wiped else cell
