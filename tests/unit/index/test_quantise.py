"""Quantising: int8 rows stay close to their vectors, codes are the same everywhere."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimir_vault.errors import FormatError
from mimir_vault.index.quantise import Frozen, cosines, from_rows, rotation, split_rows, to_rows


def unit(count: int, dimension: int = 384, seed: int = 0) -> np.ndarray:  # type: ignore[type-arg]
    vectors = np.random.default_rng(seed).standard_normal((count, dimension)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_rows_keep_the_direction() -> None:
    """A stored row points where its vector did."""
    vectors = unit(200)
    back = from_rows(to_rows(vectors))
    kept = (vectors * back).sum(axis=1) / np.linalg.norm(back, axis=1)

    assert kept.min() > 0.9999


def test_cosines_are_those_of_the_rows() -> None:
    """The fast product equals the one over restored vectors."""
    rows, query = to_rows(unit(50)), unit(1, seed=1)[0]

    np.testing.assert_allclose(cosines(query, rows), from_rows(rows) @ query, atol=1e-5)


def test_a_row_is_its_values() -> None:
    """The layout is one int8 for each dimension, the largest being 127; the scale is one over the length of the row."""
    row = to_rows(np.array([[0.5, -1.0, 0.25, 0.0]], np.float32))
    scales, values = split_rows(row)

    assert row.shape == (1, 4)
    assert values[0].tolist() == [64, -127, 32, 0]
    assert scales[0] == pytest.approx(1 / np.sqrt(64**2 + 127**2 + 32**2))


def test_the_zero_vector_has_a_row() -> None:
    """No division by zero, no NaN."""
    assert not from_rows(to_rows(np.zeros((1, 16), np.float32))).any()


@pytest.mark.parametrize("dimension", [1, 7, 16, 384, 100])
def test_rotation_is_orthogonal(dimension: int) -> None:
    """The rotation turns and scales, nothing else."""
    matrix = rotation(dimension, 1)
    product = matrix @ matrix.T

    np.testing.assert_array_equal(product, np.eye(dimension) * product[0, 0])


def test_the_rotation_never_changes() -> None:
    """Stored codes rely on it: another matrix would make every sketch wrong."""
    digest = hashlib.sha256(rotation(384, 1).astype(np.int8).tobytes()).hexdigest()

    assert digest == "167cba4ff7d50e68d4ab93ddf5517b44a32c95b1e50864aac63e394c6291f251"


def test_codes_of_near_vectors_are_near() -> None:
    """Hamming distance follows the angle: the same vector 0, its opposite all bits but those at the mean."""
    vectors = unit(1)
    frozen = Frozen(np.zeros(384, np.float32))
    near, far = vectors + 0.02 * unit(1, seed=3), -vectors
    code = frozen.codes(vectors[0])
    distance = [int(np.bitwise_count(code ^ frozen.codes(other[0])).sum()) for other in (vectors, near, far)]

    assert distance[0] == 0
    assert distance[1] < 60
    assert distance[2] == 384


@given(st.integers(1, 70), st.integers(0, 5))
def test_frozen_survives_its_bytes(dimension: int, seed: int) -> None:
    """What was kept gives the same codes as what was learned."""
    vectors = unit(8, dimension)
    frozen = Frozen.learn(vectors, seed)
    again = Frozen.from_bytes(frozen.to_bytes())

    assert again.to_bytes() == frozen.to_bytes()
    assert frozen.code_bytes % 8 == 0
    np.testing.assert_array_equal(again.codes(vectors), frozen.codes(vectors))


@pytest.mark.parametrize("damage", [b"", b"MFZ1", b"x" * 40])
def test_bytes_that_are_no_mean_are_refused(damage: bytes) -> None:
    """Nonsense is a FormatError."""
    with pytest.raises(FormatError):
        Frozen.from_bytes(damage)


def test_cut_and_infinite_means_are_refused() -> None:
    """A cut tail or a number that is none is found at once."""
    kept = Frozen(np.ones(8, np.float32)).to_bytes()
    with pytest.raises(FormatError):
        Frozen.from_bytes(kept[:-1])
    with pytest.raises(FormatError):
        Frozen.from_bytes(kept[:-2] + b"\x00\x7c")
    with pytest.raises(ValueError, match="finite"):
        Frozen(np.array([np.nan], np.float32))


def test_the_bundled_model_has_its_mean() -> None:
    """It is shipped for MiniLM and for no model of another name."""
    frozen = Frozen.shipped("all-MiniLM-L6-v2")

    assert frozen is not None
    assert (frozen.dimension, frozen.code_bytes) == (384, 48)
    assert Frozen.shipped("another") is None


def test_a_query_keeps_half_of_the_mean() -> None:
    """Its code is that of a vector half way to where the texts' mean lies; without a mean it is its own code."""
    texts, query = unit(1_000, 64) + 0.5, unit(1, 64, seed=1)[0]
    frozen, plain = Frozen.learn(texts), Frozen(np.zeros(64, np.float32))

    np.testing.assert_array_equal(frozen.query_code(query), frozen.codes(query + frozen.mean / 2))
    assert (frozen.query_code(query) != frozen.codes(query)).any()
    np.testing.assert_array_equal(plain.query_code(query), plain.codes(query))
