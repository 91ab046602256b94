"""The command `init`: creating a vault."""

from __future__ import annotations

from typing import Annotated

import typer

from mimir_vault.cli import passphrases, recovery
from mimir_vault.cli.options import settings_of
from mimir_vault.cli.output import Output
from mimir_vault.errors import ExistsError


def init(
    ctx: typer.Context,
    profile: Annotated[
        str, typer.Option("--profile", metavar="PROFILE", help="What a try at the passphrase costs: interactive "
                          "(64 MiB), moderate (256 MiB, default) or sensitive (1 GiB).")
    ] = "moderate",
    no_recovery: Annotated[
        bool, typer.Option("--no-recovery", help="Make no recovery code; a forgotten passphrase is then the end.")
    ] = False,
) -> None:  # fmt: skip
    """Create a vault.

    Asks for a passphrase and shows a recovery code of 24 words, once. Write the words down: who loses both passphrase
    and words loses the vault, as nobody else can open it.

    Examples:
        mimir init
        mimir init --vault ~/memory --profile sensitive
        mimir init --passphrase-file /dev/fd/3 3< <(secret-tool lookup mimir vault)
    """
    from mimir_vault.vault import Vault

    settings = settings_of(ctx)
    output = Output(settings)
    path = settings.vault_path
    if path.exists() and (not path.is_dir() or any(path.iterdir())):  # Said before a passphrase is asked for.
        raise ExistsError(f"there is something at {path} already; choose another place with --vault")
    if profile not in ("interactive", "moderate", "sensitive"):
        raise ValueError(f"--profile is interactive, moderate or sensitive, not {profile[:40]!r}")
    passphrase = passphrases.of_new_vault(settings, output)
    try:
        vault = Vault.create(path, passphrase=passphrase, profile=profile, recovery=not no_recovery)
    finally:
        passphrases.wipe(passphrase)
    with vault:
        words = vault.recovery_code
        vault_id = vault.id
    if output.json:
        output.value({"path": str(path), "id": vault_id, "profile": profile, "recovery_code": words})
        return
    output.done(f"created a vault at {path}")
    if words is not None:
        recovery.hand_over(words, settings, output)
    output.notice('Next: mimir remember "I prefer window seats" --speaker Ada')
