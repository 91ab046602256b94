"""A process to be killed: works on a quick vault and says what was acknowledged, line by line, on standard output.

Run as `python -m crash.writing FOLDER VERB [WORD…]`; FOLDER holds `vault/` and `state/`. The verbs are the functions.
"""

from __future__ import annotations

import sys
from itertools import count
from pathlib import Path

from mimir_vault import remembering
from mimir_vault.interchange import importing
from mimir_vault.memory import Memory
from mimir_vault.model.draft import Draft
from mimir_vault.testing import HashEmbedder
from mimir_vault.vault import Vault
from quick_vaults import QuickVaults

TEXT = "This is turn {} about the {} things of the day."


def say(*words: object) -> None:
    """Acknowledge something; the reader has it even if this process is killed right afterwards."""
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def remember(vault: Vault, who: str = "Ada", session: str = "talk", most: str = "1000000") -> None:
    """Remember turns of one session one by one, and acknowledge the id of each."""
    memory = vault.space()
    for number in range(int(most)):
        say(memory.remember(TEXT.format(number, who), speaker=who, session=session, tags=[who]).id)


def remember_many(vault: Vault, size: str = "40") -> None:
    """Remember turns in batches, and acknowledge the ids of a batch once it was returned."""
    memory = vault.space()
    for batch in count():
        drafts = [Draft(TEXT.format(number, batch), session="batches") for number in range(int(size))]
        say(*(node.id for node in memory.remember_many(drafts)))


def forget(vault: Vault) -> None:
    """Forget the nodes there are one by one, and acknowledge each by its receipt."""
    memory = vault.space()
    for node in list(memory.nodes()):
        say(*memory.forget(node.id).ids)


def create_spaces(vault: Vault) -> None:
    """Create spaces, each with one node, and acknowledge the name of each."""
    for number in count():
        vault.create_space(f"space {number}").remember(f"only node of {number}")
        say(f"space {number}")


def erase_spaces(vault: Vault) -> None:
    """Erase all spaces but the first, and acknowledge the name of each."""
    for info in vault.spaces()[1:]:
        vault.erase_space(info.name)
        say(info.name)


def change_passphrases(vault: Vault) -> None:
    """Change the only passphrase again and again, and acknowledge each."""
    for number in count(1):
        vault.keyslots.change_passphrase(f"passphrase {number}", slot_id=slot_of(vault))
        say(f"passphrase {number}")


def slot_of(vault: Vault) -> str:
    """Return the id of the key slot with a passphrase."""
    return next(slot.id for slot in vault.keyslots.list() if slot.kind == "passphrase")


def rebuild(vault: Vault) -> None:
    """Rebuild all that is derived, again and again."""
    for number in count():
        vault.rebuild()
        say(number)


def back_up(vault: Vault, anew: str = "") -> None:
    """Remember a turn and back up, again and again, and acknowledge the number of nodes in each backup.

    With a word given, a node is forgotten each time as well, so that every backup is written anew.
    """
    memory = vault.space()
    for number in count():
        node = memory.remember(TEXT.format(number, "many"), session="talk")
        if anew:
            memory.forget(memory.remember("for a moment").id)
            memory.forget(next(iter(memory.nodes())).id if number % 2 else node.id)
        say(vault.backup(vault.path.parent / "backup").nodes)


def transact(vault: Vault, who: str, most: str = "1000000") -> None:
    """Count a shared number up in transactions that also write two turns each; every third is given up."""
    memory = vault.space()
    for number in range(int(most)):
        count_up(memory, who, number)
        say(who, number)


class GivenUp(Exception):
    """A transaction that its owner does not want after all."""


def count_up(memory: Memory, who: str, number: int) -> None:
    """One transaction: read the number, write it one higher, and a pair of turns; before that, one that is given up."""
    if number % 3 == 2:
        try:
            with memory.transaction():
                memory.remember("999999", ref=("number",))
                memory.remember(f"half of {who}", ref=("pair", who, "given up"))
                raise GivenUp
        except GivenUp:
            pass
    with memory.transaction():
        there = memory.get(ref=("number",))
        memory.remember(str(1 + int(there.text if there else 0)), ref=("number",))
        memory.remember_many([Draft(f"{who} {number} {half}", tags=["pair"]) for half in ("left", "right")])


def compact(vault: Vault) -> None:
    """Compact all spaces again and again."""
    for number in count():
        vault.compact()
        say(number)


def import_file(vault: Vault) -> None:
    """Import the file of lines there is in small commits, and acknowledge how far each has come."""
    remembering.BATCH_NODES, importing.BATCH_LINES = 5, 16
    vault.space().import_from(vault.path.parent / "lines.jsonl", progress=lambda done, _: say(done))
    say("whole")


VERBS = {verb.__name__: verb for verb in (
    remember, remember_many, forget, create_spaces, erase_spaces, change_passphrases, rebuild, back_up, compact,
    transact, import_file,
)}  # fmt: skip


def create(vaults: QuickVaults) -> None:
    """Create vaults, one after the other, and acknowledge the name of each."""
    for number in count():
        vaults.create(f"vault {number}").lock()
        say(f"vault {number}")


def restore(vaults: QuickVaults) -> None:
    """Restore the backup there is to one place after the other, and acknowledge the name of each."""
    for number in count():
        vaults.restore(vaults.folder / "backup", f"restored {number}").lock()
        say(f"restored {number}")


def main() -> None:
    """Run one verb until it ends or the process is killed."""
    folder, verb = Path(sys.argv[1]), sys.argv[2]
    vaults = QuickVaults(folder, folder / "state", HashEmbedder())
    for making in (create, restore):
        if verb == making.__name__:
            making(vaults)
    with vaults.open() as vault:
        vault.space()
        say("open")
        VERBS[verb](vault, *sys.argv[3:])


if __name__ == "__main__":
    main()
