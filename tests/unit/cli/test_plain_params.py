"""Tests that taking values plainly gives what typer's own conversion gives."""

from __future__ import annotations

import subprocess
import sys
from typing import Annotated, Any

import pytest
import typer

from mimir_vault.cli.grammar import as_command

SEEN: dict[str, Any] = {}


def sample(
    words: Annotated[list[str], typer.Argument()],
    name: Annotated[str | None, typer.Option()] = None,
    tag: Annotated[list[str] | None, typer.Option()] = None,
    count: Annotated[int, typer.Option()] = 10,
    share: Annotated[float | None, typer.Option()] = None,
    loud: Annotated[bool, typer.Option("--loud")] = False,
    upper: Annotated[str, typer.Option(callback=lambda value: value.upper())] = "x",
) -> None:
    """Note what came."""
    SEEN.update(words=words, name=name, tag=tag, count=count, share=share, loud=loud, upper=upper)


def plain_typer() -> Any:
    """Return the same command as typer alone makes it."""
    app = typer.Typer(add_completion=False)
    app.command()(sample)
    return typer.main.get_command(app)


@pytest.mark.parametrize(
    "arguments",
    [
        ["a"],
        ["a", "b"],
        ["a", "--name", "n", "--tag", "t", "--tag", "u"],
        ["a", "--count", "3", "--share", "0.5", "--loud"],
        ["a", "--name", "", "--count", "-1", "--upper", "y"],
    ],
)
def test_same_values(arguments: list[str]) -> None:
    """Given, left out and defaulted values arrive alike."""
    as_command("sample", sample).main(args=arguments, standalone_mode=False)
    ours = dict(SEEN)
    SEEN.clear()
    plain_typer().main(args=arguments, standalone_mode=False)

    assert ours == SEEN


@pytest.mark.parametrize("arguments", [[], ["a", "--count", "x"], ["a", "--share", "much"], ["a", "--count", "1.5"]])
def test_same_refusals(arguments: list[str]) -> None:
    """What typer refuses is refused in its words."""
    messages = []
    for command in (as_command("sample", sample), plain_typer()):
        with pytest.raises(Exception) as caught:  # noqa: PT011 - the class has no public name in all versions
            command.main(args=arguments, standalone_mode=False)
        messages.append(caught.value.format_message())  # type: ignore[attr-defined]

    assert messages[0] == messages[1]


@pytest.mark.parametrize(
    "arguments", [["--help"], ["recall", "--help"], ["--vault", "nowhere", "recall", "x", "-k", "3"]]
)
def test_nothing_heavy_is_imported(arguments: list[str]) -> None:
    """Help pages and refusals load neither pydantic nor rich nor numpy nor the model's runtime."""
    program = (
        "import sys; from mimir_vault.cli.app import main; main(sys.argv[1:]);"
        "print([name for name in ('pydantic', 'rich', 'numpy', 'onnxruntime', 'apsw') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:] = {sys.path!r}; {program}", *arguments],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert done.stdout.splitlines()[-1] == "[]"
