"""Tests of reading and judging passphrases."""

from __future__ import annotations

from pathlib import Path

import pytest

from mimir_vault.cli import passphrases, terminal
from mimir_vault.cli.output import Output
from mimir_vault.cli.settings import Settings
from mimir_vault.errors import LockedError


@pytest.fixture
def output() -> Output:
    """An output with default settings."""
    return Output(Settings())


@pytest.fixture(autouse=True)
def nobody_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """No terminal, and no passphrase in the surroundings."""
    monkeypatch.setattr(terminal, "is_there", lambda: False)
    monkeypatch.delenv("MIMIR_PASSPHRASE_FILE", raising=False)
    monkeypatch.delenv("MIMIR_PASSPHRASE_COMMAND", raising=False)


@pytest.mark.parametrize("text", ["correct horse battery staple", "vK3;jq0-Ww71xZ", "vier gute kurze worte"])
def test_good_passphrases(text: str) -> None:
    """Long or wordy passphrases pass."""
    assert passphrases.weakness(bytearray(text.encode())) is None


@pytest.mark.parametrize("text", ["1234567890", "aaaaaaaaaaaaaaaaaaaa", "secret", "a b c d", "ab ab ab ab ab ab"])
def test_easily_guessed_passphrases(text: str) -> None:
    """Short ones and ones of few characters are told so."""
    assert passphrases.weakness(bytearray(text.encode())) is not None


@pytest.mark.parametrize("content", [b"open sesame\n", b"open sesame\r\n", b"open sesame"])
def test_one_line_end_is_cut(tmp_path: Path, output: Output, content: bytes) -> None:
    """An editor's line end does not belong to the passphrase."""
    path = tmp_path / "passphrase"
    path.write_bytes(content)
    path.chmod(0o600)

    assert passphrases.from_file(str(path), output) == b"open sesame"


def test_only_one_line_end_is_cut(tmp_path: Path, output: Output) -> None:
    """Whoever wants a line end in the passphrase writes two."""
    path = tmp_path / "passphrase"
    path.write_bytes(b"open sesame\n\n")

    assert passphrases.from_file(str(path), output) == b"open sesame\n"


@pytest.mark.parametrize(("mode", "warned"), [(0o600, False), (0o640, True), (0o604, True)])
def test_open_files_are_warned_of(
    tmp_path: Path, output: Output, capsys: pytest.CaptureFixture[str], mode: int, warned: bool
) -> None:
    """A file that others may read gets a warning, with the remedy."""
    path = tmp_path / "passphrase"
    path.write_bytes(b"open sesame\n")
    path.chmod(mode)

    passphrases.from_file(str(path), output)

    assert ("chmod 600" in capsys.readouterr().err) is warned


def test_missing_file_is_named(tmp_path: Path, output: Output) -> None:
    """A file that is not there is told by name."""
    with pytest.raises(LockedError, match="nowhere"):
        passphrases.from_file(str(tmp_path / "nowhere"), output)


def test_new_vault_takes_the_same_ways(tmp_path: Path, output: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new vault's passphrase comes from the option, else the surroundings, else the error lists what was tried."""
    option, surroundings = tmp_path / "option", tmp_path / "surroundings"
    for path in (option, surroundings):
        path.write_text(f"correct horse battery {path.name}\n")
        path.chmod(0o600)
    monkeypatch.setenv("MIMIR_PASSPHRASE_FILE", str(surroundings))

    given = passphrases.of_new_vault(Settings(passphrase_file=str(option)), output)
    assert given == b"correct horse battery option"
    assert passphrases.of_new_vault(Settings(), output) == b"correct horse battery surroundings"

    monkeypatch.delenv("MIMIR_PASSPHRASE_FILE")
    with pytest.raises(LockedError, match="--passphrase-file, MIMIR_PASSPHRASE_FILE and MIMIR_PASSPHRASE_COMMAND"):
        passphrases.of_new_vault(Settings(), output)


def test_passphrase_to_be_set_does_not_come_from_the_surroundings(
    tmp_path: Path, output: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What opens the vault is the old passphrase; the new one is given for itself."""
    path = tmp_path / "passphrase"
    path.write_text("correct horse battery staple")
    monkeypatch.setenv("MIMIR_PASSPHRASE_FILE", str(path))

    with pytest.raises(LockedError, match="--new-passphrase-file"):
        passphrases.to_be_set(output, None)
    assert passphrases.to_be_set(output, str(path)) == b"correct horse battery staple"


@pytest.mark.parametrize(
    ("typed", "taken"),
    [
        (["a good long passphrase"] * 2, "a good long passphrase"),
        (["", "one of them", "another", "a good long passphrase", "a good long passphrase"], "a good long passphrase"),
        (["one of them", "another", "", "one of them", "another"], None),
    ],
)
def test_typed_twice(output: Output, monkeypatch: pytest.MonkeyPatch, typed: list[str], taken: str | None) -> None:
    """What is typed twice alike is taken; different or empty ones are asked for again, three times at most."""
    answers = iter(typed)
    monkeypatch.setattr(terminal, "is_there", lambda: True)
    monkeypatch.setattr(terminal, "show", lambda text: None)
    monkeypatch.setattr(terminal, "ask_secret", lambda question: next(answers))

    if taken is None:
        with pytest.raises(ValueError, match="differ"):
            passphrases.of_new_vault(Settings(), output)
    else:
        assert passphrases.of_new_vault(Settings(), output) == taken.encode()
    assert list(answers) == []


def test_wiped() -> None:
    """Nothing of a wiped passphrase is left."""
    passphrase = bytearray(b"open sesame")
    passphrases.wipe(passphrase)
    assert not any(passphrase)
