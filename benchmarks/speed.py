"""Speed and size of a vault of real utterances, side by side with a plain NumPy matrix in RAM, in one run.

    python benchmarks/speed.py DATA [--nodes 10000] [--queries 300]

DATA is a folder with *.jsonl files of utterances ({"conv", "i", "speaker", "text"} a line); without it nothing is done.
The rival keeps the same float32 vectors as one unencrypted matrix in RAM and its texts in a list: dense search only.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import resource
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator

import numpy as np

import mimir_vault as mimir
from mimir_vault.embed.registry import bundled

PORTION = 2_000
"""Utterances remembered at a time."""


def utterances(folder: pathlib.Path, count: int) -> Iterator[mimir.Draft]:
    """Yield different utterances of at least three words, in their conversations."""
    seen: set[str] = set()
    for file in sorted(folder.glob("*.jsonl")):
        with file.open(encoding="utf-8") as lines:
            for line in lines:
                row = json.loads(line)
                text = row["text"].strip()
                if len(text.split()) < 3 or text in seen:
                    continue
                seen.add(text)
                yield mimir.Draft(text, speaker=row["speaker"], session=str(row["conv"]))
                if len(seen) == count:
                    return


def timed(work: Callable[[], object]) -> float:
    """Return how many milliseconds one call takes."""
    begin = time.perf_counter()
    work()
    return (time.perf_counter() - begin) * 1e3


def shown(values: list[float]) -> str:
    """Return median and 95th percentile in milliseconds."""
    ordered = sorted(values)
    return f"p50 {statistics.median(ordered):7.2f} ms   p95 {ordered[int(len(ordered) * 0.95)]:7.2f} ms"


class NumpyRival:
    """The strongest plain rival: one float32 matrix in RAM, nothing encrypted, dense only."""

    def __init__(self, matrix: np.ndarray, texts: list[str]) -> None:
        self.matrix, self.texts, self.embedder = matrix, texts, bundled()

    def recall(self, query: str, k: int = 10) -> list[str]:
        """Return the k texts of the highest cosine."""
        scores = self.matrix @ self.embedder.embed([query])[0]
        best = np.argpartition(-scores, k)[:k]
        return [self.texts[place] for place in best[np.argsort(-scores[best])]]


def main() -> None:
    """Run the measurement and print one figure a line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", type=pathlib.Path)
    parser.add_argument("--nodes", type=int, default=10_000)
    parser.add_argument("--queries", type=int, default=300)
    args = parser.parse_args()
    if args.data is None or not args.data.is_dir():
        print("skipped: give the folder of utterances")
        return
    root = pathlib.Path(tempfile.mkdtemp(prefix="mimir-speed-"))
    try:
        run(args.data, args.nodes, args.queries, root)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def ingest(memory: mimir.Memory, embedder: mimir.Embedder, drafts: list[mimir.Draft], forms: list[str]) -> None:
    """Remember all drafts in portions; in turn with each, embed the same texts and do nothing else."""
    memory.remember("the first one loads the model")
    embedder.embed(forms[:64])
    whole, bare = [], []
    for at in range(0, len(drafts), PORTION):
        whole.append(timed(lambda at=at: memory.remember_many(drafts[at : at + PORTION])))
        bare.append(timed(lambda at=at: embedder.embed(forms[at : at + PORTION])))
    ratios = [theirs / ours for ours, theirs in zip(whole, bare, strict=True)]
    print(f"ingest              {PORTION * 1e3 / statistics.median(whole):8.0f} nodes/s; bare embedder "
          f"{PORTION * 1e3 / statistics.median(bare):.0f}; ratio {statistics.median(ratios):.2f} "
          f"({min(ratios):.2f} to {max(ratios):.2f})")  # fmt: skip


def run(data: pathlib.Path, count: int, queries_count: int, root: pathlib.Path) -> None:
    """Fill a vault and the rival with the same utterances, then time both in turn."""
    everything = list(utterances(data, count + queries_count + 100))
    drafts, queries = everything[:count], [draft.text for draft in everything[count : count + queries_count]]
    single = everything[count + queries_count :]
    embedder = bundled()
    forms = [f'{draft.speaker} said, "{draft.text}"' for draft in drafts]
    vault = mimir.Vault.create(root / "vault", passphrase="a long passphrase", profile="interactive",
                               state_folder=root / "state")  # fmt: skip
    memory = vault.space()
    ingest(memory, embedder, drafts, forms)
    print("one durable remember", shown([timed(lambda one=one: memory.remember(one.text)) for one in single]))
    status = vault.status().spaces[0]
    print(f"live bytes a node   {status.live_bytes / status.nodes:8.0f}   file {status.file_bytes / 2**20:.0f} MiB")
    vault.lock()
    begin = time.perf_counter()
    vault = mimir.Vault.open(root / "vault", passphrase="a long passphrase", state_folder=root / "state")
    unlocked = time.perf_counter()
    memory = vault.space()
    memory.recall(queries[0])
    print(f"open                {(unlocked - begin) * 1e3:8.0f} ms with Argon2, first answer "
          f"{(time.perf_counter() - unlocked) * 1e3:.0f} ms later")  # fmt: skip
    rival = NumpyRival(np.concatenate([embedder.embed(forms[at : at + 4_096]) for at in range(0, count, 4_096)]),
                       [draft.text for draft in drafts])  # fmt: skip
    ours, theirs, embedding = [], [], []
    for query in queries:
        ours.append(timed(lambda query=query: memory.recall(query)))
        theirs.append(timed(lambda query=query: rival.recall(query)))
        embedding.append(timed(lambda query=query: embedder.embed([query])))
    print("recall, hybrid      ", shown(ours))
    print("NumPy rival, dense  ", shown(theirs))
    print("embedding alone     ", shown(embedding))
    ratio = sorted(ours)[int(len(ours) * 0.95)] / sorted(theirs)[int(len(theirs) * 0.95)]
    print(f"ratio of p95        {ratio:8.2f}   of medians {statistics.median(ours) / statistics.median(theirs):.2f}")
    print(f"search alone        {shown([max(0.0, a - b) for a, b in zip(ours, embedding, strict=True)])}")
    print(f"peak memory         {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:8.0f} MiB")
    vault.lock()


if __name__ == "__main__":
    main()
