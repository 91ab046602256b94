"""After wiping, the memory of a process holds no copy of any key: read from outside, through /proc."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from process_memory import MASK, occurrences

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/PID/mem, which only Linux has")

CHILD = """
import os, sys
from mimir_vault.crypto.keys import Label, derive
from mimir_vault.crypto.sealer import SpaceSealer
from mimir_vault.crypto.secret import SecretBytes
from mimir_vault.crypto.vault_keys import VaultKeys

def read_masked():
    secret = SecretBytes(32)
    view = secret.view()
    masked = bytearray(32)
    os.readv(0, [masked])
    for place in range(32):
        view[place] = masked[place] ^ 0xA5
    return secret

catalog, space = read_masked(), read_masked()
keys = VaultKeys(bytes(16), catalog, os.urandom)
ring = keys.unwrap_ring(bytes(16), keys.wrap_ring(bytes(16), {1: space}))
sealer = SpaceSealer(bytes(16), ring, os.urandom)
for _ in range(50):
    node = sealer.seal(b"payload", b"metadata", b"state")
    assert sealer.open_node(node) == (b"payload", b"metadata", b"state")
os.write(1, b"open\\n")
os.read(0, 1)
for wipeable in (catalog, space, keys, sealer, *ring.values()):
    wipeable.wipe()
os.write(1, b"wiped\\n")
os.read(0, 1)
"""


def test_no_key_is_left_after_wiping() -> None:
    """Catalog key and space key are in memory while a vault is open and nowhere in it after locking."""
    keys = [os.urandom(32), os.urandom(32)]
    child = subprocess.Popen([sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdin is not None
    assert child.stdout is not None
    with child:
        child.stdin.write(b"".join(bytes(byte ^ MASK for byte in key) for key in keys))
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
    assert after_wiping == [0, 0]
