"""Cutting a long text into overlapping windows that the model can read whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mimir_vault.embed.tokenizer import Tokenizer, Word

Window = tuple[int, int]
"""Character offsets [start, end) into the text."""

OVERLAP = 32
"""Tokens, about two sentences, that a window shares with the one before, so that nothing is cut in both."""

LEAST_ROOM = 100
"""Tokens that must be left for the text beside prefix and suffix: the model's vocabulary gives a word at most 100."""

EXPANSION = 4
"""The most tokens that one character becomes: no canonical decomposition has more parts than this."""


def cut(tokenizer: Tokenizer, text: str, prefix: str = "", suffix: str = "", overlap: int = OVERLAP) -> list[Window]:
    """Return windows of the text such that prefix + window + suffix fits the model; at least one, in order.

    Windows begin and end at words, are as even as words allow and share about `overlap` tokens with their
    neighbours, a quarter of their own at most.
    A prefix must end, and a suffix begin, with punctuation or a space, or their words would run into the window's.

    Raises:
        ValueError: prefix and suffix leave fewer than LEAST_ROOM tokens, or the overlap is negative.
    """
    if overlap < 0:
        raise ValueError(f"The overlap of windows must be 0 or more tokens, not {overlap}.")
    around = len(prefix) + len(suffix)
    room = tokenizer.max_tokens - 2
    if (len(text) + around) * (1 if text.isascii() and prefix.isascii() and suffix.isascii() else EXPANSION) <= room:
        return [(0, len(text))]
    if around:
        room -= sum(tokenizer.count([prefix, suffix]))
    if room < LEAST_ROOM:
        raise ValueError(
            f"A text's prefix and suffix must leave {LEAST_ROOM} of the model's {tokenizer.max_tokens} tokens."
        )
    words = tokenizer.words(text)
    total = sum(word.tokens for word in words)
    if total <= room:
        return [(0, len(text))]
    return _even_windows(words, total, room, min(overlap, room // 4))


def _even_windows(words: list[Word], total: int, room: int, overlap: int) -> list[Window]:
    count = -(-(total - overlap) // (room - overlap))
    target = -(-(total + (count - 1) * overlap) // count)
    windows: list[Window] = []
    first = 0
    while True:
        after, tokens = first, 0
        while after < len(words) and (after == first or (tokens < target and tokens + words[after].tokens <= room)):
            tokens += words[after].tokens
            after += 1
        windows.append((words[first].start, words[after - 1].end))
        if after == len(words):
            return windows
        # Go back over at most `overlap` tokens, yet start behind the window's own first word, or nothing would move on.
        start, first, shared = first, after, 0
        while first - 1 > start and shared + words[first - 1].tokens <= overlap:
            first -= 1
            shared += words[first].tokens
