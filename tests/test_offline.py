"""Nothing ever needs the network after installing: with sockets forbidden from the first line on, everything works."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent / "src"

FORBIDDEN = """
import sys

def forbid(event, arguments):
    if event.split(".")[0] in ("socket", "urllib", "http", "ftplib", "smtplib"):
        raise RuntimeError(f"the network was asked for: {event} {arguments}")

sys.addaudithook(forbid)
import socket

class Refused(socket.socket):
    def __new__(cls, *given, **named):
        raise RuntimeError("the network was asked for")

def refuse(*given, **named):
    raise RuntimeError("the network was asked for")

socket.socket = Refused
for name in ("create_connection", "getaddrinfo", "gethostbyname", "socketpair"):
    setattr(socket, name, refuse)
"""

WHOLE_RUN = """
import mimir_vault as mimir
folder = sys.argv[1]
around = {"raw_key": bytes(32), "state_folder": f"{folder}/state"}
with mimir.Vault.create(f"{folder}/vault", size_floor=1 << 20, **around) as vault:
    assert len(vault.recovery_code.split()) == 24
    memory = vault.space()
    memory.remember("I prefer window seats on the night train", speaker="Ada", session="s1", at="2026-05-01T09:00Z")
    memory.remember_many([mimir.Draft(f"an unrelated remark about number {n}") for n in range(20)])
    assert memory.embedder.name == "all-MiniLM-L6-v2"
with mimir.Vault.open(f"{folder}/vault", **around) as vault:
    memory = vault.space()
    hit = memory.recall("where does Ada like to sit?", k=3)[0]
    assert hit.speaker == "Ada", hit
    assert set(hit.lanes) >= {"dense"}
    assert "window seats" in memory.context("seats").text
    assert memory.forget(where={"speaker": "Ada"}).on_disk == "erased"
    assert memory.count() == 20
    assert vault.verify(full=True) == []
print("done")
"""

PLANTED = """
import urllib.request
for ask in (
    lambda: socket.socket(), lambda: socket.getaddrinfo("localhost", 80), lambda: __import__("_socket").socket(),
    lambda: urllib.request.urlopen("http://127.0.0.1:9/"),
):
    try:
        ask()
    except RuntimeError as error:
        assert "the network was asked for" in str(error)
    else:
        raise AssertionError("not noticed")
print("noticed")
"""


def run(code: str, folder: Path) -> str:
    """Run code in a fresh interpreter with sockets forbidden; return what it prints."""
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    done = subprocess.run(
        [sys.executable, "-c", FORBIDDEN + code, str(folder)], capture_output=True, text=True, check=False,
        env=environment, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2_000:]
    return done.stdout.strip()


def test_the_guard_notices_every_way_to_the_network(tmp_path: Path) -> None:
    """Sockets by Python and by the C module, look-ups and downloads are all stopped: the next test means something."""
    assert run(PLANTED, tmp_path) == "noticed"


def test_everything_works_without_the_network(tmp_path: Path) -> None:
    """Create, remember with the bundled model, recall, context, forget, verify and close ask for no socket."""
    assert run(WHOLE_RUN, tmp_path) == "done"


def test_the_command_line_works_without_the_network(tmp_path: Path) -> None:
    """Also `mimir --help` and `mimir status` of a vault that is not there."""
    code = """
import os
os.environ["MIMIR_VAULT"] = sys.argv[1] + "/none"
sys.argv = ["mimir", "status"]
from mimir_vault.cli.app import main
assert main() == 4
print("done")
"""
    assert run(code, tmp_path) == "done"
