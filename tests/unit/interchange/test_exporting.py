"""Tests of what an export holds, and of the file it is written to."""

from __future__ import annotations

import io
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from exports import exported
from mimir_vault import Draft, Link, Memory, Vault, errors
from mimir_vault.cli.shapes import node_value
from mimir_vault.interchange import exporting
from mimir_vault.interchange.json_lines import FIRST_BYTES


@pytest.fixture
def memory(vault: Vault) -> Memory:
    """A memory with what there can be of a node."""
    memory = vault.space()
    first = memory.remember("first", session="s", speaker="Ada", tags=["t"], metadata={"n": [1, None]})
    memory.remember("second", session="s", user="bo", ref=("a", "b"), data=b"\x00\xff", links=[Link("about", first.id)])
    memory.remember("second, said better", user="bo", ref=("a", "b"), pinned=True, expires_at="2030-01-01T00:00Z")
    memory.remember("never found", index=False)
    memory.remember("found by passages", index=["one", "two"])
    return memory


def lines(export: bytes) -> list[dict[str, Any]]:
    """Return the objects of an export."""
    return [json.loads(line) for line in export.splitlines()]


def test_a_line_is_a_node_with_every_field(memory: Memory) -> None:
    """In the order of storing, superseded ones too; what a node is found by where that is not its text."""
    found = lines(exported(memory))

    extra = [{name: line.pop(name) for name in ("index", "vectors") if name in line} for line in found]
    assert found == [json.loads(json.dumps(node_value(node))) for node in memory.nodes()]
    assert extra == [{}, {}, {}, {"index": False}, {"index": ["one", "two"]}]
    assert found[1]["superseded_by"] == found[2]["id"]


def test_a_part_is_exported_alone(memory: Memory) -> None:
    """What a filter lets through, and of a view what it shows."""
    assert [line["text"] for line in lines(exported(memory, where={"tags": {"contains": "t"}}))] == ["first"]
    assert [line["text"] for line in lines(exported(memory, under=("a",)))] == ["second", "second, said better"]
    assert exported(memory.view(user="bo")) == exported(memory, user="bo") == exported(memory, under=("a",))
    assert exported(memory, session="s", user="nobody") == b""
    with pytest.raises(ValueError, match="of user 'bo'"):
        exported(memory.view(user="bo"), user="ada")


def test_what_is_hidden_or_expired_is_not_exported(memory: Memory) -> None:
    """And what it had superseded is superseded by what came after it."""
    newest = memory.get(ref=("a", "b"))
    assert newest is not None
    memory.remember("third", user="bo", ref=("a", "b"))
    memory.hide(newest.id)

    found = {line["text"]: line for line in lines(exported(memory))}

    assert "second, said better" not in found
    targets = [link["target"] for link in found["third"]["links"] if link["kind"] == "supersedes"]
    assert targets == [newest.id, found["second"]["id"]]


def test_a_file_is_whole_or_not_there(memory: Memory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only its owner may read it; when writing ends early, nothing is left."""
    place = tmp_path / "out.jsonl"
    really, calls = exporting.json_lines.line_of, []

    def failing(*given: Any) -> bytes:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return really(*given)

    monkeypatch.setattr(exporting.json_lines, "line_of", failing)
    with pytest.raises(KeyboardInterrupt):
        memory.export_to(place)
    assert list(tmp_path.glob("*out*")) == []
    (tmp_path / ".out.jsonl.new").write_bytes(FIRST_BYTES + b"half an export of a process that was killed")

    assert memory.export_to(place) == 5
    assert place.read_bytes() == exported(memory)
    assert not (tmp_path / ".out.jsonl.new").exists()
    if os.name == "posix":
        assert stat.S_IMODE(place.stat().st_mode) == 0o600


def test_what_lies_at_the_place_is_kept(memory: Memory, tmp_path: Path) -> None:
    """Unless it is a file that is to be replaced; what is no file never is."""
    place = tmp_path / "out.jsonl"
    place.write_text("a letter")
    with pytest.raises(errors.ExistsError, match="overwrite it explicitly"):
        memory.export_to(place)
    assert place.read_text() == "a letter"
    assert memory.export_to(str(place), overwrite=True) == 5
    assert place.read_bytes() == exported(memory)
    (tmp_path / "folder").mkdir()
    with pytest.raises(errors.ExistsError, match="it is no file"):
        memory.export_to(tmp_path / "folder", overwrite=True)
    with pytest.raises(errors.NotFoundError, match="there is no folder"):
        memory.export_to(tmp_path / "none" / "out.jsonl")


def test_open_files_are_written_to(memory: Memory) -> None:
    """Of bytes, of text, and anything that takes one of them."""

    class Taking:
        def __init__(self, kind: type) -> None:
            self.kind, self.parts = kind, []  # type: ignore[var-annotated]

        def write(self, part: Any) -> None:
            if not isinstance(part, self.kind):
                raise TypeError
            self.parts.append(part)

    text, some_text, some_bytes = io.StringIO(), Taking(str), Taking(bytes)
    for file in (text, some_text, some_bytes):
        assert memory.export_to(file) == 5  # type: ignore[arg-type]
    assert text.getvalue().encode() == exported(memory)
    assert "".join(some_text.parts).encode() == b"".join(some_bytes.parts) == exported(memory)
    with pytest.raises(TypeError, match="a path or an open file, not int"):
        memory.export_to(3)  # type: ignore[arg-type]


def test_progress_and_batches(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nodes done of all, after each batch; what is forgotten meanwhile is left out."""
    monkeypatch.setattr(exporting, "BATCH_NODES", 2)
    told: list[tuple[int, int]] = []

    def progress(*call: int) -> None:
        told.append(call)  # type: ignore[arg-type]
        if len(told) == 1:
            memory.forget(where={"text": "found by passages"})

    assert memory.export_to(io.BytesIO(), progress=progress) == 4
    assert told == [(2, 5), (4, 5), (5, 5)]


def test_other_formats_are_refused(memory: Memory, tmp_path: Path) -> None:
    """Before a file is made."""
    with pytest.raises(ValueError, match="format is one of jsonl, markdown, not 'xml'"):
        memory.export_to(tmp_path / "out", "xml")
    assert not (tmp_path / "out").exists()


def test_control_characters_do_not_reach_a_terminal(vault: Vault) -> None:
    """JSON spells them out, and line ends that only some programs know; the text is the same."""
    memory = vault.space()
    text = "".join(map(chr, [*range(1, 32), *range(0x7F, 0xA0), 0x2028, 0x2029, 0xE4]))
    memory.remember("x" + text)

    export = exported(memory)

    assert lines(export)[0]["text"] == "x" + text
    assert [char for char in export.decode() if not char.isprintable()] == ["\n"]
    assert "ä".encode() in export


def test_markdown_goes_by_session_then_by_ref(vault: Vault) -> None:
    """Sessions in the order they began, refs in theirs, then the rest; nothing breaks out of its place."""
    memory = vault.space()
    for draft in (
        Draft("alone\n# no heading\n<script>"), Draft("b1", session="b", speaker="A*da", at="2026-05-01T09:00+02:00"),
        Draft("a1", session="a", user="ada"), Draft("z", ref=("z",), kind="fact", data=b"123"),
        Draft("b2", session="b", tags=["x", "y"]), Draft("z2", ref=("z",), metadata={"n": 1}, pinned=True),
        Draft("y", ref=("a", "\ny|\x1b")),
    ):  # fmt: skip
        memory.remember_many([draft])
    file = io.StringIO()

    assert memory.export_to(file, "markdown") == 7

    text = file.getvalue()
    ids = [node.id[:12] for node in memory.nodes()]
    for place, short in enumerate(ids):
        text = text.replace(short, f"ID{place}")
    now = r"**2026-05-01 00:00 UTC**"
    assert text.split("\n\n") == [
        "# Export of the space main",
        "## Session b", r"**2026-05-01 09:00 +02:00** · A\*da · `ID1`", "> b1", f"{now} · `ID4` · tags x, y", "> b2",
        "## Session a (user ada)", f"{now} · `ID2`", "> a1",
        "## Ref a / y\\|\\\\x1b", f"{now} · `ID6`", "> y",
        "## Ref z", f"{now} · fact · `ID3` · superseded by `ID5` · 3 bytes of data that are not shown", "> z",
        f'{now} · `ID5` · pinned · metadata {{"n": 1}}', "> z2",
        "## Without session or ref", f"{now} · `ID0`", "> alone\n> # no heading\n> \\<script>\n",
    ]  # fmt: skip
