"""Building the vaults that are scanned, and listening for every key that is used on the way.

This is the one module here that reaches into Mimir; what scans is in `scanning` and `pages`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from forensics.invented import Inventor, texts_of
from mimir_vault.crypto.key_cells import KeyCell
from mimir_vault.crypto.secret import SecretBytes
from mimir_vault.index.quantise import from_rows
from mimir_vault.memory import Memory
from mimir_vault.model.draft import Draft
from mimir_vault.store import vectors
from mimir_vault.vault import Vault

KEY_SHOWN = 32
"""Bytes of a heard secret that are searched for: behind the key, what is derived for an envelope holds its commitment,
which stands in the envelope in clear."""


@contextmanager
def listening() -> Iterator[dict[bytes, None]]:
    """Yield a growing set of every secret that Mimir wipes meanwhile: keys, passphrases, codes."""
    heard: dict[bytes, None] = {}
    wipe, leave = SecretBytes.wipe, KeyCell.__exit__

    def listen(secret: SecretBytes) -> None:
        held = getattr(secret, "_held", None)
        if held and len(held[0]) >= 8 and any(held[0]):
            heard[bytes(held[0][:KEY_SHOWN])] = None
        wipe(secret)

    def listen_to_cell(cell: KeyCell, *ended: Any) -> None:
        heard[bytes(cell.key)] = None
        leave(cell, *ended)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SecretBytes, "wipe", listen)
        patch.setattr(KeyCell, "__exit__", listen_to_cell)
        yield heard


@contextmanager
def sketch_from(count: int) -> Iterator[None]:
    """Make spaces turn to a sketch at `count` vectors instead of tens of thousands, and save it at every chance."""
    wanted = {"EXACT_VECTORS_MAX": count, "SAVE_CHANGES": 1, "SAVE_AT_CLOSE": 1, "FROZEN_FROM": count}
    with pytest.MonkeyPatch.context() as patch:
        for name, module in list(sys.modules.items()):
            if name.startswith("mimir_vault"):
                for constant, value in wanted.items():
                    if hasattr(module, constant):
                        patch.setattr(module, constant, value)
        yield


def page_keys(vault: Vault) -> dict[str, bytes]:
    """Return the page key of each database of an open vault by its path in the vault, and that of its pins."""
    keys = {"catalog.db": bytes(_content(vault._keys.catalog_page_key()))}
    for row in vault._catalog.spaces():
        store = vault._spaces.open(row.name).store
        keys[f"spaces/{row.file}"] = _content(store.sealer.page_key())  # type: ignore[attr-defined]
    keys["pins"] = _content(vault._keys.pins_page_key())
    return keys


def _content(secret: SecretBytes) -> bytes:
    return bytes(secret.view())


def remember_turns(memory: Memory, inventor: Inventor, count: int) -> list[dict[str, Any]]:
    """Remember so many invented turns, half of them one by one; return their fields."""
    turns = [inventor.turn() for _ in range(count)]
    drafts = [Draft(**turn) for turn in turns]
    for draft in drafts[: count // 2]:
        memory.remember_many([draft])
    memory.remember_many(drafts[count // 2 :])
    return turns


def make_sketch(memory: Memory) -> None:
    """Have the sketch of a space made and saved now."""
    memory.recall("anything")
    memory._space.upkeep.run_now()
    memory.recall("anything")
    memory._space.upkeep.run_now(at_close=True)
    (dense,) = memory._space.index.dense.values()
    assert dense.sketch is not None


def codes_of(memory: Memory) -> list[bytes]:
    """Return the 1-bit code of every vector that a space with a sketch holds, in the order of the nodes."""
    (dense,) = memory._space.index.dense.values()
    assert dense.frozen is not None
    with memory._space.store.read() as connection:
        held = vectors.after(connection, dense.model.code, 0)
    assert (held.seqs[1:] > held.seqs[:-1]).all()
    return [code.tobytes() for code in dense.frozen.codes(from_rows(held.data))]


@dataclass(slots=True)
class Scanned:
    """A vault as an attacker gets it, and all that may not be in it.

    `folders` are copies by name; each holds `vault/` and `state/`. `texts` are what was remembered, by kind.
    """

    folders: dict[str, Path] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    ids: list[bytes] = field(default_factory=list)
    vectors: list[np.ndarray[Any, np.dtype[np.float32]]] = field(default_factory=list)
    codes: list[bytes] = field(default_factory=list)
    secrets: list[bytes] = field(default_factory=list)


def take_texts(scanned: Scanned, turns: list[dict[str, Any]]) -> None:
    """Add every text of these turns, and each invented word of their texts, to what is searched for."""
    for turn in turns:
        scanned.texts.append(turn["text"])
        scanned.names += [text for text in texts_of({**turn, "text": ""}) if len(text) >= 10]
        scanned.names += [word for word in turn["text"].split() if len(word) >= 10]
