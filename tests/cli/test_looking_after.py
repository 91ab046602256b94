"""Tests of the commands `init`, `status`, `verify`, `rebuild`, `space` and `key`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cli.command_runs import PASSPHRASE, TURNS, Run
from mimir_vault.checking import Finding
from mimir_vault.errors import WrongKeyError
from mimir_vault.vault import Vault


def test_init_makes_a_vault(run: Run, tmp_path: Path) -> None:
    """Without a terminal the words are told once, and they open the vault, for instance to set a new passphrase."""
    ran = run("init", "--profile", "interactive", "--json")
    made = ran.values[0]

    assert (ran.code, ran.err) == (0, "")
    assert made["path"] == str(tmp_path / "vault")
    assert len(made["recovery_code"].split()) == 24
    words = secret_file(tmp_path / "words", made["recovery_code"])
    new = secret_file(tmp_path / "new", "another passphrase of some length")
    options = ["--recovery-code", "--passphrase-file", words, "--new-passphrase-file", new]
    assert run("key", "change-passphrase", *options).out == "changed the passphrase\n"
    seen = tmp_path / "seen"
    with pytest.raises(WrongKeyError):
        Vault.open(tmp_path / "vault", passphrase=PASSPHRASE, state_folder=seen)
    with Vault.open(tmp_path / "vault", passphrase="another passphrase of some length", state_folder=seen) as vault:
        assert sorted(slot.kind for slot in vault.keyslots.list()) == ["passphrase", "recovery code"]


def secret_file(path: Path, text: str) -> str:
    """Write a file that only its owner may read, and return its name."""
    path.write_text(text)
    path.chmod(0o600)
    return str(path)


def test_init_without_terminal_prints_the_words_once(
    quick: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The words stand on a line of their own, under a sentence that says what they are."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "seen"))
    weak = secret_file(tmp_path / "weak", "secret")

    ran = quick("init", "--vault", str(tmp_path / "new"), "--profile", "interactive", "--passphrase-file", weak)

    assert ran.code == 0
    assert "warning: that passphrase has" in ran.err
    heading, words = ran.out.splitlines()[1:]
    assert "write it down" in heading
    assert len(words.split()) == 24


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What `Vault.create` would have been called with; nothing is made."""
    calls: list[dict[str, Any]] = []

    def create(path: Path, **options: Any) -> Vault:
        calls.append({"path": path, **options, "passphrase": bytes(options["passphrase"])})
        raise KeyboardInterrupt

    monkeypatch.setattr(Vault, "create", create)
    return calls


def test_init_options(quick: Run, made: list[dict[str, Any]], passphrase_file: Path, tmp_path: Path) -> None:
    """Profile and recovery are handed on as given, and the passphrase without its line end."""
    path = tmp_path / "new"
    ran = quick(
        "init",
        "--vault",
        str(path),
        "--profile",
        "sensitive",
        "--no-recovery",
        "--passphrase-file",
        str(passphrase_file),
    )

    assert ran.code == 130
    assert made == [
        {"path": path, "profile": "sensitive", "recovery": False, "passphrase": PASSPHRASE.encode()}
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "code", "why"),
    [
        ([], 1, "already"),
        (["--vault", "new", "--profile", "cheap"], 2, "interactive, moderate or sensitive"),
        (["--vault", "new"], 3, "there is no passphrase for the new vault"),
        (["--vault", "new", "--passphrase-file", "nowhere"], 3, "nowhere"),
    ],
)
def test_init_refuses(
    quick: Run, made: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str],
    code: int, why: str,
) -> None:  # fmt: skip
    """What is there already, unknown profiles and missing passphrases are refused before anything is made."""
    monkeypatch.chdir(tmp_path)
    ran = quick("init", *arguments)

    assert (ran.code, ran.out, ran.err.count("\n")) == (code, "", 1)
    assert why in ran.err
    assert made == []


def test_init_refuses_a_file(quick: Run, tmp_path: Path) -> None:
    """A file where the vault should be is left alone."""
    path = tmp_path / "file"
    path.write_text("precious")
    assert quick("init", "--vault", str(path)).code == 1
    assert path.read_text() == "precious"


def test_status(quick: Run) -> None:
    """The figures are those of the vault, and no text is among them."""
    value = quick("status", "--json").values[0]
    page = quick("status").out

    assert value["spaces"][0]["nodes"] == len(TURNS)
    assert value["id"] in page
    assert f"main {len(TURNS):>10,}" in page or f" {len(TURNS)} " in page
    assert not any(turn[4] in page + str(value) for turn in TURNS)


def test_verify(quick: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """All is well: code 0. Findings: one line each and code 5."""
    assert quick("verify").out == "all is well\n"
    assert quick("verify", "--full", "--quiet").out == ""
    assert quick("verify", "--json").out == ""

    findings = [Finding("main", "the nodes are not those last written; restore a backup")]
    monkeypatch.setattr(Vault, "verify", lambda self, full=False, progress=None: findings)
    ran = quick("verify")
    assert (ran.code, ran.out) == (5, "main: the nodes are not those last written; restore a backup\n")
    assert quick("verify", "--json").values == [{"space": "main", "what": findings[0].what}]


def test_rebuild(quick: Run) -> None:
    """Everything derived is made again, of one space or of all, and recalls as before."""
    before = quick("recall", "boiler Henrik", "--json").values
    assert quick("rebuild").out == f"rebuilt {len(TURNS)} nodes\n"
    assert quick("rebuild", "--space", "main", "--json").values == [{"nodes": len(TURNS)}]
    assert quick("rebuild", "--space", "none").code == 4
    after = quick("recall", "boiler Henrik", "--json").values
    assert [hit["id"] for hit in after] == [hit["id"] for hit in before]


def test_a_damaged_vault_ends_with_code_5(quick: Run, tmp_path: Path) -> None:
    """Bytes changed in a database are told apart from every other trouble."""
    (database,) = (tmp_path / "vault" / "spaces").iterdir()
    content = bytearray(database.read_bytes())
    content[5_000] ^= 1
    database.write_bytes(content)

    codes = {quick(*arguments).code for arguments in (["list"], ["verify", "--full"])}

    assert 5 in codes
    assert codes <= {0, 5}


def test_spaces(quick: Run) -> None:
    """Spaces are created, listed, renamed and erased, and hold their own memories."""
    assert quick("space", "create", "work").out == "created space work\n"
    assert quick("remember", "The release is on Friday", "--space", "work").code == 0
    assert [space["name"] for space in quick("space", "list", "--json").values] == ["main", "work"]
    assert len(quick("list", "--space", "work", "--json").values) == 1
    assert quick("space", "rename", "work", "office", "--json").values == [{"old": "work", "new": "office"}]
    assert quick("space", "list").out.splitlines()[2].startswith("office")
    assert quick("space", "erase", "office").code == 2
    assert quick("space", "erase", "office", "--yes").out == "erased space office with 1 node\n"
    assert quick("list", "--space", "office").code == 4


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["create", "main"], 1),
        (["create", ""], 2),
        (["create"], 2),
        (["rename", "none", "other"], 4),
        (["erase", "none", "--yes"], 4),
        (["destroy"], 2),
    ],
)
def test_bad_calls_about_spaces(quick: Run, arguments: list[str], code: int) -> None:
    """Taken, empty and unknown names get one sentence."""
    ran = quick("space", *arguments)
    assert (ran.code, ran.out, ran.err.count("\n")) == (code, "", 1)


def test_key_slots(run: Run, copied_vault: Path, tmp_path: Path) -> None:
    """A second passphrase opens the vault, and the first one can then be removed."""
    second = secret_file(tmp_path / "second", "a second passphrase of some length")
    assert run("key", "add", "passphrase", "--new-passphrase-file", second).out == "added a passphrase\n"
    slots = run("key", "list", "--json", "--passphrase-file", second).values
    assert [(slot["kind"], slot["current"]) for slot in slots] == [("passphrase", False), ("passphrase", True)]
    assert run("key", "remove", slots[0]["id"], "--yes", "--passphrase-file", second).code == 0
    assert run("status").code == 3


def test_recovery_code_can_be_added(quick: Run) -> None:
    """The new words are printed once, and the new slot is listed."""
    words = quick("key", "add", "recovery", "--json").values[0]["recovery_code"]
    assert len(words.split()) == 24
    assert len(quick("key", "add", "recovery", "--quiet").out.split()) == 24
    slots = quick("key", "list", "--json").values
    assert sorted(slot["kind"] for slot in slots) == ["raw key", "recovery code", "recovery code"]
    first = next(slot for slot in slots if slot["kind"] == "recovery code")
    assert quick("key", "remove", first["id"]).code == 2
    assert quick("key", "remove", first["id"], "--yes").out == f"removed slot {first['id']}\n"


@pytest.mark.parametrize(
    ("arguments", "code", "why"),
    [
        (["remove", "12345678", "--yes"], 4, "there is no key slot"),
        (["add", "passphrase"], 3, "--new-passphrase-file"),
        (["change-passphrase"], 2, "has no passphrase"),
        (["add", "fingerprint"], 2, "No such command"),
    ],
)
def test_bad_calls_about_keys(quick: Run, arguments: list[str], code: int, why: str) -> None:
    """Unknown slots and ways, and nothing to set, get one sentence."""
    ran = quick("key", *arguments)
    assert (ran.code, ran.out, ran.err.count("\n")) == (code, "", 1)
    assert why in ran.err


def test_the_last_way_to_unlock_stays(quick: Run) -> None:
    """A vault that nobody could open again is not made."""
    (slot,) = quick("key", "list", "--json").values
    ran = quick("key", "remove", slot["id"], "--yes")
    assert ran.code != 0
    assert ran.err.count("\n") == 1
    assert quick("status").code == 0


def test_what_is_no_vault(quick: Run, tmp_path: Path) -> None:
    """Nothing, a file, a folder that is none: one sentence each, with the place."""
    file = tmp_path / "file"
    file.write_text("no vault")
    for path, code in ((tmp_path / "nowhere", 4), (file, 1), (tmp_path, 1)):
        ran = quick("list", "--vault", str(path))
        assert (ran.code, ran.out, ran.err.count("\n")) == (code, "", 1)
        assert str(path) in ran.err


def test_no_traceback_unless_asked_for(quick: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """MIMIR_DEBUG=1 shows where an error arose."""
    assert "Traceback" not in quick("show", "deadbeef").err
    monkeypatch.setenv("MIMIR_DEBUG", "1")
    assert "Traceback" in quick("show", "deadbeef").err
