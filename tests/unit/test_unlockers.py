"""The chain of ways to unlock, with entry points of real distributions: order, what is listed, and what ends it."""

from __future__ import annotations

import importlib
import itertools
import logging
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

import mimir_vault as mimir
from mimir_vault import unlockers
from mimir_vault.errors import LockedError, NotFoundError, TamperedError, WrongKeyError
from mimir_vault.keyslots import header_file
from mimir_vault.keyslots.header import Header
from mimir_vault.testing import RAW_KEY
from mimir_vault.unlockers import UnlockChain
from mimir_vault.vault import Vault

NUMBERS = itertools.count()

BASE = """
from mimir_vault.errors import LockedError, NotFoundError, TamperedError
from mimir_vault.keyslots.raw_key import RawKeySlot
from mimir_vault.testing import RAW_KEY

ASKED, SLOTS = [], []

class Way:
    order = 20

    def key_slot(self, path, header):
        ASKED.append((type(self).__name__, path, header.vault_id))
        slot = self.slot()
        if slot is not None:
            SLOTS.append(slot)
        return slot

    def slot(self):
        return None
"""


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look in a group of the tests' own, so that what else is installed plays no part."""
    monkeypatch.setattr(unlockers, "ENTRY_POINTS", "mimir_vault.unlockers_of_tests")


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Install a distribution: `install(source, name="module:thing", …)` adds a module and its entry points."""

    def made(source: str, **entries: str) -> Any:
        module = f"a_way_to_unlock_{next(NUMBERS)}"
        folder = tmp_path / f"site-{module}"
        about = folder / f"{module}-1.0.dist-info"
        about.mkdir(parents=True)
        places = {name: value if ":" in value else f"{module}:{value}" for name, value in entries.items()}
        lines = [f"[{unlockers.ENTRY_POINTS}]", *(f"{name} = {place}" for name, place in places.items()), ""]
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n", encoding="utf-8")
        (about / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")
        (folder / f"{module}.py").write_text(BASE + dedent(source), encoding="utf-8")
        monkeypatch.syspath_prepend(folder)
        importlib.invalidate_caches()
        return lambda: importlib.import_module(module)

    return made


@pytest.fixture
def vault_path(vaults: Any) -> Path:
    """A locked vault that the raw key of tests opens."""
    vaults.create().lock()
    path: Path = vaults.path()
    return path


def header_of(path: Path) -> Header:
    """Return the header of a vault."""
    return header_file.read(path).header


def unlocked(path: Path, environment: dict[str, str] | None = None) -> str | None:
    """Unlock a vault by the chain, with nobody at the terminal; return the id of the key slot that opened."""
    with UnlockChain(environment or {}, lambda: None).unlock(path, header_of(path)) as root:
        return root.slot_id


def listed(path: Path) -> str:
    """Return the sentence of a chain that finds nothing."""
    with pytest.raises(LockedError) as caught:
        unlocked(path)
    return str(caught.value)


NO_PASSPHRASE = "MIMIR_PASSPHRASE_FILE is not set; MIMIR_PASSPHRASE_COMMAND is not set; there is no terminal to ask at"


def test_without_anything_the_three_ways_to_a_passphrase_are_listed(vault_path: Path) -> None:
    """One sentence."""
    assert listed(vault_path) == f"the vault is locked: {NO_PASSPHRASE}"


@pytest.mark.parametrize("kind", ["class", "function"])
def test_a_package_adds_a_way(vault_path: Path, install: Any, kind: str) -> None:
    """A class or a function; it is handed the vault's folder and header, and its key slot is wiped after its use."""
    module = install(
        """
        class Ring(Way):
            def slot(self):
                return RawKeySlot(RAW_KEY)

        def ring():
            return Ring()
        """,
        keyring="Ring" if kind == "class" else "ring",
    )
    assert unlocked(vault_path) is not None
    (slot,), asked = module().SLOTS, module().ASKED
    assert asked == [("Ring", vault_path, header_of(vault_path).vault_id)]
    with pytest.raises(LockedError):
        slot.wrap(None, header_of(vault_path).place(0), bytes)


def test_what_is_asked_first(vault_path: Path, install: Any) -> None:
    """By order, then by name, wherever they are installed; every passphrase comes after all of them."""
    ways = """
    class Late(Way):
        order = 10 ** 9
    class Early(Way):
        order = -5
    class Middle(Way):
        pass
    """
    install(ways, late="Late", early="Early", b="Middle")
    install("class A(Way): pass", a="A")
    assert listed(vault_path) == (
        "the vault is locked: early has nothing for this vault; a has nothing for this vault; "
        f"b has nothing for this vault; late has nothing for this vault; {NO_PASSPHRASE}"
    )


def test_the_first_right_key_ends_the_search(vault_path: Path, install: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Those after it are not asked, nor is anybody at the terminal."""
    module = install(
        """
        class First(Way):
            def slot(self):
                return RawKeySlot(RAW_KEY)
        class Second(Way):
            order = 30
        """,
        first="First", second="Second",
    )  # fmt: skip

    def prompt() -> None:
        raise AssertionError("nobody is to be asked")

    chain = UnlockChain({"MIMIR_PASSPHRASE_COMMAND": "false"}, prompt)
    chain.unlock(vault_path, header_of(vault_path)).wipe()
    assert [name for name, *_ in module().ASKED] == ["First"]
    assert caplog.text == ""


def test_a_wrong_key_gives_way_to_the_next(vault_path: Path, install: Any, caplog: pytest.LogCaptureFixture) -> None:
    """It is logged; when no other key is right, the error is a WrongKeyError that lists what failed, and no more."""
    wrong = """
    class Old(Way):
        def slot(self):
            return RawKeySlot(bytes(32))
    """
    install(wrong, old="Old")
    with pytest.raises(WrongKeyError, match=r"^the vault is locked: the key of old does not open this vault$"):
        unlocked(vault_path)
    assert caplog.text == ""
    install("class New(Way):\n    def slot(self):\n        return RawKeySlot(RAW_KEY)", young="New")
    assert unlocked(vault_path) is not None
    assert "the key of old does not open this vault" in caplog.text


REASONS = {
    "it is locked": ("raise LockedError('the keyring is locked.')", "ring: the keyring is locked; "),
    "it has another error of ours": ("raise NotFoundError('no such ring.')", "ring: no such ring; "),
    "it breaks": ("raise KeyError('my secret')", "ring failed with KeyError; "),
    "it gives no key slot": ("return b'my secret'", "ring gave bytes, which is no key slot; "),
    "its slot breaks": ("return Broken()", "ring failed with ZeroDivisionError; "),
    "its device is gone": ("return Gone()", "ring: pulled out; "),
}


@pytest.mark.parametrize("reason", REASONS)
def test_a_way_that_fails_is_listed_and_the_next_is_asked(
    vault_path: Path, install: Any, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Errors of ours by their sentence, others by their type alone: their text might repeat a secret."""
    line, says = REASONS[reason]
    install(
        f"""
        class Broken(RawKeySlot):
            def __init__(self): pass
            def unwrap(self, body, place): 1 / 0
            def wipe(self): raise RuntimeError("my secret")
        class Gone(RawKeySlot):
            def __init__(self): pass
            def unwrap(self, body, place): raise LockedError("pulled out")
            def wipe(self): pass
        class Ring(Way):
            order = 1
            def slot(self):
                {line}
        class Next(Way):
            pass
        """,
        ring="Ring", further="Next",
    )  # fmt: skip
    sentence = listed(vault_path)
    assert sentence.startswith(f"the vault is locked: {says}")
    assert "; further has nothing for this vault; " in sentence
    assert "my secret" not in sentence + caplog.text


BROKEN = {
    "no module": ("no_such_module:Way", "ring (no_such_module:Way) cannot be loaded: No module named 'no_such_module'"),
    "no such name": ("Gone", "has no attribute 'Gone'"),
    "it cannot be called": ("RAW_KEY", "cannot be loaded: 'bytes' object is not callable"),
    "it raises": ("Raising", "cannot be loaded: out of order"),
    "it raises without a word": ("Silent", "cannot be loaded: ZeroDivisionError"),
    "it leaves": ("Leaving", "cannot be loaded: good bye"),
    "no order": ("NoOrder", "it gives no unlocker, which has an order (int) and key_slot(path, header)"),
    "an order that is no number": ("TrueOrder", "it gives no unlocker"),
    "no key_slot": ("NoSlot", "it gives no unlocker"),
    "nothing": ("nothing", "it gives no unlocker"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_entry_point_stops_nobody(
    vault_path: Path, install: Any, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged by its name, and listed when nothing else serves."""
    value, says = BROKEN[fault]
    source = """
    class Raising:
        def __init__(self): raise RuntimeError("out of order")
    class Silent:
        def __init__(self): raise ZeroDivisionError
    class Leaving:
        def __init__(self): raise SystemExit("good bye")
    class NoOrder:
        def key_slot(self, path, header): ...
    class TrueOrder(Way):
        order = True
    class NoSlot:
        order = 1
    def nothing(): ...
    class Good(Way):
        def slot(self):
            return RawKeySlot(RAW_KEY)
    """
    install(source, ring=value)
    sentence = listed(vault_path)
    assert sentence.startswith("the vault is locked: ring (")
    assert says in sentence
    caplog.clear()
    install(source, good="Good")
    with caplog.at_level(logging.WARNING):
        assert unlocked(vault_path) is not None
    assert says in caplog.text


def test_a_vault_that_was_changed_ends_the_search(vault_path: Path, install: Any) -> None:
    """A right key that finds a forged header: no other way is asked, and the error says so."""
    module = install(
        """
        class Ring(Way):
            def slot(self):
                return RawKeySlot(RAW_KEY)
        class Later(Way):
            order = 30
        """,
        ring="Ring", later="Later",
    )  # fmt: skip
    forged = replace(header_of(vault_path), fill=bytes(len(header_of(vault_path).fill)))
    with pytest.raises(TamperedError, match="header was changed"):
        UnlockChain({}, lambda: None).unlock(vault_path, forged)
    assert [name for name, *_ in module().ASKED] == ["Ring"]


class TestKeepers:
    """Somebody who holds the vault open already; only `mimir.open` asks."""

    KEEPERS = """
    class Keeper(Way):
        order = 10
        def memory(self, path, space):
            ASKED.append(("memory", path, space))
            return self.held(path, space)
        def held(self, path, space):
            return None
    class Holding(Keeper):
        def held(self, path, space):
            return "the memory"
    class Locked(Keeper):
        def held(self, path, space):
            raise LockedError("it was locked an hour ago")
    class Broken(Keeper):
        def held(self, path, space):
            raise ConnectionError("nobody there")
    class Spaceless(Keeper):
        def held(self, path, space):
            raise NotFoundError(f"there is no space {space}")
    """

    @pytest.fixture(autouse=True)
    def nobody_at_the_terminal(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """No passphrase comes from the surroundings."""
        for name in ("MIMIR_PASSPHRASE_FILE", "MIMIR_PASSPHRASE_COMMAND"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr("mimir_vault.unlocking.terminal_prompt", lambda: None)

    def test_a_memory_that_is_held_is_taken(self, vault_path: Path, install: Any) -> None:
        """The first keeper that has it, before any key is asked for; those without it are passed over."""
        module = install(self.KEEPERS, one="Keeper", two="Broken", zzz="Holding")
        assert mimir.open(vault_path, "work") == "the memory"  # type: ignore[comparison-overlap]
        assert [("memory", vault_path, "work")] * 3 == module().ASKED

    def test_one_that_does_not_hold_it_is_listed_once(self, vault_path: Path, install: Any) -> None:
        """Though it is asked twice, for a memory and for a key."""
        install(self.KEEPERS, idle="Keeper", locked="Locked", torn="Broken")
        with pytest.raises(LockedError) as caught:
            mimir.open(vault_path)
        assert str(caught.value) == (
            "the vault is locked: locked: it was locked an hour ago; torn failed with ConnectionError; "
            f"idle has nothing for this vault; {NO_PASSPHRASE}"
        )

    def test_its_answer_about_the_vault_counts(self, vault_path: Path, install: Any) -> None:
        """No passphrase is asked for when the keeper says that there is no such space."""
        install(self.KEEPERS, keeper="Spaceless", other="Holding")
        with pytest.raises(NotFoundError, match="there is no space gone"):
            mimir.open(vault_path, "gone")

    def test_a_vault_is_not_opened_by_a_keeper(self, vault_path: Path, install: Any, vaults: Any) -> None:
        """`Vault.open` wants the vault itself, so only keys are asked for."""
        module = install(
            self.KEEPERS + "    def slot(self):\n            return RawKeySlot(RAW_KEY)\n", keeper="Spaceless"
        )
        with Vault.open(vault_path, **vaults._around) as vault:
            assert vault.space().count() == 0
        assert [name for name, *_ in module().ASKED] == ["Spaceless"]


def test_entry_points_are_looked_up_only_without_a_secret(vault_path: Path, install: Any, vaults: Any) -> None:
    """A secret that is given is the one: no other package's code is loaded, whether it is right or wrong."""
    module = install("class Ring(Way):\n    def slot(self):\n        return RawKeySlot(RAW_KEY)", ring="Ring")
    loaded = set(sys.modules)
    vaults.open(raw_key=RAW_KEY).lock()
    with pytest.raises(WrongKeyError):
        vaults.open(raw_key=bytes(32))
    assert not [name for name in set(sys.modules) - loaded if name.startswith("a_way_to_unlock")]
    Vault.open(vault_path, **vaults._around).lock()
    assert len(module().ASKED) == 1
