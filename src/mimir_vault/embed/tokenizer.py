"""Words and word pieces of a text, as the model reads them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tokenizers import Tokenizer as WordPieces

SPECIAL_TOKENS = 2
"""[CLS] before and [SEP] after each text."""

READ_LIMIT = 16_384
"""Of a text that is embedded whole, no more characters than this are read; the model's 256 tokens end before."""

SLICE = 1_024
"""Texts encoded at once: an encoding takes a hundred times the memory of its ids, so few are held."""

PIECE = 16_384
"""Long texts are split into words in pieces of about this many characters, as the time grows faster than the length."""

_LONE_SURROGATES = re.compile("[\ud800-\udfff]")
_SPACE = re.compile(r"\s")


class Word(NamedTuple):
    """A run of characters [start, end) that word pieces never cross, and how many of them it takes."""

    start: int
    end: int
    tokens: int


class Tokenizer:
    """The model's tokenizer; holds no state between calls, so threads may share it."""

    def __init__(self, description: bytes, max_tokens: int) -> None:
        """Take the JSON description of the tokenizer and the model's longest input, special tokens included."""
        self.max_tokens = max_tokens
        self._pieces = WordPieces.from_str(description.decode())
        self._pieces.no_truncation()
        self._pieces.no_padding()

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the token ids of each text, special tokens included, cut at max_tokens."""
        ids: list[list[int]] = []
        for begin in range(0, len(texts), SLICE):
            readable = [_readable(text[:READ_LIMIT]) for text in texts[begin : begin + SLICE]]
            ids.extend(self._cut(encoding.ids) for encoding in self._pieces.encode_batch_fast(readable))
        return ids

    def count(self, texts: Sequence[str]) -> list[int]:
        """Return how many tokens each text takes, special tokens left out and nothing cut."""
        encodings = self._pieces.encode_batch_fast([_readable(text) for text in texts], add_special_tokens=False)
        return [len(encoding) for encoding in encodings]

    def words(self, text: str) -> list[Word]:
        """Return the words of the text in order, whitespace and control characters left out."""
        words: list[Word] = []
        for begin, end in _split_at_spaces(text):
            self._add_words(words, text[begin:end], begin)
        return words

    def _add_words(self, words: list[Word], piece: str, begin: int) -> None:
        encoding = self._pieces.encode(_readable(piece), add_special_tokens=False)
        last = None
        for number, (start, end) in zip(encoding.word_ids, encoding.offsets, strict=True):
            if number is not None and number == last:
                words[-1] = Word(words[-1].start, begin + end, words[-1].tokens + 1)
            else:
                words.append(Word(begin + start, begin + end, 1))
            last = number

    def _cut(self, ids: list[int]) -> list[int]:
        return ids if len(ids) <= self.max_tokens else [*ids[: self.max_tokens - 1], ids[-1]]


def _split_at_spaces(text: str) -> Iterator[tuple[int, int]]:
    """Yield [begin, end) of pieces that begin with whitespace, but for the first."""
    begin = 0
    while len(text) - begin > PIECE:
        space = _SPACE.search(text, begin + PIECE)
        if space is None:
            break
        yield begin, space.start()
        begin = space.start()
    yield begin, len(text)


def _readable(text: str) -> str:
    """Replace lone surrogates, which no encoding of Unicode can carry, by a character that the model ignores."""
    return text if text.isascii() else _LONE_SURROGATES.sub("\ufffd", text)
