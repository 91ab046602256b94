"""What a stranger sees of a vault: its files, how random they look, and whether a text stands in them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

PART_CHARACTERS = 24
"""Texts are also looked for by parts of this length, as a file may hold them cut."""
RANDOM_BITS = 7.99
"""Bytes of a file of 64 KiB or more that are random carry at least so many bits each."""
_READ_BYTES = 1 << 20


def look_at_disk(folder: Path, texts: Sequence[str]) -> dict[str, Any]:
    """Return the files of a vault with size and entropy (bits per byte), and how many of the texts stand in them."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {"files": [_file(path, folder) for path in paths], "found": _found(paths, texts)}


def _file(path: Path, folder: Path) -> dict[str, Any]:
    counts: Counter[int] = Counter()
    for part in _parts(path):
        counts.update(part)
    bits = entropy(counts.values())
    looks = "looks like random bytes" if bits >= RANDOM_BITS else "does not look random"
    return {"file": str(path.relative_to(folder)), "bytes": counts.total(), "entropy": round(bits, 3), "looks": looks}


def entropy(counts: Iterable[int]) -> float:
    """Return the Shannon entropy in bits of a distribution given as counts; 8 is the most for bytes."""
    listed = [count for count in counts if count]
    total = sum(listed)
    return sum(-count / total * math.log2(count / total) for count in listed)


def _found(paths: Sequence[Path], texts: Sequence[str]) -> int:
    """Return how many texts stand in the files in whole or in part, as UTF-8 or UTF-16."""
    wanted = [[part.encode(coding) for part in _cut(text) for coding in ("utf-8", "utf-16-le")] for text in texts]
    contents = [path.read_bytes() for path in paths]
    return sum(any(needle in content for needle in needles for content in contents) for needles in wanted)


def _cut(text: str) -> list[str]:
    middle = max(0, len(text) // 2 - PART_CHARACTERS // 2)
    return [text[:PART_CHARACTERS], text[middle : middle + PART_CHARACTERS]]


def _parts(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while part := file.read(_READ_BYTES):
            yield part
