"""After unlocking and wiping, the memory of a process holds neither root key nor catalog key, nor the secret itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mimir_vault.keyslots.change import add_recovery_code
from mimir_vault.keyslots.header_file import write
from mimir_vault.keyslots.unlock import create_header
from process_memory import MASK, occurrences

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/PID/mem, which only Linux has")

CHILD = """
import os, sys
from pathlib import Path
from mimir_vault.crypto.secret import SecretBytes
from mimir_vault.keyslots.change import list_slots, new_replica
from mimir_vault.keyslots.header_file import read
from mimir_vault.keyslots.unlock import unlock

raw_key = SecretBytes(32)
masked = bytearray(32)
os.readv(0, [masked])
for place in range(32):
    raw_key.view()[place] = masked[place] ^ 0xA5
header = read(Path(sys.argv[1])).header
root = unlock(header, raw_key=raw_key)
root.refresh(new_replica(header, root, random=os.urandom))
os.write(1, b"open\\n")
os.read(0, 1)
root.wipe()
raw_key.wipe()
os.write(1, b"wiped\\n")
os.read(0, 1)
"""


def test_no_key_is_left_after_locking(tmp_path: Path, now: int) -> None:
    """Raw key, root key and catalog key are in memory while a vault is open and nowhere in it afterwards."""
    raw_key = os.urandom(32)
    header, root, _ = create_header(raw_key=raw_key, recovery=False, random=os.urandom, now=now)
    header, _ = add_recovery_code(header, root, random=os.urandom, now=now)
    write(tmp_path, header)
    keys = [raw_key, bytes(root.root_key.view()), bytes(root.catalog_key.view())]
    child = subprocess.Popen([sys.executable, "-c", CHILD, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdin is not None
    assert child.stdout is not None
    with child:
        child.stdin.write(bytes(byte ^ MASK for byte in raw_key))
        child.stdin.flush()
        assert child.stdout.readline() == b"open\n"
        try:
            while_open = occurrences(child.pid, keys)
        except PermissionError:
            child.kill()
            pytest.skip("this system does not let a parent read its child's memory")
        child.stdin.write(b"x")
        child.stdin.flush()
        assert child.stdout.readline() == b"wiped\n"
        after_wiping = occurrences(child.pid, keys)
        child.stdin.write(b"x")

    assert all(count > 0 for count in while_open)
    assert after_wiping == [0, 0, 0]
