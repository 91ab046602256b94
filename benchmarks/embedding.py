"""Parity and speed of the bundled model: STS-B against the published figure, turns per second, milliseconds a question.

    python benchmarks/embedding.py [DATA]

DATA is a folder that holds stsb_en/stsb-en-test.csv (or is that folder); without it only speed is measured. The speed
part needs no data. Its rival runs the same model file as ONNX Runtime does by default: in the order given, in batches
of 32 padded to the longest, with threads of its own that spin. All are measured in turn, round after round.
"""

from __future__ import annotations

import csv
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mimir_vault.embed.bundle import all_minilm_l6_v2
from mimir_vault.embed.minilm import MiniLM
from mimir_vault.embed.tokenizer import Tokenizer
from mimir_vault.offline_onnxruntime import onnxruntime

PUBLISHED, BAR = 82.03, 81.8
ROUNDS = 9
TOPICS = "the harbour,an old bridge,my sister's bakery,our budget,a night train,the kitchen,her violin,this contract"
VERBS = "was closed,needs repair,became expensive,looks beautiful,surprised everyone,arrives late,is finished"
TIMES = "on Monday,since last winter,after the meeting,because of the storm,until further notice,every second week"


def main() -> None:
    """Measure what can be measured and print it."""
    folder = find_sts(Path(sys.argv[1])) if len(sys.argv) > 1 else None
    if folder is None:
        print("parity: skipped, as no folder with stsb_en/stsb-en-test.csv was given")
    else:
        measure_parity(folder)
    measure_batch_mates()
    measure_loading()
    measure_speed()


def find_sts(data: Path) -> Path | None:
    """Return the folder of the STS-B files below data, or data itself, or None."""
    return next((folder for folder in (data / "stsb_en", data) if (folder / "stsb-en-test.csv").is_file()), None)


def measure_parity(folder: Path) -> None:
    """Print the Spearman correlation of cosines and human scores on the test split."""
    with (folder / "stsb-en-test.csv").open(encoding="utf-8", newline="") as lines:
        rows = list(csv.reader(lines))
    minilm = MiniLM()
    left, right = minilm.embed([row[0] for row in rows]), minilm.embed([row[1] for row in rows])
    found = spearman((left * right).sum(axis=1), np.array([float(row[2]) for row in rows]))
    print(f"parity: STS-B test, {len(rows)} pairs, Spearman {found:.2f} (published {PUBLISHED}, bar {BAR})")
    if found < BAR:
        sys.exit("parity: below the bar")


def spearman(first: NDArray[np.floating], second: NDArray[np.floating]) -> float:
    """Return Spearman's rank correlation times 100, ties sharing their mean rank."""
    return 100 * float(np.corrcoef(mean_ranks(first), mean_ranks(second))[0, 1])


def mean_ranks(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the rank of each value, equal values the mean of theirs."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks: NDArray[np.float64] = ((2 * ends - counts - 1) / 2)[places]
    return ranks


def turns(count: int) -> list[str]:
    """Return different made-up turns of 10 to 20 tokens."""
    parts = [part.split(",") for part in (TOPICS, VERBS, TIMES)]
    picked = [
        [part[number // step % len(part)] for part, step in zip(parts, (1, 3, 5), strict=True)]
        for number in range(count)
    ]
    return [
        f"I heard that {topic} {verb} {when}, number {number}." for number, (topic, verb, when) in enumerate(picked)
    ]


def measure_batch_mates() -> None:
    """Print how far a text's vector alone is from the one it has among others of all lengths."""
    minilm = MiniLM()
    texts = [" ".join(turns(8)[: 1 + number % 8]) for number in range(64)] + ["Yes.", "No idea, sorry."]
    among, alone = minilm.embed(texts), np.concatenate([minilm.embed([text]) for text in texts])
    print(f"batch mates: least cosine of a text alone to itself in a batch {(among * alone).sum(axis=1).min():.6f}")


def measure_loading() -> None:
    """Print the milliseconds from nothing to the first vector, imports done before."""
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        MiniLM().embed(["first answer"])
        times.append(1_000 * (time.perf_counter() - start))
    print(
        f"loading: {statistics.median(times):.0f} ms to the first vector (median of {ROUNDS}, least {min(times):.0f})"
    )


def rival() -> Callable[[Sequence[str]], None]:
    """Return an embed function that uses ONNX Runtime as it comes."""
    bundle = all_minilm_l6_v2()
    tokenizer = Tokenizer(bundle.read("tokenizer.json"), bundle.max_tokens)
    session = onnxruntime.InferenceSession(bundle.read("model.onnx"), providers=["CPUExecutionProvider"])

    def embed(texts: Sequence[str]) -> None:
        for start in range(0, len(texts), 32):
            ids = tokenizer.encode(texts[start : start + 32])
            padded = np.zeros((len(ids), max(map(len, ids))), np.int64)
            mask = np.zeros_like(padded)
            for row, tokens in enumerate(ids):
                padded[row, : len(tokens)], mask[row, : len(tokens)] = tokens, 1
            session.run(None, {"input_ids": padded, "attention_mask": mask})

    return embed


def measure_speed() -> None:
    """Print texts per second and milliseconds per question, of one thread, of all, and of the rival."""
    texts = turns(768)
    questions = ["where does Ada sit?", "who looks after the dog while they are in Norway?", "what was the budget?"]
    ways = {"one thread": MiniLM(threads=1).embed, "default": MiniLM().embed, "rival": rival()}
    rates: dict[str, list[float]] = {name: [] for name in ways}
    waits: dict[str, list[float]] = {name: [] for name in ways}
    for embed in ways.values():
        embed(texts[:64])
    for _ in range(ROUNDS):
        for name, embed in ways.items():
            start = time.perf_counter()
            embed(texts)
            rates[name].append(len(texts) / (time.perf_counter() - start))
            for question in questions * 8:
                start = time.perf_counter()
                embed([question])
                waits[name].append(1_000 * (time.perf_counter() - start))
    counts = MiniLM().count(texts)
    print(f"speed: {len(texts)} turns of {2 + statistics.mean(counts):.1f} tokens, {ROUNDS} rounds in turn")
    for name in ways:
        p95 = statistics.quantiles(waits[name], n=20)[-1]
        print(
            f"  {name:10}  {statistics.median(rates[name]):5.0f} turns/s (best {max(rates[name]):5.0f})   "
            f"a question p50 {statistics.median(waits[name]):.2f} ms, p95 {p95:.2f} ms"
        )


if __name__ == "__main__":
    main()
