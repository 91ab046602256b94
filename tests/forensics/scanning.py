"""What somebody who copies a vault can do with its bytes: search them in many encodings, measure how even they are.

Nothing of Mimir is imported here: the scanner knows files, not formats.
"""

from __future__ import annotations

import base64
import contextlib
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

BLOCK = 4_096
"""Entropy is measured in blocks of this many bytes."""
ENTROPY_MIN = 7.92
"""Bits per byte that every block must reach. The lowest of 65,536 random blocks had 7.935."""
CHANCE = 1e-6
"""A run of equal bytes is too long where random data of that size shows one so long less often than this."""
SQLITE_MARKERS = {
    "file header": b"SQLite format 3\0",
    "schema": b"CREATE TABLE",
    "index": b"CREATE INDEX",
    "sequence": b"sqlite_sequence",
    "journal header": bytes.fromhex("d9d505f920a163d7"),
}
"""Bytes by which a database is recognised."""
OTHER_MARKERS = {
    "sketch": b"MSK1\x01\x00", "mean": b"MFZ1\x01\x00", "graph": b"usearch", "label": b"mimir/v1/",
    "array": b"\x93NUMPY", "cipher": b"aegis-256",
}  # fmt: skip
"""Bytes by which parts of a vault are recognised once they are opened."""

_STREAM_HEADS = ((b"\x78\x01", 15), (b"\x78\x5e", 15), (b"\x78\x9c", 15), (b"\x78\xda", 15), (b"\x1f\x8b\x08", 31))

_WORD = 8

Files = Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Trace:
    """Something that should not be there: what, in which form, in which file, at which byte."""

    what: str
    form: str
    file: str
    offset: int


def files_below(folder: Path) -> dict[str, bytes]:
    """Return the bytes of every file below a folder, by its path from there."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def base64_forms(secret: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield what is left of `secret` in base64 at each of the three places it may begin in a longer text."""
    for skipped in range(3):
        begin = -skipped % 3
        whole = secret[begin : len(secret) - (len(secret) - begin) % 3]
        if len(whole) >= 6:
            yield f"base64 +{skipped}", base64.b64encode(whole)
            yield f"base64url +{skipped}", base64.urlsafe_b64encode(whole)


def compressed_forms(secret: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the bytes that `secret` alone is compressed to, at each level, without the head that tells zlib."""
    for level in (1, 6, 9):
        packer = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS)
        packed = packer.compress(secret) + packer.flush()
        if len(packed) >= 8:
            yield f"deflate {level}", packed


def forms_of_text(text: str) -> dict[str, bytes]:
    """Return the forms a text is searched in: UTF-8, UTF-16, UTF-32, hexadecimal, backwards, base64, deflate."""
    plain = text.encode("utf-8", "surrogatepass")
    wide_little, wide_big = text.encode("utf-16-le", "surrogatepass"), text.encode("utf-16-be", "surrogatepass")
    forms = {
        "UTF-8": plain, "UTF-16 LE": wide_little, "UTF-16 BE": wide_big,
        "UTF-32 LE": text.encode("utf-32-le", "surrogatepass"),
        "hex": plain.hex().encode(), "HEX": plain.hex().upper().encode(), "reversed": plain[::-1],
    }  # fmt: skip
    forms |= {f"{form} of UTF-8": data for form, data in base64_forms(plain)}
    forms |= {f"{form} of UTF-16": data for form, data in base64_forms(wide_little)}
    forms |= dict(compressed_forms(plain))
    return forms


def forms_of_bytes(secret: bytes) -> dict[str, bytes]:
    """Return the forms a key or an id is searched in: as it is, reversed, hexadecimal, base64."""
    forms = {
        "bytes": secret,
        "reversed": secret[::-1],
        "hex": secret.hex().encode(),
        "HEX": secret.hex().upper().encode(),
    }
    return forms | dict(base64_forms(secret))


def forms_of_vector(vector: NDArray[np.float32]) -> dict[str, bytes]:
    """Return the forms a vector (d,) is searched in: floats of 64, 32 and 16 bits in both byte orders, and int8."""
    scaled = vector / np.abs(vector).max() * 127
    forms = {f"float{8 * size}": vector.astype(f"<f{size}").tobytes() for size in (8, 4, 2)}
    forms |= {f"float{8 * size} big-endian": vector.astype(f">f{size}").tobytes() for size in (8, 4, 2)}
    return forms | {"int8": np.rint(scaled).astype(np.int8).tobytes(), "int8 cut": scaled.astype(np.int8).tobytes()}


def slices(forms: Mapping[str, bytes], length: int = 16) -> Iterator[tuple[str, bytes]]:
    """Yield every form in pieces of `length` bytes, so that a part of it is found as well."""
    for form, data in forms.items():
        for begin in range(0, max(1, len(data) - length + 1), length):
            yield f"{form} [{begin}]", data[begin : begin + length]


def search(files: Files, what: str, forms: Iterable[tuple[str, bytes]]) -> list[Trace]:
    """Return where any of these forms, each of at least 8 bytes, stands in any of the files."""
    sought = [(form, wanted) for form, wanted in forms]
    if short := [form for form, wanted in sought if len(wanted) < _WORD]:
        raise ValueError(f"too short to mean anything: {short}")
    by_begin: dict[bytes, list[tuple[str, bytes]]] = {}
    for form, wanted in sought:
        by_begin.setdefault(wanted[:_WORD], []).append((form, wanted))
    begins = np.frombuffer(b"".join(by_begin), "<u8")
    pairs = np.zeros(1 << 16, np.bool_)
    pairs[begins & np.uint64(0xFFFF)] = True
    found = []
    for name, data in files.items():
        for offset in _likely(np.frombuffer(data, np.uint8), begins, pairs):
            likely = by_begin[data[offset : offset + _WORD]]
            found += [Trace(what, form, name, offset) for form, wanted in likely if data.startswith(wanted, offset)]
    return found


def _likely(flat: NDArray[np.uint8], begins: NDArray[np.uint64], pairs: NDArray[np.bool_]) -> list[int]:
    """Return where eight bytes equal the beginning of something sought; `pairs` says so of the first two bytes."""
    last = len(flat) - _WORD + 1
    if last <= 0:
        return []
    places = np.flatnonzero(pairs[flat[:last].astype(np.uint16) | flat[1 : last + 1].astype(np.uint16) << 8])
    words = np.zeros(len(places), np.uint64)
    for number in range(_WORD):
        words |= flat[places + number].astype(np.uint64) << np.uint64(8 * number)
    ordered = np.sort(begins)
    near = ordered[np.minimum(np.searchsorted(ordered, words), len(ordered) - 1)]
    return [int(place) for place in places[near == words]]


def inflated(data: bytes) -> Iterator[bytes]:
    """Yield what every place that looks like the head of a zlib or gzip stream inflates to, at most 64 KiB each."""
    for head, bits in (
        (b"\x78\x01", 15),
        (b"\x78\x5e", 15),
        (b"\x78\x9c", 15),
        (b"\x78\xda", 15),
        (b"\x1f\x8b\x08", 31),
    ):
        at = data.find(head)
        while at >= 0:
            with contextlib.suppress(zlib.error):
                yield zlib.decompressobj(bits).decompress(data[at : at + (64 << 10)], 64 << 10)
            at = data.find(head, at + 1)


def longest_run(data: bytes) -> tuple[int, int]:
    """Return the length of the longest run of one byte, and where it begins."""
    if not data:
        return 0, 0
    flat = np.frombuffer(data, np.uint8)
    starts = np.flatnonzero(np.r_[True, flat[1:] != flat[:-1]])
    lengths = np.diff(np.r_[starts, len(flat)])
    longest = int(lengths.argmax())
    return int(lengths[longest]), int(starts[longest])


def run_allowed(size: int) -> int:
    """Return the longest run of one byte that chance allows in `size` random bytes."""
    length = 2
    while size * 256.0**-length > CHANCE:
        length += 1
    return length


def entropies(data: bytes, clear: int = 0) -> NDArray[np.float64]:
    """Return the Shannon entropy, in bits per byte, of each block of 4 KiB; the first `clear` bytes are left aside."""
    found = []
    for begin in range(0, len(data), BLOCK):
        block = np.frombuffer(data, np.uint8, min(BLOCK, len(data) - begin), begin)
        counts = np.bincount(block[max(0, clear - begin) :], minlength=256)
        shares = counts[counts > 0] / max(1, counts.sum())
        found.append(-(shares * np.log2(shares)).sum())
    return np.array(found)
