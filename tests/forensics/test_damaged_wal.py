"""A -wal that a crash left, then cut, flipped, exchanged or taken away: no acknowledged node vanishes unseen."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from crash.killing import run_and_kill
from forensics import pages, scanning
from forensics.building import page_keys
from forensics.damage import Outcome, examine, flip
from mimir_vault.errors import RollbackError, TamperedError
from quick_vaults import QuickVaults

ACKNOWLEDGED = 25
FLIPS = 60


@dataclass(frozen=True, slots=True)
class Crashed:
    """A vault whose writer was killed: `folder` holds `vault/` and `state/`; the ids are those acknowledged."""

    folder: Path
    ids: list[str]

    def copy(self, folder: Path) -> tuple[QuickVaults, Path]:
        """Put a copy into a folder; return it and the path of the space's WAL."""
        for part in ("vault", "state"):
            shutil.copytree(self.folder / part, folder / part)
        (wal,) = (folder / "vault" / "spaces").glob("*-wal")
        return QuickVaults(folder, folder / "state"), wal


@pytest.fixture(scope="module")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crashed]:
    """A vault whose writer was killed after it had acknowledged some nodes."""
    folder = tmp_path_factory.mktemp("crashed")
    QuickVaults(folder, folder / "state").create().lock()
    ids = run_and_kill(folder, "remember", lines=ACKNOWLEDGED + 1)
    assert len(ids) >= ACKNOWLEDGED
    yield Crashed(folder, ids)
    shutil.rmtree(folder)


def unharmed(outcome: Outcome, crashed: Crashed) -> bool:
    """Say whether everything acknowledged is there and nothing was noticed."""
    return not outcome.noticed and {node.id for node in outcome.held["main"]} >= set(crashed.ids)


def test_left_wal_is_taken_up(crashed: Crashed, tmp_path: Path) -> None:
    """An undamaged WAL is taken up at the next opening, and gone after the next clean close."""
    vaults, wal = crashed.copy(tmp_path)
    assert wal.stat().st_size > 0
    assert unharmed(examine(vaults), crashed)
    assert [path.suffix for path in (tmp_path / "vault" / "spaces").iterdir()] == [".db"]


def test_left_wal_holds_no_plaintext(crashed: Crashed) -> None:
    """What a crash leaves, -wal and -shm, shows no text; page numbers stand there in clear."""
    words = ["This is turn", " about the ", "Ada talks", "SQLite format 3", "CREATE TABLE"]
    forms = [(word, form) for word in words for form in (word.encode(), word.encode("utf-16-le"))]
    assert not scanning.search(scanning.files_below(crashed.folder), "word", forms)


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 0.75, 0.95])
def test_cut_wal(crashed: Crashed, tmp_path: Path, share: float) -> None:
    """A WAL that lost its end, or is gone, is a rollback: what it held was acknowledged."""
    vaults, wal = crashed.copy(tmp_path)
    data = wal.read_bytes()
    if share:
        wal.write_bytes(data[: int(share * len(data))])
    else:
        wal.unlink()
    assert isinstance(examine(vaults).refused, RollbackError)


def test_flipped_wal(crashed: Crashed, tmp_path: Path) -> None:
    """One flipped bit anywhere in a WAL is refused, or lies where nobody reads any more and changes nothing."""
    rng = random.Random(77)
    vaults, wal = crashed.copy(tmp_path)
    size = wal.stat().st_size
    refused = 0
    for number in range(FLIPS):
        place = tmp_path / str(number)
        vaults, wal = crashed.copy(place)
        flip(wal, rng.randrange(8 * size))
        outcome = examine(vaults)
        assert outcome.noticed or unharmed(outcome, crashed)
        assert outcome.refused is None or isinstance(outcome.refused, TamperedError)
        refused += outcome.noticed
        shutil.rmtree(place)
    assert refused > FLIPS // 2


def test_wal_of_before(crashed: Crashed, tmp_path: Path) -> None:
    """The whole WAL of an earlier moment, put under the same file, is a rollback."""
    vaults, wal = crashed.copy(tmp_path)
    earlier = wal.read_bytes()
    more = run_and_kill(tmp_path, "remember", lines=4)
    assert more
    wal.write_bytes(earlier)
    Path(str(wal).removesuffix("-wal") + "-shm").unlink(missing_ok=True)
    assert isinstance(examine(vaults).refused, RollbackError)


def test_wal_of_before_beside_a_closed_file(crashed: Crashed, tmp_path: Path) -> None:
    """A WAL of an earlier crash, laid beside the file of a vault that was closed since, does not pass for news."""
    vaults, wal = crashed.copy(tmp_path)
    earlier = wal.read_bytes()
    with vaults.open() as vault:
        vault.space().forget(crashed.ids[3])
        vault.space().remember("a turn of later")
    for seen in (True, False):
        wal.write_bytes(earlier)
        if not seen:
            shutil.rmtree(tmp_path / "state")
        outcome = examine(vaults)
        assert outcome.noticed or (len(outcome.held["main"]) >= ACKNOWLEDGED and crashed.ids[3] not in {
            node.id for node in outcome.held["main"]
        })  # fmt: skip


def test_cut_wal_of_the_catalog(tmp_path: Path) -> None:
    """A WAL of the catalog that lost its end, or is gone, is a rollback: the spaces it named were acknowledged."""
    crashed = tmp_path / "crashed"
    QuickVaults(crashed, crashed / "state").create().lock()
    assert run_and_kill(crashed, "create_spaces", lines=4)
    for share in (0.0, 0.4, 0.9):
        place = tmp_path / str(share)
        shutil.copytree(crashed, place)
        wal = place / "vault" / "catalog.db-wal"
        data = wal.read_bytes()
        wal.write_bytes(data[: int(share * len(data))])
        assert isinstance(examine(QuickVaults(place, place / "state")).refused, RollbackError)


def test_wal_is_sealed_like_the_file(crashed: Crashed, tmp_path: Path) -> None:
    """Every frame of a left WAL opens with the page key and no other: what lies there is sealed in the same way."""
    vaults, wal = crashed.copy(tmp_path / "copy")
    data = wal.read_bytes()
    with vaults.open() as vault:
        key = next(key for name, key in page_keys(vault).items() if name.startswith("spaces/"))
    frames = pages.open_wal(data, key)
    assert len(frames) >= ACKNOWLEDGED
    assert any(b"about" in frame for frame in frames)
    with pytest.raises(ValueError, match="does not open"):
        pages.open_wal(data, bytes(32))
