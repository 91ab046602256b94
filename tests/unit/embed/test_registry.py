"""The registry of bundled models."""

from __future__ import annotations

import subprocess
import sys

import pytest

from mimir_vault.embed.registry import DEFAULT, NAMES, bundled
from mimir_vault.errors import NotFoundError


@pytest.mark.parametrize("name", NAMES)
def test_every_name_gives_the_model_of_that_name(name: str) -> None:
    """What is listed can be had."""
    assert bundled(name).name == name


def test_the_default_is_bundled() -> None:
    """Without a name the default comes."""
    assert bundled().name == DEFAULT


def test_an_unknown_name_lists_the_known() -> None:
    """NotFoundError names what there is."""
    with pytest.raises(NotFoundError, match=DEFAULT):
        bundled("some-other-model")


def test_asking_for_names_loads_no_runtime() -> None:
    """Importing the registry imports neither ONNX Runtime nor the tokenizer nor NumPy."""
    script = "import sys, mimir_vault.embed.registry; print({'onnxruntime', 'tokenizers', 'numpy'} & set(sys.modules))"

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert done.stdout == "set()\n"
