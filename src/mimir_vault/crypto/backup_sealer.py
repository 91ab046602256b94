"""The sealer of a backup: envelopes that open only in their own backup, at their own place, beside their own header."""

from __future__ import annotations

from typing import Final

from mimir_vault.crypto.envelope import Context, Role, open_envelope, seal
from mimir_vault.crypto.primitives import sha256
from mimir_vault.crypto.randomness import Random
from mimir_vault.crypto.secret import SecretBytes

MARK_LENGTH: Final = 16  # bytes, of the random ids of a backup and of a segment


class BackupSealer:
    """Seals and opens the guide and the portions of one backup; the key stays its owner's to wipe.

    The guide is bound to the header it stands beside; a portion to its segment, its number and whether it is the last.
    """

    def __init__(self, backup_key: SecretBytes, vault_id: bytes, backup_id: bytes, random: Random) -> None:
        if len(backup_id) != MARK_LENGTH:
            raise ValueError(f"A backup id has {MARK_LENGTH} bytes, not {len(backup_id)}.")
        self._key, self._vault_id, self._backup_id, self._random = backup_key, vault_id, backup_id, random

    def seal_guide(self, header: bytes, plain: bytes) -> bytes:
        """Return the guide of this backup, whose header has these bytes."""
        return seal(self._key, self._guide_context(header), plain, self._random)

    def open_guide(self, header: bytes, sealed: bytes) -> bytes:
        """Return the plain guide; TamperedError when it is another backup's, or the header is another one."""
        return open_envelope(self._key, self._guide_context(header), sealed)

    def seal_portion(self, segment: bytes, number: int, last: bool, plain: bytes) -> bytes:
        """Return portion `number` (from 0) of a segment."""
        return seal(self._key, self._portion_context(segment, number, last), plain, self._random)

    def open_portion(self, segment: bytes, number: int, last: bool, sealed: bytes) -> bytes:
        """Return a portion; TamperedError when it belongs to another place, segment or backup, or was changed."""
        return open_envelope(self._key, self._portion_context(segment, number, last), sealed)

    def _guide_context(self, header: bytes) -> Context:
        """Detail: backup id | SHA-256 of the header, 48 bytes; a portion's has 37, so neither passes for the other."""
        return Context(Role.BACKUP, self._vault_id, self._backup_id + sha256(header))

    def _portion_context(self, segment: bytes, number: int, last: bool) -> Context:
        """Detail: backup id | segment id | number, 4 bytes | 1 for the last portion of the segment, else 0."""
        if len(segment) != MARK_LENGTH:
            raise ValueError(f"A segment id has {MARK_LENGTH} bytes, not {len(segment)}.")
        return Context(
            Role.BACKUP, self._vault_id, self._backup_id + segment + number.to_bytes(4, "big") + bytes((last,))
        )
