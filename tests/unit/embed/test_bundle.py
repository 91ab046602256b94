"""The model files: shipped as built, and refused when changed or missing."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from mimir_vault.embed.bundle import Bundle, all_minilm_l6_v2
from mimir_vault.embed.minilm import MiniLM
from mimir_vault.errors import FormatError, TamperedError


@pytest.fixture
def copied(tmp_path: Path) -> Bundle:
    """A bundle in a folder of the test's own."""
    bundle = all_minilm_l6_v2()
    for file in ("manifest.json", "model.onnx", "tokenizer.json"):
        (tmp_path / file).write_bytes(bundle.folder.joinpath(file).read_bytes())
    return replace(bundle, folder=tmp_path)


def test_shipped_files_have_their_digests() -> None:
    """Each file the manifest names is there, and so are the licence and its notice."""
    bundle = all_minilm_l6_v2()

    for file, digest in bundle.manifest().items():
        assert hashlib.sha256(bundle.read(file)).hexdigest() == digest
    assert b"Apache License" in bundle.folder.joinpath("LICENSE.txt").read_bytes()
    assert b"sentence-transformers" in bundle.folder.joinpath("NOTICE.txt").read_bytes()


def test_the_model_stays_within_its_size() -> None:
    """The model is int8: 23 MB, not 90."""
    assert len(all_minilm_l6_v2().read("model.onnx")) < 24_000_000


@pytest.mark.parametrize("file", ["manifest.json", "model.onnx", "tokenizer.json"])
def test_a_changed_byte_is_refused(copied: Bundle, file: str) -> None:
    """A flip in any of the files raises TamperedError at the first embedding."""
    path = Path(str(copied.folder)) / file
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)

    with pytest.raises(TamperedError, match=file):
        MiniLM(bundle=copied).embed(["a"])


@pytest.mark.parametrize("file", ["manifest.json", "model.onnx", "tokenizer.json"])
def test_a_missing_file_is_named(copied: Bundle, file: str) -> None:
    """Without one of the files FormatError says which to install again."""
    (Path(str(copied.folder)) / file).unlink()

    with pytest.raises(FormatError, match=file):
        MiniLM(bundle=copied).load()


def test_nothing_is_read_before_the_first_use(copied: Bundle) -> None:
    """Name, dimension and digest are known without the files."""
    shutil.rmtree(str(copied.folder))

    minilm = MiniLM(bundle=copied)

    assert (minilm.name, minilm.dimension, minilm.max_tokens) == ("all-MiniLM-L6-v2", 384, 256)
    assert minilm.digest == copied.manifest_sha256
