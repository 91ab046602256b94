"""A recovery code that nobody read is gone from the memory of the process when the vault is locked."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from process_memory import MASK, occurrences

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/PID/mem, which only Linux has")

CHILD = f"""
import os, sys
from mimir_vault.testing import temporary_vault

with temporary_vault(sys.argv[1], recovery=True) as vault:
    os.write(1, bytearray(ord(letter) ^ {MASK} for letter in vault._recovery_code) + b"\\n")
    os.read(0, 1)
assert vault.recovery_code is None
os.write(1, b"locked\\n")
os.read(0, 1)
"""


def test_no_recovery_code_is_left_after_locking(tmp_path: Path) -> None:
    """While the vault is open its words are in memory, and afterwards neither whole nor in part."""
    child = subprocess.Popen([sys.executable, "-c", CHILD, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdin is not None
    assert child.stdout is not None
    with child:
        words = bytes(byte ^ MASK for byte in child.stdout.readline()[:-1]).split(b" ")
        assert len(words) == 24
        parts = [b" ".join(words[start : start + 6]) for start in range(0, 24, 6)]
        try:
            while_open = occurrences(child.pid, [b" ".join(words), *parts])
        except PermissionError:
            child.kill()
            pytest.skip("this system does not let a parent read its child's memory")
        child.stdin.write(b"x")
        child.stdin.flush()
        assert child.stdout.readline() == b"locked\n"
        after_locking = occurrences(child.pid, parts)
        child.stdin.write(b"x")

    assert all(count > 0 for count in while_open)
    assert after_locking == [0] * 4
