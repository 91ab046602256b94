"""Run the command: `python -m mimir_vault` is `mimir`."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run the command line and end the process with its exit code."""
    # ONNX Runtime 1.31 reports to its makers from the moment it is imported, unless this is set before.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    try:
        from mimir_vault.cli.app import main as run

        code = run()
    except KeyboardInterrupt:  # While modules are still being loaded.
        code = 130
    sys.exit(code)


if __name__ == "__main__":
    main()
