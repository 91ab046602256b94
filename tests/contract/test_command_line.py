"""What the contract says of the command line: commands, options, standard input, what goes where, exit codes."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import mimir_vault
from mimir_vault import Memory, Vault, errors
from mimir_vault.cli import app, commands, terminal
from mimir_vault.key_slots import KeySlots
from mimir_vault.store.database import Database
from mimir_vault.testing import RAW_KEY, HashEmbedder
from quick_vaults import QuickVaults

PASSPHRASE = "correct horse battery staple"


@dataclass
class Ran:
    """What a call did; `verbs` are the public methods it called from the command."""

    code: int
    out: str
    err: str
    verbs: list[str]

    @property
    def lines(self) -> list[Any]:
        """The JSON values on standard output, one a line."""
        return [json.loads(line) for line in self.out.splitlines()]


class Verbs:
    """Notes the public methods that are called while none of them is under way."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.called: list[str] = []
        self._depth = 0
        for kind in (Memory, Vault, KeySlots):
            for name in dir(kind):
                method = getattr(kind, name)
                if not name.startswith("_") and callable(method) and name not in ("create", "open", "adopt", "restore"):
                    monkeypatch.setattr(kind, name, self._noting(name, method))

    def _noting(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*given: Any, **named: Any) -> Any:
            if not self._depth:
                self.called.append(name)
            with self.inside():
                return method(*given, **named)

        return noted

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Take no notes."""
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1


@pytest.fixture
def mimir(
    vaults: QuickVaults, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Ran]:
    """Runs the command within this process, on a vault with three nodes that needs neither passphrase nor model."""
    with vaults.create() as vault:
        memory = vault.space()
        memory.remember("I prefer window seats", speaker="Ada", user="ada", agent="travel", ref=("seat",))
        memory.remember("The boiler was serviced", speaker="Bo", user="bo", metadata={"city": "Oslo"})
        memory.remember("The night train leaves at nine", expires_at="2099-01-01T00:00Z")
    really = {name: getattr(Vault, name) for name in ("open", "adopt", "restore")}
    around = {"raw_key": RAW_KEY, "embedder": HashEmbedder(), "state_folder": tmp_path / "state"}
    verbs = Verbs(monkeypatch)

    def quickly(name: str) -> Callable[..., Vault]:
        def call(*given: Any, **named: Any) -> Vault:
            secrets = ("passphrase", "recovery_code", "raw_key", "keyslot")
            kept = {one: value for one, value in named.items() if one not in secrets}
            verbs.called.append(name)
            with verbs.inside():
                opened: Vault = really[name](*given, **(kept | around))
                return opened

        return call

    for name in really:
        monkeypatch.setattr(Vault, name, quickly(name))
    monkeypatch.setattr(terminal, "is_there", lambda: False)
    monkeypatch.setattr("warnings.showwarning", lambda *_, **__: None)
    for name in [name for name in os.environ if name.startswith("MIMIR_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MIMIR_VAULT", str(vaults.path()))

    def run(*arguments: str, stdin: str = "") -> Ran:
        given = tmp_path / "stdin"
        given.write_text(stdin, encoding="utf-8")
        with given.open("rb", buffering=0) as raw, io.TextIOWrapper(io.BufferedReader(raw)) as text:
            monkeypatch.setattr(sys, "stdin", text)
            capsys.readouterr()
            verbs.called.clear()
            code = app.main(arguments)
        shown = capsys.readouterr()
        return Ran(code, shown.out, shown.err, [verb for verb in verbs.called if verb not in AROUND])

    return run


AROUND = ("open", "space", "view", "close", "lock")
"""How every command gets at its vault."""


def node_id(mimir: Callable[..., Ran]) -> str:
    """Return the whole id of the first node."""
    found: str = mimir("list", "--json").lines[0]["id"]
    return found


# -- commands ---------------------------------------------------------------------------------------------------------

CALLS: dict[str, tuple[list[str], str]] = {
    "remember": (["remember", "a text"], "remember_many"), "recall": (["recall", "seats"], "recall"),
    "context": (["context", "seats"], "context"), "list": (["list"], "nodes"), "show": (["show", "ID"], "get"),
    "history": (["history", "ID"], "history"), "supersede": (["supersede", "ID", "I prefer the aisle"], "supersede"),
    "hide": (["hide", "ID"], "hide"), "keep": (["keep", "ID"], "keep"),
    "forget": (["forget", "ID", "--yes"], "forget"), "import": (["import", "FILE"], "import_from"),
    "export": (["export", "NEW"], "export_to"), "backup": (["backup", "NEW"], "backup"),
    "verify": (["verify"], "verify"), "rebuild": (["rebuild"], "rebuild"), "compact": (["compact"], "compact"),
    "status": (["status"], "status"), "space list": (["space", "list"], "spaces"),
    "space create": (["space", "create", "work"], "create_space"),
    "space rename": (["space", "rename", "main", "work"], "rename_space"),
    "space erase": (["space", "erase", "main", "--yes"], "erase_space"), "key list": (["key", "list"], "list"),
    "key add recovery": (["key", "add", "recovery"], "add_recovery_code"),
    "key add passphrase": (["key", "add", "passphrase", "--new-passphrase-file", "SECRET"], "add_passphrase"),
}  # fmt: skip
"""A call of each command on an open vault, and the public method it is."""


@pytest.mark.parametrize("command", CALLS)
def test_every_command_is_a_public_method(mimir: Callable[..., Ran], tmp_path: Path, command: str) -> None:
    """It calls that method; what else it calls is to look up what was named."""
    (tmp_path / "file").write_text('{"text": "from a file"}\n')
    (tmp_path / "secret").write_text(PASSPHRASE)
    (tmp_path / "secret").chmod(0o600)
    words = {"ID": node_id(mimir), "FILE": str(tmp_path / "file"), "NEW": str(tmp_path / "new"),
             "SECRET": str(tmp_path / "secret")}  # fmt: skip
    arguments, verb = CALLS[command]
    ran = mimir(*(words.get(word, word) for word in arguments))
    assert ran.code == 0, ran.err
    assert verb in ran.verbs
    assert set(ran.verbs) - {verb} <= {"get", "count", "spaces"}


def test_the_commands_of_the_contract_are_there() -> None:
    """Those whose feature there is; the ones that make and take vaults are tried above and in the tests of the room."""
    tried = {name.split()[0] for name in CALLS} | {"init", "demo", "restore", "adopt"}
    assert set(commands.BUILT_IN) == tried


# -- options ----------------------------------------------------------------------------------------------------------


def test_options_of_every_command(
    mimir: Callable[..., Ran], vaults: QuickVaults, monkeypatch: pytest.MonkeyPatch
) -> None:
    """--vault, --space, --user and --agent, or their variables; an option wins; a user or agent is a view."""
    texts = [node["text"] for node in mimir("list", "--json").lines]
    assert [node["text"] for node in mimir("list", "--json", "--user", "ada").lines] == texts[:1]
    assert [node["text"] for node in mimir("--json", "--agent", "travel", "list").lines] == texts[:1]
    monkeypatch.setenv("MIMIR_USER", "bo")
    assert [node["text"] for node in mimir("list", "--json").lines] == texts[1:2]
    assert mimir("remember", "Bo said so", "--json").lines[0]["user"] == "bo"
    assert [node["text"] for node in mimir("list", "--json", "--user", "ada").lines] == texts[:1]
    monkeypatch.delenv("MIMIR_USER")
    monkeypatch.setenv("MIMIR_AGENT", "travel")
    assert len(mimir("list", "--json").lines) == 1
    monkeypatch.delenv("MIMIR_AGENT")
    monkeypatch.setenv("MIMIR_SPACE", "work")
    assert mimir("list").code == 4
    assert mimir("list", "--space", "main").code == 0
    monkeypatch.setenv("MIMIR_VAULT", "/no/such/vault")
    assert mimir("list", "--space", "main").code == 4
    assert mimir("list", "--space", "main", "--vault", str(vaults.path())).code == 0


def test_json_is_one_value_a_line(mimir: Callable[..., Ran]) -> None:
    """JSON Lines for lists and hits, one object for one thing, one object for an error."""
    assert len(mimir("list", "--json").lines) == 3
    assert {"id", "text", "score", "lanes"} <= set(mimir("recall", "seats", "--json").lines[0])
    (shown,) = mimir("show", node_id(mimir), "--json").lines
    assert shown["speaker"] == "Ada"
    ran = mimir("show", "0" * 64, "--json")
    assert (ran.out, json.loads(ran.err)["exit_code"]) == ("", 4)


def test_quiet_and_yes(mimir: Callable[..., Ran]) -> None:
    """Results only; and no question where nobody can be asked."""
    assert mimir("remember", "x").out.startswith("remembered")
    assert mimir("remember", "y", "--quiet").out == ""
    refused = mimir("forget", node_id(mimir))
    assert (refused.code, "--yes" in refused.err) == (2, True)
    assert mimir("forget", node_id(mimir), "--yes").code == 0


def test_standard_input_is_a_text_or_lines(mimir: Callable[..., Ran]) -> None:
    """`-` takes all of it as one node, with `--lines` each line that is not blank; `import -` reads JSON Lines."""
    mimir("remember", "-", stdin="one\ntwo\n")
    mimir("remember", "-", "--lines", "--session", "log", stdin="three\n\nfour\n")
    mimir("import", "-", stdin='{"text": "five"}\n')
    assert [node["text"] for node in mimir("list", "--json").lines[3:]] == ["one\ntwo", "three", "four", "five"]


def test_notices_go_nowhere_but_to_a_terminal(mimir: Callable[..., Ran]) -> None:
    """Results stand alone on standard output, and standard error is empty where all went well."""
    ran = mimir("recall", "zebra", "--lane", "lexical")
    assert (ran.code, ran.out, ran.err) == (0, "", "")
    assert mimir("verify").err == mimir("rebuild").err == ""


# -- exit codes -------------------------------------------------------------------------------------------------------


def test_exit_codes_of_what_can_go_wrong(
    mimir: Callable[..., Ran], vaults: QuickVaults, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """0 done, 2 usage, 3 locked or wrong key, 4 not found, 5 tampered or rolled back, 6 busy, 7 disk."""
    assert mimir("status").code == 0
    assert {mimir("list", "--no-such-option").code, mimir("recal", "x").code, mimir("recall", "x", "-k", "0").code} == {
        2
    }
    assert {mimir("show", "0" * 64).code, mimir("list", "--space", "gone").code} == {4}
    monkeypatch.setitem(Database.__init__.__kwdefaults__, "busy_ms", 50)
    with vaults.open() as vault, vault.space().transaction():
        vault.space().remember("mine")
        assert mimir("remember", "yours").code == 6
    assert mimir("remember", "x", "--read-only").code == 7
    old = {path: path.read_bytes() for path in vaults.path().rglob("*") if path.is_file()}
    mimir("remember", "newer")
    for path, content in old.items():
        path.write_bytes(content)
    assert mimir("list").code == 5
    assert mimir("list", "--accept-rollback").code == 0
    (space,) = (vaults.path() / "spaces").glob("*.db")
    content = bytearray(space.read_bytes())
    for page in range(1, len(content) // 4_096):
        content[page * 4_096 + 2_000] ^= 1
    space.write_bytes(content)
    assert {mimir("list").code, mimir("verify").code} == {5}


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.MimirError("x"), 1), (RuntimeError("x"), 1), (errors.ExistsError("x"), 1), (ValueError("x"), 2),
        (TypeError("x"), 2), (errors.LockedError("x"), 3), (errors.WrongKeyError("x"), 3),
        (errors.NotFoundError("x"), 4), (errors.AmbiguousIdError("x"), 4), (errors.TamperedError("x"), 5),
        (errors.RollbackError("x"), 5), (errors.VaultBusyError("x"), 6), (errors.DiskFullError("x"), 7),
        (errors.ReadOnlyError("x"), 7), (errors.StorageError("x"), 7), (KeyboardInterrupt(), 130),
    ],
)  # fmt: skip
def test_each_error_has_its_exit_code(
    mimir: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int
) -> None:
    """With one line on standard error and nothing on standard output."""

    def failing(*given: object, **named: object) -> None:
        raise error

    monkeypatch.setattr(Memory, "count", failing)
    monkeypatch.setattr(Memory, "nodes", failing)
    ran = mimir("list")
    assert (ran.code, ran.out, ran.err.count("\n")) == (code, "", 1)


def test_the_module_is_the_command(tmp_path: Path) -> None:
    """`python -m mimir_vault`, in a process of its own; no configuration file is read."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "PYTHONPATH": str(Path(mimir_vault.__file__).parents[1]),
    }
    for arguments, code in ((["--version"], 0), (["list", "--vault", str(tmp_path / "none")], 4), (["no-such"], 2)):
        done = subprocess.run(
            [sys.executable, "-m", "mimir_vault", *arguments], env=environment, capture_output=True, check=False,
            timeout=120,
        )  # fmt: skip
        assert done.returncode == code, done.stderr
