"""Whatever a memory holds: exported, imported into an empty one and exported again, it is the same."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exports import comparable, exported
from mimir_vault import Draft, Link, Memory, Vault
from mimir_vault.testing import HashEmbedder
from quick_vaults import QuickVaults

EXAMPLES = int(os.environ.get("MIMIR_ROUND_TRIPS", "25"))
DIMENSION = 3
NOW = datetime(2026, 5, 1, tzinfo=UTC)
ZONES = [UTC, timezone(timedelta(hours=2)), timezone(timedelta(hours=-9, minutes=-30, seconds=7))]


@pytest.fixture(scope="module")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vault]:
    """One vault for all examples; each example has spaces of its own."""
    folder = tmp_path_factory.mktemp("round trip")
    quick = QuickVaults(folder, folder / "state", HashEmbedder(DIMENSION))
    yield quick.create()
    quick.lock_all()


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=12)
names = st.none() | st.sampled_from(["ada", "Bo\u2028", "<b>`x`</b>"])
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2), max_leaves=4,
)  # fmt: skip
moments = st.builds(
    lambda micros, zone: (NOW + timedelta(microseconds=micros)).astimezone(zone),
    st.integers(-(10**16), 10**6), st.sampled_from(ZONES),
)  # fmt: skip
vectors = st.lists(
    st.lists(st.floats(-1, 1, width=32), min_size=DIMENSION, max_size=DIMENSION).filter(any), min_size=1, max_size=3
)
fields = st.fixed_dictionaries(
    {"text": texts | st.sampled_from(["yes", "no"])},
    optional={
        "speaker": names, "role": names, "session": st.sampled_from([None, "s", "t"]), "user": names, "agent": names,
        "kind": st.sampled_from(["turn", "fact"]), "at": moments | st.just(NOW), "data": st.binary(max_size=4),
        "tags": st.lists(st.sampled_from(["a", "b"]), max_size=2),
        "metadata": st.dictionaries(texts | st.just("import_id"), json_values, max_size=2),
        "ref": st.sampled_from([("a",), ("a", "b"), ("a\x00", ""), ("c", "1"), ("c", "2")]),
        "index": st.booleans() | st.lists(texts.filter(str.strip), max_size=2), "vector": vectors,
        "expires_at": st.just(NOW + timedelta(days=1000)), "pinned": st.booleans(),
    },
)  # fmt: skip
LINKS = ["about", "derived_from", "supersedes", "follows"]
steps = st.lists(
    st.tuples(
        st.sampled_from(["remember"] * 6 + ["supersede", "forget", "hide"]), fields,
        st.lists(st.tuples(st.sampled_from(LINKS), st.integers(0, 9)), max_size=2), st.integers(0, 9),
    ),
    max_size=10,
)  # fmt: skip


def fill(memory: Memory, done: list[Any]) -> bool:
    """Take steps in a memory; say whether something was forgotten or hidden."""
    nodes: list[str] = []
    gone = False
    for verb, about, linked, place in done:
        if verb == "remember":
            links = [Link(kind, nodes[number % len(nodes)]) for kind, number in linked if nodes]
            given_vector = about.get("vector") is not None and about.get("index") is not False
            draft = {**about, "links": links, "vector": np.array(about["vector"]) if given_vector else None}
            if not about["text"].strip():
                draft["data"] = b"something"
            nodes.append(memory.remember_many([Draft(**draft)])[0].id)
        elif nodes:
            chosen = nodes[place % len(nodes)]
            if verb == "supersede":
                nodes.append(memory.supersede(chosen, about["text"] or "newer", at=NOW, pinned=place % 2 == 0).id)
            elif verb == "forget":
                memory.forget(chosen)
                nodes = [one for one in nodes if one != chosen]
                gone = True
            else:
                memory.hide(chosen)
                gone = True
    return gone


@given(done=steps)
@settings(max_examples=EXAMPLES, deadline=None)
def test_an_export_imported_and_exported_again_is_the_same(vault: Vault, done: list[Any]) -> None:
    """But for ids, moments of recording, import ids, and refs of nodes that had none. A second import stores nothing.

    A turn follows the one before it that is there, so where turns were forgotten or hidden the chain is closed.
    """
    number = len(vault.spaces())
    source, target = (vault.create_space(f"{name} {number}") for name in ("source", "target"))
    gone = fill(source, done)
    first = exported(source)

    result = target.import_from(io.BytesIO(first))

    second = exported(target)
    assert comparable(second, follows=not gone) == comparable(first, follows=not gone)
    assert (result.stored, result.known, result.bad) == (len(first.splitlines()), 0, 0)
    assert gone or result.links_left_out == 0
    again = target.import_from(io.BytesIO(first))
    assert (again.stored, again.known) == (0, result.stored)
    assert exported(target) == second
    assert source.import_from(io.BytesIO(first)).stored == 0
    assert exported(source) == first
    target.forget(where=result.undo)
    assert target.count() == 0
