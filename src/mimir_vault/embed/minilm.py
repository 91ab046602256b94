"""all-MiniLM-L6-v2 in ONNX Runtime: the embedder that comes with Mimir."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from mimir_vault.embed.bundle import Bundle, all_minilm_l6_v2
from mimir_vault.embed.embedder import Vectors, list_of_texts
from mimir_vault.embed.tokenizer import Tokenizer
from mimir_vault.embed.windows import Window, cut
from mimir_vault.offline_onnxruntime import onnxruntime

BATCH_TOKENS = 512
"""Tokens, padding included, that are run at once: enough to fill a core, few enough for its cache (decision 0001)."""

LEAST_BATCH_TOKENS = 128
"""No batch is cut smaller to keep another thread busy: reading all weights once more costs more than it saves."""

MOST_THREADS = 8
"""Threads used where the caller says nothing; more hardly help a model of this size."""


class MiniLM:
    """Unit vectors of 384 dimensions; threads may share one. Files are read at the first use, not before."""

    def __init__(
        self, *, threads: int | None = None, batch_tokens: int = BATCH_TOKENS, bundle: Bundle | None = None
    ) -> None:
        """Set up without loading anything.

        Args:
            threads: how many batches run side by side; by default one per processor this process may use.
            batch_tokens: tokens run at once by each thread.
            bundle: other model files of the same make; by default those in the package.

        Raises:
            ValueError: threads or batch_tokens is less than one.
        """
        if threads is not None and threads < 1:
            raise ValueError(f"threads must be at least 1, not {threads}.")
        if batch_tokens < 1:
            raise ValueError(f"batch_tokens must be at least 1, not {batch_tokens}.")
        self._bundle = bundle or all_minilm_l6_v2()
        self._threads = threads or min(_processors(), MOST_THREADS)
        self._batch_tokens = batch_tokens
        self._loading = threading.Lock()
        self._loaded_tokenizer: Tokenizer | None = None
        self._loaded_session: onnxruntime.InferenceSession | None = None

    @property
    def name(self) -> str:
        """The model's name."""
        return self._bundle.name

    @property
    def dimension(self) -> int:
        """Components of each vector: 384."""
        return self._bundle.dimension

    @property
    def max_tokens(self) -> int:
        """The longest text the model reads, special tokens included: 256."""
        return self._bundle.max_tokens

    @property
    def digest(self) -> str:
        """SHA-256 of the manifest that names the digests of all model files: another model, another digest."""
        return self._bundle.manifest_sha256

    def load(self) -> None:
        """Read and check the model's files now rather than at the first embed(); the same errors."""
        self._tokenizer()
        self._session()

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one unit vector per text, in order: float32 (n, 384); what goes beyond 256 tokens is not read.

        A text's vector does not depend on the texts beside it.

        Raises:
            TypeError: a text is no str, or texts is itself one str.
            TamperedError: the model's files are not those that were shipped.
            FormatError: they are missing.
        """
        ids = self._tokenizer().encode(list_of_texts(texts))
        vectors = np.empty((len(ids), self.dimension), np.float32)
        lengths = [len(tokens) for tokens in ids]
        share = max(-(-sum(lengths) // self._threads), LEAST_BATCH_TOKENS)
        batches = plan_batches(lengths, min(self._batch_tokens, share))
        session = self._session()

        def run(batch: list[int]) -> None:
            vectors[batch] = _run(session, [ids[row] for row in batch])

        if len(batches) <= 1 or self._threads == 1:
            for batch in batches:
                run(batch)
        else:
            with ThreadPoolExecutor(min(self._threads, len(batches)), "mimir-embed") as pool:
                # The list takes the results, and so raises what a thread raised.
                list(pool.map(run, batches))
        return vectors

    def count(self, texts: Sequence[str]) -> list[int]:
        """Return how many tokens each text takes, the two special ones left out."""
        return self._tokenizer().count(list_of_texts(texts))

    def windows(self, text: str, prefix: str = "", suffix: str = "") -> list[Window]:
        """Return the windows [start, end) that the model reads whole between prefix and suffix; see windows.cut()."""
        return cut(self._tokenizer(), text, prefix, suffix)

    def _tokenizer(self) -> Tokenizer:
        with self._loading:
            if self._loaded_tokenizer is None:
                self._loaded_tokenizer = Tokenizer(self._bundle.read("tokenizer.json"), self.max_tokens)
            return self._loaded_tokenizer

    def _session(self) -> onnxruntime.InferenceSession:
        with self._loading:
            if self._loaded_session is None:
                self._loaded_session = open_session(self._bundle.read("model.onnx"))
            return self._loaded_session


def open_session(model: bytes) -> onnxruntime.InferenceSession:
    """Return a quiet session on the processor alone, one thread per run: callers run several side by side instead.

    ONNX Runtime's own threads spin while they wait; on a shared machine that costs tens of milliseconds (0001).
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def plan_batches(lengths: Sequence[int], batch_tokens: int) -> list[list[int]]:
    """Group row numbers, shortest texts first, at most batch_tokens a batch with padding, but one row at least."""
    batches: list[list[int]] = []
    for row in sorted(range(len(lengths)), key=lambda row: lengths[row]):
        if batches and (len(batches[-1]) + 1) * lengths[row] <= batch_tokens:
            batches[-1].append(row)
        else:
            batches.append([row])
    return batches


def _run(session: onnxruntime.InferenceSession, ids: list[list[int]]) -> Vectors:
    longest = max(len(tokens) for tokens in ids)
    padded: NDArray[np.int64] = np.zeros((len(ids), longest), np.int64)
    mask = np.zeros_like(padded)
    for row, tokens in enumerate(ids):
        padded[row, : len(tokens)] = tokens
        mask[row, : len(tokens)] = 1
    vectors: Vectors = session.run(None, {"input_ids": padded, "attention_mask": mask})[0]
    return vectors


def _processors() -> int:
    """Return how many processors this process may use, which may be fewer than the machine has."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1
