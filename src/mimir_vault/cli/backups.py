"""The commands `backup`, `restore`, `adopt` and `compact`: the vault's files as a whole."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mimir_vault.cli.opening import opened_vault, opened_with
from mimir_vault.cli.options import settings_of
from mimir_vault.cli.output import Output
from mimir_vault.cli.progress import progress_bar
from mimir_vault.cli.text import byte_size, counted
from mimir_vault.cli.upkeep import plain_value
from mimir_vault.errors import ExistsError

BackupFile = Annotated[str, typer.Argument(metavar="FILE", help="The file of the backup.", show_default=False)]


def backup(ctx: typer.Context, file: BackupFile) -> None:
    """Back the vault up into one sealed file, also while it is in use.

    A backup of this vault that is there already is gone on from, and stays whole until the new one is. It opens with
    the passphrase and the recovery code of today. Keep it on another disk.

    Examples:
        mimir backup /media/disk/mimir.backup
    """
    settings = settings_of(ctx)
    output = Output(settings)
    with opened_vault(settings, output) as vault, progress_bar(settings, "backing up") as advance:
        done = vault.backup(Path(file).expanduser(), progress=advance)
    if output.json:
        output.value(plain_value(done))
    how = f"{counted(done.added, 'node')} new" if done.incremental else "all written anew"
    output.done(f"backed up {counted(done.nodes, 'node')} ({how}) to {done.path}, {byte_size(done.bytes)}")


def restore(ctx: typer.Context, file: BackupFile) -> None:
    """Make a vault of a backup.

    The vault is made where --vault or MIMIR_VAULT says (or in the platform's folder); nothing may be there yet. Every
    node is checked first. The passphrase is that of the time of the backup.

    Examples:
        mimir restore /media/disk/mimir.backup --vault ~/memory
    """
    from mimir_vault.vault import Vault

    settings = settings_of(ctx)
    output = Output(settings)
    path, source = settings.vault_path, Path(file).expanduser()
    if path.exists() and (not path.is_dir() or any(path.iterdir())):  # Said before a passphrase is asked for.
        raise ExistsError(f"there is something at {path} already; choose another place with --vault")
    with progress_bar(settings, "restoring") as advance:
        vault = opened_with(settings, output, lambda secret: Vault.restore(source, path, progress=advance, **secret))
    with vault:
        count = sum(space.nodes for space in vault.status().spaces)
    if output.json:
        output.value({"path": str(path), "nodes": count})
    output.done(f"restored {counted(count, 'node')} to {path}; every one was checked")


def adopt(ctx: typer.Context) -> None:
    """Take a vault that was copied here as one of its own.

    For a vault that was copied from another machine, or an older copy that was put back on purpose: it opens without
    being refused from then on, and counts as a replica of its own.

    Examples:
        mimir adopt --vault /media/disk/vault
    """
    from mimir_vault.vault import Vault

    settings = settings_of(ctx)
    output = Output(settings)
    path = settings.vault_path
    with opened_with(settings, output, lambda secret: Vault.adopt(path, **secret)) as vault:
        vault_id = vault.id
    if output.json:
        output.value({"path": str(path), "id": vault_id})
    output.done(f"adopted the vault at {path}")


def compact(ctx: typer.Context) -> None:
    """Pack the vault's files.

    What was forgotten leaves room in a file; this gives it back where that makes the file a size smaller. --space
    restricts it to one space.

    Examples:
        mimir compact
    """
    settings = settings_of(ctx)
    output = Output(settings)
    with opened_vault(settings, output) as vault, progress_bar(settings, "compacting", unit="spaces") as advance:
        done = vault.compact(settings.space, progress=advance)
    for one in done:
        if output.json:
            output.value(plain_value(one))
        later = "; the file gets shorter when another process has ended reading" if one.pending else ""
        output.done(f"{one.space}: {byte_size(one.bytes_before)} -> {byte_size(one.bytes_after)}{later}")
