"""The sealed part of the header: the catalog's file and keys, and what `key list` says about each slot."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from mimir_vault.crypto.envelope import OVERHEAD, Context, Role, open_envelope, seal
from mimir_vault.crypto.keys import Label, derive
from mimir_vault.crypto.primitives import KEY_LENGTH
from mimir_vault.crypto.randomness import Random
from mimir_vault.crypto.secret import SecretBytes, discard
from mimir_vault.crypto.wiping import wipe
from mimir_vault.errors import FormatError, TamperedError
from mimir_vault.keyslots.slot import SLOT_COUNT, SlotKind

SEALED_LENGTH: Final = 8192
PLAIN_LENGTH: Final = SEALED_LENGTH - OVERHEAD  # 8,120 bytes, filled with zeros before sealing
LAYOUT: Final = 1
LABEL_MAX: Final = 100  # bytes of UTF-8
FILE_NAME_MAX: Final = 64  # bytes of ASCII
SLOT_ID_LENGTH: Final = 4  # bytes, shown as 8 hex digits

_SLOT: Final = struct.Struct(">BB4sQB")  # index, kind, slot id, created in µs since 1970 UTC, length of the label
_BROKEN: Final = "The sealed part of the header is not as Mimir writes it; restore a backup."


@dataclass(frozen=True, slots=True)
class SlotDescription:
    """What may be shown about a key slot: `id` (8 hex digits), kind, a label of its owner, and when it was made
    (microseconds since 1970, UTC). `index` is its place in the header.
    """

    id: str
    index: int
    kind: int
    label: str
    created: int

    @property
    def kind_name(self) -> str:
        """The kind in words, e.g. "recovery code"."""
        try:
            return SlotKind(self.kind).name.lower().replace("_", " ")
        except ValueError:
            return f"kind {self.kind}"


@dataclass(frozen=True, slots=True)
class HeaderContents:
    """The sealed part, opened. `next_catalog_key` is set only while the catalog is being rekeyed."""

    catalog_file: str
    catalog_key: SecretBytes
    next_catalog_key: SecretBytes | None
    slots: tuple[SlotDescription, ...]

    def wipe(self) -> None:
        """Wipe the catalog keys; again and again is harmless."""
        self.catalog_key.wipe()
        if self.next_catalog_key is not None:
            self.next_catalog_key.wipe()


def seal_contents(
    contents: HeaderContents, root_key: SecretBytes, vault_id: bytes, header_epoch: int, random: Random
) -> bytes:
    """Return the 8,192 bytes of the sealed part, bound to the vault and to this epoch of its header."""
    with SecretBytes.copy_of(bytes(PLAIN_LENGTH)) as plain:
        _encode_into(contents, plain.view())
        content = bytes(plain.view())
    with derive(root_key, Label.HEADER_SEAL, vault_id) as seal_key:
        sealed = seal(seal_key, _context(vault_id, header_epoch), content, random)
    discard(content)
    return sealed


def open_contents(sealed: bytes, root_key: SecretBytes, vault_id: bytes, header_epoch: int) -> HeaderContents:
    """Return the contents; TamperedError when they are not what was sealed for this epoch, FormatError for a layout
    that this version does not know.
    """
    with derive(root_key, Label.HEADER_SEAL, vault_id) as seal_key:
        opened = open_envelope(seal_key, _context(vault_id, header_epoch), sealed)
    with SecretBytes.copy_of(opened) as plain:
        discard(opened)
        return _decode(plain.view())


def _context(vault_id: bytes, header_epoch: int) -> Context:
    return Context(Role.HEADER, vault_id, header_epoch.to_bytes(4, "big"))


def _encode_into(contents: HeaderContents, out: memoryview) -> None:
    """Write: layout | length, file name | current key | 0 or 1, next key or zeros | count, slots | zeros."""
    name = contents.catalog_file.encode("ascii")
    if not 1 <= len(name) <= FILE_NAME_MAX:
        raise ValueError(f"The catalog's file name has 1 to {FILE_NAME_MAX} bytes, not {len(name)}.")
    following = contents.next_catalog_key
    scratch = bytearray(bytes((LAYOUT, len(name))) + name)
    scratch += contents.catalog_key.view()
    scratch.append(0 if following is None else 1)
    scratch += bytes(KEY_LENGTH) if following is None else following.view()
    scratch.append(len(contents.slots))
    for slot in contents.slots:
        label = slot.label.encode("utf-8")
        if len(label) > LABEL_MAX:
            raise ValueError(f"The label of a key slot has at most {LABEL_MAX} bytes; choose a shorter one.")
        scratch += _SLOT.pack(slot.index, slot.kind, bytes.fromhex(slot.id), slot.created, len(label)) + label
    out[: len(scratch)] = scratch
    wipe(scratch)


def _decode(plain: memoryview) -> HeaderContents:
    """Read what `_encode_into` writes and nothing else: one value has one encoding."""
    if plain[0] != LAYOUT:
        raise FormatError("A newer version of Mimir wrote this vault's header; update Mimir.")
    end = 2 + plain[1]
    try:
        name = bytes(plain[2:end]).decode("ascii")
        current = plain[end : end + KEY_LENGTH]
        flag = plain[end + KEY_LENGTH]
        following = plain[end + KEY_LENGTH + 1 : end + 2 * KEY_LENGTH + 1]
        slots, end = _decode_slots(plain, end + 2 * KEY_LENGTH + 1)
    except (UnicodeDecodeError, struct.error, IndexError):
        raise TamperedError(_BROKEN) from None
    if not name or flag > 1 or (flag == 0 and any(following)) or any(plain[end:]):
        raise TamperedError(_BROKEN)
    return HeaderContents(
        catalog_file=name,
        catalog_key=SecretBytes.copy_of(current),
        next_catalog_key=SecretBytes.copy_of(following) if flag else None,
        slots=slots,
    )


def _decode_slots(plain: memoryview, start: int) -> tuple[tuple[SlotDescription, ...], int]:
    count, end = plain[start], start + 1
    slots: list[SlotDescription] = []
    for _ in range(count):
        index, kind, slot_id, created, length = _SLOT.unpack_from(plain, end)
        end += _SLOT.size
        label = bytes(plain[end : end + length]).decode("utf-8")
        end += length
        slots.append(SlotDescription(slot_id.hex(), index, kind, label, created))
    indexes = [slot.index for slot in slots]
    if indexes != sorted(set(indexes)) or any(index >= SLOT_COUNT for index in indexes):
        raise TamperedError(_BROKEN)
    return tuple(slots), end
