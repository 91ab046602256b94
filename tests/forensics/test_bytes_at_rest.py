"""Whoever copies a vault, closed or open, and its state folder finds no text, vector, key or structure in the bytes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from forensics import scanning
from forensics.building import Scanned
from forensics.scanning import OTHER_MARKERS, SQLITE_MARKERS, Files, files_below

TESTS = Path(__file__).parent.parent
HEADER_CLEAR = 16
"""Bytes 0 to 15 of a header: magic, version, suite, profile, epoch. Ids and salt, up to byte 63, are random."""
DATABASE_CLEAR = 24
"""Bytes 0 to 23 of a database: its own name, which is the cipher's salt, and eight fixed bytes of SQLite."""
WHOLE_FORMS = 40
"""Twice so many texts are searched in every form; the words of all others in UTF-8 and UTF-16."""


@pytest.fixture(params=["closed", "open"])
def files(request: pytest.FixtureRequest, scanned: Scanned) -> Files:
    """Every file of vault and state folder."""
    return files_below(scanned.folders[request.param])


@pytest.fixture
def closed_files(scanned: Scanned) -> Files:
    """Every file after a clean close."""
    return files_below(scanned.folders["closed"])


def clear_bytes(name: str) -> int:
    """Return how many bytes at the start of a file stand in clear by design."""
    return HEADER_CLEAR if Path(name).name.startswith("header") else DATABASE_CLEAR


def test_scanner_knows_nothing_of_mimir() -> None:
    """What scans imports no part of Mimir, so it cannot share a mistake with it."""
    program = "import sys, forensics.scanning, forensics.pages; sys.exit('mimir_vault' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=TESTS, check=False).returncode == 0
    for name in ("scanning", "pages"):
        assert "import mimir" not in (TESTS / "forensics" / f"{name}.py").read_text()


def test_scanner_finds_what_is_there() -> None:
    """Each form that is searched for is found when it is planted, so silence means something."""
    rng = np.random.default_rng(3)
    noise = rng.bytes(50_000)
    text, key = "a thing that Ada said to Bo", rng.bytes(32)
    vector = rng.standard_normal(384).astype(np.float32)
    planted = scanning.forms_of_text(text) | scanning.forms_of_bytes(key) | scanning.forms_of_vector(vector)
    for form, data in planted.items():
        for at in (0, 20_001, len(noise)):
            file = noise[:at] + data[:16] + noise[at:]
            assert [found.offset for found in scanning.search({"file": file}, form, [(form, data[:16])])] == [at], form
    assert not scanning.search({"file": noise}, "nothing", planted.items())
    assert scanning.longest_run(noise[:9_000] + bytes(9) + b"x" + noise[9_000:])[0] in (9, 10)
    assert scanning.longest_run(noise)[0] <= scanning.run_allowed(len(noise))
    assert scanning.entropies(noise[:4_096] + text.encode() * 200)[1] < scanning.ENTROPY_MIN


def test_both_states_were_copied(scanned: Scanned) -> None:
    """The open copy has a WAL with frames, and the closed one has the files of a vault and nothing else."""
    opened, closed = (files_below(scanned.folders[name]) for name in ("open", "closed"))
    assert any(name.endswith(".db-wal") and name.startswith("vault/spaces/") and data for name, data in opened.items())
    assert {name.split("/")[1] for name in closed if name.startswith("vault/")} == {
        "header", "header.copy", "catalog.db", "spaces",
    }  # fmt: skip
    assert len([name for name in closed if name.startswith("vault/spaces/")]) == 2
    assert len([name for name in closed if name.startswith("state/")]) == 1


def test_no_text_in_any_form(files: Files, scanned: Scanned) -> None:
    """No remembered text is in any file: UTF-8, UTF-16, UTF-32, hexadecimal, base64 at any place, compressed."""
    some = scanned.texts[:WHOLE_FORMS] + scanned.texts[-WHOLE_FORMS:]
    forms = [(f"{form} of {text}", data) for text in some for form, data in scanning.forms_of_text(text).items()]
    assert not scanning.search(files, "text", forms)


def test_no_word_or_name(files: Files, scanned: Scanned) -> None:
    """No word, speaker, user, session, tag, metadata, ref, space name, passphrase or recovery code is in any file."""
    assert len(scanned.names) > 1_000
    forms = [(name, form) for name in scanned.names for form in (name.encode(), name.encode("utf-16-le"))]
    assert not scanning.search(files, "word", forms)


def test_nothing_to_inflate(files: Files, scanned: Scanned) -> None:
    """No zlib or gzip stream in any file opens to anything that was remembered."""
    known = [name.encode() for name in scanned.names]
    for data in files.values():
        for plain in scanning.inflated(data):
            assert not any(word in plain for word in known)


def test_no_vector(files: Files, scanned: Scanned) -> None:
    """No sixteen bytes of any vector are in any file, as floats of 64, 32 or 16 bits, as int8, or as 1-bit codes."""
    pieces = [piece for vector in scanned.vectors for piece in scanning.slices(scanning.forms_of_vector(vector))]
    assert len(pieces) > 10_000
    assert not scanning.search(files, "vector", pieces)
    assert not scanning.search(files, "code", [("code", part) for code in scanned.codes for part in (code, code[24:])])


def test_no_key(files: Files, scanned: Scanned) -> None:
    """No key that was held at any moment is in any file: root, catalog, space, page, node, slot and envelope keys."""
    assert len(scanned.secrets) > 400
    forms = [(f"{form} of {secret.hex()}", data) for secret in scanned.secrets
             for form, data in scanning.forms_of_bytes(secret).items()]  # fmt: skip
    assert not scanning.search(files, "key", forms)


def test_no_node_id(files: Files, scanned: Scanned) -> None:
    """No node id is in any file or file name, so nobody can tell whether a known node is here."""
    forms = [(node_id.hex(), form) for node_id in scanned.ids for form in (node_id, node_id.hex().encode()[:16])]
    assert not scanning.search(files, "id", forms)
    assert not any(node_id.hex()[:8] in name for node_id in scanned.ids for name in files)


def test_no_marker(files: Files) -> None:
    """Nothing tells that there is SQLite, an index or a schema inside."""
    for what, marker in (SQLITE_MARKERS | OTHER_MARKERS).items():
        assert not [name for name, data in files.items() if marker in data], what


def test_no_run_of_equal_bytes(closed_files: Files) -> None:
    """No byte repeats for longer than chance has it, outside the few clear bytes: no zero page, no empty tail."""
    for name, data in closed_files.items():
        rest = data[clear_bytes(name) :]
        length, at = scanning.longest_run(rest)
        assert length <= scanning.run_allowed(len(rest)), f"{length} equal bytes in {name} at {at + clear_bytes(name)}"


def test_every_block_looks_random(closed_files: Files) -> None:
    """Every 4 KiB of every file has at least 7.92 bits of entropy per byte, outside the few clear bytes."""
    for name, data in closed_files.items():
        assert len(data) % scanning.BLOCK == 0
        lowest = scanning.entropies(data, clear_bytes(name))
        assert lowest.min() >= scanning.ENTROPY_MIN, f"block {lowest.argmin()} of {name} has {lowest.min():.3f}"


def test_every_frame_of_a_wal_looks_random(scanned: Scanned) -> None:
    """While a vault is open, the page in every frame of a WAL looks random as well; only heads of frames do not."""
    frames = 0
    for name, data in files_below(scanned.folders["open"]).items():
        if name.endswith("-wal"):
            pages = [data[at + 24 : at + 24 + 4_096] for at in range(32, len(data) - 4_119, 24 + 4_096)]
            assert all(scanning.entropies(page, DATABASE_CLEAR).min() >= scanning.ENTROPY_MIN for page in pages), name
            assert all(
                scanning.longest_run(page[DATABASE_CLEAR:])[0] <= scanning.run_allowed(len(data)) for page in pages
            )
            frames += len(pages)
    assert frames > 20


def test_clear_bytes_are_the_ones_named(closed_files: Files) -> None:
    """What stands in clear at the start of a database is its file's name and eight bytes that never change."""
    for name, data in closed_files.items():
        if name.endswith(".db"):
            assert data[16:24].hex() == "1000020240402020", name
        if name.startswith(("vault/spaces/", "state/")):
            assert data[:16].hex() == Path(name).stem
