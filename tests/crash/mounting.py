"""Small file systems of a test's own, in memory: of a given size, and to be made read-only."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path


class SmallDisk:
    """A file system in memory, mounted at `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def remount(self, *options: str) -> None:
        """Change its size ("size=9m") or make it read-only ("ro")."""
        _run("mount", "-o", ",".join(("remount", *options)), str(self.path))

    def free_bytes(self) -> int:
        """Return how many bytes can still be written."""
        return shutil.disk_usage(self.path).free

    def fill(self, leaving: int = 0) -> Path:
        """Fill it up but for so many bytes with one file, and return that file."""
        ballast = self.path / "ballast"
        with ballast.open("wb") as file:
            file.write(bytes(max(0, self.free_bytes() - leaving)))
        return ballast


@contextmanager
def small_disk(path: Path, size: str) -> Iterator[SmallDisk]:
    """Mount a file system of a size such as "4m" at `path` for a block."""
    path.mkdir()
    _run("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path))
    try:
        yield SmallDisk(path)
    finally:
        _run("umount", "--lazy", str(path))


@cache
def why_not() -> str:
    """Return why no file system can be mounted here, "" where one can."""
    if not sys.platform.startswith("linux"):
        return "mounting a tmpfs is Linux's"
    if os.geteuid() != 0:
        return "mounting a file system needs root"
    with tempfile.TemporaryDirectory() as folder:
        try:
            with small_disk(Path(folder) / "disk", "1m"):
                return ""
        except (OSError, subprocess.CalledProcessError) as error:
            return f"mounting a file system is not allowed here: {error}"


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
