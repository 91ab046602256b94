"""Starting processes that work on a vault, and killing them at some moment without any warning."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

TESTS = Path(__file__).parent.parent
START_SECONDS_MAX = 60.0


def start(folder: Path, verb: str, *words: str) -> subprocess.Popen[bytes]:
    """Start a process of `crash.writing` on the vault in a folder."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path])}
    return subprocess.Popen(
        [sys.executable, "-m", "crash.writing", str(folder), verb, *words], cwd=TESTS, env=environment,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0,
    )  # fmt: skip


def run_and_kill(folder: Path, verb: str, *words: str, lines: int = 1, seconds: float = 0.0) -> list[str]:
    """Run a verb, kill -9 it `seconds` after it acknowledged so many things, and return all that it acknowledged.

    A verb that ends by itself before that has acknowledged everything; one that fails raises AssertionError.
    """
    process = start(folder, verb, *words)
    assert process.stdout is not None
    assert process.stderr is not None
    said = [process.stdout.readline() for _ in range(lines)]
    time.sleep(seconds)
    process.kill()
    rest, trouble = process.communicate()
    assert not trouble, trouble.decode()
    whole = b"".join([*said, rest]).decode().split("\n")
    return [line for line in whole[:-1] if line != "open"]
