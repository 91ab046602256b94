"""The contract of a key slot, run over every way to unlock that Mimir has."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import pytest

from mimir_vault.crypto.keys import KdfProfile
from mimir_vault.crypto.secret import SecretBytes
from mimir_vault.errors import LockedError, WrongKeyError
from mimir_vault.keyslots.passphrase import PassphraseSlot
from mimir_vault.keyslots.raw_key import RawKeySlot
from mimir_vault.keyslots.recovery_code import RecoveryCodeSlot
from mimir_vault.keyslots.slot import SLOT_LENGTH, KeySlot, SlotKind, SlotPlace

PLACE = SlotPlace(bytes(range(16)), 7, b"sixteen bytes ok", KdfProfile.INTERACTIVE)
ELSEWHERE = SlotPlace(b"another vault id", 7, b"sixteen bytes ok", KdfProfile.INTERACTIVE)
WAYS: dict[str, tuple[int, Callable[[], KeySlot], Callable[[], KeySlot]]] = {
    "passphrase": (SlotKind.PASSPHRASE, lambda: PassphraseSlot("right"), lambda: PassphraseSlot("wrong")),
    "recovery code": (
        SlotKind.RECOVERY_CODE,
        lambda: RecoveryCodeSlot("abandon " * 23 + "art"),
        lambda: RecoveryCodeSlot("zoo " * 23 + "vote"),
    ),
    "raw key": (SlotKind.RAW_KEY, lambda: RawKeySlot(b"r" * 32), lambda: RawKeySlot(b"w" * 32)),
}


class Ways:
    """A right and a wrong secret of one kind, and what the right one wrapped."""

    def __init__(self, name: str) -> None:
        self.kind, make_right, make_wrong = WAYS[name]
        self.make_right = make_right
        self.right, self.wrong = make_right(), make_wrong()
        self.random = random.Random(name).randbytes
        self.root = SecretBytes.random(32, self.random)
        self.body = self.right.wrap(self.root, PLACE, self.random)


@pytest.fixture(scope="module", params=list(WAYS))
def ways(request: pytest.FixtureRequest) -> Iterator[Ways]:
    """Each way in turn; with the real Argon2id, at the lowest profile, as few times as the tests allow."""
    made = Ways(request.param)
    yield made
    made.right.wipe()
    made.wrong.wipe()


def test_what_is_wrapped_unwraps(ways: Ways) -> None:
    """The root key comes back, again and again."""
    assert ways.right.unwrap(ways.body, PLACE) == ways.root
    assert ways.right.unwrap(ways.body, PLACE) == ways.root


def test_a_slot_fills_its_place_and_looks_random(ways: Ways) -> None:
    """2,048 bytes in which nothing shows the kind, and none of which repeat when wrapped again."""
    again = ways.right.wrap(ways.root, PLACE, ways.random)

    assert len(ways.body) == len(again) == SLOT_LENGTH
    assert max(ways.body.count(bytes((value,))) for value in range(256)) < 30
    assert ways.body[:16] != again[:16]
    assert ways.right.unwrap(again, PLACE) == ways.root


def test_a_wrong_secret_is_a_wrong_key(ways: Ways) -> None:
    """Another secret of the same kind opens nothing."""
    with pytest.raises(WrongKeyError):
        ways.wrong.unwrap(ways.body, PLACE)


@pytest.mark.parametrize("content", [bytes(SLOT_LENGTH), b"\xff" * SLOT_LENGTH, b"short", b""])
def test_an_unused_or_foreign_slot_is_a_wrong_key(ways: Ways, content: bytes) -> None:
    """Whatever lies in a slot that is not one's own, the answer is the same."""
    with pytest.raises(WrongKeyError):
        ways.right.unwrap(content, PLACE)


def test_every_changed_byte_of_the_sealed_part_is_refused(ways: Ways) -> None:
    """No byte of the 104 that matter can be changed."""
    for place in range(104):
        changed = bytearray(ways.body)
        changed[place] ^= 0x40
        with pytest.raises(WrongKeyError):
            ways.right.unwrap(bytes(changed), PLACE)


def test_a_slot_does_not_open_elsewhere(ways: Ways) -> None:
    """Neither at another place in the header nor in another vault."""
    moved = SlotPlace(PLACE.vault_id, 8, PLACE.kdf_salt, PLACE.profile)

    for place in (moved, ELSEWHERE):
        with pytest.raises(WrongKeyError):
            ways.right.unwrap(ways.body, place)


def test_the_kind_is_known_by_its_number(ways: Ways) -> None:
    """The number says what the slot is in `key list`."""
    assert ways.right.kind == ways.kind


def test_a_wiped_slot_does_nothing(ways: Ways) -> None:
    """After wipe, which may come twice, neither wrap nor unwrap works."""
    wiped = ways.make_right()
    wiped.wipe()
    wiped.wipe()

    with pytest.raises(LockedError):
        wiped.unwrap(ways.body, PLACE)
    with pytest.raises(LockedError):
        wiped.wrap(ways.root, PLACE, ways.random)


def test_no_secret_shows_in_the_text_form(ways: Ways) -> None:
    """`repr` names the class and nothing it holds."""
    assert not any(word in repr(ways.right) for word in ("right", "abandon", "rrrr"))
