"""Tests of the recovery code: the published vectors of BIP 39, and tolerance and exactness in reading."""

from __future__ import annotations

import os
import re

import pytest

from mimir_vault.errors import WrongKeyError
from mimir_vault.keyslots.recovery_code import generate, parse

# The English vectors of BIP 39 with 256 bits.
VECTORS = {
    "00" * 32: "abandon " * 23 + "art",
    "7f" * 32: "legal winner thank year wave sausage worth useful " * 2
    + "legal winner thank year wave sausage worth title",
    "80" * 32: "letter advice cage absurd amount doctor acoustic avoid " * 2
    + "letter advice cage absurd amount doctor acoustic bless",
    "ff" * 32: "zoo " * 23 + "vote",
    "68a79eaca2324873eacc50cb9c6eca8cc68ea5d936f98787c60c7ebc74e6ce7c": (
        "hamster diagram private dutch cause delay private meat slide toddler razor book happy fancy gospel tennis "
        "maple dilemma loan word shrug inflict delay length"
    ),
    "9f6a2878b2520799a44ef18bc7df394e7061a224d2c33cd015b157d746869863": (
        "panda eyebrow bullet gorilla call smoke muffin taste mesh discover soft ostrich alcohol speed nation flash "
        "devote level hobby quick inner drive ghost inside"
    ),
    "066dca1a2bb7e8a1db2832148ce9933eea0f3ac9548d793112d9a95c9407efad": (
        "all hour make first leader extend hole alien behind guard gospel lava path output census museum junior mass "
        "reopen famous sing advance salt reform"
    ),
    "f585c11aec520db57dd353c69554b21a89b20fb0650966fa0a9d6f74fd989d8f": (
        "void come effort suffer camp survey warrior heavy shoot primary clutch crush open amazing screen patrol group "
        "space point ten exist slush involve unfold"
    ),
}
ZOO = "zoo " * 23 + "vote"


@pytest.mark.parametrize("entropy", VECTORS)
def test_published_vectors_in_both_directions(entropy: str) -> None:
    """Words come from bytes and bytes from words as BIP 39 says."""
    assert generate(lambda _: bytes.fromhex(entropy)) == VECTORS[entropy].strip()
    assert bytes(parse(VECTORS[entropy]).view()).hex() == entropy


def test_a_new_code_has_24_words_and_is_new() -> None:
    """256 random bits as 24 lower-case words, never the same twice."""
    codes = {generate(os.urandom) for _ in range(20)}

    assert len(codes) == 20
    assert all(re.fullmatch(r"([a-z]+ ){23}[a-z]+", code) for code in codes)


@pytest.mark.parametrize("entropy", VECTORS)
def test_the_bits_in_clear_are_overwritten(overwritten: list[bytes], entropy: str) -> None:
    """Neither making nor reading a code leaves its 256 bits anywhere but in the secret."""
    generate(lambda _: bytes.fromhex(entropy))
    assert overwritten == [bytes.fromhex(entropy)]

    parse(VECTORS[entropy])
    assert overwritten == [bytes.fromhex(entropy)] * 2


@pytest.mark.parametrize(
    "typed",
    [
        ZOO.upper(),
        "  " + ZOO.replace(" ", "\n\t ") + " ",
        " ".join(f"{number}. {word}" for number, word in enumerate(ZOO.split(), start=1)),
        "\r\n".join(f"{number:02}) {word}," for number, word in enumerate(ZOO.split(), start=1)),
        " ".join(f"{number}{word}" for number, word in enumerate(ZOO.split(), start=1)),
        ZOO.replace("z", "ｚ"),
    ],
    ids=["case", "spaces", "numbered", "listed", "glued", "full width"],
)
def test_people_may_type_it_as_they_like(typed: str) -> None:
    """Case, spacing, numbering and width do not matter."""
    assert parse(typed) == parse(ZOO)


def test_four_letters_of_a_word_are_enough() -> None:
    """A code stamped into metal, four letters a word, is read."""
    code = VECTORS["68a79eaca2324873eacc50cb9c6eca8cc68ea5d936f98787c60c7ebc74e6ce7c"]

    assert parse(" ".join(word[:4] for word in code.split())) == parse(code)


@pytest.mark.parametrize("number", [1, 7, 24])
def test_an_unknown_word_is_named_by_its_number(number: int) -> None:
    """The sentence says which word it is, and does not repeat it."""
    words = ZOO.split()
    words[number - 1] = "zooo"

    with pytest.raises(WrongKeyError, match=f"^Word {number} of the recovery code is not in the word list") as caught:
        parse(" ".join(words))

    assert "zoo" not in str(caught.value)


@pytest.mark.parametrize("count", [0, 1, 12, 23, 25])
def test_the_number_of_words_is_named(count: int) -> None:
    """A code with words too few or too many says how many there are."""
    with pytest.raises(WrongKeyError, match=f"has 24 words; this one has {count}"):
        parse("zoo " * count)


def test_a_wrong_checksum_is_told_apart() -> None:
    """All words real, but a wrong one among them or two swapped."""
    words = VECTORS["066dca1a2bb7e8a1db2832148ce9933eea0f3ac9548d793112d9a95c9407efad"].split()
    swapped = [words[1], words[0], *words[2:]]

    for wrong in (swapped, ["zoo"] * 24):
        with pytest.raises(WrongKeyError, match="do not belong together"):
            parse(" ".join(wrong))


def test_only_text_is_a_code() -> None:
    """Another type is a programmer's error."""
    with pytest.raises(TypeError, match="A recovery code is a str of 24 words, not bytes"):
        parse(b"zoo")  # type: ignore[arg-type]
