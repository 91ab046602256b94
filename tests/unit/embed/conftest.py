"""The bundled model, loaded once for all tests of the embedder."""

from __future__ import annotations

import pytest

from mimir_vault.embed.bundle import all_minilm_l6_v2
from mimir_vault.embed.minilm import MiniLM
from mimir_vault.embed.tokenizer import Tokenizer


@pytest.fixture(scope="session")
def minilm() -> MiniLM:
    """The bundled model with two threads, however many processors there are."""
    return MiniLM(threads=2)


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    """The bundled model's tokenizer."""
    bundle = all_minilm_l6_v2()
    return Tokenizer(bundle.read("tokenizer.json"), bundle.max_tokens)
