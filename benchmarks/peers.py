"""Environments for the peers, one each, from their lock files; one that cannot be had is noted with the reason.

    python benchmarks/peers.py

Each goes into build/bench/NAME; a peer that does not install leaves build/bench/NAME.missing, which the table shows.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from processes import PEERS

LOCKS = Path(__file__).resolve().parent.parent / "requirements"
MODULES = {
    "chroma": "chromadb",
    "lancedb": "lancedb",
    "sqlite-vec": "sqlite_vec, apsw",
    "compartment": "compartment.vault",
}
"""Name of a peer (and of its lock file, bench-NAME.txt) -> what must be importable."""


def make(name: str, modules: str) -> str | None:
    """Make the environment of a peer where there is none of this lock file; return why that failed."""
    folder, lock = PEERS / name, LOCKS / f"bench-{name}.txt"
    python, ready = folder / "bin" / "python", folder / ".ready"
    if ready.exists() and ready.read_bytes() == lock.read_bytes():
        return None
    print(f"setting up {name} for the comparison", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    for command in (
        [sys.executable, "-m", "venv", str(folder)],
        [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes",
         "--only-binary", ":all:", "-r", str(lock)],
        [str(python), "-c", f"import {modules}"],
    ):  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            shutil.rmtree(folder, ignore_errors=True)
            said = [line for line in done.stderr.splitlines() if line.strip() and "WARNING" not in line]
            return said[-1].strip()[:200] if said else f"{command[2]} failed"
    ready.write_bytes(lock.read_bytes())
    return None


def main() -> None:
    """Make all environments; what is missing is no failure."""
    PEERS.mkdir(parents=True, exist_ok=True)
    for name, modules in MODULES.items():
        reason, note = make(name, modules), PEERS / f"{name}.missing"
        note.unlink(missing_ok=True)
        if reason is not None:
            note.write_text(reason + "\n", encoding="utf-8")
            print(f"{name} is left out: {reason}", flush=True)


if __name__ == "__main__":
    main()
