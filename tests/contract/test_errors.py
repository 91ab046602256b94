"""What the contract says of errors, of what `repr` shows, and of the logger."""

from __future__ import annotations

import io
import logging
import re
import shutil
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import apsw
import pytest

import mimir_vault as mimir
from mimir_vault import Draft, Link, Memory
from mimir_vault.store.database import Database
from mimir_vault.testing import RAW_KEY, FixedClock, HashEmbedder
from quick_vaults import QuickVaults

# -- each error, as a caller meets it ---------------------------------------------------------------------------------


def broken_by(change: Callable[[Path], object]) -> Callable[[QuickVaults], object]:
    """Return what makes a vault, changes its files, and opens it again."""

    def meet(vaults: QuickVaults) -> object:
        vault = vaults.create()
        vault.space().remember_many([Draft(f"text {number}") for number in range(50)])
        vault.lock()
        change(vaults.path())
        return list(vaults.open().space().nodes())

    return meet


def damaged(path: Path) -> None:
    """Change bytes in the middle of the one space."""
    (space,) = (path / "spaces").glob("*.db")
    with space.open("r+b") as file:
        for page in range(1, space.stat().st_size // 4_096):
            file.seek(page * 4_096 + 2_000)
            file.write(b"\xff" * 64)


def rolled_back(vaults: QuickVaults) -> object:
    """Put an older copy of a vault in its place."""
    vaults.create().lock()
    shutil.copytree(vaults.path(), vaults.path("copy"))
    vault = vaults.open()
    vault.space().remember("newer")
    vault.lock()
    shutil.rmtree(vaults.path())
    vaults.path("copy").rename(vaults.path())
    return vaults.open().space()


def held(vaults: QuickVaults) -> object:
    """Write while another handle of the vault holds the write lock."""
    vaults.create()
    holder, writer = vaults.open().space(), vaults.open().space()
    with holder.transaction():
        holder.remember("mine")
        return writer.remember("yours")


def ambiguous(vaults: QuickVaults) -> object:
    """Ask for a node by digits that several ids share."""
    memory = vaults.create().space()
    memory.remember_many([Draft(f"{number}") for number in range(17)])
    return memory.get("")


def foreign(vaults: QuickVaults) -> object:
    """Ask with another embedder."""
    vault = vaults.create()
    vault.space().remember("x")
    vault.lock()
    return vaults.open(embedder=HashEmbedder(32)).space().recall("x")


def of_a_newer_format(path: Path) -> None:
    """Say in both copies of the header that a later release wrote it."""
    for name in ("header", "header.copy"):
        content = bytearray((path / name).read_bytes())
        content[:8] = b"no vault"
        (path / name).write_bytes(content)


MET: dict[type[mimir.MimirError], Callable[[QuickVaults], object]] = {
    mimir.WrongKeyError: lambda vaults: (vaults.create().lock(), vaults.open(raw_key=bytes(32))),
    mimir.LockedError: lambda vaults: ((vault := vaults.create()), vault.lock(), vault.space()),
    mimir.TamperedError: broken_by(damaged),
    mimir.RollbackError: rolled_back,
    mimir.FormatError: broken_by(of_a_newer_format),
    mimir.NotFoundError: lambda vaults: vaults.create().space("no such space"),
    mimir.AmbiguousIdError: ambiguous,
    mimir.ExistsError: lambda vaults: (vaults.create().lock(), vaults.create()),
    mimir.ModelMismatchError: foreign,
    mimir.VaultBusyError: held,
    mimir.ReadOnlyError: lambda vaults: vaults.create().space().view(read_only=True).remember("x"),
}


@pytest.mark.parametrize("error", MET, ids=lambda error: error.__name__)
def test_each_error_is_met_as_itself(
    vaults: QuickVaults, error: type[mimir.MimirError], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A MimirError of its own class with one clear sentence; nothing else comes of what goes wrong outside."""
    monkeypatch.setattr("mimir_vault.store.nodes.ID_DIGITS_MIN", 0 if error is mimir.AmbiguousIdError else 8)
    monkeypatch.setitem(Database.__init__.__kwdefaults__, "busy_ms", 50)
    with pytest.raises(mimir.MimirError) as caught:
        MET[error](vaults)
    assert type(caught.value) is error
    assert len(str(caught.value)) > 10
    assert "\n" not in str(caught.value)


def test_a_full_disk_is_told_apart(vaults: QuickVaults, monkeypatch: pytest.MonkeyPatch) -> None:
    """DiskFullError, and nothing half-written is left; a StorageError like every refusal of the system's."""
    memory = vaults.create().space()
    memory.remember("before")

    def full(*given: object, **named: object) -> None:
        raise apsw.FullError("database or disk is full")

    with monkeypatch.context() as patched:
        patched.setattr("mimir_vault.store.writer.Writer.put", full)
        with pytest.raises(mimir.DiskFullError):
            memory.remember("after")
    assert issubclass(mimir.DiskFullError, mimir.StorageError)
    assert [node.text for node in memory.nodes()] == ["before"]


def test_nonsense_is_a_value_error_or_a_type_error_and_no_mimir_error(vaults: QuickVaults) -> None:
    """What only the programmer can mend."""
    memory = vaults.create().space()
    nonsense: Any = object()
    calls: list[Callable[[], object]] = [
        lambda: memory.remember(""), lambda: memory.remember(nonsense), lambda: memory.recall("x", k=0),
        lambda: memory.forget(), lambda: memory.view(user=nonsense), lambda: memory.nodes(order="sideways"),
        lambda: memory.vectors("abc"), lambda: memory.move("a", "b"), lambda: Link("likes", "0" * 64),
        lambda: memory.get(), lambda: memory.context(budget=0), lambda: memory.vault.create_space(""),
        lambda: memory.supersede("0" * 64, "x", colour="red") if memory.get("0" * 64) else memory.remember("x", at=7),
    ]  # fmt: skip
    for call in calls:
        with pytest.raises((ValueError, TypeError)) as caught:
            call()
        assert not isinstance(caught.value, mimir.MimirError)


# -- what is shown ----------------------------------------------------------------------------------------------------


def shown_by(thing: object, depth: int = 3) -> str:
    """Return the `repr` of a thing and of all it holds, some steps down."""
    said = repr(thing)
    if depth:
        inside = {**getattr(thing, "__dict__", {})}
        inside |= {name: getattr(thing, name, None) for name in getattr(type(thing), "__slots__", ())}
        said += "".join(shown_by(one, depth - 1) for one in inside.values() if type(one).__module__ != "builtins")
    return said


def test_repr_never_shows_keys(vaults: QuickVaults) -> None:
    """Neither of the vault, nor of the memory, nor of what they hold, as far as one can go."""
    key = bytes(range(100, 132))
    vault = vaults.create(raw_key=key, recovery=True)
    memory = vault.space()
    memory.remember("x")
    secrets = [key, bytes(vault._root.root_key.view()), bytes(vault._root.catalog_key.view())]
    said = shown_by(vault) + shown_by(memory) + repr(vault.keyslots.list()) + repr(vault.status())
    words = vault.recovery_code
    assert words is not None
    assert " ".join(words.split()[:2]) not in said
    for secret in secrets:
        assert len(secret) == 32
        assert repr(secret)[2:-1] not in said
        assert secret.hex() not in said
    assert "<SecretBytes, 32 bytes>" in said
    assert repr(vault) == f"<Vault {str(vault.path)!r}>"


# -- the logger -------------------------------------------------------------------------------------------------------

CONTENT = (
    "zephyrine", "walrus-text", "user-ada", "agent-x", "session-y", "role-z", "kind-q", "tag-t", "meta-m", "ref-r",
    "passage-p", "query-words", "secret-data",
)  # fmt: skip
"""Words that stand in every field of what is remembered, and in what is asked."""


def work(memory: Memory, clock: FixedClock) -> list[str]:
    """Call every verb with content in every field; return ids that were stored, recalled and forgotten."""
    speaker, text, user, agent, session, role, kind, tag, meta, ref, passage, query, data = CONTENT
    node = memory.remember(
        text, speaker=speaker, user=user, agent=agent, session=session, role=role, kind=kind, tags=[tag],
        metadata={meta: meta}, ref=(ref,), data=data.encode(), index=[passage, text],
    )  # fmt: skip
    memory.remember_many(
        [Draft(f"{text} {number}", user=user, expires_at=clock.moment + timedelta(1)) for number in range(9)]
    )
    hits = memory.recall(f"{query} {text}", user=user, where={"tags": tag})
    memory.context(query)
    newer = memory.supersede(node.id, f"{text} {query}")
    memory.move((ref,), (tag, ref))
    memory.hide(newer.id)
    memory.keep(newer.id)
    memory.forget(node.id, dry_run=True)
    gone = memory.forget(node.id).ids
    memory.import_from(io.StringIO(f'{{"text": "{text}", "speaker": "{speaker}"}}\n'), import_id=meta)
    memory.export_to(io.StringIO())
    memory.verify(full=True)
    memory.rebuild()
    for refused in (lambda: memory.remember(text, at=query), lambda: memory.get(ref=(query, text)), memory.forget):
        try:
            refused()
        except (ValueError, mimir.MimirError):
            continue
    clock.advance(3 * 86_400)
    memory.remember("later")
    memory._space.upkeep.run_now()
    memory._space.upkeep._purge()
    return [node.id, hits[0].id, gone[0]]


def test_the_logger_holds_ids_and_timings_and_never_content(
    vaults: QuickVaults, clock: FixedClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Its name is `mimir_vault`; at its most talkative it tells which nodes and how long, and no word of theirs."""
    caplog.set_level(logging.DEBUG)
    vault = vaults.create()
    stored, recalled, forgotten = work(vault.space(), clock)
    vault.rename_space("main", "walrus-text")
    vault.backup(vaults.path("backup"))
    vault.compact()
    vault.lock()
    lines = [record.getMessage() for record in caplog.records if record.name.startswith("mimir")]
    assert {record.name for record in caplog.records if record.name.startswith("mimir")} == {"mimir_vault"}
    for node_id, verb in ((stored, "stored"), (recalled, "recall"), (forgotten, "forget")):
        assert [line for line in lines if node_id in line and verb in line and re.search(r"\d+\.\d ms", line)], verb
    said = "\n".join(lines) + caplog.text
    assert [word for word in CONTENT if word in said] == []
    assert RAW_KEY.hex() not in said


def test_threads_do_not_log_content_either(vaults: QuickVaults, caplog: pytest.LogCaptureFixture) -> None:
    """An upkeep that is put off says why in words of its own."""
    caplog.set_level(logging.DEBUG)
    memory = vaults.create().space()
    thread = threading.Thread(target=lambda: memory.remember("walrus-text", ref=("ref-r",)))
    thread.start()
    thread.join()
    memory.vault.lock()
    assert "walrus-text" not in caplog.text
    assert "ref-r" not in caplog.text
