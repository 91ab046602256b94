"""The comparison at one size: every contender filled with the same utterances, then asked the same queries in turn."""

from __future__ import annotations

import itertools
import json
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contenders.contender import K, Utterance
from figures import median, p50_p95, recall_of_exact
from mimir_vault.embed.registry import bundled
from processes import ENTRIES, HERE, MATRIX, MIMIR, NAIVE, PLAIN, ContenderError, Entry, Process

PORTION = 2_000
"""Utterances of one batch."""
TRIED = 500
"""Utterances after which the time of filling is estimated."""
BLOCK = 20
"""Queries that a contender is asked before it is another's turn."""
SLOW_MS, SLOW_EVERY = 100.0, 3
"""A contender this slow is asked every third block only, so that the run ends."""
ONE_THREAD_MAX = 30_000
"""Up to so many vectors the plain rivals multiply in one thread: they are twice as fast so at 10,000, for a second one
gets in the way of the model's; at 100,000 several threads are faster."""
SINGLES = 100
"""Utterances that are remembered one by one."""
OPENINGS = 5
"""Times a store is opened in a new process."""
Row = dict[str, Any]


class Comparison:
    """One size. `rows` gathers the figures of each contender by name, `missing` why one has none."""

    def __init__(self, folder: Path, kept: list[Utterance], queries: list[Utterance], patience: float) -> None:
        """Take an empty folder, what is put (the last `SINGLES` one by one), and what is asked."""
        self.shared, self.count, self.patience = folder / "shared", len(kept) - SINGLES, patience
        self.stores = folder / "stores"
        self.shared.mkdir(parents=True)
        self.stores.mkdir()
        self.kept, self.queries = kept, queries
        with (self.shared / "utterances.jsonl").open("w", encoding="utf-8") as lines:
            for one in self.kept:
                lines.write(json.dumps([one.text, one.speaker, one.session]) + "\n")
        texts = [one.text for one in self.queries]
        (self.shared / "queries.json").write_text(json.dumps(texts), encoding="utf-8")
        self.embedder = bundled()
        self.query_vectors: NDArray[np.float32] = self.embedder.embed(texts)
        np.save(self.shared / "queries.npy", self.query_vectors)
        self.rows: dict[str, Row] = {}
        self.missing: dict[str, str] = {}
        self.bare: dict[str, Any] = {}
        self.overhead: dict[str, Any] = {}
        self.portions: dict[str, list[float]] = {}

    def run(self) -> Row:
        """Measure everything; return what there is to tell."""
        self.fill_ours()
        self.fill_others()
        self.query()
        self.open_anew()
        self.remember_singly()
        self.measure_overhead()  # Last, because it changes both stores a little.
        return {
            "nodes": self.count, "queries": len(self.queries), "rows": self.rows, "missing": self.missing,
            "bare": self.bare, "overhead": self.overhead,
        }  # fmt: skip

    def start(self, entry: Entry, *, warm: bool = True, **environment: str) -> Process:
        """Start the worker of a contender and load what it shares among stores."""
        if entry in (NAIVE, MATRIX) and self.count <= ONE_THREAD_MAX:
            environment = {"OPENBLAS_NUM_THREADS": "1", **environment}
        process = Process(entry, self.shared, self.stores / entry.kind, **environment)
        loaded = process.ask("load", warm=warm)
        row = self.rows.setdefault(entry.name, {})
        row.update({name: loaded[name] for name in ("versions", "embeds", "note")})
        row["rss_loaded"] = loaded["rss"]
        return process

    # -- filling --------------------------------------------------------------------------------------------------

    def fill_ours(self) -> None:
        """Fill the vault, the engine without encryption, and nothing at all (the bare embedder), portion by portion."""
        say(f"{self.count:,} nodes: filling Mimir, with and without encryption, beside the bare embedder")
        forms = [one.form for one in self.kept]
        self.embedder.embed(forms[:64])
        made: list[NDArray[np.float32]] = []
        spent: dict[str, list[float]] = {"bare": [], MIMIR.name: [], PLAIN.name: []}
        with ExitStack() as stack:
            ours = {entry.name: stack.enter_context(self.start(entry)) for entry in (MIMIR, PLAIN)}
            for process in ours.values():
                process.ask("create")
            for place, start in enumerate(range(0, self.count, PORTION)):
                stop = min(start + PORTION, self.count)
                turn = place % len(spent)
                for name in [*spent, *spent][turn : turn + len(spent)]:
                    if name == "bare":
                        begin = time.perf_counter()
                        made.append(self.embedder.embed(forms[start:stop]))
                        spent[name].append(time.perf_counter() - begin)
                    else:
                        spent[name].append(ours[name].ask("fill", start=start, stop=stop, given=False)["seconds"])
            for name, process in ours.items():
                self.rows[name].update(process.ask("live"))
                process.ask("close")
        made.append(self.embedder.embed(forms[self.count :]))
        np.save(self.shared / "vectors.npy", np.concatenate(made))
        self.portions = spent
        self.bare["per_second"] = self.count / sum(spent["bare"])
        for entry in (MIMIR, PLAIN):
            self.rows[entry.name].update(
                ingest=self.count / sum(spent[entry.name]), disk=self.disk_bytes(entry),
                ingest_share=statistics.median(a / b for a, b in zip(spent["bare"], spent[entry.name], strict=True)),
            )  # fmt: skip

    def fill_others(self) -> None:
        """Fill every other contender from the vectors that are made now."""
        for entry in ENTRIES[2:]:
            reason = entry.missing
            if reason is None:
                say(f"{self.count:,} nodes: filling {entry.name}")
                try:
                    reason = self.fill(entry)
                except ContenderError as error:
                    reason = str(error)
            if reason is not None:
                self.rows.pop(entry.name, None)
                self.missing[entry.name] = reason
                say(f"  left out: {reason}")

    def fill(self, entry: Entry) -> str | None:
        """Fill one contender; return why it was given up. With vectors given, the bare embedder's time is added."""
        with self.start(entry) as process:
            brings_own = entry.peer is not None and self.rows[entry.name]["embeds"]
            process.ask("create")
            seconds, taken = 0.0, 0
            bounds = [0, TRIED, *range(PORTION, self.count, PORTION), self.count]
            for start, stop in itertools.pairwise(bounds):
                answer = process.ask("fill", start=start, stop=stop, given=not brings_own)
                seconds, taken = seconds + answer["seconds"], taken + answer["taken"]
                expected = seconds / stop * self.count
                if expected > self.patience:
                    return f"filling it would take {expected / 60:.0f} minutes ({stop / seconds:.0f} nodes a second)"
            row = self.rows[entry.name]
            row.update(process.ask("live"), taken=taken)
            process.ask("close")
        whole = seconds if brings_own else seconds + sum(self.portions["bare"])
        row.update(ingest=self.count / whole, disk=self.disk_bytes(entry))
        row["ingest_share"] = None if brings_own else sum(self.portions["bare"]) / whole
        return None

    def disk_bytes(self, entry: Entry) -> int:
        """Return the bytes of a store that is closed."""
        return sum(path.stat().st_size for path in (self.stores / entry.kind).rglob("*") if path.is_file())

    # -- asking ---------------------------------------------------------------------------------------------------

    def query(self) -> None:
        """Ask all contenders block by block, in turn; embedding included, and without."""
        say(f"{self.count:,} nodes: asking {len(self.queries)} queries in turn")
        with ExitStack() as stack:
            asked: dict[str, Process] = {}
            for entry in self.entries():
                asked[entry.name] = stack.enter_context(self.start(entry))
                asked[entry.name].ask("open")
                self.ask(entry, asked[entry.name], 0, BLOCK)  # Unmeasured: caches fill.
                asked[entry.name].ask("watch")
            spent: dict[str, dict[str, list[float]]] = {name: {"whole": [], "search": []} for name in asked}
            found: dict[str, list[list[str]]] = {name: [] for name in asked}
            embedding: list[float] = []
            for place, start in enumerate(range(0, len(self.queries), BLOCK)):
                stop = min(start + BLOCK, len(self.queries))
                embedding += [self.embed(one.text) for one in self.queries[start:stop]]
                for entry in self.entries():
                    times = spent[entry.name]
                    if place % SLOW_EVERY and times["whole"] and median(times["whole"]) > SLOW_MS:
                        continue
                    answer = self.ask(entry, asked[entry.name], start, stop)
                    for way, more in answer.items():
                        times[way] += more
            for entry in self.entries():
                row = self.rows[entry.name]
                row["rss_growth"] = asked[entry.name].ask("most")["rss"] - row.pop("rss_loaded")
                row.update({way: p50_p95(times) for way, times in spent[entry.name].items() if times})
                row["asked"] = len(spent[entry.name]["whole"])
            self.bare["embedding"] = p50_p95(embedding)
            for entry in self.entries():
                if entry.kind != "Compartment":
                    found[entry.name] = self.ask_dense(asked[entry.name])
        self.judge({name: texts for name, texts in found.items() if texts})

    def entries(self) -> list[Entry]:
        """Return the contenders that were filled."""
        return [entry for entry in ENTRIES if entry.name in self.rows]

    def ask(self, entry: Entry, process: Process, start: int, stop: int) -> dict[str, list[float]]:
        """Ask one block: with embedding where the contender embeds, and with given vectors where it takes them.

        For those that do not embed each query is embedded here just before: as in a program that uses one, the caches
        of the processor are then those of the other.
        """
        if not self.rows[entry.name]["embeds"]:
            times: dict[str, list[float]] = {"whole": [], "search": []}
            for place in range(start, stop):
                alone = self.embed(self.queries[place].text)
                times["search"] += process.ask("recall", start=place, stop=place + 1, given=True)["ms"]
                times["whole"].append(alone + times["search"][-1])
            return times
        times = {"whole": process.ask("recall", start=start, stop=stop, given=False)["ms"]}
        if entry.kind != "Compartment":
            times["search"] = process.ask("recall", start=start, stop=stop, given=True)["ms"]
        return times

    def ask_dense(self, process: Process) -> list[list[str]]:
        """Return what a contender finds by vectors alone, for the first hundred queries."""
        few = min(100, len(self.queries))
        answer: list[list[str]] = process.ask("recall", start=0, stop=few, given=True, dense=True)["found"]
        return answer

    def embed(self, text: str) -> float:
        """Return the milliseconds of embedding one query."""
        begin = time.perf_counter()
        self.embedder.embed([text])
        return (time.perf_counter() - begin) * 1e3

    def judge(self, found: dict[str, list[list[str]]]) -> None:
        """Compare what was found with exact search over float32 vectors."""
        vectors = np.load(self.shared / "vectors.npy")[: self.count]
        rows = {one.text: row for row, one in enumerate(self.kept[: self.count])}
        for name, texts in found.items():
            queries = self.query_vectors[: len(texts)]
            self.rows[name]["recall_at_10"] = recall_of_exact(texts, rows, vectors, queries, K)

    # -- opening, remembering, overhead ---------------------------------------------------------------------------

    def open_anew(self) -> None:
        """Time opening and the first answer in new processes; where no embedder is brought, loading ours is added."""
        say(f"{self.count:,} nodes: opening each anew")
        loading = []
        for _ in range(OPENINGS):
            begin = time.perf_counter()
            bundled().embed([self.queries[0].text])
            loading.append((time.perf_counter() - begin) * 1e3)
        self.bare["loading"] = median(loading)
        for entry in self.entries():
            embeds = self.rows[entry.name]["embeds"]
            added = 0.0 if embeds else median(loading)
            ways = (
                {"first_answer": {}, "first_answer_by_key": {"UNLOCK": "raw key"}}
                if entry is MIMIR
                else {"first_answer": {}}
            )
            for way, environment in ways.items():
                self.rows[entry.name][way] = added + median(
                    [self.first_answer(entry, given=not embeds, **environment) for _ in range(OPENINGS)]
                )

    def first_answer(self, entry: Entry, *, given: bool, **environment: str) -> float:
        """Return the milliseconds from an imported library to the first answer of a store."""
        with Process(entry, self.shared, self.stores / entry.kind, **environment) as process:
            opened = process.ask("open")["ms"]
            answered = process.ask("recall", start=0, stop=1, given=given)["ms"][0]
            process.ask("close")
        return float(opened + answered)

    def remember_singly(self) -> None:
        """Let each remember some utterances one by one; where no embedder is brought, embedding is added."""
        say(f"{self.count:,} nodes: remembering {SINGLES} one by one")
        with ExitStack() as stack:
            processes = {entry.name: stack.enter_context(self.start(entry)) for entry in self.entries()}
            spent: dict[str, list[float]] = {name: [] for name in processes}
            for process in processes.values():
                process.ask("open")
            for start in range(self.count, self.count + SINGLES, BLOCK):
                for name, process in processes.items():
                    if self.rows[name]["embeds"]:
                        spent[name] += process.ask("remember", start=start, stop=start + BLOCK, given=False)["ms"]
                        continue
                    for place in range(start, start + BLOCK):
                        alone = self.embed(self.kept[place].form)
                        times = process.ask("remember", start=place, stop=place + 1, given=True)["ms"]
                        spent[name].append(alone + times[0])
            for name, times in spent.items():
                self.rows[name]["remember"] = p50_p95(times)
                self.rows[name].pop("rss_loaded", None)
                processes[name].ask("close")

    def measure_overhead(self) -> None:
        """Compare both engines in one process; see overhead.py."""
        say(f"{self.count:,} nodes: what encryption costs")
        stores = [str(self.stores / entry.kind) for entry in (MIMIR, PLAIN)]
        done = subprocess.run(
            [sys.executable, str(HERE / "overhead.py"), str(self.shared), *stores],
            capture_output=True, text=True, check=False, cwd=HERE,
        )  # fmt: skip
        if done.returncode:
            sys.exit(f"what encryption costs could not be measured:\n{done.stderr}")
        self.overhead = json.loads(done.stdout.splitlines()[-1])
        paired = zip(self.portions[MIMIR.name], self.portions[PLAIN.name], strict=True)
        self.overhead["ingest"] = {
            "difference_share": statistics.median(ours / theirs - 1 for ours, theirs in paired),
            "node_ms": 1e3 / self.rows[MIMIR.name]["ingest"],
        }


def say(text: str) -> None:
    """Tell how far it is, apart from the results."""
    print(text, file=sys.stderr, flush=True)
