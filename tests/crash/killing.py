"""Starting processes that work on a vault, and killing them at some moment without any warning."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

TESTS = Path(__file__).parent.parent
START_SECONDS_MAX = 60.0


class Working:
    """A process at work on a vault: what it says is read line by line. Leaving the block kills what still runs."""

    def __init__(self, folder: Path, verb: str, *words: str) -> None:
        self.process = start(folder, verb, *words)

    def hear(self) -> str:
        """Return the next line that it says, "" once it has ended."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().decode().strip()

    def end(self) -> None:
        """Wait until it ends by itself, and see that nothing went wrong."""
        _, trouble = self.process.communicate(timeout=START_SECONDS_MAX)
        assert self.process.returncode == 0, trouble.decode()

    def kill(self) -> str:
        """Kill it without warning; return what it complained of."""
        self.process.kill()
        return self.process.communicate()[1].decode()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.kill()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()


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
