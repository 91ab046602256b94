"""The sizes, number and names of a vault's files tell nothing but how many spaces there are, and their size class."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from forensics import scanning
from mimir_vault.model.draft import Draft
from mimir_vault.testing import FixedClock, HashEmbedder
from mimir_vault.vault import Vault
from quick_vaults import QuickVaults

COUNTS = (1, 10, 100, 1_000, 5_000)
"""Nodes of the vaults that are compared."""
MIB = 1 << 20


def drafts(count: int) -> list[Draft]:
    """Return short turns of one session each hundred."""
    return [
        Draft(f"turn {number} about the {number % 97} things of day {number % 31}", session=f"day {number // 100}",
              speaker="Ada" if number % 2 else "Bo")
        for number in range(count)
    ]  # fmt: skip


def sizes(folder: Path) -> list[tuple[int, int]]:
    """Return (length of name, size) of every file below a folder, sorted."""
    return sorted(
        (len(path.relative_to(folder).as_posix()), path.stat().st_size) for path in folder.rglob("*") if path.is_file()
    )


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[int, Path]]:
    """Vaults of each count with vectors of 384 dimensions and the usual size floor, closed."""
    made: dict[int, Path] = {}
    for count in COUNTS:
        folder = made[count] = tmp_path_factory.mktemp("grown")
        with Vault.create(
            folder / "vault", raw_key=bytes(32), recovery=False, embedder=HashEmbedder(384), clock=FixedClock(step=1),
            state_folder=folder / "state",
        ) as vault:  # fmt: skip
            vault.space().remember_many(drafts(count))
    yield made
    for folder in made.values():
        for path in folder.rglob("*.db"):
            path.unlink()


def test_one_node_or_five_thousand(grown: dict[int, Path]) -> None:
    """Vaults of 1 to 5,000 nodes have files of the same sizes and of equally long names after a clean close."""
    found = {count: sizes(folder) for count, folder in grown.items()}
    assert set(map(tuple, found.values())) == {tuple(found[1])}
    assert [size for _, size in found[1] if size > 2 * MIB] == [16 * MIB]


def test_no_wal_is_left(grown: dict[int, Path]) -> None:
    """A clean close leaves no -wal and no -shm, whose length would tell how much was written, nor anything else."""
    for folder in grown.values():
        names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
        assert len([name for name in names if name.startswith("vault/spaces/")]) == 1
        assert {name for name in names if not name.startswith(("vault/spaces/", "state/pins/"))} == {
            "vault/header", "vault/header.copy", "vault/catalog.db",
        }  # fmt: skip
        assert all(Path(name).suffix == ".db" for name in names if "header" not in name)


def test_full_and_empty_look_alike(grown: dict[int, Path]) -> None:
    """Every 4 KiB of the vault with 1 node looks as random as those of the vault with 5,000; nothing is left unused."""
    for count in (1, 5_000):
        for name, data in scanning.files_below(grown[count] / "vault").items():
            clear = 16 if name.startswith("header") else 24
            assert scanning.entropies(data, clear).min() >= scanning.ENTROPY_MIN, (count, name)
            assert scanning.longest_run(data[clear:])[0] <= scanning.run_allowed(len(data)), (count, name)


def test_number_of_files_is_number_of_spaces(vaults: QuickVaults) -> None:
    """A vault has three files and one for each space, whatever is in them and whatever the spaces are called."""
    with vaults.create() as vault:
        for number in range(3):
            vault.create_space("x" * 60 * (number + 1)).remember_many(drafts(10 * number + 1))
    folder = vaults.path()
    assert len(sizes(folder)) == 3 + 4
    assert set(sizes(folder / "spaces")) == {(35, MIB)}


def test_a_file_never_has_an_odd_length(vaults: QuickVaults) -> None:
    """A space that grew through several classes, and one that forgot everything, have the length of a class."""
    classes = {MIB * half // 2 for half in (2, 3, 4, 6, 8)}
    found = []
    vaults.create().lock()
    for _ in range(3):
        with vaults.open() as vault:
            vault.space().remember_many(drafts(600))
        found += sizes(vaults.path() / "spaces")
    with vaults.open() as vault:
        vault.space().forget(where={"at": {"gte": "2000-01-01T00:00Z"}})
        assert vault.space().count() == 0
    found += sizes(vaults.path() / "spaces")
    assert {size for _, size in found} <= classes
    assert found[0][1] < found[2][1]
