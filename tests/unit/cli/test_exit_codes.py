"""Tests that every error has an exit code and a sentence."""

from __future__ import annotations

import errno

import pytest

from mimir_vault import errors
from mimir_vault.cli.exit_codes import MEANINGS, Interrupted, exit_code, sentence

EXPECTED = {
    "MimirError": 1, "LockedError": 3, "WrongKeyError": 3, "TamperedError": 5, "RollbackError": 5, "FormatError": 1,
    "NotFoundError": 4, "AmbiguousIdError": 4, "ExistsError": 1, "ModelMismatchError": 1, "VaultBusyError": 6,
    "StorageError": 7, "DiskFullError": 7, "ReadOnlyError": 7, "InterruptedBatchError": 1,
    "CancelledCallError": 1,
}  # fmt: skip


def test_every_error_class_is_expected_here() -> None:
    """A new error class cannot come without a decision about its exit code."""
    classes = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, Exception)}

    assert classes == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_code_of_every_error(name: str) -> None:
    """Every error of the library ends the command with its code, and its sentence is not empty."""
    kind = getattr(errors, name)
    arguments = {"InterruptedBatchError": ("a batch", []), "CancelledCallError": ("a call",)}.get(name, ())
    error = kind(*arguments, **({"committed": None} if name == "CancelledCallError" else {}))

    assert exit_code(error) == EXPECTED[name]
    assert EXPECTED[name] in MEANINGS
    assert sentence(error).strip()


def test_interrupted_batch_has_the_code_of_its_cause() -> None:
    """A batch that a full disk ended is a matter of the disk."""
    error = errors.InterruptedBatchError("after 3 nodes", [])
    error.__cause__ = errors.DiskFullError()

    assert exit_code(error) == 7


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ValueError("k"), 2),
        (TypeError("k"), 2),
        (KeyboardInterrupt(), 130),
        (Interrupted("after 3 lines"), 130),
        (OSError(errno.ENOSPC, "No space left on device"), 7),
        (OSError(errno.EROFS, "Read-only file system"), 7),
        (PermissionError(errno.EACCES, "Permission denied"), 7),
        (FileNotFoundError(errno.ENOENT, "No such file or directory"), 4),
        (OSError(errno.EISDIR, "Is a directory"), 1),
        (RuntimeError("odd"), 1),
        (MemoryError(), 1),
    ],
)
def test_code_of_other_errors(error: BaseException, code: int) -> None:
    """Errors that are not the library's have codes and sentences as well."""
    assert exit_code(error) == code
    assert sentence(error).strip()


def test_sentence_names_the_file() -> None:
    """An error of the operating system says which file it is about."""
    assert (
        sentence(FileNotFoundError(errno.ENOENT, "No such file or directory", "/x")) == "/x: No such file or directory"
    )
