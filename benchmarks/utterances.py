"""The utterances that are measured with: real ones from a folder of dialogues, else made up, the same on every run."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

from contenders.contender import Utterance

SEED = 20_261
WORDS_MIN = 3
"""Shorter utterances say nothing that could be found."""
TURNS = 14
"""Turns of a made-up conversation."""
PEOPLE = (
    "Ada", "Ben", "Chidi", "Dora", "Emil", "Fatou", "Goran", "Hana", "Ines", "Jonas", "Kim", "Lena", "Milo", "Nora",
    "Omar", "Pia",
)  # fmt: skip
THINGS = (
    "the harbour", "an old bridge", "my sister's bakery", "our budget", "the night train", "the kitchen",
    "her violin", "this contract", "the garden fence", "a blue bicycle", "the tax form", "our holiday", "the choir",
    "a broken window", "the dentist", "my passport", "the new printer", "that recipe", "the cat", "his thesis",
    "the museum", "a flat tyre", "the insurance", "grandmother's letters", "the swimming course", "a birthday cake",
    "the heating", "our neighbours", "the flight", "a window seat", "the rehearsal", "the rent",
)  # fmt: skip
PLACES = (
    "in Lisbon", "near the station", "at the office", "behind the church", "on the island", "in the attic",
    "by the lake", "at my parents' place", "downtown", "in Oslo", "on the second floor", "across the street",
    "in the old town", "at the airport", "near Prague", "abroad",
)  # fmt: skip
TIMES = (
    "on Monday", "since last winter", "after the meeting", "because of the storm", "until further notice",
    "every second week", "before breakfast", "in the middle of March", "around noon", "on the tenth",
    "during the holidays", "the day before yesterday", "for two months", "as soon as possible", "at half past seven",
    "once the rain stops",
)  # fmt: skip
DEEDS = (
    "was closed", "needs repair", "became expensive", "looks beautiful", "surprised everyone", "arrives late",
    "is finished", "costs {n} euros", "has to wait", "got lost", "was moved", "is mine", "needs {n} signatures",
    "takes {n} hours", "is for sale", "works again",
)  # fmt: skip
SHAPES = (
    "{thing} {deed} {time}.", "Did you know that {thing} {place} {deed}?", "I think {thing} {deed}, {other} as well.",
    "{time} I went to see {other} {place}, and {thing} {deed}.", "No, {thing} {deed} only {time}.",
    "Could you ask {name} about {thing} {place}?", "{name} told me {time} that {thing} {deed}.",
    "We should talk about {thing} and {other} {time}.", "My number for {thing} is {n}, {name} has it too.",
    "I prefer {other} {place} to {thing}, you know that.", "Remind me {time}: {thing} {place} {deed}.",
)  # fmt: skip


def different(found: Iterator[Utterance], count: int) -> list[Utterance]:
    """Return the first `count` utterances of at least three words whose texts are all different."""
    kept: dict[str, Utterance] = {}
    for one in found:
        if len(one.text.split()) >= WORDS_MIN and one.text not in kept:
            kept[one.text] = one
            if len(kept) == count:
                break
    return list(kept.values())


def real(data: Path) -> Iterator[Utterance]:
    """Yield what the *.jsonl files of a folder hold, {"conv", "speaker", "text"} a line, one file after the other."""
    for file in sorted(data.glob("*.jsonl")):
        with file.open(encoding="utf-8") as lines:
            for row in map(json.loads, lines):
                yield Utterance(row["text"].strip(), row["speaker"], str(row["conv"]))


def made_up(seed: int = SEED) -> Iterator[Utterance]:
    """Yield made-up conversations of two people without end."""
    source = random.Random(seed)
    conversation = 0
    while True:
        pair, conversation = source.sample(PEOPLE, 2), conversation + 1
        about = source.sample(THINGS, 3)
        for turn in range(TURNS):
            shape = source.choice(SHAPES)
            text = shape.format(
                thing=source.choice(about), other=source.choice(THINGS), place=source.choice(PLACES),
                time=source.choice(TIMES), name=source.choice(PEOPLE),
                deed=source.choice(DEEDS).format(n=source.randrange(2, 900)), n=source.randrange(1_000, 9_999),
            )  # fmt: skip
            yield Utterance(text[0].upper() + text[1:], pair[turn % 2], f"made up {conversation}")


def load(data: Path | None, count: int) -> list[Utterance]:
    """Return `count` different utterances of a folder, made-up ones without it (ValueError: it holds too few)."""
    found = different(made_up() if data is None else real(data), count)
    if len(found) < count:
        raise ValueError(f"{data} holds {len(found):,} different utterances; {count:,} are needed")
    return found
