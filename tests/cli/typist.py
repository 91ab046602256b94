"""A typist: runs the command at a terminal of its own, reads what it shows and types answers."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import subprocess
import sys
import termios
import time
from collections.abc import Mapping
from typing import Any

SECONDS_MAX = 60


class Typist:
    """One call of the command whose controlling terminal is ours; `stdin`, `stdout`, `stderr` may go elsewhere."""

    def __init__(self, *arguments: str, env: Mapping[str, str], **streams: Any) -> None:
        self._ours, theirs = pty.openpty()
        self.shown = ""
        fixed: dict[str, Any] = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mimir_vault", *arguments], env=dict(env) | {"TERM": "xterm", "COLUMNS": "100"},
            start_new_session=True, preexec_fn=lambda: fcntl.ioctl(theirs, termios.TIOCSCTTY, 0),
            **(fixed | streams),
        )  # fmt: skip
        os.close(theirs)

    def expect(self, text: str) -> str:
        """Read until `text` is shown, and return everything shown before it since the last time."""
        deadline = time.monotonic() + SECONDS_MAX
        while text not in self.shown:
            if not self._read(deadline):
                raise AssertionError(f"{text!r} was never shown, but {self.shown!r}")
        before, _, self.shown = self.shown.partition(text)
        return before

    def type(self, line: str) -> None:
        """Type a line."""
        os.write(self._ours, line.encode() + b"\n")

    def press(self, keys: str) -> None:
        """Press keys, and not Enter after them."""
        os.write(self._ours, keys.encode())

    def end(self) -> int:
        """Read all that is still shown and return the exit code."""
        deadline = time.monotonic() + SECONDS_MAX
        while self._read(deadline):
            pass
        code = self.process.wait(timeout=SECONDS_MAX)
        os.close(self._ours)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
        return code

    def _read(self, deadline: float) -> bool:
        ready, _, _ = select.select([self._ours], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            raise AssertionError(f"nothing more was shown after {self.shown!r}")
        try:
            part = os.read(self._ours, 65_536)
        except OSError:  # Linux says so when the other side is closed.
            return False
        self.shown += part.decode("utf-8", "replace").replace("\r\n", "\n")
        return bool(part)
