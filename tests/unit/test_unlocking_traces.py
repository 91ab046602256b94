"""A passphrase that was read from a file is in memory once: wiping what was returned is enough."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from process_memory import occurrences

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/PID/mem, which only Linux has")

PASSPHRASE = "seven purple zebras jump 4711 times"
CHILD = """
import os, sys
from mimir_vault.unlocking import find_passphrase

passphrase = find_passphrase({"MIMIR_PASSPHRASE_FILE": sys.argv[1]})
os.write(1, b"found\\n")
os.read(0, 1)
passphrase[:] = bytes(len(passphrase))
os.write(1, b"wiped\\n")
os.read(0, 1)
"""


def test_no_passphrase_is_left_after_wiping(tmp_path: Path) -> None:
    """Neither whole nor in part, and in no buffer of the file."""
    secret = tmp_path / "secret"
    secret.write_text(PASSPHRASE + "\n")
    child = subprocess.Popen([sys.executable, "-c", CHILD, secret], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdin is not None
    assert child.stdout is not None
    parts = [part.encode() for part in (PASSPHRASE, PASSPHRASE[:16], PASSPHRASE[-16:])]
    with child:
        assert child.stdout.readline() == b"found\n"
        try:
            found = occurrences(child.pid, parts)
        except PermissionError:
            child.kill()
            pytest.skip("this system does not let a parent read its child's memory")
        child.stdin.write(b"x")
        child.stdin.flush()
        assert child.stdout.readline() == b"wiped\n"
        wiped = occurrences(child.pid, parts)
        child.stdin.write(b"x")

    assert (found, wiped) == ([1] * 3, [0] * 3)
