"""Docstrings of the awaited verbs: what they say themselves, then what the plain verb says beyond its summary."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TypeVar

Kind = TypeVar("Kind", bound=type)


def described_as(plain: type) -> Callable[[Kind], Kind]:
    """Add arguments and errors from the verbs of a plain class to the docstrings of the same names."""

    def describe(kind: Kind) -> Kind:
        for name, verb in vars(kind).items():
            function = getattr(verb, "__func__", verb)
            described = inspect.getdoc(getattr(plain, name, None)) or ""
            rest = described.partition("\n\n")[2]
            if inspect.isfunction(function) and not name.startswith("_") and function.__doc__ and rest:
                function.__doc__ = f"{inspect.cleandoc(function.__doc__)}\n\n{rest}"
        return kind

    return describe
