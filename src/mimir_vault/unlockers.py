"""The chain of ways to unlock a vault when no secret is given: those of other packages, then a passphrase.

A package adds a way by an entry point of the group `mimir_vault.unlockers`. Its name is how people see it listed, its
value a class or function that is called without arguments and returns an `Unlocker`.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from mimir_vault import unlocking
from mimir_vault.errors import LockedError, MimirError, WrongKeyError
from mimir_vault.keyslots.header import Header
from mimir_vault.keyslots.slot import KeySlot
from mimir_vault.keyslots.unlock import UnlockedRoot, unlock
from mimir_vault.unlocking import PASSPHRASE_COMMAND, PASSPHRASE_FILE, Prompt

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

log = logging.getLogger("mimir_vault")
ENTRY_POINTS = "mimir_vault.unlockers"
"""Other rooms and other packages add ways to unlock as entry points of this group: name = module:class_or_function."""


class Unlocker(Protocol):
    """One way to unlock a vault for which no secret was given. It is made anew for each opening."""

    order: int
    """Lower is asked first: 10 for what holds the vault open already, 20 for what answers by itself (a keyring, a
    TPM), 30 for what a person has to touch. Passphrase file, command and prompt come after all of them."""

    def key_slot(self, path: Path, header: Header) -> KeySlot | None:
        """Return a key slot that holds a secret of the vault at `path`, None when there is none here.

        It is tried on the slots of the header and wiped. One that opens none of them is listed, and the next is asked.

        Raises:
            LockedError: there may be a secret, but not now (a locked keyring, a device that nobody touched). Its
            sentence is listed, and the next is asked. So is anything else that is raised, by its type alone.
        """
        ...


class Keeper(Unlocker, Protocol):
    """A way that may hold the vault open already, for instance in another process. Only `mimir.open` asks for it."""

    def memory(self, path: Path, space: str) -> Any | None:
        """Return a space of the vault at `path` as a memory, with all methods of `Memory`; None when it is not held.

        Raises:
            LockedError: as in `key_slot`. Any other MimirError is an answer and ends the opening, such as
            NotFoundError when the vault is held and has no space of that name.
        """
        ...


class UnlockChain:
    """Asks one way after the other, and lists in their order why those asked so far did not serve."""

    def __init__(self, environment: Mapping[str, str], prompt: Callable[[], Prompt | None]) -> None:
        """Look the entry points up; `prompt` is called only when it is its turn."""
        self._reasons: list[str] = []
        self._failures: set[str] = set()
        self._silent: list[str] = []
        self._environment, self._prompt = environment, prompt
        self._explained: set[str] = set()
        self._some_key_was_wrong = False
        self._unlockers = sorted(self._load(), key=lambda found: (found[1].order, found[0]))

    @classmethod
    def of_this_process(cls) -> UnlockChain:
        """Return the chain with this process's environment and terminal."""
        return cls(os.environ, unlocking.terminal_prompt)

    def memory(self, path: Path, space: str) -> Any | None:
        """Return a space of a vault that somebody holds open already, None when nobody does; errors as in `Keeper`."""
        for name, unlocker in self._unlockers:
            ask = getattr(unlocker, "memory", None)
            if ask is not None:
                found = self._asked(name, partial(ask, path, space), is_answer=True)
                if found is not None:
                    return found
        return None

    def unlock(self, path: Path, header: Header) -> UnlockedRoot:
        """Return the root that the first right secret opens.

        Raises:
            LockedError: none was found; the sentence lists every way, and why it did not serve.
            WrongKeyError: a secret was found that is not one of this vault; the sentence lists what failed.
            TamperedError: a secret was right, but the header is not what Mimir wrote.
        """
        for name, unlocker in self._unlockers:
            root = self._by_key_slot(name, unlocker, path, header)
            if root is not None:
                return self._served(root)
        for name, absent, find in self._passphrases():
            root = self._by_passphrase(name, absent, find, header)
            if root is not None:
                return self._served(root)
        if self._some_key_was_wrong:
            raise WrongKeyError(_sentence(reason for reason in self._reasons if reason in self._failures))
        raise LockedError(_sentence(self._reasons))

    def _by_key_slot(self, name: str, unlocker: Unlocker, path: Path, header: Header) -> UnlockedRoot | None:
        slot = self._asked(name, partial(unlocker.key_slot, path, header))
        if slot is None:
            if name not in self._explained:
                self._note(f"{name} has nothing for this vault", failed=False)
            return None
        if not callable(getattr(slot, "unwrap", None)) or not callable(getattr(slot, "wipe", None)):
            self._note(f"{name} gave {type(slot).__name__}, which is no key slot", broken=True)
            return None
        try:
            return self._asked(name, partial(unlock, header, keyslot=slot), is_answer=True)
        finally:
            self._asked(name, slot.wipe)

    def _passphrases(self) -> Iterator[tuple[str, str, Callable[[], bytearray | None]]]:
        """Yield how a passphrase is called, what to say when there is none, and how to find it."""
        file, command = PASSPHRASE_FILE, PASSPHRASE_COMMAND
        yield f"the passphrase in {file}", f"{file} is not set", lambda: unlocking.from_file(self._environment)
        yield f"what {command} prints", f"{command} is not set", lambda: unlocking.from_command(self._environment)
        nobody = "there is no terminal to ask at"
        yield "the passphrase that was typed", nobody, lambda: unlocking.from_person(self._prompt())

    def _by_passphrase(
        self, name: str, absent: str, find: Callable[[], bytearray | None], header: Header
    ) -> UnlockedRoot | None:
        try:
            passphrase = find()
            if passphrase is None:
                self._note(absent, failed=False)
                return None
            try:
                return unlock(header, passphrase=passphrase)
            finally:
                passphrase[:] = bytes(len(passphrase))
        except WrongKeyError:
            self._note_wrong(name)
        except LockedError as error:
            self._note(str(error))
        except ValueError as error:
            self._note(f"{name} is none: {error}")
        return None

    def _asked(self, name: str, ask: Callable[[], Any], *, is_answer: bool = False) -> Any | None:
        """Return what an unlocker gives; note what it raises. Where it `is_answer`, errors of the vault go through."""
        try:
            return ask()
        except WrongKeyError:
            self._note_wrong(f"the key of {name}")
        except LockedError as error:
            self._note(f"{name}: {error}")
        except MimirError as error:
            if is_answer:
                raise
            self._note(f"{name}: {error}")
        except Exception as error:  # Whatever another package does wrong must not stop the others.
            # Its text is left out: nobody knows what secrets it repeats.
            self._note(f"{name} failed with {type(error).__name__}", broken=True)
        self._explained.add(name)
        return None

    def _note_wrong(self, what: str) -> None:
        self._some_key_was_wrong = True
        self._note(f"{what} does not open this vault")

    def _note(self, why: str, *, failed: bool = True, broken: bool = False) -> None:
        """List why a way did not serve, once; what is broken is logged at once."""
        why = why.rstrip(".")
        if why not in self._reasons:
            self._reasons.append(why)
        if broken:
            log.warning("while unlocking: %s", why)
        elif failed:
            self._silent.append(why)
        if failed:
            self._failures.add(why)

    def _served(self, root: UnlockedRoot) -> UnlockedRoot:
        """Return what a way gave; with no error to list them in, those that failed before it go to the log."""
        for why in self._silent:
            log.warning("while unlocking: %s", why)
        return root

    def _load(self) -> Iterator[tuple[str, Unlocker]]:
        """Yield (name, unlocker) for every entry point that holds what it should."""
        from importlib.metadata import entry_points

        for entry in entry_points(group=ENTRY_POINTS):
            try:
                yield entry.name, _made(entry)
            except (Exception, SystemExit) as error:  # As above; importing knows no secrets, so the text may be told.
                why = str(error) or type(error).__name__
                self._note(f"{entry.name} ({entry.value}) cannot be loaded: {why}", broken=True)


def _sentence(reasons: Iterable[str]) -> str:
    return f"the vault is locked: {'; '.join(reasons)}"


def _made(entry: EntryPoint) -> Unlocker:
    made = entry.load()()
    order = getattr(made, "order", None)
    if isinstance(order, bool) or not isinstance(order, int) or not callable(getattr(made, "key_slot", None)):
        raise TypeError("it gives no unlocker, which has an order (int) and key_slot(path, header)")
    unlocker: Unlocker = made
    return unlocker
