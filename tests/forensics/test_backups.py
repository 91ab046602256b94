"""What somebody who has a backup, or may write to it, learns and can do: nothing of nodes, and no other answer."""

from __future__ import annotations

import os
import random
import shutil
from itertools import pairwise
from pathlib import Path

import pytest

from forensics import scanning
from forensics.damage import contents, flip
from forensics.invented import Inventor
from mimir_vault.backup_file import BackupReader
from mimir_vault.crypto.backup_sealer import BackupSealer
from mimir_vault.errors import FormatError, TamperedError
from mimir_vault.memory import Memory
from mimir_vault.model.draft import Draft
from mimir_vault.testing import HashEmbedder
from mimir_vault.vault import Vault
from quick_vaults import QuickVaults

MIB = 1 << 20
CLEAR_BYTES = 32 + 16
"""Start and recognisable bytes of the header."""
FLIPS = 60


def invent(memory: Memory, inventor: Inventor, count: int) -> list[str]:
    """Remember turns of invented words and return their texts."""
    texts = [" ".join(inventor.word() for _ in range(12)) for _ in range(count)]
    memory.remember_many(
        [Draft(text, speaker=inventor.word(), session=inventor.word(), tags=[inventor.word()]) for text in texts]
    )
    return texts


@pytest.fixture
def backed_up(vaults: QuickVaults, tmp_path: Path) -> tuple[Vault, Path, list[str]]:
    """An open vault with a backup of two segments, and the texts in it."""
    vault, place, inventor = vaults.create(), tmp_path / "backup", Inventor(3)
    texts = invent(vault.space(), inventor, 60)
    vault.backup(place)
    texts += invent(vault.create_space(inventor.word()), inventor, 60)
    vault.backup(place)
    return vault, place, texts


def test_nothing_of_a_node_is_in_it(backed_up: tuple[Vault, Path, list[str]]) -> None:
    """Neither texts, nor ids, nor names, nor vectors, in any usual form."""
    vault, place, texts = backed_up
    files = {"backup": place.read_bytes()}
    for number, text in enumerate(texts):
        assert scanning.search(files, text, scanning.slices(scanning.forms_of_text(text))) == [], number
    for info in vault.spaces():
        assert scanning.search(files, info.name, scanning.forms_of_bytes(bytes.fromhex(info.id)).items()) == []
        for node in vault.space(info.name).nodes():
            for word in (node.speaker, node.session, *node.tags):
                assert scanning.search(files, "name", [("UTF-8", str(word).encode()[:16].ljust(8))]) == []
            assert scanning.search(files, node.id, scanning.forms_of_bytes(bytes.fromhex(node.id)).items()) == []
    vector = HashEmbedder().embed(texts[:1])[0]
    assert scanning.search(files, "vector", scanning.slices(scanning.forms_of_vector(vector))) == []


def test_every_byte_looks_random(backed_up: tuple[Vault, Path, list[str]]) -> None:
    """But for the few that say what it is."""
    data = backed_up[1].read_bytes()
    assert scanning.entropies(data, CLEAR_BYTES).min() >= scanning.ENTROPY_MIN
    assert scanning.longest_run(data[CLEAR_BYTES:])[0] <= scanning.run_allowed(len(data))


def test_one_node_or_a_thousand(vaults: QuickVaults, tmp_path: Path) -> None:
    """Backups have one length within a class, and any length is a class."""
    sizes = []
    with vaults.create(size_floor=4 * MIB) as vault:
        for count in (1, 10, 1_000):
            vault.space().remember_many([Draft(f"turn {number} of {count}") for number in range(count)])
            sizes.append(vault.backup(tmp_path / "backup").bytes)
        vault.space().remember_many([Draft(f"turn {number} " + "x" * 9_000) for number in range(400)])
        sizes.append(vault.backup(tmp_path / "backup").bytes)
    assert sizes[:3] == [4 * MIB] * 3
    assert sizes[3] in {number * MIB for number in (6, 8, 12, 16)}


def bytes_used(vault: Vault, place: Path) -> int:
    """Return where the last portion of a backup ends and what fills the class begins."""
    with BackupReader(place) as reader:
        reader.unlock(BackupSealer(vault._keys.backup_key(), vault._keys.vault_id, reader.id, os.urandom))
        return 73_728 + 65_536 * sum(one.portions for one in (*reader.guide.segments, reader.guide.contents))


def test_a_flipped_bit_is_refused_or_without_effect(
    backed_up: tuple[Vault, Path, list[str]], vaults: QuickVaults
) -> None:
    """Anywhere in the file; what is restored in spite of it is what was backed up, and damage leaves nothing behind."""
    vault, place, _ = backed_up
    held, size, used = contents(vault), place.stat().st_size, bytes_used(vault, place)
    spoiled, moments = place.with_name("spoiled"), random.Random(5)
    bits = [8 * at for at in (0, 8, 12, 20, 40, 60, 66_000, 73_728, used - 1)]
    bits += [moments.randrange(8 * used) for _ in range(FLIPS)]
    for bit in bits:
        shutil.copy(place, spoiled)
        flip(spoiled, bit)
        with pytest.raises((TamperedError, FormatError)):
            vaults.restore(spoiled)
        assert not vaults.path("restored").exists(), bit
    for bit in (8 * used, moments.randrange(8 * used, 8 * size), 8 * size - 1):
        shutil.copy(place, spoiled)
        flip(spoiled, bit)
        with vaults.restore(spoiled) as restored:
            assert contents(restored) == held
        shutil.rmtree(vaults.path("restored"))


def test_a_cut_is_refused(backed_up: tuple[Vault, Path, list[str]], vaults: QuickVaults) -> None:
    """Wherever the file ends, even within what fills the class."""
    _, place, _ = backed_up
    size = place.stat().st_size
    for length in (size - 1, size - 65_536, size // 2, 100_000, 70_000, 32, 0):
        with place.open("r+b") as file:
            file.truncate(length)
        with pytest.raises((TamperedError, FormatError)):
            vaults.restore(place)
        assert not vaults.path("restored").exists()


def test_parts_of_two_backups(vaults: QuickVaults, tmp_path: Path) -> None:
    """Of one vault under one key, of one backup at two moments, and of two vaults: a mixture is refused."""
    ours, theirs = vaults.create(), vaults.create("other")
    for vault in (ours, theirs):
        vault.space().remember_many([Draft(f"turn {number} " + "x" * 2_000) for number in range(80)])
    ours.backup(tmp_path / "first")
    shutil.copy(tmp_path / "first", tmp_path / "earlier")
    shutil.copy(tmp_path / "first", tmp_path / "branch")
    ours.space().remember("one more")
    ours.backup(tmp_path / "first")
    ours.space().remember("and another")
    ours.backup(tmp_path / "branch")
    ours.backup(tmp_path / "second")
    theirs.backup(tmp_path / "theirs")
    whole = (tmp_path / "first").read_bytes()
    used = 73_728 + 6 * 65_536
    borders = [0, 32, 65_568, *range(73_728, used, 65_536)]
    for name in ("earlier", "branch", "second", "theirs"):
        other = (tmp_path / name).read_bytes()
        for begin, end in pairwise(borders):
            if other[begin:end] == whole[begin:end]:
                continue
            (tmp_path / "mixed").write_bytes(whole[:begin] + other[begin:end] + whole[end:])
            try:
                with vaults.restore(tmp_path / "mixed") as restored:
                    assert contents(restored)["main"][-1].text == "one more"
            except (TamperedError, FormatError):
                assert not vaults.path("restored").exists()
            else:
                shutil.rmtree(vaults.path("restored"))
                assert begin >= 73_728 + 4 * 65_536, (name, begin)  # Beyond the last portion nothing is read.
