"""Tests of looking at a vault's files as a stranger."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from mimir_vault.cli.demo_disk import entropy, look_at_disk

TEXTS = ["Ida is allergic to hazelnuts, and nobody may forget it.", "No."]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one file of random bytes."""
    (tmp_path / "random").write_bytes(random.Random(7).randbytes(1 << 16))
    return tmp_path


def test_entropy_of_known_distributions() -> None:
    """Even bytes carry 8 bits each, equal ones none."""
    assert entropy([1] * 256) == pytest.approx(8)
    assert entropy([100]) == 0
    assert entropy([1, 1, 0]) == pytest.approx(1)


def test_random_files_look_random(folder: Path) -> None:
    """Random bytes look so, and no text is found."""
    look = look_at_disk(folder, TEXTS[:1])

    assert [(one["file"], one["bytes"], one["looks"]) for one in look["files"]] == [
        ("random", 65_536, "looks like random bytes")
    ]
    assert look["found"] == 0


@pytest.mark.parametrize("coding", ["utf-8", "utf-16-le"])
@pytest.mark.parametrize("cut", [0, 5])
def test_a_text_in_a_file_is_found(folder: Path, coding: str, cut: int) -> None:
    """A text that stands in a file, also without its beginning, is found, and its file does not look random."""
    (folder / "plain").write_bytes(b"\x00" * 50 + TEXTS[0][cut:].encode(coding))

    look = look_at_disk(folder, TEXTS[:1])

    assert look["found"] == 1
    assert look["files"][0]["looks"] == "does not look random"
