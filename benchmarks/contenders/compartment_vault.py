"""Compartment, as it comes: one encrypted file, all of it and its index in RAM, with an embedder of its own."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

os.environ["COMPARTMENT_EMBED_DAEMON"] = "0"  # Its model in this process, so that memory and time are counted here.

from compartment.crypto import CryptoError
from compartment.vault import Vault

from contenders.contender import Defaults, K, Utterance, Vectors

CALLER = "benchmark"
PASSPHRASE = "a long passphrase"


class Compartment(Defaults):
    """Stores one claim at a time, durably; what it refuses or takes for a duplicate is counted."""

    packages: ClassVar[Sequence[str]] = ("compartment",)
    embeds: ClassVar[bool] = True
    note: ClassVar[str] = "encrypted, hybrid; its own embedder (bge-small-en, int8), and no batches"

    def __init__(self) -> None:
        self.refused = self.duplicates = 0

    def warm(self) -> None:
        """Its model belongs to a vault and is loaded with it."""

    def create(self, folder: Path) -> None:
        """Make an empty vault, without the facts that its command line adds."""
        self.vault = Vault.create(str(folder / "vault"), PASSPHRASE)

    def open(self, folder: Path) -> None:
        """Unlock the vault by its passphrase."""
        self.vault = Vault.unlock(str(folder / "vault"), PASSPHRASE)

    def fill(self, first: int, utterances: Sequence[Utterance], vectors: Vectors | None) -> int:
        """Store one after the other: there is no batch in its Python interface."""
        taken = 0
        for one in utterances:
            try:
                is_new = not self.vault.store(one.form, caller=CALLER, source="chat").get("duplicate")
            except CryptoError:  # Its rule of one claim of 200 characters.
                self.refused += 1
                continue
            taken += is_new
            self.duplicates += not is_new
        return taken

    def remember(self, number: int, utterance: Utterance, vector: Vectors | None) -> None:
        """Store one."""
        self.fill(number, [utterance], None)

    def recall(self, query: str, vector: Vectors | None, *, dense: bool = False) -> list[str]:
        """Search as it does: by vectors and words."""
        return [hit["text"] for hit in self.vault.search(query, caller=CALLER, top_k=K)["results"]]

    def facts(self) -> dict[str, Any]:
        """What it did not take."""
        return {"refused": self.refused, "duplicates": self.duplicates}

    def close(self) -> None:
        """Seal the file."""
        self.vault.lock()
