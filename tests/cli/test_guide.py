"""Tests that the guide to the command line and the command agree."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mimir_vault.cli import commands
from mimir_vault.cli.exit_codes import MEANINGS
from mimir_vault.cli.grammar import summary_of
from mimir_vault.cli.options import options_of_every_command

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "command-line.md"


@pytest.fixture(scope="module")
def guide() -> str:
    """The guide."""
    return GUIDE.read_text(encoding="utf-8")


def all_commands() -> Iterator[tuple[str, Any]]:
    """Yield every command that is no group, with its whole name."""
    waiting = [(name, commands.load(name)) for name in commands.BUILT_IN]
    while waiting:
        name, command = waiting.pop()
        below = getattr(command, "commands", None)
        if below is None:
            yield name, command
        else:
            waiting.extend((f"{name} {one}", found) for one, found in below.items())


def test_every_command_has_a_section(guide: str) -> None:
    """The headings of the guide are the commands there are, no more and no less, each with its summary."""
    found = dict(re.findall(r"^### mimir ([a-z -]+)\n\n([^\n]+)$", guide, re.MULTILINE))

    assert set(found) == {name for name, _ in all_commands()}
    for name, command in all_commands():
        assert found[name].rstrip(".") == summary_of(command), name


def test_every_option_is_explained(guide: str) -> None:
    """Each command's own options stand in its section, and those of every command in theirs."""
    sections = dict(re.findall(r"^### mimir ([a-z -]+)\n(.*?)(?=^##|\Z)", guide, re.MULTILINE | re.DOTALL))
    everywhere = {option for param in options_of_every_command() for option in param.opts}
    for name, command in all_commands():
        for param in command.params:
            for option in set(param.opts) - everywhere:
                if option.startswith("--"):
                    assert f"`{option}" in sections[name], (name, option)
    for option in everywhere:
        assert f"`{option}" in guide, option


def test_no_option_is_invented(guide: str) -> None:
    """What the guide calls an option of ours is one."""
    known = {
        option for _, command in all_commands() for param in command.params
        for option in (*param.opts, *param.secondary_opts)
    }  # fmt: skip
    known |= {"--version", "--help", "--install-completion", "--show-completion"}

    named = set(re.findall(r"`(--[a-z-]+)", guide))

    assert named <= known


def test_exit_codes(guide: str) -> None:
    """The guide's table of exit codes is the one of the code."""
    rows = re.findall(r"^\| (\d+) \| ([^|]+) \|$", guide, re.MULTILINE)
    assert {int(code): meaning.strip() for code, meaning in rows} == MEANINGS


def test_examples_call_commands_that_exist(guide: str) -> None:
    """Every `mimir …` in a block of code names a command."""
    blocks = re.findall(r"```sh\n(.*?)```", guide, re.DOTALL)
    call = re.compile(r"(?:^|\| )mimir (?:--[a-z-]+ )*([a-z]+)", re.MULTILINE)
    called = {name for block in blocks for name in call.findall(block)}
    assert called
    assert called <= set(commands.BUILT_IN)
