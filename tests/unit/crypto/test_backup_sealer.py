"""Guide and portions of a backup open at their own place and nowhere else."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable

import pytest

from mimir_vault.crypto.backup_sealer import BackupSealer
from mimir_vault.crypto.envelope import Context, Role, open_envelope
from mimir_vault.crypto.secret import SecretBytes
from mimir_vault.errors import TamperedError

VAULT, BACKUP, SEGMENT = bytes(16), bytes([1] * 16), bytes([2] * 16)
HEADER = b"header" * 100


def sealer(key: int = 1, vault: bytes = VAULT, backup: bytes = BACKUP) -> BackupSealer:
    """Return a sealer whose key is one byte repeated."""
    return BackupSealer(SecretBytes.copy_of(bytes([key] * 32)), vault, backup, os.urandom)


def test_what_was_sealed_opens() -> None:
    """A guide beside its header, a portion at its place."""
    ours = sealer()
    assert ours.open_guide(HEADER, ours.seal_guide(HEADER, b"guide")) == b"guide"
    assert ours.open_portion(SEGMENT, 3, True, ours.seal_portion(SEGMENT, 3, True, b"portion")) == b"portion"


OTHERS: dict[str, Callable[[bytes], bytes]] = {
    "another key": lambda sealed: sealer(2).open_portion(SEGMENT, 3, False, sealed),
    "another vault": lambda sealed: sealer(vault=bytes([9] * 16)).open_portion(SEGMENT, 3, False, sealed),
    "another backup": lambda sealed: sealer(backup=bytes([9] * 16)).open_portion(SEGMENT, 3, False, sealed),
    "another segment": lambda sealed: sealer().open_portion(bytes([9] * 16), 3, False, sealed),
    "another number": lambda sealed: sealer().open_portion(SEGMENT, 2, False, sealed),
    "as the last": lambda sealed: sealer().open_portion(SEGMENT, 3, True, sealed),
    "as a guide": lambda sealed: sealer().open_guide(HEADER, sealed),
    "a bit changed": lambda sealed: sealer().open_portion(SEGMENT, 3, False, sealed[:-1] + bytes([sealed[-1] ^ 1])),
}


@pytest.mark.parametrize("other", OTHERS)
def test_a_portion_opens_nowhere_else(other: str) -> None:
    """Key, vault, backup, segment, number and end are bound."""
    sealed = sealer().seal_portion(SEGMENT, 3, False, b"portion")
    with pytest.raises(TamperedError):
        OTHERS[other](sealed)


def test_a_guide_opens_beside_its_own_header_alone() -> None:
    """An older header put before a guide is noticed, though both are of the vault."""
    sealed = sealer().seal_guide(HEADER, b"guide")
    for open_it in (
        lambda: sealer().open_guide(HEADER + b"!", sealed),
        lambda: sealer(backup=bytes(16)).open_guide(HEADER, sealed),
        lambda: sealer(2).open_guide(HEADER, sealed),
    ):
        with pytest.raises(TamperedError):
            open_it()


def test_details_are_those_of_the_format() -> None:
    """A guide is bound to backup id and hash of the header, a portion to backup id, segment id, number and end."""
    key, ours = SecretBytes.copy_of(bytes([1] * 32)), sealer()
    guide = Context(Role.BACKUP, VAULT, BACKUP + hashlib.sha256(HEADER).digest())
    portion = Context(Role.BACKUP, VAULT, BACKUP + SEGMENT + b"\0\0\1\2" + b"\1")

    assert open_envelope(key, guide, ours.seal_guide(HEADER, b"guide")) == b"guide"
    assert open_envelope(key, portion, ours.seal_portion(SEGMENT, 258, True, b"portion")) == b"portion"


def test_ids_have_their_length() -> None:
    """A shorter id would let two contexts have the same bytes."""
    with pytest.raises(ValueError, match="16 bytes"):
        sealer(backup=b"short")
    with pytest.raises(ValueError, match="16 bytes"):
        sealer().seal_portion(b"short", 0, True, b"")
