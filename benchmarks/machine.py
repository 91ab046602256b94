"""The machine a run was made on, in a line each: processor, memory, system, and how busy it was."""

from __future__ import annotations

import os
import platform
from pathlib import Path


def describe() -> dict[str, str]:
    """Return what a reader needs to place the figures; no name of the machine, and no date."""
    return {
        "processor": f"{_after('/proc/cpuinfo', 'model name') or platform.processor() or platform.machine()}, "
        f"{processors()} in use",
        "memory": _memory(),
        "system": f"{platform.system()} {platform.release().split('-')[0]}, {platform.machine()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
    }


def load() -> str:
    """Return how many processes want to run now, over the last minute: more than there are processors is busy."""
    return f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "not told"


def processors() -> int:
    """Return how many processors this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _memory() -> str:
    kib = _after("/proc/meminfo", "MemTotal").split(" ")[0]
    return f"{int(kib) / 2**20:.0f} GiB" if kib else "not told"


def _after(path: str, name: str) -> str:
    """Return what stands behind a name in a file of the system, "" where there is no such file or name."""
    try:
        lines = Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "")
