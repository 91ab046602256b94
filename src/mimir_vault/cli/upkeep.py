"""The commands `status`, `verify` and `rebuild`: looking after a vault."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from mimir_vault.cli.exit_codes import TAMPERED
from mimir_vault.cli.opening import opened_vault
from mimir_vault.cli.options import settings_of
from mimir_vault.cli.output import Output
from mimir_vault.cli.progress import progress_bar
from mimir_vault.cli.text import byte_size, counted, moment


def status(ctx: typer.Context) -> None:
    """Show what the vault holds and how big it is, never its texts.

    Examples:
        mimir status
        mimir status --json
    """
    settings = settings_of(ctx)
    output = Output(settings)
    with opened_vault(settings, output) as vault:
        found = vault.status()
    if output.json:
        output.value(plain_value(found))
        return
    output.line(f"{'vault:':16}{found.path}")
    output.line(f"{'id:':16}{found.id}")
    output.line(f"{'on disk:':16}{byte_size(found.bytes_on_disk)}")
    output.line(f"{'passphrase:':16}Argon2id, profile {found.profile}")
    output.line(f"{'key slots:':16}{', '.join(str(_kind(slot)) for slot in found.keyslots)}")
    output.line(f"{'last seen in:':16}{found.state_file or 'nowhere: an older copy put back would not be noticed'}")
    output.line()
    output.table(
        ("space", "nodes", "live", "file", "newest", "index", "model"),
        [
            (
                one.name, f"{one.nodes:,}", byte_size(one.live_bytes), byte_size(one.file_bytes),
                moment(one.newest) if one.newest is not None else "-", one.index, one.model,
            )
            for one in found.spaces
        ],
        right=("nodes", "live", "file"),
    )  # fmt: skip


def verify(
    ctx: typer.Context,
    full: Annotated[bool, typer.Option("--full", help="Also open every node and compare all that is derived.")] = False,
) -> None:
    """Check that nothing was damaged, changed or put back.

    Looks at every page, at the digests over all nodes, and at every id. Ends with code 5 if anything is wrong, and
    says what to do about it.

    Examples:
        mimir verify
        mimir verify --full --json
    """
    settings = settings_of(ctx)
    output = Output(settings)
    with opened_vault(settings, output) as vault, progress_bar(settings, "checking") as advance:
        findings = vault.verify(full=full, progress=advance)
    for finding in findings:
        if output.json:
            output.value({"space": finding.space, "what": finding.what})
        else:
            output.line(f"{finding.space}: {finding.what}")
    if findings:
        raise typer.Exit(TAMPERED)
    output.done("all is well")


def rebuild(ctx: typer.Context) -> None:
    """Make everything anew that is derived from what was remembered.

    Words, vectors, links and indexes are made again from the sealed nodes; no memory is touched. --space restricts it
    to one space.

    Examples:
        mimir rebuild
        mimir rebuild --space work
    """
    settings = settings_of(ctx)
    output = Output(settings)
    with opened_vault(settings, output) as vault, progress_bar(settings, "rebuilding") as advance:
        count = vault.rebuild(settings.space, progress=advance)
    if output.json:
        output.value({"nodes": count})
    output.done(f"rebuilt {counted(count, 'node')}")


def plain_value(value: Any) -> Any:
    """Return a dataclass, or what is made of them, as a JSON value."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain_value(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return [plain_value(one) for one in value]
    return value


def _kind(slot: Any) -> str:
    return str(getattr(slot, "kind", slot))
