"""Tests of the cells that keys of one call are lent in."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Callable

import pytest

from mimir_vault.crypto import envelope as envelope_module
from mimir_vault.crypto.envelope import Context, Role, open_envelope, seal
from mimir_vault.crypto.key_cells import KeyCell, KeyCells
from mimir_vault.crypto.secret import SecretBytes
from mimir_vault.errors import TamperedError

Source = Callable[[int], bytes]


def test_a_cell_is_zero_and_cut_once() -> None:
    """Its views show one memory: the first 32 bytes as key, then the rest."""
    with KeyCells(76).borrow() as cell:
        assert bytes(cell.whole) == bytes(76)
        cell.whole[:] = bytes(range(76))

        assert bytes(cell.key) == bytes(range(32))
        assert bytes(cell.rest) == bytes(range(32, 76))
        assert cell.secret == SecretBytes.copy_of(bytes(range(76)))


def test_leaving_the_block_wipes_and_lends_again() -> None:
    """The same cell comes back, with zeros."""
    cells = KeyCells(40)
    with cells.borrow() as first:
        first.whole[:] = b"x" * 40
    assert bytes(first.whole) == bytes(40)

    with cells.borrow() as second:
        assert second is first


def test_an_error_wipes_as_well() -> None:
    """A cell never comes back with what it held."""
    cells = KeyCells(32)
    cell = cells.borrow()
    cell.whole[:] = b"x" * 32
    with pytest.raises(RuntimeError), cell:
        raise RuntimeError

    assert bytes(cell.whole) == bytes(32)
    assert cells.borrow() is cell


def test_a_cell_that_never_comes_back_is_wiped() -> None:
    """One that is dropped without a block is wiped like any secret, and its views are closed."""
    cells = KeyCells(32)
    whole = cells.borrow().whole
    gc.collect()

    with pytest.raises(ValueError, match="released"):
        bytes(whole)


def test_two_borrowers_never_share() -> None:
    """What is out is lent to nobody else."""
    cells = KeyCells(32)
    with cells.borrow() as one, cells.borrow() as other:
        one.whole[:] = b"1" * 32
        other.whole[:] = b"2" * 32

        assert bytes(one.whole) == b"1" * 32


def test_threads_never_share() -> None:
    """Four threads that borrow at once each see their own bytes only."""
    cells, foreign = KeyCells(32), []

    def work(name: bytes) -> None:
        for _ in range(500):
            with cells.borrow() as cell:
                before = bytes(cell.whole)
                cell.whole[:] = name * 32
                if before != bytes(32) or bytes(cell.whole) != name * 32:
                    foreign.append(name)

    threads = [threading.Thread(target=work, args=(bytes((number,)),)) for number in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not foreign


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # forking while threads live is what is tested against
def test_a_forked_child_borrows_cells_of_its_own() -> None:
    """The parent's cells, whose memory is locked in the parent only, are not used in a child."""
    cells = KeyCells(32)
    with cells.borrow() as inherited:
        pass

    child = os.fork()
    if child == 0:
        code = 1
        try:
            with cells.borrow() as cell:
                code = 0 if cell is not inherited and not cell.secret.wiped else 2
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 0
    assert cells.borrow() is inherited


@pytest.mark.parametrize("role", [Role.PAYLOAD, Role.METADATA])
def test_no_key_of_an_envelope_stays_in_its_cell(
    node_key: SecretBytes, source: Source, monkeypatch: pytest.MonkeyPatch, role: Role
) -> None:
    """After sealing, opening, a wrong key and a changed tag, all cells hold zeros."""
    lent: list[KeyCell] = []
    context = Context(role, bytes(16))

    class Watched(KeyCells):
        def borrow(self) -> KeyCell:
            lent.append(super().borrow())
            return lent[-1]

    with context.cells.borrow() as cell:
        context.cells = Watched(len(cell.whole))
    derive_into = envelope_module._derive_into

    def derived(cell: KeyCell, *given: object) -> tuple[bytes, bytes]:
        made = derive_into(cell, *given)  # type: ignore[arg-type]
        assert any(cell.key)  # the control: during the call it does hold a key
        return made

    monkeypatch.setattr(envelope_module, "_derive_into", derived)

    sealed = seal(node_key, context, b"text", source)
    assert open_envelope(node_key, context, sealed) == b"text"
    with pytest.raises(TamperedError, match="another key"):
        open_envelope(SecretBytes.copy_of(bytes(32)), context, sealed)
    with pytest.raises(TamperedError, match="do not open"):
        open_envelope(node_key, context, sealed[:-1] + bytes((sealed[-1] ^ 1,)))

    assert len(lent) == 5
    assert not any(any(cell.whole) for cell in lent)
