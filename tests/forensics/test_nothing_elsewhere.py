"""A process that works with a vault leaves nothing outside of it but its pins: no temporary file, no log, no core."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from forensics import scanning
from forensics.invented import Inventor

PROGRAM = """
import logging, sys
logging.basicConfig(level=logging.DEBUG)
from mimir_vault.errors import MimirError
from mimir_vault.vault import Vault
from mimir_vault.testing import HashEmbedder
words = sys.argv[1:]
with Vault.create("vault", raw_key=bytes(32), recovery=False, size_floor=1 << 20, embedder=HashEmbedder()) as vault:
    memory = vault.space()
    ids = [memory.remember(" ".join(words), speaker=words[0], tags=words, metadata={words[1]: words[2]}).id
           for _ in range(5)]
    memory.recall(words[0]); memory.context(words[1]); memory.supersede(ids[0], words[2]); memory.forget(ids[1])
    memory.rebuild(); vault.verify(full=True); vault.status(); repr(vault), repr(memory)
    try:
        Vault.open("vault", raw_key=bytes(31) + b"x")
    except MimirError as error:
        logging.error("%s", error)
"""


def test_only_vault_and_pins_are_written(tmp_path: Path) -> None:
    """With home, state, cache and temporary folders of its own, a run writes the vault and one file of pins."""
    inventor = Inventor(11)
    words = [inventor.word() for _ in range(6)]
    folders = {name: tmp_path / name for name in ("HOME", "TMPDIR", "XDG_STATE_HOME", "XDG_CACHE_HOME", "work")}
    for folder in folders.values():
        folder.mkdir()
    environment = {
        **{name: str(folder) for name, folder in folders.items()}, "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONDONTWRITEBYTECODE": "1",
    }  # fmt: skip
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, *words], cwd=folders["work"], env=environment, capture_output=True, check=False
    )
    assert run.returncode == 0, run.stderr.decode()
    files = scanning.files_below(tmp_path)
    outside = [name for name in files if not name.startswith("work/vault/")]
    assert [Path(name).parent.as_posix() for name in outside] == ["XDG_STATE_HOME/mimir/pins"], outside
    files |= {"standard output": run.stdout, "log": run.stderr}
    forms = [(f"{form} of {word}", data) for word in words for form, data in scanning.forms_of_text(word).items()]
    assert not scanning.search(files, "word", forms)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no permission bits")
def test_only_the_owner_may_read(tmp_path: Path) -> None:
    """Vault folder and state folder, and so all files in them, are closed to other users of the machine."""
    from mimir_vault.testing import HashEmbedder
    from mimir_vault.vault import Vault

    before = os.umask(0o022)
    try:
        vault = Vault.create(
            tmp_path / "vault", raw_key=bytes(32), recovery=False, size_floor=1 << 20, embedder=HashEmbedder(),
            state_folder=tmp_path / "state",
        )  # fmt: skip
        with vault:
            vault.space().remember("a turn")
            reachable = [
                path for path in (tmp_path / "vault", tmp_path / "state" / "pins") if path.stat().st_mode & 0o077
            ]
    finally:
        os.umask(before)
    assert not reachable
