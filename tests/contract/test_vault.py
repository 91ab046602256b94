"""What the contract says of opening: creating, unlocking, locking, spaces and key slots, sentence by sentence."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import mimir_vault as mimir
from mimir_vault import Memory, Vault
from mimir_vault.crypto import keys
from mimir_vault.keyslots.unlock import unlock

PASSPHRASE = "correct horse battery staple"


@pytest.fixture
def argon2_runs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Put a quick hash in the place of Argon2id; list the memory, in KiB, of each run."""
    runs: list[int] = []

    def quick(password: memoryview, salt: bytes, *, memory_kib: int, passes: int, lanes: int, out: memoryview) -> None:
        runs.append(memory_kib)
        out[:] = hashlib.blake2b(password, key=salt + f"{memory_kib}".encode(), digest_size=len(out)).digest()

    monkeypatch.setattr(keys, "argon2id_into", quick)
    return runs


@pytest.fixture(autouse=True)
def nobody_at_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """No passphrase comes from the surroundings unless a test puts it there."""
    for name in ("MIMIR_PASSPHRASE_FILE", "MIMIR_PASSPHRASE_COMMAND", "MIMIR_VAULT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("mimir_vault.unlocking.terminal_prompt", lambda: None)


# -- creating ---------------------------------------------------------------------------------------------------------


def test_a_new_vault_is_open_and_has_one_space(vaults: Any) -> None:
    """`main` is there, empty; the vault knows its path, its id and its profile."""
    vault = vaults.create()
    assert [info.name for info in vault.spaces()] == ["main"]
    assert vault.space().name == "main"
    assert vault.space("main").count() == 0
    assert vault.path == vaults.path()
    assert len(vault.id) == 32
    assert vault.profile == "moderate"
    assert not vault.read_only


def test_nothing_but_its_owner_may_enter_the_folder(vaults: Any) -> None:
    """Mode 0700, and the files of a vault: header, its copy, catalog, spaces, each space of its floor's size."""
    vaults.create(size_floor=2 << 20).lock()
    folder = vaults.path()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {path.name for path in folder.iterdir()} == {"header", "header.copy", "catalog.db", "spaces"}
    assert (folder / "header").read_bytes() == (folder / "header.copy").read_bytes()
    (space,) = (folder / "spaces").iterdir()
    assert space.stat().st_size == 2 << 20
    assert (folder / "catalog.db").stat().st_size == 1 << 20


def test_create_refuses_what_is_there_already(vaults: Any) -> None:
    """A vault, a folder with anything in it, a file: ExistsError, and nothing is touched. An empty folder is fine."""
    vaults.create().lock()
    before = {path: path.read_bytes() for path in vaults.path().rglob("*") if path.is_file()}
    vaults.path("full").mkdir()
    (vaults.path("full") / "letter.txt").write_text("mine")
    vaults.path("file").write_text("mine")
    for name in ("vault", "full", "file"):
        with pytest.raises(mimir.ExistsError, match="choose another place, or open it"):
            vaults.create(name)
    assert {path: path.read_bytes() for path in vaults.path().rglob("*") if path.is_file()} == before
    vaults.path("empty").mkdir()
    assert vaults.create("empty").space().count() == 0
    assert vaults.create("folders/below/it").space().count() == 0


def test_the_recovery_code_is_given_once(vaults: Any, argon2_runs: list[int]) -> None:
    """24 words, then None ever after, also from a vault that is opened later; without `recovery` there is none."""
    vault = vaults.create(passphrase=PASSPHRASE, recovery=True)
    words = vault.recovery_code
    assert len(words.split()) == 24
    assert vault.recovery_code is None
    vault.lock()
    opened = vaults.open(recovery_code=words)
    assert opened.recovery_code is None
    assert vaults.create("other").recovery_code is None


def test_locking_wipes_a_recovery_code_nobody_read(vaults: Any) -> None:
    """What was not asked for in time is gone."""
    vault = vaults.create(recovery=True)
    vault.lock()
    assert vault.recovery_code is None


# -- unlocking --------------------------------------------------------------------------------------------------------


def test_every_way_to_unlock_opens_the_same_vault(vaults: Any, argon2_runs: list[int]) -> None:
    """Passphrase as text or bytes that can be wiped, recovery code, raw key: the same memories."""
    vault = vaults.create(passphrase=PASSPHRASE, raw_key=bytes(range(32)), recovery=True)
    words, vault_id = vault.recovery_code, vault.id
    node = vault.space().remember("hello")
    vault.lock()
    ways: list[dict[str, Any]] = [
        {"passphrase": PASSPHRASE}, {"passphrase": bytearray(PASSPHRASE.encode())}, {"recovery_code": words},
        {"recovery_code": words.upper()}, {"raw_key": bytes(range(32))},
    ]  # fmt: skip
    for way in ways:
        with vaults.open(**way) as opened:
            assert opened.id == vault_id
            assert list(opened.space().nodes()) == [node]


@pytest.mark.parametrize("profile", ["interactive", "moderate", "sensitive"])
def test_the_profile_decides_what_a_passphrase_costs(vaults: Any, argon2_runs: list[int], profile: str) -> None:
    """64 MiB, 256 MiB or 1 GiB, at creation and at every unlocking."""
    vault = vaults.create(passphrase=PASSPHRASE, profile=profile)
    assert vault.profile == profile
    vault.lock()
    assert vaults.open(passphrase=PASSPHRASE).profile == profile
    cost = {"interactive": 65_536, "moderate": 262_144, "sensitive": 1_048_576}[profile]
    assert argon2_runs == [cost, cost]


def test_a_wrong_secret_is_a_wrong_key_in_one_argon2_run(vaults: Any, argon2_runs: list[int]) -> None:
    """However many slots there are, a passphrase is stretched once."""
    vault = vaults.create(passphrase=PASSPHRASE, recovery=True)
    other = vaults.create("other", recovery=True).recovery_code
    vault.keyslots.add_passphrase("another one")
    vault.keyslots.add_recovery_code()
    vault.lock()
    argon2_runs.clear()
    with pytest.raises(mimir.WrongKeyError, match="check it and try again"):
        vaults.open(passphrase="wrong")
    assert len(argon2_runs) == 1
    for way in ({"recovery_code": other}, {"raw_key": bytes(32)}):
        with pytest.raises(mimir.WrongKeyError):
            vaults.open(**way)
    assert len(argon2_runs) == 1
    assert issubclass(mimir.WrongKeyError, mimir.LockedError)


def test_the_real_argon2_is_what_runs(vaults: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once per unlocking, wrong or right, with the primitive itself (at the floor of the profiles)."""
    runs: list[int] = []
    real = keys.argon2id_into

    def counted(*given: Any, **named: Any) -> None:
        runs.append(named["memory_kib"])
        real(*given, **named)

    monkeypatch.setattr(keys, "argon2id_into", counted)
    vaults.create(passphrase=PASSPHRASE, profile="interactive").lock()
    with pytest.raises(mimir.WrongKeyError):
        vaults.open(passphrase="wrong")
    assert runs == [65_536, 65_536]


# -- locking ----------------------------------------------------------------------------------------------------------

VERBS: dict[str, Callable[[Vault, Memory], Any]] = {
    "remember": lambda vault, memory: memory.remember("x"),
    "remember_many": lambda vault, memory: memory.remember_many([mimir.Draft("x")]),
    "supersede": lambda vault, memory: memory.supersede("0" * 64, "x"),
    "recall": lambda vault, memory: memory.recall("x"),
    "context": lambda vault, memory: memory.context(),
    "get": lambda vault, memory: memory.get("0" * 64),
    "history": lambda vault, memory: memory.history("0" * 64),
    "nodes": lambda vault, memory: list(memory.nodes()),
    "count": lambda vault, memory: memory.count(),
    "forget": lambda vault, memory: memory.forget("0" * 64),
    "memory.verify": lambda vault, memory: memory.verify(),
    "memory.rebuild": lambda vault, memory: memory.rebuild(),
    "space": lambda vault, memory: vault.space(),
    "spaces": lambda vault, memory: vault.spaces(),
    "create_space": lambda vault, memory: vault.create_space("x"),
    "rename_space": lambda vault, memory: vault.rename_space("main", "x"),
    "erase_space": lambda vault, memory: vault.erase_space("main"),
    "verify": lambda vault, memory: vault.verify(),
    "rebuild": lambda vault, memory: vault.rebuild(),
    "status": lambda vault, memory: vault.status(),
    "keyslots.list": lambda vault, memory: vault.keyslots.list(),
    "keyslots.add_recovery_code": lambda vault, memory: vault.keyslots.add_recovery_code(),
}


def test_after_locking_every_verb_says_locked(vaults: Any) -> None:
    """LockedError that says to open it again; locked twice is harmless, and an iteration under way ends so too."""
    vault = vaults.create()
    memory = vault.space()
    memory.remember_many([mimir.Draft(f"{number}") for number in range(300)])
    nodes = memory.nodes()
    next(nodes)
    vault.lock()
    vault.lock()
    vault.close()
    for name, verb in VERBS.items():
        with pytest.raises(mimir.LockedError, match=r"(open the vault|open it|unlock the vault) again"):
            pytest.fail(f"{name} on a locked vault gave {verb(vault, memory)}")
    with pytest.raises(mimir.LockedError):
        list(nodes)
    assert "locked" in repr(vault)
    memory.close()


def test_a_vault_is_a_context_manager(vaults: Any) -> None:
    """It is locked at the end of the block, also when that raises; a memory of it leaves it open."""
    vault = vaults.create()

    def failing() -> None:
        with vault:
            with vault.space() as memory:
                memory.remember("x")
            assert memory.count() == 1
            raise KeyError

    with pytest.raises(KeyError):
        failing()
    with pytest.raises(mimir.LockedError):
        vault.space()


def test_repr_shows_no_key_and_no_content(vaults: Any) -> None:
    """Path and state, that is all."""
    vault = vaults.create(recovery=True)
    vault.space().remember("a secret zebra")
    assert repr(vault) == f"<Vault {str(vault.path)!r}>"
    assert repr(vault.space()) == "<Memory 'main'>"


# -- spaces -----------------------------------------------------------------------------------------------------------


def test_spaces_are_created_renamed_and_erased(vaults: Any) -> None:
    """Each is a file of its own; renaming keeps id and memories; erasing leaves nothing."""
    vault = vaults.create()
    work = vault.create_space("work")
    assert isinstance(work, Memory)
    work.remember("a memo")
    before = {info.name: info for info in vault.spaces()}
    assert list(before) == ["main", "work"]
    assert isinstance(before["work"].created, datetime)
    assert before["work"].created.tzinfo is UTC
    vault.rename_space("work", "büro")
    after = {info.name: info for info in vault.spaces()}
    assert after["büro"].id == before["work"].id
    assert vault.space("büro").count() == work.count() == 1
    assert work.name == "büro"
    vault.erase_space("büro")
    assert [info.name for info in vault.spaces()] == ["main"]
    assert len(list((vault.path / "spaces").glob("*.db"))) == 1
    with pytest.raises(mimir.LockedError):
        work.count()
    with pytest.raises(mimir.NotFoundError, match="no space 'büro'"):
        vault.space("büro")
    assert vault.create_space("büro").count() == 0


def test_a_space_is_the_same_for_all_who_ask(vaults: Any) -> None:
    """What one memory wrote another sees at once."""
    vault = vaults.create()
    one, two = vault.space(), vault.space("main")
    one.remember("x")
    assert two.count() == 1
    assert one.vault is vault


def test_spaces_are_isolated(vaults: Any) -> None:
    """Neither ids nor words nor refs cross."""
    vault = vaults.create()
    main, work = vault.space(), vault.create_space("work")
    node = main.remember("a zebra", ref=("r",))
    assert work.get(node.id) is None
    assert work.get(ref=("r",)) is None
    assert not work.recall("zebra")
    with pytest.raises(mimir.NotFoundError, match="not in this space"):
        work.remember("x", links=[mimir.Link("about", node.id)])


def test_taken_and_unknown_names_are_told_apart(vaults: Any) -> None:
    """ExistsError and NotFoundError, and nothing changes."""
    vault = vaults.create()
    vault.create_space("work")
    with pytest.raises(mimir.ExistsError, match="a space 'work' already"):
        vault.create_space("work")
    with pytest.raises(mimir.ExistsError, match="a space 'main' already"):
        vault.rename_space("work", "main")
    with pytest.raises(mimir.NotFoundError, match="no space 'gone'"):
        vault.rename_space("gone", "new")
    with pytest.raises(mimir.NotFoundError, match="no space 'gone'"):
        vault.erase_space("gone")
    assert [info.name for info in vault.spaces()] == ["main", "work"]
    assert len(list((vault.path / "spaces").glob("*.db"))) == 2


def test_copies_of_a_vault_open_elsewhere(vaults: Any, tmp_path: Path) -> None:
    """A locked vault is its folder: moved and copied it opens with the same secret."""
    vault = vaults.create()
    vault.space().remember("hello")
    vault.lock()
    shutil.copytree(vaults.path(), tmp_path / "copy")
    os.rename(vaults.path(), tmp_path / "moved")
    for name in ("copy", "moved"):
        with vaults.open(name) as opened:
            assert opened.space().count() == 1


def cache_bounds(vault: Vault) -> set[int]:
    """Return the bounds of the page caches, in bytes, of the catalog and of the first space, in two threads."""
    databases = [vault._catalog.fresh.database, vault._spaces.open("main").store.fresh.database]
    read = [lambda database=database: database.connection().pragma("cache_size") for database in databases]
    with ThreadPoolExecutor(1) as pool:
        return {-1_024 * size for ask in read for size in (ask(), pool.submit(ask).result())}


def test_a_memory_budget_bounds_the_page_caches(vaults: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each takes an eighth at most: in a new vault, an opened or adopted one, by `mimir.open`, by the variable."""
    with vaults.create(memory_budget="64MiB") as vault:
        assert cache_bounds(vault) == {8 << 20}
    with vaults.open(memory_budget=32 << 20) as vault:
        assert cache_bounds(vault) == {4 << 20}
    with vaults.open() as vault:
        unbounded = cache_bounds(vault)
    adopting = {"raw_key": bytes(range(32)), "memory_budget": "48MiB", **vaults._around}
    with Vault.adopt(vaults.path(), **adopting) as vault:
        assert cache_bounds(vault) == {6 << 20}
    monkeypatch.setenv("MIMIR_MEMORY_BUDGET", "16MiB")
    with vaults.open() as vault:
        assert cache_bounds(vault) == {2 << 20}
    with vaults.open(memory_budget="1TiB") as vault:
        assert cache_bounds(vault) == unbounded
    chain = SimpleNamespace(
        memory=lambda path, space: None, unlock=lambda path, header: unlock(header, raw_key=bytes(range(32)))
    )
    monkeypatch.setattr("mimir_vault.opening.UnlockChain", SimpleNamespace(of_this_process=lambda: chain))
    monkeypatch.setattr("mimir_vault.surroundings.default_state_folder", lambda: tmp_path / "state")
    with mimir.open(vaults.path(), memory_budget="128MiB") as memory:
        assert cache_bounds(memory.vault) == {16 << 20}


@pytest.mark.parametrize("verb", ["create", "open"])
def test_a_memory_budget_that_is_none_changes_nothing(vaults: Any, verb: str) -> None:
    """It is refused before anything is made or a secret is asked for."""
    if verb == "open":
        vaults.create().lock()
    with pytest.raises(ValueError, match="memory_budget='plenty' is no amount of memory"):
        getattr(vaults, verb)(memory_budget="plenty")
    with pytest.raises(ValueError, match="memory_budget=1 is too little"):
        mimir.open(vaults.path(), memory_budget=1)
    assert vaults.path().exists() == (verb == "open")
