"""Parameters whose values need no conversion are taken as they are, past the conversion that typer would load.

Typer converts values with pydantic, whose import alone costs 0.1 s of a call: more than typer and all of our parsing.
Text is text already, numbers are read in a line, and a default has the right type. Everything else, and whatever is
wrong, goes typer's way.
"""

from __future__ import annotations

from typing import Any


def taken_plainly(param: Any) -> Any:
    """Return a parameter after preparing it; again is harmless."""
    if "process_value" not in vars(param):
        param.process_value = _plain_process(param)
    return param


def _plain_process(param: Any) -> Any:
    convert = param.process_value

    def process_value(ctx: Any, value: Any) -> Any:
        several = param.multiple or param.nargs == -1
        missing = value is None or (several and not value)
        annotation = _annotation(param)
        if missing and not param.required:
            value = () if several else None
        elif not missing and annotation in (int, float) and _reads_as(annotation, value):
            value = annotation(value)
        elif missing or not (value is param.default or annotation in (str, list[str])):
            return convert(ctx, value)
        return value if param.callback is None else param.callback(ctx, param, value)

    return process_value


def _annotation(param: Any) -> Any:
    """Return the type that values have; None with versions of typer that convert without pydantic."""
    return getattr(getattr(param, "type_descriptor", None), "annotation", None)


def _reads_as(kind: type[int] | type[float], value: Any) -> bool:
    try:
        kind(value)
    except (TypeError, ValueError):
        return False
    return True
