"""A file that is made beside its place: whole at the place or not there, and nothing of others is touched."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mimir_vault.errors import ExistsError, NotFoundError, ReadOnlyError, VaultBusyError
from mimir_vault.new_file import disk_error, new_file

MAGIC = b"MAGIC\r\n\x1a"


def write(place: Path, content: bytes) -> None:
    """Make a file with this content."""
    with new_file(place, MAGIC) as file:
        file.write(content)


def test_it_lies_at_its_place_when_the_block_ends(tmp_path: Path) -> None:
    """Only its owner may read it, and nothing else is left."""
    write(tmp_path / "backup", b"first")
    write(tmp_path / "backup", b"second")
    assert (tmp_path / "backup").read_bytes() == b"second"
    assert (tmp_path / "backup").stat().st_mode & 0o077 == 0
    assert [path.name for path in tmp_path.iterdir()] == ["backup"]


def test_an_error_leaves_what_was_there(tmp_path: Path) -> None:
    """And nothing of the new file."""
    write(tmp_path / "backup", b"first")

    def stop_halfway() -> None:
        with new_file(tmp_path / "backup", MAGIC) as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop_halfway()
    assert (tmp_path / "backup").read_bytes() == b"first"
    assert [path.name for path in tmp_path.iterdir()] == ["backup"]


@pytest.mark.parametrize("left", [b"", MAGIC + b"half of a longer one than the next", bytes(100)])
def test_what_a_killed_process_left_is_overwritten(tmp_path: Path, left: bytes) -> None:
    """It is known by its beginning; after a power cut that may be zeros."""
    (tmp_path / ".backup.new").write_bytes(left)
    write(tmp_path / "backup", b"whole")
    assert (tmp_path / "backup").read_bytes() == b"whole"
    assert [path.name for path in tmp_path.iterdir()] == ["backup"]


def test_a_file_of_somebody_else_is_in_the_way(tmp_path: Path) -> None:
    """It stays as it is."""
    (tmp_path / ".backup.new").write_bytes(b"a letter")
    with pytest.raises(ExistsError, match="in the way"):
        write(tmp_path / "backup", b"whole")
    assert (tmp_path / ".backup.new").read_bytes() == b"a letter"
    assert not (tmp_path / "backup").exists()


def test_two_at_once(tmp_path: Path) -> None:
    """The second is told to wait, and the first is whole."""
    with new_file(tmp_path / "backup", MAGIC) as file:
        file.write(b"first")
        with pytest.raises(VaultBusyError, match="another process is writing backup"):
            write(tmp_path / "backup", b"second")
    assert (tmp_path / "backup").read_bytes() == b"first"


def test_no_folder(tmp_path: Path) -> None:
    """Folders are not made: a slip of the pen would put a backup where nobody looks."""
    with pytest.raises(NotFoundError, match="make it first"):
        write(tmp_path / "nowhere" / "backup", b"")


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write anywhere")
def test_no_permission(tmp_path: Path) -> None:
    """A folder that may not be written is a ReadOnlyError."""
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(ReadOnlyError):
            write(tmp_path / "backup", b"")
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.parametrize(
    ("number", "name"), [(28, "DiskFullError"), (122, "DiskFullError"), (30, "ReadOnlyError"), (5, "StorageError")]
)
def test_errors_of_the_system(number: int, name: str) -> None:
    """Each becomes one sentence that says what to do."""
    error = disk_error(OSError(number, os.strerror(number)), "the backup")
    assert type(error).__name__ == name
    assert "the backup" in str(error)
    assert "\n" not in str(error)


@pytest.mark.skipif(os.name != "posix", reason="links that others lay out are a matter of POSIX folders")
def test_what_somebody_laid_out_is_not_written_to(tmp_path: Path) -> None:
    """Neither through a symbolic link nor into a file that has a second name."""
    other = tmp_path / "elsewhere"
    other.touch()
    (tmp_path / ".place.new").symlink_to(other)
    with pytest.raises(ExistsError, match="is a link"), new_file(tmp_path / "place", b"magic") as file:
        file.write(b"secret")
    (tmp_path / ".place.new").unlink()
    os.link(other, tmp_path / ".place.new")
    with pytest.raises(ExistsError, match="none of Mimir's"), new_file(tmp_path / "place", b"magic") as file:
        file.write(b"secret")
    assert other.read_bytes() == b""
    assert not (tmp_path / "place").exists()
