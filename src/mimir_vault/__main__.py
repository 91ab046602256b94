"""Run the command: `python -m mimir_vault` is `mimir`."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and end the process with its exit code."""
    try:
        from mimir_vault.cli.app import main as run

        code = run()
    except KeyboardInterrupt:  # While modules are still being loaded.
        code = 130
    sys.exit(code)


if __name__ == "__main__":
    main()
