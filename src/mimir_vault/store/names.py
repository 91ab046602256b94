"""Names and threads: texts that many nodes share, kept once and counted, so that the last erasure removes them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import apsw
import msgspec

from mimir_vault.store.query import each, fetch


class Names:
    """Codes of names inside one write transaction; `flush` writes how their uses changed."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._codes: dict[str, int] = {}
        self._uses: dict[int, int] = {}
        self._together: dict[tuple[str | None, ...], tuple[int, ...]] = {}
        self._uses_together: dict[tuple[int, ...], int] = {}

    def codes(self, texts: tuple[str | None, ...]) -> tuple[int, ...]:
        """Return the codes of the names of one node, 0 for none, and count one more use of each.

        Most nodes have the names of one before, so they are counted together.
        """
        found = self._together.get(texts)
        if found is None:
            found = self._together[texts] = tuple(self._code(text) for text in texts)
        self._uses_together[found] = self._uses_together.get(found, 0) + 1
        return found

    def code(self, text: str | None) -> int:
        """Return the code of a name and count one more use; 0 for none."""
        code = self._code(text)
        if code:
            self._uses[code] = self._uses.get(code, 0) + 1
        return code

    def _code(self, text: str | None) -> int:
        if text is None:
            return 0
        code = self._codes.get(text)
        if code is None:
            rows = fetch(self._connection, "SELECT code FROM name WHERE text = ?", (text,))
            if not rows:
                rows = fetch(self._connection, "INSERT INTO name (text, uses) VALUES (?, 0) RETURNING code", (text,))
            code = self._codes[text] = int(rows[0][0])
        return code

    def drop(self, code: int) -> None:
        """Count one use less."""
        if code:
            self._uses[code] = self._uses.get(code, 0) - 1

    def flush(self) -> None:
        """Write the counts and remove names that nothing uses."""
        for together, uses in self._uses_together.items():
            for code in filter(None, together):
                self._uses[code] = self._uses.get(code, 0) + uses
        for code, change in self._uses.items():
            if change:
                self._connection.execute("UPDATE name SET uses = uses + ? WHERE code = ?", (change, code))
        gone = [(code,) for code, change in self._uses.items() if change <= 0]
        if gone:
            self._connection.executemany("DELETE FROM name WHERE code = ? AND uses <= 0", gone)
        for kept in (self._uses, self._codes, self._together, self._uses_together):
            kept.clear()


def all_names(connection: apsw.Connection, above: int = 0) -> dict[int, str]:
    """Return every name with a code above `above`, by code."""
    return dict(each(connection, "SELECT code, text FROM name WHERE code > ?", (above,)))


def thread_identity(under: Iterable[str], user: str | None, agent: str | None, session: str) -> bytes:
    """Return the bytes that name one session's chain: (ref prefix, user, agent, session)."""
    return msgspec.msgpack.encode((tuple(under), user, agent, session))


@dataclass(slots=True)
class Thread:
    """A session's chain: its code, how many nodes were ever put, how many live, and the newest one's seq."""

    code: int
    length: int
    uses: int
    head: int
    touched: bool = False


class Threads:
    """Chains of sessions inside one write transaction; `flush` writes those that changed."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._by_identity: dict[bytes, Thread] = {}
        self._by_code: dict[int, Thread] = {}

    def get(self, identity: bytes) -> Thread:
        """Return the chain of an identity, a new one where there is none."""
        thread = self._by_identity.get(identity)
        if thread is None:
            rows = fetch(
                self._connection, "SELECT code, length, uses, head FROM thread WHERE identity = ?", (identity,)
            )
            if not rows:
                rows = fetch(
                    self._connection,
                    "INSERT INTO thread (identity, length, uses, head) VALUES (?, 0, 0, 0)"
                    " RETURNING code, length, uses, head",
                    (identity,),
                )
            thread = self._by_code.setdefault(int(rows[0][0]), Thread(*rows[0]))
            self._by_identity[identity] = thread
        return thread

    def append(self, thread: Thread, seq: int) -> None:
        """Make a node the newest of its chain."""
        thread.length += 1
        thread.uses += 1
        thread.head = seq
        thread.touched = True

    def join(self, thread: Thread, seq: int, order: int) -> None:
        """Take a node that had another chain into this one, where its seq says its place."""
        thread.length = max(thread.length, order + 1)
        thread.uses += 1
        thread.head = max(thread.head, seq)
        thread.touched = True

    def drop(self, code: int, moved: int = 0) -> None:
        """Count one live node of a chain less; one that is `moved` (its seq) is not its newest any more."""
        thread = self._by_code.get(code)
        if thread is None:
            rows = fetch(self._connection, "SELECT code, length, uses, head FROM thread WHERE code = ?", (code,))
            if not rows:
                return
            thread = self._by_code.setdefault(code, Thread(*rows[0]))
        thread.uses -= 1
        thread.touched = True
        if moved and thread.head == moved:
            thread.head = 0

    def flush(self) -> None:
        """Write the chains that changed; a chain without live nodes goes."""
        for thread in self._by_code.values():
            if thread.touched and thread.uses <= 0:
                self._connection.execute("DELETE FROM thread WHERE code = ?", (thread.code,))
            elif thread.touched:
                self._connection.execute(
                    "UPDATE thread SET length = ?, uses = ?, head = ? WHERE code = ?",
                    (thread.length, thread.uses, thread.head, thread.code),
                )
        self._by_identity.clear()
        self._by_code.clear()
