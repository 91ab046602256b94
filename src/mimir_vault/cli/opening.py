"""Opening: the vault or space that a command works on, unlocked as its options say, and closed at the end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mimir_vault.cli import passphrases
from mimir_vault.cli.output import Output
from mimir_vault.cli.settings import Settings
from mimir_vault.errors import LockedError, NotFoundError, WrongKeyError

if TYPE_CHECKING:
    from mimir_vault.memory import Memory
    from mimir_vault.model.node import Node
    from mimir_vault.vault import Vault


@contextmanager
def opened_vault(settings: Settings, output: Output) -> Iterator[Vault]:
    """Give the vault, open.

    Raises:
        NotFoundError, FormatError, LockedError, WrongKeyError, TamperedError, RollbackError: as `Vault.open` does.
    """
    vault = _open(settings, output)
    try:
        yield vault
    finally:
        vault.close()


@contextmanager
def opened_memory(settings: Settings, output: Output) -> Iterator[Memory]:
    """Give the space, open; errors as in `opened_vault`, and NotFoundError when there is no such space."""
    with opened_vault(settings, output) as vault:
        yield vault.space(settings.space_name)


def found_node(memory: Memory, settings: Settings, node_id: str) -> Node:
    """Return the node of an id or a shortened one; one outside --user and --agent counts as not there.

    Raises:
        NotFoundError: there is none. AmbiguousIdError: there are several.
    """
    node = memory.get(node_id)
    outside = node is not None and (
        (settings.user is not None and node.user != settings.user)
        or (settings.agent is not None and node.agent != settings.agent)
    )
    if node is None or outside:
        raise NotFoundError(f"there is no node {node_id[:64]} in space {settings.space_name}")
    return node


def _open(settings: Settings, output: Output) -> Vault:
    path = settings.vault_path
    if not path.exists():
        raise NotFoundError(f"there is no vault at {path}; make one with mimir init, or name another with --vault")
    from mimir_vault.vault import Vault

    options: dict[str, Any] = {"read_only": settings.read_only, "accept_rollback": settings.accept_rollback}
    if settings.recovery_code:
        return Vault.open(path, recovery_code=passphrases.recovery_words(settings, output), **options)
    if settings.passphrase_file is not None:
        passphrase = passphrases.from_file(settings.passphrase_file, output)
        try:
            return Vault.open(path, passphrase=passphrase, **options)
        finally:
            passphrases.wipe(passphrase)
    try:
        return Vault.open(path, **options)
    except WrongKeyError:
        raise
    except LockedError as error:
        raise LockedError(f"{error}; --passphrase-file was not given either") from None
