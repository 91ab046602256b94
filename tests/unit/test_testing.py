"""What users' tests are given: an embedder without a model, a clock that stands, vaults for the length of a test."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from mimir_vault import testing
from mimir_vault.errors import LockedError, NotFoundError
from mimir_vault.testing import (
    FIRST_MOMENT,
    RAW_KEY,
    SIZE_FLOOR,
    FixedClock,
    HashEmbedder,
    temporary_memory,
    temporary_vault,
)
from mimir_vault.vault import Vault


class TestHashEmbedder:
    """Vectors of the words alone."""

    def test_the_same_text_has_the_same_vector_in_every_process(self) -> None:
        """Neither the process nor what was embedded before plays a part; these numbers stay."""
        code = "from mimir_vault.testing import HashEmbedder; print(HashEmbedder(3).embed(['Ada sits'])[0].tolist())"
        told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
        assert eval(told.stdout) == HashEmbedder(3).embed(["first", "Ada sits"])[1].tolist()

    def test_vectors_are_unit_vectors_of_the_dimension(self) -> None:
        """float32 (n, d), also for no text and for an empty one."""
        embedder = HashEmbedder(32)
        vectors = embedder.embed(["", "a", "a b"])
        assert (vectors.dtype, vectors.shape) == (np.float32, (3, 32))
        assert np.allclose(np.linalg.norm(vectors, axis=1), 1)
        assert embedder.embed([]).shape == (0, 32)

    def test_texts_that_share_words_lie_close(self) -> None:
        """Whatever their case and punctuation."""
        one, near, far = HashEmbedder().embed(["Ada sits by the window", "by the window, Ada", "trains leave at nine"])
        assert one @ near > 0.6 > 0.4 > one @ far

    def test_it_is_known_by_its_dimension_or_a_name(self) -> None:
        """Two of different names or dimensions count as two models."""
        names = [embedder.name for embedder in (HashEmbedder(), HashEmbedder(8), HashEmbedder(8, "mine"))]
        assert names == ["hash-64", "hash-8", "mine"]


class TestFixedClock:
    """A clock that the test turns."""

    def test_it_stands_until_it_is_advanced(self) -> None:
        """By fractions of seconds, and back."""
        clock = FixedClock()
        assert clock.now() == clock.now()
        assert clock.moment == FIRST_MOMENT
        clock.advance(0.25)
        clock.advance(-3_600)
        assert clock.moment - FIRST_MOMENT == timedelta(seconds=0.25 - 3_600)

    def test_with_a_step_it_goes_on_when_asked(self) -> None:
        """But not when it is only looked at."""
        clock = FixedClock(step=0.5)
        first = clock.now()
        assert (clock.now() - first, clock.now() - first) == (500_000, 1_000_000)
        assert clock.moment == clock.moment

    def test_it_begins_at_any_moment(self) -> None:
        """A datetime or ISO 8601 text with a time zone; without one it is refused as everywhere."""
        assert FixedClock("2026-05-01T09:00+02:00").moment == datetime(2026, 5, 1, 7, tzinfo=UTC)
        with pytest.raises(ValueError, match="names no time zone"):
            FixedClock("2026-05-01T09:00")
        with pytest.raises(TypeError, match="moment must be a datetime"):
            FixedClock(0)  # type: ignore[arg-type]


class TestTemporaryVault:
    """An open vault that costs next to nothing."""

    def test_nothing_is_left_of_it(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """It lies in a temporary folder with its state, and both are gone at the end, after an error too."""
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        kept: list[Vault] = []

        def work() -> None:
            with temporary_vault() as vault:
                kept.append(vault)
                vault.space().remember("x")
                assert {path.name for path in vault.path.parent.iterdir()} == {"state", "vault"}
                assert vault.path.is_relative_to(tmp_path)
                raise KeyError

        with pytest.raises(KeyError):
            work()
        assert list(tmp_path.iterdir()) == []
        with pytest.raises(LockedError):
            kept[0].space()

    def test_it_is_cheap(self) -> None:
        """A raw key alone, the smallest files, the hash embedder, a clock that stands."""
        with temporary_vault() as vault:
            assert [slot.kind for slot in vault.keyslots.list()] == ["raw key"]
            assert vault.recovery_code is None
            assert [path.stat().st_size for path in (vault.path / "spaces").glob("*.db")] == [SIZE_FLOOR]
            assert vault.space().remember("x").at == FIRST_MOMENT
            assert vault.space().embedder is not None
            assert vault.space().embedder.name == "hash-64"

    def test_in_a_named_folder_it_is_opened_again(self, tmp_path: Path) -> None:
        """With its state folder, and by its key from elsewhere too."""
        with temporary_vault(tmp_path, size_floor=SIZE_FLOOR) as vault:
            node = vault.space().remember("x")
        with temporary_vault(str(tmp_path), size_floor=SIZE_FLOOR, read_only=True) as vault:
            assert vault.read_only
            assert vault.space().get(node.id) == node
        around = {"embedder": HashEmbedder(), "state_folder": tmp_path / "state"}
        with Vault.open(tmp_path / "vault", raw_key=RAW_KEY, **around) as vault:
            assert vault.space().count() == 1

    def test_what_is_given_takes_the_place(self, tmp_path: Path) -> None:
        """Clock, embedder, recovery code; another secret replaces the key."""
        clock, key = FixedClock("2030-01-01T00:00Z"), bytes(range(1, 33))
        with temporary_vault(tmp_path, clock=clock, embedder=HashEmbedder(8), raw_key=key, recovery=True) as vault:
            assert vault.space().remember("x").at == clock.moment
            assert vault.space().embedder is not None
            assert vault.space().embedder.dimension == 8
            words = vault.recovery_code
        with temporary_vault(tmp_path, recovery_code=words, embedder=HashEmbedder(8)) as vault:
            assert len(vault.keyslots.list()) == 2
        with pytest.raises(TypeError, match="unexpected keyword argument 'colour'"), temporary_vault(colour="red"):
            pass


def test_a_temporary_memory_is_a_space_of_such_a_vault(tmp_path: Path) -> None:
    """The first one, or one of another name that is made when it is not there yet."""
    with temporary_memory() as memory:
        assert memory.name == "main"
    for _ in range(2):
        with temporary_memory(tmp_path, space="work", clock=FixedClock(step=1)) as memory:
            memory.remember("x")
            assert memory.name == "work"
    with temporary_vault(tmp_path) as vault:
        assert {one.name for one in vault.spaces()} == {"main", "work"}
        assert vault.space("work").count() == 2
        with pytest.raises(NotFoundError):
            vault.space("play")


def test_the_public_names_are_these() -> None:
    """Each explained, in the module and in the guide."""
    guide = (Path(__file__).resolve().parents[2] / "docs" / "guides" / "testing.md").read_text(encoding="utf-8")
    assert set(testing.__all__) == {
        "FIRST_MOMENT", "RAW_KEY", "SIZE_FLOOR", "FixedClock", "HashEmbedder", "temporary_memory", "temporary_vault",
    }  # fmt: skip
    for name in ("RAW_KEY", "FixedClock", "HashEmbedder", "temporary_memory", "temporary_vault"):
        assert name in guide
