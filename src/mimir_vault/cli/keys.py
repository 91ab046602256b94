"""The commands `key list`, `key add`, `key change-passphrase` and `key remove`."""

from __future__ import annotations

from typing import Annotated

import typer

from mimir_vault.cli import passphrases, recovery, terminal
from mimir_vault.cli.grammar import CONTEXT_SETTINGS, Command, Group, group, show_help_if_alone
from mimir_vault.cli.opening import opened_vault
from mimir_vault.cli.options import settings_of
from mimir_vault.cli.output import Output
from mimir_vault.cli.text import moment, one_line
from mimir_vault.errors import NotFoundError

key = group("key")
add = group("add")
key.add_typer(add, name="add", cls=Group, context_settings=CONTEXT_SETTINGS)

NewFile = Annotated[
    str | None, typer.Option("--new-passphrase-file", metavar="PATH", help="Read the new passphrase from a file or "
                             "file descriptor instead of asking for it.")
]  # fmt: skip


@key.callback()
def _key(ctx: typer.Context) -> None:
    """List, add, change and remove the ways to unlock the vault.

    Each way has a key slot: passphrases and recovery codes of 24 words. Any one of them opens the whole vault.

    Examples:
        mimir key list
        mimir key add recovery
    """
    show_help_if_alone(ctx)


@add.callback()
def _add(ctx: typer.Context) -> None:
    """Add a way to unlock the vault.

    Examples:
        mimir key add recovery
        mimir key add passphrase
    """
    show_help_if_alone(ctx)


@key.command("list", cls=Command, context_settings=CONTEXT_SETTINGS)
def list_slots(ctx: typer.Context) -> None:
    """List the ways to unlock the vault.

    Examples:
        mimir key list
    """
    settings = settings_of(ctx)
    output = Output(settings)
    with opened_vault(settings, output) as vault:
        slots = vault.keyslots.list()
    if output.json:
        for slot in slots:
            output.value(
                {"id": slot.id, "kind": slot.kind, "label": slot.label, "created": slot.created.isoformat(),
                 "current": slot.current}
            )  # fmt: skip
        return
    output.table(
        ("slot", "kind", "created", "label", ""),
        [(slot.id, slot.kind, moment(slot.created), slot.label, "used now" if slot.current else "") for slot in slots],
    )


@add.command("recovery", cls=Command, context_settings=CONTEXT_SETTINGS)
def add_recovery(ctx: typer.Context) -> None:
    """Add a recovery code of 24 words, shown once.

    For the day the passphrase is forgotten; then: mimir --recovery-code key change-passphrase.

    Examples:
        mimir key add recovery
    """
    settings = settings_of(ctx)
    output = Output(settings)
    with opened_vault(settings, output) as vault:
        words = vault.keyslots.add_recovery_code()
        if output.json:
            output.value({"recovery_code": words})
        else:
            recovery.hand_over(words, settings, output)
    output.done("added a recovery code")


@add.command("passphrase", cls=Command, context_settings=CONTEXT_SETTINGS)
def add_passphrase(ctx: typer.Context, new_passphrase_file: NewFile = None) -> None:
    """Add a passphrase beside those there are.

    Examples:
        mimir key add passphrase
    """
    settings = settings_of(ctx)
    output = Output(settings)
    with opened_vault(settings, output) as vault:
        chosen = passphrases.to_be_set(output, new_passphrase_file)
        try:
            vault.keyslots.add_passphrase(chosen)
        finally:
            passphrases.wipe(chosen)
    if output.json:
        output.value({"added": "passphrase"})
    output.done("added a passphrase")


@key.command("change-passphrase", cls=Command, context_settings=CONTEXT_SETTINGS)
def change_passphrase(
    ctx: typer.Context,
    new_passphrase_file: NewFile = None,
    slot: Annotated[
        str | None, typer.Option("--slot", metavar="SLOT", help="The slot to change (mimir key list); default: the one "
                                 "used now, or the only passphrase there is.")
    ] = None,
) -> None:  # fmt: skip
    """Set a new passphrase in place of the old one.

    This locks out whoever knows the old passphrase, but not who has a copy of the vault from before as well.

    Examples:
        mimir key change-passphrase
        mimir --recovery-code key change-passphrase
    """
    settings = settings_of(ctx)
    output = Output(settings)
    with opened_vault(settings, output) as vault:
        if slot is None:
            slot = _slot_to_change([(one.id, one.kind, one.current) for one in vault.keyslots.list()])
        chosen = passphrases.to_be_set(output, new_passphrase_file)
        try:
            vault.keyslots.change_passphrase(chosen, slot_id=slot)
        finally:
            passphrases.wipe(chosen)
    if output.json:
        output.value({"changed": slot})
    output.done("changed the passphrase")
    output.notice("Copies of the vault made before still open with the old one.")


@key.command("remove", cls=Command, context_settings=CONTEXT_SETTINGS)
def remove(
    ctx: typer.Context,
    slot: Annotated[str, typer.Argument(metavar="SLOT", help="The slot's id (mimir key list).", show_default=False)],
) -> None:
    """Remove a way to unlock the vault; the last one stays.

    Asks first, unless told --yes. Copies of the vault made before still open with what is removed.

    Examples:
        mimir key remove 1f2e3d4c
    """
    settings = settings_of(ctx)
    output = Output(settings)
    with opened_vault(settings, output) as vault:
        found = next((one for one in vault.keyslots.list() if one.id == slot), None)
        if found is None:
            raise NotFoundError(f"there is no key slot {one_line(slot, 40)}; mimir key list shows them")
        if not terminal.confirm(f"Remove the {found.kind} of slot {found.id}?", yes=settings.yes):
            output.done("nothing was removed")
            return
        vault.keyslots.remove(found.id)
    if output.json:
        output.value({"removed": slot})
    output.done(f"removed slot {slot}")


def _slot_to_change(slots: list[tuple[str, str, bool]]) -> str:
    """Return the passphrase slot that is meant when none is named."""
    mine = [slot_id for slot_id, kind, _ in slots if kind == "passphrase"]
    for slot_id, kind, current in slots:
        if current and kind == "passphrase":
            return slot_id
    if len(mine) != 1:
        raise ValueError("name the passphrase to change with --slot" if mine else
                         "this vault has no passphrase; add one with mimir key add passphrase")  # fmt: skip
    return mine[0]
