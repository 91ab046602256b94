"""The comparison: Mimir, the same engine without encryption, plain rivals and peers, side by side in one run.

    python benchmarks/compare.py [--data FOLDER] [--nodes N,N] [--queries N] [--out FOLDER] [--patience SECONDS]

FOLDER holds *.jsonl files of real utterances, or a folder `dialogue` that does; without it made-up ones are measured,
10,000 of them, where 10,000 and 100,000 real ones are. Prints one table, then every bar with what was measured, and
writes both into `--out` as results.json, benchmarks.md and benchmarks.svg. See benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
from pathlib import Path
from typing import Any

from comparing import SINGLES, Comparison, say
from machine import describe, load
from processes import PEERS
from report import as_text, write_all
from utterances import load as load_utterances

SPREAD = 10
"""Queries are drawn from so many times as many utterances, for those of one conversation resemble one another."""
REAL_SIZES, MADE_UP_SIZES = "10000,100000", "10000"


def main() -> None:
    """Measure all sizes and tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of real utterances")
    parser.add_argument("--nodes", help="sizes, with commas between")
    parser.add_argument("--queries", type=int, default=300, help="queries of each size (300)")
    parser.add_argument("--out", type=Path, default=Path("build/bench"), help="where the results go (build/bench)")
    parser.add_argument("--patience", type=float, default=300, help="seconds that filling one contender may take (300)")
    args = parser.parse_args()
    data = args.data
    if data is not None and (data / "dialogue").is_dir():
        data = data / "dialogue"
    PEERS.mkdir(parents=True, exist_ok=True)  # The stores go there too: a disk that is no RAM disk, as /tmp may be.
    before = load()
    sizes = [int(one) for one in (args.nodes or (MADE_UP_SIZES if data is None else REAL_SIZES)).split(",")]
    results: dict[str, Any] = {"utterances": "made up" if data is None else "real", "machine": describe(), "sizes": []}
    for size in sizes:
        with tempfile.TemporaryDirectory(prefix="run-", dir=PEERS, ignore_cleanup_errors=True) as folder:
            try:
                found = load_utterances(data, size + SINGLES + SPREAD * args.queries)
            except ValueError as error:
                parser.error(str(error))
            kept, others = found[: size + SINGLES], found[size + SINGLES :]
            queries = random.Random(size).sample(others, args.queries)
            comparison = Comparison(Path(folder), kept, queries, args.patience)
            results["sizes"].append(comparison.run())
    results["machine"]["load"] = f"{before} before the run, {load()} after it, this run's own included"
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "benchmarks.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    write_all(results, args.out)
    print(as_text(results))
    say(f"written: {args.out}/benchmarks.json, .md and .svg")


if __name__ == "__main__":
    main()
