"""Opening: the vault or space that a command works on, unlocked as its options say, and closed at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mimir_vault.cli import passphrases
from mimir_vault.cli.output import Output
from mimir_vault.cli.parsing import ref_of
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
    """Give the space, open, through the view of --user and --agent: they are set on what is written and required of
    what is read. Errors as in `opened_vault`, and NotFoundError when there is no such space."""
    with opened_vault(settings, output) as vault:
        yield vault.space(settings.space_name).view(user=settings.user, agent=settings.agent)


def found_node(memory: Memory, settings: Settings, node_id: str) -> Node:
    """Return the node of an id or a shortened one (NotFoundError, AmbiguousIdError)."""
    node = memory.get(node_id)
    if node is None:
        raise NotFoundError(f"there is no node {node_id[:64]} in space {settings.space_name}")
    return node


def named_node(memory: Memory, settings: Settings, node_id: str | None, ref: str | None) -> Node:
    """Return the node of an id or of a ref, of which just one is given (NotFoundError, AmbiguousIdError)."""
    if (node_id is None) == (ref is None):
        raise ValueError("give the id of a node, or --ref")
    if node_id is not None:
        return found_node(memory, settings, node_id)
    node = memory.get(ref=ref_of(ref, "--ref"))
    if node is None:
        raise NotFoundError(f"nothing has the ref {str(ref)[:80]!r} in space {settings.space_name}")
    return node


def _open(settings: Settings, output: Output) -> Vault:
    path = settings.vault_path
    if not path.exists():
        raise NotFoundError(f"there is no vault at {path}; make one with mimir init, or name another with --vault")
    from mimir_vault.vault import Vault

    options: dict[str, Any] = {"read_only": settings.read_only, "accept_rollback": settings.accept_rollback}
    return opened_with(settings, output, lambda secret: Vault.open(path, **secret, **options))


def opened_with(settings: Settings, output: Output, opening: Callable[[dict[str, Any]], Vault]) -> Vault:
    """Return the vault that `opening` opens with the secret that the options give, as a keyword."""
    if settings.recovery_code:
        return opening({"recovery_code": passphrases.recovery_words(settings, output)})
    if settings.passphrase_file is not None:
        passphrase = passphrases.from_file(settings.passphrase_file, output)
        try:
            return opening({"passphrase": passphrase})
        finally:
            passphrases.wipe(passphrase)
    try:
        return opening({})
    except WrongKeyError:
        raise
    except LockedError as error:
        raise LockedError(f"{error}; --passphrase-file was not given either") from None
