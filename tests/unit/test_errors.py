"""Errors: every one has a sentence, and a message of its own where there is one."""

from __future__ import annotations

from mimir_vault.errors import InterruptedBatchError, LockedError, MimirError, WrongKeyError


def test_a_message_that_is_given_counts() -> None:
    """And the docstring's sentence where none is."""
    assert str(LockedError("space main is closed")) == "space main is closed"
    assert str(LockedError()) == "The vault is locked; give its passphrase or recovery code."
    assert str(WrongKeyError("")) == str(WrongKeyError())
    assert str(MimirError()).startswith("Something went wrong")


def test_an_interrupted_batch_names_what_is_done() -> None:
    """The nodes that are stored, in order."""
    error = InterruptedBatchError("after 0 nodes", [])
    assert error.done == []
    assert str(error) == "after 0 nodes"
