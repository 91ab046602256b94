"""A process of its own for one contender: it does what it is told, line by line, and times itself.

    python benchmarks/worker.py MODULE CLASS INPUT STORE

INPUT is the folder of what all contenders share (utterances, vectors, queries), STORE the folder of this one. Each line
of standard input is a command in JSON, each line of standard output its answer; what a library prints goes to standard
error. Nothing here imports Mimir: the worker also runs in environments that hold a peer alone.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from contenders.contender import Contender, Utterance

QUIET_SECONDS, QUIET_SHARE = 0.02, 0.1
"""A process is at rest when it used less than this share of a moment so long."""
REST_SECONDS = 30
"""Who is not at rest by then never will be."""


class Worker:
    """One contender, its input, and the commands."""

    def __init__(self, module: str, name: str, shared: Path, folder: Path) -> None:
        self.contender: Contender = getattr(importlib.import_module(f"contenders.{module}"), name)()
        self.folder = folder
        with (shared / "utterances.jsonl").open(encoding="utf-8") as lines:
            self.utterances = [Utterance(*json.loads(line)) for line in lines]
        self.queries: list[str] = json.loads((shared / "queries.json").read_text(encoding="utf-8"))
        self.shared = shared
        self.query_vectors: Any = None

    def do_load(self, *, warm: bool) -> dict[str, Any]:
        """Load the embedder if asked to; tell versions and how much memory there is before any store."""
        if warm:
            self.contender.warm()
        kind = type(self.contender)
        versions = {name: importlib.metadata.version(name) for name in kind.packages}
        return {"versions": versions, "embeds": kind.embeds, "note": kind.note, "rss": resident_bytes()}

    def do_create(self) -> dict[str, Any]:
        """Make the store."""
        self.folder.mkdir(parents=True)
        return {"ms": timed(lambda: self.contender.create(self.folder))}

    def do_open(self) -> dict[str, Any]:
        """Open the store."""
        return {"ms": timed(lambda: self.contender.open(self.folder))}

    def do_fill(self, *, start: int, stop: int, given: bool) -> dict[str, Any]:
        """Put a portion, with vectors if `given`; what it still does afterwards by itself counts as its time too."""
        vectors = np.load(self.shared / "vectors.npy", mmap_mode="r")[start:stop] if given else None
        part = self.utterances[start:stop]
        vectors = None if vectors is None else np.array(vectors)
        begin = time.perf_counter()
        taken = self.contender.fill(start, part, vectors)
        seconds = time.perf_counter() - begin
        return {"seconds": seconds + rest(), "taken": taken}

    def do_remember(self, *, start: int, stop: int, given: bool) -> dict[str, Any]:
        """Put some one by one."""
        vectors = np.array(np.load(self.shared / "vectors.npy", mmap_mode="r")[start:stop]) if given else None
        spent = []
        for number in range(start, stop):
            vector = None if vectors is None else vectors[number - start]
            spent.append(timed(partial(self.contender.remember, number, self.utterances[number], vector)))
        rest()
        return {"ms": spent}

    def do_recall(self, *, start: int, stop: int, given: bool, dense: bool = False) -> dict[str, Any]:
        """Ask some queries, with their vectors if `given`."""
        if self.query_vectors is None:
            self.query_vectors = np.load(self.shared / "queries.npy")
        spent, found = [], []
        for number in range(start, stop):
            query, vector = self.queries[number], self.query_vectors[number] if given else None
            begin = time.perf_counter()
            texts = self.contender.recall(query, vector, dense=dense)
            spent.append((time.perf_counter() - begin) * 1e3)
            found.append(texts)
        return {"ms": spent, "found": found}

    def do_watch(self) -> dict[str, Any]:
        """Begin to watch for the most memory that is used at any time from now on, where the system can."""
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        return {}

    def do_most(self) -> dict[str, Any]:
        """Tell the most memory that was used since watching began."""
        return {"rss": resident_bytes("VmHWM")}

    def do_live(self) -> dict[str, Any]:
        """Tell what an open store knows of itself."""
        return {"live": self.contender.live_bytes(), **self.contender.facts()}

    def do_close(self) -> dict[str, Any]:
        """Close the store."""
        return {"ms": timed(self.contender.close)}


def timed(work: Callable[[], object]) -> float:
    """Return how many milliseconds one call takes."""
    begin = time.perf_counter()
    work()
    return (time.perf_counter() - begin) * 1e3


def rest() -> float:
    """Wait until the threads of this process have come to rest; return the seconds of work they still did."""
    worked, deadline = 0.0, time.monotonic() + REST_SECONDS
    while time.monotonic() < deadline:
        before = time.process_time()
        time.sleep(QUIET_SECONDS)
        used = time.process_time() - before
        if used < QUIET_SECONDS * QUIET_SHARE:
            break
        worked += used
    return worked


def resident_bytes(which: str = "VmRSS") -> int:
    """Return the resident memory of this process now, or with "VmHWM" the most since it was watched.

    Where the system tells neither it is the most since the process began.
    """
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(which))
    except (OSError, StopIteration):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


def main() -> None:
    """Answer commands until standard input ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    module, name, shared, folder = sys.argv[1:]
    try:
        worker = Worker(module, name, Path(shared), Path(folder))
    except Exception as error:
        print(json.dumps({"error": f"{type(error).__name__}: {error}"}), file=answers)
        return
    print(json.dumps({"ready": True}), file=answers)
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            answer = getattr(worker, "do_" + asked.pop("do"))(**asked)
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers)


if __name__ == "__main__":
    main()
