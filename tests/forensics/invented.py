"""Invented words, so that every text, name and value of a test vault stands nowhere else in the world."""

from __future__ import annotations

import random
from typing import Any

_ONSETS, _VOWELS, _CODAS = (
    tuple(part.split())
    for part in (
        "b bl br c ch d dr f fl g gl gr h j k kl l m n p pl pr qu r s sh sk st t th tr v w z",
        "a e i o u ai ea ou",
        "b ck d ft g l lm m mp n nd ng nk p r rk s sk st t x",
    )
)


class Inventor:
    """Gives words and turns of conversation from a seed; no word comes twice."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._given: set[str] = set()

    def word(self) -> str:
        """Return a word of 10 to 14 small letters that was not given before."""
        while True:
            pick = self._random.choice
            word = "".join(pick(_ONSETS) + pick(_VOWELS) + pick(_CODAS) for _ in range(4))[:14]
            if len(word) >= 10 and word not in self._given:
                self._given.add(word)
                return word

    def turn(self) -> dict[str, Any]:
        """Return the fields of a draft, every text in it invented."""
        return {
            "text": f"{self.word()} keeps the {self.word()} near {self.word()}",
            "speaker": self.word().title(), "user": self.word(), "agent": self.word(), "session": self.word(),
            "kind": self.word(), "role": self.word(), "tags": [self.word(), self.word()],
            "metadata": {self.word(): self.word(), "nested": {self.word(): [self.word(), 7]}},
            "ref": (self.word(), self.word()), "data": self.word().encode(),
        }  # fmt: skip


def texts_of(value: Any) -> list[str]:
    """Return every text in the fields of a draft, however deep."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, bytes):
        return [value.decode()]
    if isinstance(value, dict):
        return [text for pair in value.items() for part in pair for text in texts_of(part)]
    if isinstance(value, (list, tuple)):
        return [text for part in value for text in texts_of(part)]
    return []
