"""The contender: what every store in the comparison can do, so that one loop measures them all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
K = 10
"""Hits of one recall."""


@dataclass(frozen=True, slots=True)
class Utterance:
    """What somebody said in a conversation; texts are different throughout one run, so a text names its utterance."""

    text: str
    speaker: str
    session: str

    @property
    def form(self) -> str:
        """What is embedded of it, for every contender alike."""
        return f'{self.speaker} said, "{self.text}"'


class Contender(Protocol):
    """A store in a folder of its own. It is made or opened once, and closed at the end.

    `packages` are the distributions whose versions are told. With `embeds` it turns text into vectors by itself, and
    vectors handed in only spare it that; else it knows vectors alone and leaves embedding to its caller. `note` says
    in one line what a reader must know to compare fairly.
    """

    packages: ClassVar[Sequence[str]]
    embeds: ClassVar[bool]
    note: ClassVar[str]

    def warm(self) -> None:
        """Load what is shared by all stores of a process: the embedder."""

    def create(self, folder: Path) -> None:
        """Make an empty store in a folder that is there and empty."""

    def open(self, folder: Path) -> None:
        """Open a store that was closed."""

    def fill(self, first: int, utterances: Sequence[Utterance], vectors: Vectors | None) -> int:
        """Put utterances, numbered from `first`, in one batch; return how many were taken."""

    def remember(self, number: int, utterance: Utterance, vector: Vectors | None) -> None:
        """Put one utterance durably: it is on disk when this returns."""

    def recall(self, query: str, vector: Vectors | None, *, dense: bool = False) -> list[str]:
        """Return the texts of the `K` best, best first; with `dense` by the vectors alone."""

    def live_bytes(self) -> int | None:
        """Return the bytes that hold something where the file is larger on purpose; None where all of it counts."""

    def facts(self) -> dict[str, Any]:
        """Return what else is worth telling of an open store."""

    def close(self) -> None:
        """Close the store; nothing is lost."""


class Defaults:
    """What most contenders have in common."""

    packages: ClassVar[Sequence[str]] = ()
    embeds: ClassVar[bool] = False
    note: ClassVar[str] = ""

    def warm(self) -> None:
        """Most bring no embedder."""

    def live_bytes(self) -> int | None:
        """Most files are as large as what they hold."""
        return None

    def facts(self) -> dict[str, Any]:
        """Most have nothing to tell."""
        return {}
