"""The report of a run: one table of all contenders, one of all bars; as text, as a page, and drawn by plot.py.

python benchmarks/report.py RESULTS FOLDER      # write page and plot anew from a benchmarks.json
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bars import bars_of
from figures import bytes_a_node, markdown, table, written
from plot import draw

Row = dict[str, Any]
HEAD = [
    "contender", "nodes", "recall p50", "p95", "search p50", "p95", "ingest/s", "of bare", "remember p95", "B/node",
    "disk MiB", "RAM MiB", "recall@10", "first answer",
]  # fmt: skip
BAR_HEAD = ["bar", "nodes", "measured", "demanded", "verdict"]
SIDES = ("encrypted", "plain", "difference", "worked")
LEGEND = """\
recall: milliseconds of one query, k = 10, its embedding included (added alike for those that bring no embedder);
search: the same with the query's vector given. Contenders are asked in turn, each in a process of its own.
ingest/s: utterances a second in batches of 2,000, embedding included; of bare: share of what the embedder alone does.
remember p95: milliseconds of one durable remember, embedding included. B/node: bytes a node, without the padding of
size classes where there is one; disk: the files as they are, padding included. RAM: the most memory of the process
while queries are asked, the loaded model apart. recall@10: what its vectors alone find of the ten exactly best among
all (float32). first answer: milliseconds from an imported library to the first answer, loading the model and Argon2
included."""


def as_text(results: Row) -> str:
    """Return everything for a terminal."""
    title = f"{results['utterances']} utterances".capitalize()
    return "\n\n".join([title, *(part for part in _parts(results, table) if part)])


def as_page(results: Row) -> str:
    """Return everything as docs/benchmarks.md."""
    machine = results["machine"]
    parts = list(_parts(results, markdown))
    return "\n\n".join([
        "# Benchmarks",
        "Written by `make bench`, never by hand: everything side by side in one run, on one machine. Times compare "
        "within a table and not with other machines.",
        "![Recall latency and bytes a node of all contenders](benchmarks.svg)",
        "## All contenders",
        parts[0], _lines(LEGEND), *filter(None, parts[2:4]),
        "## Bars",
        "What the design demands of each figure; `…` goes on from the line above.",
        parts[4],
        "## What encryption costs",
        "The vault and the same engine with encryption off, in one process, asked the same in turn; a difference is "
        "the median of the differences of pairs.",
        *parts[5:],
        "## The run",
        "\n".join(f"- {name}: {value}" for name, value in machine.items()),
        _versions(results),
        "To repeat it: `make bench DATA=FOLDER OUT=docs`, where FOLDER holds `dialogue/*.jsonl`, one utterance a line "
        "with `conv`, `speaker` and `text`. `make bench` alone measures 10,000 made-up utterances in some minutes; "
        "`NODES=10000` or `NODES=10000,100000` sets the sizes. `benchmarks/README.md` says what is measured how.",
    ]) + "\n"  # fmt: skip


def _parts(results: Row, shape: Callable[[list[str], list[list[str]]], str]) -> Iterator[str]:
    """Yield the table, its legend, notes, what is missing, the bars, and what encryption costs."""
    yield shape(HEAD, [line for size in results["sizes"] for line in _contenders(size)])
    yield LEGEND
    notes: dict[str, str] = {}
    for size in results["sizes"]:
        notes.update({name: row["note"] for name, row in size["rows"].items() if row["note"]})
    yield "\n".join(
        [f"- {name}: {note}." for name, note in notes.items()]
        + [
            f"- {name} at {size['nodes']:,} nodes: {row['index']}; its file has the size class "
            f"{row['size_class'] / 2**20:.0f} MiB."
            for size in results["sizes"]
            for name, row in size["rows"].items()
            if "size_class" in row
        ]
    )
    yield "\n".join(
        f"- {name} at {size['nodes']:,} nodes is not measured: {reason}."
        for size in results["sizes"]
        for name, reason in size["missing"].items()
    )
    yield shape(BAR_HEAD, [bar.cells() for size in results["sizes"] for bar in bars_of(size)])
    yield shape(
        ["milliseconds", "nodes", "encrypted", "plain", "difference", "… in processor time"],
        [line for size in results["sizes"] for line in _compared(size)],
    )
    newest = results["sizes"][-1]["overhead"]["parts"]
    yield shape(["part by part, a node", "µs"], [[name, f"{1e3 * ms:.1f}"] for name, ms in newest.items()])


def _contenders(size: Row) -> Iterator[list[str]]:
    nodes = size["nodes"]
    for name, row in size["rows"].items():
        search, share, found = row.get("search", {}), row.get("ingest_share"), row.get("recall_at_10")
        yield [
            name, f"{nodes:,}", written(row["whole"]["p50"]), written(row["whole"]["p95"]),
            written(search.get("p50"), 2), written(search.get("p95"), 2), written(row["ingest"], 0),
            "–" if share is None else f"{share:.0%}", written(row["remember"]["p95"]),
            written(bytes_a_node(row, nodes), 0), written(row["disk"] / 2**20, 0),
            written(row["rss_growth"] / 2**20, 0), "–" if found is None else f"{found:.3f}",
            written(row["first_answer"], 0),
        ]  # fmt: skip
    bare = size["bare"]
    yield [
        "the embedder alone", f"{nodes:,}", written(bare["embedding"]["p50"]), written(bare["embedding"]["p95"]),
        "–", "–", written(bare["per_second"], 0), "100%", "–", "–", "–", "–", "–", written(bare["loading"], 0),
    ]  # fmt: skip


def _compared(size: Row) -> Iterator[list[str]]:
    for name, way in (("opening ten nodes", "opening"), ("a search of k = 10", "searching"),
                      ("storing a node", "storing")):  # fmt: skip
        one = size["overhead"][way]
        yield [name, f"{size['nodes']:,}", *(f"{one[side]:.3f}" for side in SIDES)]


def _lines(text: str) -> str:
    return text.replace("\n", " ")


def _versions(results: Row) -> str:
    found: dict[str, str] = {}
    for size in results["sizes"]:
        for row in size["rows"].values():
            found.update(row["versions"])
    kind = results["utterances"]
    asked = results["sizes"][0]["queries"]
    return (
        f"- versions: {', '.join(f'{name} {version}' for name, version in sorted(found.items()))}\n"
        f"- utterances: {kind}, all different; {asked} others as queries of each size"
    )


def write_all(results: Row, folder: Path) -> None:
    """Write page and plot."""
    (folder / "benchmarks.md").write_text(as_page(results), encoding="utf-8")
    (folder / "benchmarks.svg").write_text(draw(results), encoding="utf-8")


def main() -> None:
    """Write both from what a run has measured."""
    source, folder = map(Path, sys.argv[1:])
    write_all(json.loads(source.read_text(encoding="utf-8")), folder)


if __name__ == "__main__":
    main()
