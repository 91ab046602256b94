#!/usr/bin/env python3
"""Plant faults in crypto and key slots, one at a time, and see whether the tests notice each of them.

    make mutants                                        # all files, some ten minutes on two cores
    .venv/bin/python tools/mutants.py crypto/wrap.py    # only some files
    .venv/bin/python tools/mutants.py --list            # only say what would be planted

Every mutant (see `mutations.py`) is written into a copy of the source tree, never into the tree itself. Its own unit
tests run first, then the other tests of crypto and key slots. A test that fails or hangs kills the mutant. What
survives fails this run, unless `equivalent_mutants.toml` says for what reason it cannot be noticed; a reason for a
mutant that is killed, or that is gone, fails it as well.
"""

from __future__ import annotations

import argparse
import os
import queue
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mutations import KINDS, Mutant, mutants_of

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = Path("src") / "mimir_vault"
MUTATED = ("crypto", "keyslots")
REVIEWED = Path(__file__).resolve().parent / "equivalent_mutants.toml"
COPIED = ("src", "tests", "docs", "pyproject.toml")
NOT_COPIED = ("__pycache__", "*.egg-info", "*.onnx", ".hypothesis")
UNIT_TESTS = ("tests/unit/crypto", "tests/unit/keyslots")
OTHER_TESTS = ("tests/vectors", "tests/contract/test_keyslots.py", "tests/property/test_sealing.py")
LEFT_OUT = ("tests/unit/keyslots/test_header.py::test_every_flipped_bit_is_refused",)
"""Too slow to run for every mutant; a test beside it does the same with one bit of each byte."""
PROCESSES = 2
PATIENCE = 5  # times what the same tests take without a fault, and some seconds; then they hang
PATIENCE_SECONDS = 20
NICENESS = 10
MEMORY_LIMIT = 6 * 2**30  # bytes of address space, so that an endless loop that fills a list ends soon

SURVIVED, KILLED, HUNG = "survived", "killed", "hung"


@dataclass(frozen=True)
class Reviewed:
    """Mutants that somebody looked at: name -> why no test can notice it."""

    reasons: dict[str, str]

    @classmethod
    def read(cls, path: Path) -> Reviewed:
        """Return what the file says; ValueError where a reason is missing or a mutant stands twice."""
        reasons: dict[str, str] = {}
        for table in tomllib.loads(path.read_text(encoding="utf-8")).get("mutant", []):
            name = f"{table['file']} | {table['function']} | {table['change']}"
            if name in reasons or not table["reason"].strip():
                raise ValueError(f"{path.name}: {name} stands twice or has no reason.")
            reasons[name] = table["reason"]
        return cls(reasons)


class Workplace:
    """A copy of the source tree in which mutants are planted and tests run, one after the other."""

    def __init__(self, folder: Path, original: Path) -> None:
        self._folder = folder
        for name in COPIED:
            source = original / name
            if source.is_dir():
                shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns(*NOT_COPIED))
            else:
                shutil.copy2(source, folder / name)
        self._seconds: dict[tuple[str, ...], float] = {}

    def mutants(self, wanted: list[str]) -> list[Mutant]:
        """Return all mutants of the files that begin with one of `wanted`, or of all."""
        found: list[Mutant] = []
        for file in sorted(path for name in MUTATED for path in (self._folder / PACKAGE / name).glob("*.py")):
            path = file.relative_to(self._folder / PACKAGE).as_posix()
            if not wanted or any(path.startswith(name) for name in wanted):
                found += mutants_of(path, file.read_bytes())
        return found

    def measure(self, paths: list[str]) -> None:
        """Run all tests without a fault: they must pass, and say how long they take. This compiles all files too."""
        for stage in dict.fromkeys(stage for path in paths for stage in _stages(path)):
            began = time.monotonic()
            if self._test(stage, "", None, compiled=True) != SURVIVED:
                raise SystemExit(f"These tests fail without any fault, so they can tell nothing: {' '.join(stage)}")
            self._seconds[stage] = time.monotonic() - began

    def try_out(self, mutant: Mutant) -> str:
        """Plant a mutant, run the tests that may notice it, and take it out again."""
        file = self._folder / PACKAGE / mutant.path
        whole = file.with_name(file.name + ".whole")
        os.replace(file, whole)
        try:
            file.write_bytes(mutant.planted_in(whole.read_bytes()))
            own = _own_tests(mutant.path)
            for stage in _stages(mutant.path):
                seconds = PATIENCE_SECONDS + PATIENCE * self._seconds[stage]
                result = self._test(stage, "" if own in stage else own, seconds, compiled=False)
                if result != SURVIVED:
                    return result
            return SURVIVED
        finally:
            os.replace(whole, file)  # with its old time, so that what was compiled from it is valid again

    def _test(self, tests: tuple[str, ...], done: str, seconds: float | None, compiled: bool) -> str:
        """Run tests but those of the file that is `done`, if any, for so many seconds at most."""
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
        command += [*(f"--deselect={name}" for name in LEFT_OUT), *([f"--ignore={done}"] if done else []), *tests]
        environment = {
            **os.environ,
            "PYTHONPATH": str(self._folder / "src"),  # for the processes that tests start
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # no test of these needs one, and loading them takes a while
            "CI": "1",  # has Hypothesis try the same examples each time, and none of them against the clock
        }
        if not compiled:
            environment["PYTHONDONTWRITEBYTECODE"] = "1"
        process = subprocess.Popen(
            command,
            cwd=self._folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            return HUNG
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # children that a failed test left behind, too
            process.wait()
        return SURVIVED if code == 0 else KILLED


def _own_tests(path: str) -> str:
    """Return the unit tests of a file, whether there are any or not."""
    package, module = path.split("/")
    return f"tests/unit/{package}/test_{module}"


def _stages(path: str) -> list[tuple[str, ...]]:
    """Return the tests that may notice a fault in a file: its own first, as most faults end there, then the others.

    The unit tests need no fixtures from outside their folder; without those they begin five times sooner.
    """
    own, apart = _own_tests(path), "--confcutdir=tests/unit"
    stages = [(apart, *UNIT_TESTS), OTHER_TESTS]
    return [(apart, own), *stages] if (ROOT / own).exists() else stages


def _run(mutants: list[Mutant], workplaces: list[Workplace]) -> dict[str, str]:
    """Return what became of every mutant, by its name."""
    paths = list(dict.fromkeys(mutant.path for mutant in mutants))
    free: queue.Queue[Workplace] = queue.Queue()

    def prepare(workplace: Workplace) -> None:
        workplace.measure(paths)
        free.put(workplace)

    def try_out(mutant: Mutant) -> str:
        workplace = free.get()
        try:
            return workplace.try_out(mutant)
        finally:
            free.put(workplace)

    fates: dict[str, str] = {}
    with ThreadPoolExecutor(len(workplaces)) as pool:
        list(pool.map(prepare, workplaces))
        began = time.monotonic()
        running = {pool.submit(try_out, mutant): mutant for mutant in mutants}
        try:
            for future in as_completed(running):
                mutant = running[future]
                fates[mutant.name] = future.result()
                if fates[mutant.name] == SURVIVED:
                    print(f"  survived: src/mimir_vault/{mutant.path}:{mutant.line} {mutant.change}", flush=True)
                if len(fates) % 25 == 0 or len(fates) == len(mutants):
                    minutes = (time.monotonic() - began) / 60
                    print(f"{len(fates)} of {len(mutants)} tried in {minutes:.1f} min", flush=True)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return fates


def _table(title: str, rows: dict[str, list[Mutant]], fates: dict[str, str], reviewed: Reviewed) -> str:
    width = max(len(name) for name in [*rows, title])
    lines = [f"{title:{width}}  mutants  killed  (hung)  reviewed  survived"]
    for name, mutants in rows.items():
        count = Counter(
            "reviewed" if fates[m.name] == SURVIVED and m.name in reviewed.reasons else fates[m.name] for m in mutants
        )
        lines.append(
            f"{name:{width}}  {len(mutants):7}  {count[KILLED] + count[HUNG]:6}  {count[HUNG]:6}"
            f"  {count['reviewed']:8}  {count[SURVIVED]:8}"
        )
    return "\n".join(lines)


def _report(mutants: list[Mutant], fates: dict[str, str], reviewed: Reviewed, paths: set[str]) -> bool:
    """Print the tables and what is wrong; return whether all is well."""
    by_file: dict[str, list[Mutant]] = {}
    by_kind: dict[str, list[Mutant]] = {kind: [] for kind in KINDS}
    for mutant in mutants:
        by_file.setdefault(mutant.path, []).append(mutant)
        by_kind[mutant.kind].append(mutant)
    print("\n" + _table("file", {**by_file, "all": mutants}, fates, reviewed))
    print("\n" + _table("kind", by_kind, fates, reviewed) + "\n")
    wrong = [
        f"survived: src/mimir_vault/{m.path}:{m.line} {m.function}: {m.change}"
        for m in mutants
        if fates[m.name] == SURVIVED and m.name not in reviewed.reasons
    ]
    for name in reviewed.reasons:
        if name.split(" | ")[0] in paths and fates.get(name) != SURVIVED:
            gone = "is killed by a test" if name in fates else "is gone"
            wrong.append(f"{REVIEWED.name} lists what {gone}: {name}")
    print("\n".join(wrong) if wrong else "Every mutant is killed, or listed with the reason why it cannot be.")
    return not wrong


def main() -> None:
    """Try all mutants of the files named; end with 1 where one survives that nobody reviewed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", help="as in crypto/wrap.py or keyslots; all, where none is named")
    parser.add_argument("--list", action="store_true", help="say what would be planted, and stop")
    arguments = parser.parse_args()
    reviewed = Reviewed.read(REVIEWED)
    os.nice(NICENESS)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT, MEMORY_LIMIT))
    with tempfile.TemporaryDirectory(prefix="mimir-mutants-") as name:
        folders = [Path(name) / str(number) for number in range(PROCESSES)]
        workplaces = [Workplace(folder, original) for folder, original in zip(folders, [ROOT, *folders], strict=False)]
        mutants = workplaces[0].mutants(arguments.files)
        if arguments.list:
            for mutant in mutants:
                print(f"src/mimir_vault/{mutant.path}:{mutant.line} [{mutant.kind}] {mutant.function}: {mutant.change}")
            raise SystemExit
        if not mutants:
            raise SystemExit("There is nothing to plant a fault in; name files as in crypto/wrap.py.")
        fates = _run(mutants, workplaces)
    paths = {mutant.path for mutant in mutants}
    raise SystemExit(0 if _report(mutants, fates, reviewed, paths) else 1)


if __name__ == "__main__":
    main()
