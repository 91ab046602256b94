"""Workers as processes: started in the environment that holds their contender, asked one command at a time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

HERE = Path(__file__).resolve().parent
PEERS = HERE.parent / "build" / "bench"
"""Environments of the peers, one for each."""


class ContenderError(Exception):
    """A contender could not be started or gave up; the message says why."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A contender of the comparison: its name in the table, where its class is, and the environment it needs."""

    name: str
    module: str
    kind: str
    peer: str | None = None

    @property
    def python(self) -> Path:
        """The interpreter of its environment."""
        return Path(sys.executable) if self.peer is None else PEERS / self.peer / "bin" / "python"

    @property
    def missing(self) -> str | None:
        """Why it cannot be measured here; None where it can."""
        if self.peer is None:
            return None
        reason = PEERS / f"{self.peer}.missing"
        if reason.exists():
            return reason.read_text(encoding="utf-8").strip()
        return None if self.python.exists() else "its environment was not made; run it through make bench"


MIMIR, PLAIN = Entry("Mimir", "mimir", "Mimir"), Entry("Mimir, encryption off", "mimir", "MimirPlain")
NAIVE = Entry("naive SQLite", "sqlite_blobs", "NaiveSqlite")
MATRIX = Entry("NumPy matrix", "sqlite_blobs", "NumpyMatrix")
PEER_ENTRIES = (
    Entry("Chroma", "chroma", "Chroma", "chroma"),
    Entry("LanceDB", "lance", "Lance", "lancedb"),
    Entry("sqlite-vec", "vec", "SqliteVec", "sqlite-vec"),
    Entry("Compartment", "compartment_vault", "Compartment", "compartment"),
)
ENTRIES = (MIMIR, PLAIN, NAIVE, MATRIX, *PEER_ENTRIES)


class Process:
    """A worker under way. Use as a context manager; leaving it ends the process."""

    def __init__(self, entry: Entry, shared: Path, store: Path, **environment: str) -> None:
        self.entry = entry
        self._log = (shared / f"{entry.kind}.log").open("a", encoding="utf-8")
        home = store.parent / f"{store.name} home"
        home.mkdir(parents=True, exist_ok=True)
        self._process = subprocess.Popen(
            [str(entry.python), str(HERE / "worker.py"), entry.module, entry.kind, str(shared), str(store)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, text=True, encoding="utf-8", cwd=HERE,
            env={**os.environ, "HOME": str(home), **environment},
        )  # fmt: skip
        self._answer()

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Give one command and return its answer (ContenderError when the worker cannot)."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise ContenderError(f"{self.entry.name} ended early") from None
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise ContenderError(f"{self.entry.name} ended early")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise ContenderError(answer["error"].splitlines()[0][:200])
        return answer

    def end(self) -> None:
        """End the process: it ends by itself when there are no more commands."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.close()
            self._process.wait(60)
        except (BrokenPipeError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        self._log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()
