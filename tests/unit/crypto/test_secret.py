"""Tests of SecretBytes: what it holds, how it is wiped, and all the ways it refuses to leak."""

from __future__ import annotations

import copy
import gc
import os
import pickle
import threading
from collections import deque
from collections.abc import Callable

import pytest

from mimir_vault.crypto import secret as secret_module
from mimir_vault.crypto.secret import SecretBytes
from mimir_vault.errors import LockedError


def test_a_new_secret_is_zero_and_writable() -> None:
    """A secret starts with zeros and is filled through its view."""
    secret = SecretBytes(40)
    assert bytes(secret.view()) == bytes(40)

    secret.view()[:3] = b"abc"

    assert bytes(secret.view()[:4]) == b"abc\0"
    assert len(secret) == 40


@pytest.mark.parametrize("length", [1, 32, 128, 129, 5_000])
def test_a_copy_is_a_copy(length: int) -> None:
    """The original can be wiped without the secret noticing, whatever the length."""
    original = bytearray(os.urandom(length))
    expected = bytes(original)

    secret = SecretBytes.copy_of(original)
    original[:] = bytes(length)

    assert bytes(secret.view()) == expected


@pytest.mark.parametrize("length", [0, -1])
def test_an_empty_secret_is_nonsense(length: int) -> None:
    """A secret of no bytes is refused."""
    with pytest.raises(ValueError, match="at least one byte"):
        SecretBytes(length)


def test_random_takes_what_the_source_gives() -> None:
    """The bytes are those of the source that was handed in."""
    secret = SecretBytes.random(32, lambda length: bytes(range(length)))

    assert bytes(secret.view()) == bytes(range(32))


def test_random_discards_what_the_source_gave(discarded: list[bytes]) -> None:
    """The bytes of a new key are nowhere but in the secret."""
    SecretBytes.random(32, lambda length: bytes(range(length)))

    assert discarded == [bytes(range(32))]


@pytest.mark.parametrize("given", [0, 31, 33])
def test_a_short_source_of_randomness_is_refused(given: int) -> None:
    """A source that gives another number of bytes is an error and never a shorter key."""
    with pytest.raises(ValueError, match="source of randomness"):
        SecretBytes.random(32, lambda _: bytes(given))


@pytest.mark.parametrize("length", [32, 5_000])
def test_wiping_overwrites_and_closes(length: int) -> None:
    """After wipe the view is gone, the memory holds zeros, and wiping again is harmless."""
    secret = SecretBytes.copy_of(b"\xff" * length)
    pages, offset = secret._pages, secret._offset

    secret.wipe()
    secret.wipe()

    assert secret.wiped
    assert pages.memory[offset : offset + length] == bytes(length)
    with pytest.raises(LockedError):
        secret.view()


def test_a_view_that_was_kept_is_released() -> None:
    """Whoever kept a view past wiping gets an error and not another secret's bytes."""
    secret = SecretBytes.copy_of(b"x" * 32)
    kept = secret.view()

    secret.wipe()

    with pytest.raises(ValueError, match="released"):
        bytes(kept)


def test_a_cell_in_use_is_not_lent_again() -> None:
    """A cell that somebody still reads when it is wiped is given up."""
    secret = SecretBytes.copy_of(b"x" * 32)
    cell = (secret._pages, secret._offset)
    kept = memoryview(secret.view().obj)  # an export of the mapping does not hinder
    blocked = secret.view()
    reader = pickle.PickleBuffer(blocked)  # an export of the view itself does

    secret.wipe()

    assert cell not in secret_module._free_cells
    assert bytes(reader.raw()) == bytes(32)
    reader.release()
    kept.release()


def test_cells_are_used_again() -> None:
    """A thousand short secrets, one after the other, share one mapping."""
    first = SecretBytes(32)
    pages = first._pages
    first.wipe()

    for _ in range(1_000):
        with SecretBytes(32) as secret:
            assert secret._pages is pages


def test_only_whole_cells_are_lent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wiped secret of up to 128 bytes gives its cell back; a longer one takes its mapping with it, and after a fork
    none does.
    """
    free: deque[object] = deque()
    gc.collect()  # lest secrets of other tests, which nobody holds any more, give their cells back here
    monkeypatch.setattr(secret_module, "_free_cells", free)
    short, longest, longer, inherited = (SecretBytes(length) for length in (1, 128, 129, 32))
    for secret in (short, longest, longer):
        before = len(free)
        secret.wipe()
        assert ((secret._pages, secret._offset) in free) == (len(free) == before + 1) == (secret is not longer)

    before = len(free)
    inherited._pages.forked = True  # as `_empty_in_child` does; these pages are this test's alone
    inherited.wipe()
    assert len(free) == before


def test_a_mapping_is_full_of_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    """128 secrets of up to 128 bytes fill one mapping of 16 KiB to the last byte; the next one begins another."""
    gc.collect()  # lest secrets of other tests, which nobody holds any more, give their cells back here
    monkeypatch.setattr(secret_module, "_free_cells", deque())

    secrets = [SecretBytes(128) for _ in range(129)]

    first = secrets[0]._pages
    assert {secret._offset for secret in secrets if secret._pages is first} == set(range(0, 16_384, 128))
    assert len(first.memory) == 16_384
    assert secrets[128]._pages is not first


def test_live_secrets_never_overlap() -> None:
    """Many secrets at once each keep their own bytes."""
    contents = [os.urandom(32) for _ in range(500)]

    secrets = [SecretBytes.copy_of(content) for content in contents]

    assert [bytes(secret.view()) for secret in secrets] == contents


def test_leaving_the_with_wipes() -> None:
    """A `with` block ends the life of its secret, also by an exception."""
    with pytest.raises(RuntimeError), SecretBytes(32) as secret:
        raise RuntimeError

    assert secret.wiped


def test_the_last_reference_wipes() -> None:
    """A secret that is forgotten is wiped by the garbage collector."""
    secret = SecretBytes.copy_of(b"y" * 32)
    pages, offset = secret._pages, secret._offset

    del secret
    gc.collect()

    assert pages.memory[offset : offset + 32] == bytes(32)


def test_equality_is_of_contents() -> None:
    """Two secrets are equal when their bytes are; nothing else is ever equal to one."""
    assert SecretBytes.copy_of(b"same") == SecretBytes.copy_of(b"same")
    assert SecretBytes.copy_of(b"same") != SecretBytes.copy_of(b"else")
    assert SecretBytes.copy_of(b"same") != SecretBytes.copy_of(b"longer")
    assert SecretBytes.copy_of(b"same") != b"same"


@pytest.mark.parametrize("leak", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_secret_is_not_copied_by_accident(leak: Callable[[object], object]) -> None:
    """Pickling and copying are refused."""
    with pytest.raises(TypeError, match="never pickled or copied"):
        leak(SecretBytes(32))


def test_a_secret_has_no_hash_and_no_bytes() -> None:
    """Neither hash() nor bytes() gives anything away."""
    with pytest.raises(TypeError):
        hash(SecretBytes(32))
    with pytest.raises(TypeError):
        bytes(SecretBytes(32))  # type: ignore[call-overload]


def test_repr_shows_length_only() -> None:
    """The text form says how long the secret is and whether it is wiped."""
    secret = SecretBytes.copy_of(b"top secret")
    assert repr(secret) == str(secret) == "<SecretBytes, 10 bytes>"

    secret.wipe()

    assert repr(secret) == "<SecretBytes, 10 bytes, wiped>"


def test_threads_wipe_a_secret_once() -> None:
    """Several threads that wipe at once give its cell back once."""
    secrets = [SecretBytes(32) for _ in range(200)]

    threads = [threading.Thread(target=lambda: [secret.wipe() for secret in secrets]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(secret_module._free_cells) == len(set(secret_module._free_cells))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # forking while threads live is what is tested against
def test_a_forked_child_has_no_keys() -> None:
    """In a child every inherited secret raises, its memory is empty, and new secrets work."""
    inherited = SecretBytes.copy_of(b"z" * 32)
    spare = SecretBytes(32)
    spare.wipe()

    child = os.fork()
    if child == 0:
        code = 1
        try:
            inherited.view()
        except LockedError:
            empty = inherited._pages.memory[inherited._offset : inherited._offset + 32] == bytes(32)
            fresh = SecretBytes.copy_of(b"new")
            code = 0 if empty and bytes(fresh.view()) == b"new" and inherited.wiped else 2
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 0
    assert bytes(inherited.view()) == b"z" * 32
