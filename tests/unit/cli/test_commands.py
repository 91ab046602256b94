"""Tests of the table of commands, and of commands that other rooms add."""

from __future__ import annotations

import sys
import types
from importlib.metadata import EntryPoint

import pytest
import typer

from mimir_vault.cli import app, commands
from mimir_vault.cli.grammar import summary_of


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three commands of other packages: a function, one whose module is missing, and one that takes a taken name."""
    module = types.ModuleType("a_strange_room")

    def greet(name: str = "you") -> None:
        """Greet somebody.

        Politely.
        """
        sys.stdout.write(f"hello {name}\n")

    module.greet, module.number = greet, 3  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "a_strange_room", module)
    entries = {
        name: EntryPoint(name, value, commands.ENTRY_POINTS)
        for name, value in [
            ("greet", "a_strange_room:greet"), ("lost", "no_such_module:run"), ("odd", "a_strange_room:number"),
            ("list", "a_strange_room:greet"),
        ]
    }  # fmt: skip
    monkeypatch.setattr(commands, "_foreign", lambda: entries)


@pytest.mark.parametrize("name", commands.BUILT_IN)
def test_summary_of_the_table_is_that_of_the_help(name: str) -> None:
    """The overview, which imports no command, says what the command's own help says."""
    command = commands.load(name)

    assert command.name == name
    assert summary_of(command) == commands.BUILT_IN[name].summary


def test_every_command_explains_itself_with_an_example() -> None:
    """Every command, within groups too, has a summary, an example and help for each option and argument."""
    waiting = [commands.load(name) for name in commands.BUILT_IN]
    while waiting:
        command = waiting.pop()
        waiting.extend(getattr(command, "commands", {}).values())
        assert "Examples:\n" in command.help, command.name
        assert len(summary_of(command)) > 10
        for param in command.params:
            assert param.help, (command.name, param.name)


def test_other_rooms_add_commands(added: None, capsys: pytest.CaptureFixture[str]) -> None:
    """A function named by an entry point is a command like ours, with the options of every command."""
    assert app.main(["greet", "--name", "Ada", "--quiet"]) == 0
    assert capsys.readouterr().out == "hello Ada\n"


@pytest.mark.parametrize("name", ["lost", "odd"])
def test_a_broken_room_breaks_only_its_own_command(added: None, capsys: pytest.CaptureFixture[str], name: str) -> None:
    """The overview lists all others, and the broken command says which it is."""
    assert app.main(["--help"]) == 0
    page = capsys.readouterr().out
    assert "Greet somebody" in page
    assert "cannot be loaded" in page
    assert app.main([name]) == 1
    assert f"the command {name}" in capsys.readouterr().err


def test_our_names_cannot_be_taken(added: None) -> None:
    """An entry point does not replace a command of this room."""
    assert summary_of(commands.load("list")) == commands.BUILT_IN["list"].summary


def test_unknown_command_is_not_there() -> None:
    """A name that nobody has gives nothing."""
    assert commands.load("nothing") is None


def test_a_typer_group_may_be_added() -> None:
    """A room may bring a whole group."""
    from mimir_vault.cli.grammar import as_command

    group = typer.Typer(name="x")
    group.command("one")(lambda: None)
    group.command("two")(lambda: None)

    assert set(as_command("greetings", group).commands) == {"one", "two"}
