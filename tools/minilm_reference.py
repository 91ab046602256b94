"""all-MiniLM-L6-v2 computed plainly in float64: the oracle of the build and of its reference vectors.

The architecture is BERT's (arXiv:1810.04805) with mean pooling, as the published configuration of the model says.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

LAYERS, HEADS, WIDTH, MAX_TOKENS = 6, 12, 384, 256
LAYER_NORM_EPSILON = 1e-12
"""As in the published configuration of the model."""

Array = NDArray[np.float64]
Weights = dict[str, Array]
Observer = Callable[[str, Array], None]


def linear_weights(weights: Weights) -> dict[str, tuple[Array, Array]]:
    """Return {"layer.part": (matrix (inputs, outputs), bias)} for the parts qkv, out, up and down of each layer."""
    parts: dict[str, tuple[Array, Array]] = {}
    for layer in range(LAYERS):
        root = f"encoder.layer.{layer}."
        groups = {
            "qkv": [f"{root}attention.self.{part}" for part in ("query", "key", "value")],
            "out": [f"{root}attention.output.dense"],
            "up": [f"{root}intermediate.dense"],
            "down": [f"{root}output.dense"],
        }
        for part, names in groups.items():
            matrix = np.concatenate([weights[f"{name}.weight"].T for name in names], axis=1)
            parts[f"{layer}.{part}"] = (matrix, np.concatenate([weights[f"{name}.bias"] for name in names]))
    return parts


def layer_norm(weights: Weights, name: str, x: Array) -> Array:
    """Normalise each row of x and apply the gain and bias of that name."""
    centred = x - x.mean(axis=-1, keepdims=True)
    deviation = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + LAYER_NORM_EPSILON)
    return centred / deviation * weights[f"{name}.weight"] + weights[f"{name}.bias"]


_erf = np.vectorize(math.erf, otypes=[np.float64])


def reference_vector(weights: Weights, ids: list[int], observe: Observer = lambda part, x: None) -> Array:
    """Return the unit vector (384,) of one tokenised text; observe sees the input of each linear part."""
    linear = linear_weights(weights)

    def project(part: str, x: Array) -> Array:
        observe(part, x)
        matrix, bias = linear[part]
        return x @ matrix + bias

    table = "embeddings.word_embeddings.weight"
    x = weights[table][ids] + positions(weights)[: len(ids)]
    x = layer_norm(weights, "embeddings.LayerNorm", x)
    for layer in range(LAYERS):
        root = f"encoder.layer.{layer}"
        heads = project(f"{layer}.qkv", x).reshape(len(ids), 3, HEADS, WIDTH // HEADS).transpose(1, 2, 0, 3)
        query, keys, values = heads[0], heads[1], heads[2]
        scores = query @ keys.transpose(0, 2, 1) / math.sqrt(WIDTH // HEADS)
        scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
        mixed = (scores / scores.sum(axis=-1, keepdims=True)) @ values
        mixed = mixed.transpose(1, 0, 2).reshape(len(ids), WIDTH)
        x = layer_norm(weights, f"{root}.attention.output.LayerNorm", project(f"{layer}.out", mixed) + x)
        inner = project(f"{layer}.up", x)
        inner = inner * 0.5 * (1 + _erf(inner / math.sqrt(2)))
        x = layer_norm(weights, f"{root}.output.LayerNorm", project(f"{layer}.down", inner) + x)
    pooled = x.mean(axis=0)
    return pooled / np.linalg.norm(pooled)


def positions(weights: Weights) -> Array:
    """Return the position table (256, 384) with the one token type that a single text uses folded in."""
    table = weights["embeddings.position_embeddings.weight"][:MAX_TOKENS]
    return table + weights["embeddings.token_type_embeddings.weight"][0]
