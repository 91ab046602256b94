"""The command `demo`: Mimir at work on a bundled conversation, in a vault that is made for it."""

from __future__ import annotations

import json
import secrets
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mimir_vault.cli.demo_disk import look_at_disk
from mimir_vault.cli.hits import write_hit
from mimir_vault.cli.options import settings_of
from mimir_vault.cli.output import Output
from mimir_vault.cli.progress import progress_bar
from mimir_vault.cli.settings import Settings
from mimir_vault.cli.text import counted, one_line

if TYPE_CHECKING:
    from mimir_vault.memory import Memory
    from mimir_vault.model.draft import Draft

ASKED = 8
"""So many of the questions are shown with their hits."""
SHOWN = 3
"""Hits shown of each."""
DEPTHS = (5, 10)
"""Among so many hits some evidence is looked for."""
PASSPHRASE_BYTES = 18


@dataclass(frozen=True, slots=True)
class Question:
    """A question of the bundled conversation with its answer and the ids of the turns that state it."""

    text: str
    answer: str
    turns: frozenset[str]


def demo(
    ctx: typer.Context,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the vault, to go on with it.")] = False,
) -> None:
    """Show Mimir at work on a bundled conversation.

    Creates a vault in a temporary folder, remembers an invented conversation of two people and their assistant over
    half a year, asks questions of it, shows what lies on disk, and removes it all. Needs no network.

    Examples:
        mimir demo
        mimir demo --keep
    """
    from mimir_vault.vault import Vault

    settings = settings_of(ctx)
    output = Output(settings)
    folder = Path(tempfile.mkdtemp(prefix="mimir-demo-"))
    passphrase = secrets.token_urlsafe(PASSPHRASE_BYTES)
    try:
        drafts, questions = conversation()
        path = folder / "vault"
        with Vault.create(
            path, passphrase=passphrase, profile="interactive", recovery=False, state_folder=folder / "state"
        ) as vault:
            memory = vault.space()
            took = _remember(memory, drafts, settings, output)
            _ask(memory, _spread(questions, ASKED), output)
            shares = _judge(memory, questions, settings)
        look = look_at_disk(path, [draft.text for draft in drafts])
        if keep:
            (folder / "passphrase").write_text(passphrase + "\n", encoding="utf-8")
            (folder / "passphrase").chmod(0o600)
        if output.json:
            kept = {"vault": str(path), "passphrase_file": str(folder / "passphrase")} if keep else None
            any_at = {f"any@{depth}": share for depth, share in shares.items()}
            output.value(
                {
                    "turns": len(drafts),
                    "seconds": took,
                    "questions": len(questions),
                    **any_at,
                    "disk": look,
                    "kept": kept,
                }
            )
            return
        _tell(output, len(drafts), len(questions), shares, look)
        _say_next(output, path, folder / "passphrase" if keep else None)
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)


def conversation() -> tuple[list[Draft], list[Question]]:
    """Return the bundled conversation as drafts, their turn's id in `metadata.turn`, and its questions."""
    from mimir_vault.model.draft import Draft

    drafts = [
        Draft(
            turn["text"], speaker=turn["speaker"], role=turn["role"], session=turn["session"], at=turn["at"],
            metadata={"turn": turn["id"]},
        )
        for turn in _lines("turns.jsonl")
    ]  # fmt: skip
    questions = [Question(one["text"], one["answer"], frozenset(one["turns"])) for one in _lines("questions.jsonl")]
    return drafts, questions


def _lines(name: str) -> list[dict[str, Any]]:
    text = files("mimir_vault.cli.conversation").joinpath(name).read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def _spread(questions: Sequence[Question], count: int) -> list[Question]:
    """Return `count` questions from the whole list, evenly spread."""
    step = len(questions) / count
    return [questions[int((place + 0.5) * step)] for place in range(count)]


def _remember(memory: Memory, drafts: Sequence[Draft], settings: Settings, output: Output) -> float:
    begin = time.perf_counter()
    with progress_bar(settings, "remembering", "turns") as advance:
        memory.remember_many(list(drafts), progress=advance)
    took = time.perf_counter() - begin
    sessions = len({draft.session for draft in drafts})
    if not output.json:
        output.done(f"Remembered {len(drafts):,} turns of {sessions} sessions in {took:.1f} s.\n")
    return took


def _ask(memory: Memory, questions: Sequence[Question], output: Output) -> None:
    from rich.text import Text

    if output.json:
        return
    for question in questions:
        hits = memory.recall(question.text, k=max(DEPTHS))
        output.styled(Text(f"? {question.text}", style="bold"))
        for hit in hits[:SHOWN]:
            write_hit(output, hit, mark="<- evidence" if _is_gold(hit, question) else "")
        places = [place for place, hit in enumerate(hits, 1) if _is_gold(hit, question)]
        where = f"evidence first at place {places[0]}" if places else f"no evidence among the first {max(DEPTHS)}"
        output.line(f"  answer: {question.answer} ({where})\n")


def _judge(memory: Memory, questions: Sequence[Question], settings: Settings) -> dict[int, float]:
    """Return for each depth the share of all questions with some evidence among so many hits."""
    found = dict.fromkeys(DEPTHS, 0)
    with progress_bar(settings, "asking", "questions") as advance:
        for number, question in enumerate(questions, 1):
            hits = memory.recall(question.text, k=max(DEPTHS))
            gold = [_is_gold(hit, question) for hit in hits]
            for depth in DEPTHS:
                found[depth] += any(gold[:depth])
            advance(number, len(questions))
    return {depth: number / len(questions) for depth, number in found.items()}


def _is_gold(hit: Any, question: Question) -> bool:
    return hit.metadata.get("turn") in question.turns


def _tell(output: Output, turns: int, questions: int, shares: Mapping[int, float], look: Mapping[str, Any]) -> None:
    told = ", ".join(f"any@{depth} {share:.2f}" for depth, share in shares.items())
    output.line(f"Of all {questions} questions, the share with some evidence among the first hits: {told}.\n")
    output.line("On disk:")
    output.table(
        ("file", "bytes", "bits per byte", ""),
        [(one["file"], f"{one['bytes']:,}", f"{one['entropy']:.3f}", one["looks"]) for one in look["files"]],
        right=("bytes", "bits per byte"),
    )
    if look["found"]:
        output.warning(f"{counted(look['found'], 'text')} of the conversation stand in these files as plain bytes")
    else:
        output.line(f"None of the {turns} texts, and none of their parts, is found in these files.\n")


def _say_next(output: Output, path: Path, passphrase_file: Path | None) -> None:
    if passphrase_file is None:
        output.line("The demo's vault is gone again. Next, make your own:\n\n    mimir init")
        return
    output.line(f"The vault stays in {one_line(str(path))}. Next, ask it yourself:\n")
    output.line(f'    mimir --vault {path} --passphrase-file {passphrase_file} recall "What is Ida allergic to?"')
