"""The comparison measures what it says: a plain engine that is really plain, right figures, and an honest report."""

from __future__ import annotations

import re
from itertools import islice
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from bars import Bar, bars_of
from figures import p50_p95, percentile, recall_of_exact
from mimir_vault.crypto.sealer import SealedNode
from mimir_vault.errors import TamperedError
from mimir_vault.testing import HashEmbedder
from peers import MODULES
from plain_engine import PLAIN_START, PlainEngine, PlainPages, PlainSealer
from plot import draw
from processes import PEER_ENTRIES
from report import as_page, as_text
from utterances import different, load, made_up

ROOT = Path(__file__).resolve().parent.parent
SECRET = "the bicycle with the yellow saddle"


def row(**given: Any) -> dict[str, Any]:
    """Return the figures of a contender as a run gathers them."""
    spread = {"p50": 5.0, "p95": 10.0}
    return {
        "whole": spread, "search": spread, "ingest": 900.0, "ingest_share": 0.95, "remember": spread, "live": None,
        "disk": 20_000_000, "rss_growth": 5_000_000, "recall_at_10": 0.99, "first_answer": 500.0,
        "first_answer_by_key": 300.0, "versions": {"numpy": "2"}, "note": "", **given,
    }  # fmt: skip


def results(**given: Any) -> dict[str, Any]:
    """Return a run of one size, with what is given for Mimir."""
    compared = {"encrypted": 2.0, "plain": 1.6, "difference": 0.4, "worked": 0.4}
    size = {
        "nodes": 10_000, "queries": 300, "missing": {"Chroma": "no wheel for this platform"},
        "rows": {"Mimir": row(live=11_000_000, **given), "naive SQLite": row(), "NumPy matrix": row()},
        "bare": {"per_second": 1_000.0, "embedding": {"p50": 2.0, "p95": 3.0}, "loading": 90.0},
        "overhead": {
            "searching": compared, "opening": compared, "storing": compared, "embedding": {"recall": 5.0},
            "parts": {"all of it": 0.3}, "ingest": {"difference_share": 0.04, "node_ms": 1.1},
        },
    }  # fmt: skip
    return {"utterances": "made up", "machine": {"processor": "a processor"}, "sizes": [size]}


def test_the_plain_sealer_keeps_values_as_they_are() -> None:
    """What it gives back is what it was given, and an id names its content."""
    sealer = PlainSealer()
    node = sealer.seal(b"payload", b"metadata", b"")

    assert sealer.open_node(node) == (b"payload", b"metadata", b"")
    assert sealer.open_node(sealer.replace_state(node, b"state")) == (b"payload", b"metadata", b"state")
    assert isinstance(node, SealedNode)
    assert len({node.id, sealer.seal(b"payloadm", b"etadata", b"").id, sealer.seal(b"payload", b"", b"").id}) == 3


def test_the_plain_engine_recalls_and_writes_in_clear(tmp_path: Path) -> None:
    """It is the engine of a vault, whose file a plain SQLite reads: so the difference of both is encryption."""
    engine = PlainEngine(tmp_path / "plain", HashEmbedder(), create=True)
    engine.memory.remember(SECRET, speaker="Ada")
    engine.close()
    opened = PlainEngine(tmp_path / "plain", HashEmbedder())
    texts = [hit.node.text for hit in opened.memory.recall("yellow bicycle")]
    opened.close()
    written = (tmp_path / "plain" / "space.db").read_bytes()

    assert texts == [SECRET]
    assert written.startswith(PLAIN_START)
    assert SECRET.encode() in written


def test_the_plain_engine_refuses_what_is_encrypted() -> None:
    """A file of a vault is not taken for a plain one."""
    with pytest.raises(TamperedError):
        PlainPages().check_start(bytes(24), "the space")


def test_the_package_knows_nothing_of_it() -> None:
    """No file of the package names the plain engine or the benchmarks."""
    naming = [
        path.name
        for path in (ROOT / "src").rglob("*.py")
        if re.search(r"(?i)benchmarks?\b|plain_engine|PlainSealer|PlainPages", path.read_text(encoding="utf-8"))
    ]

    assert naming == []


def test_made_up_utterances_are_the_same_on_every_run() -> None:
    """They are seeded, and there are enough different ones for 100,000 nodes."""
    assert list(islice(made_up(), 50)) == list(islice(made_up(), 50))
    assert len({one.text for one in different(made_up(), 20_000)}) == 20_000


def test_too_few_real_utterances_are_said(tmp_path: Path) -> None:
    """A folder that holds less than a size needs is refused with the figure."""
    (tmp_path / "few.jsonl").write_text('{"conv": 1, "speaker": "Ada", "text": "one of very few"}\n', "utf-8")

    assert [one.text for one in load(tmp_path, 1)] == ["one of very few"]
    with pytest.raises(ValueError, match="holds 1 different"):
        load(tmp_path, 2)


def test_percentiles_are_values_that_were_measured() -> None:
    """The nearest rank, so that twenty values have a 95th percentile below their greatest."""
    assert percentile(list(range(1, 21)), 0.95) == 19
    assert percentile([7.0], 0.95) == 7.0
    assert p50_p95([3.0, 1.0, 2.0]) == {"p50": 2.0, "p95": 3.0}


def test_recall_counts_what_is_as_near_as_the_best() -> None:
    """A text found counts when its cosine reaches the k-th best; one that is no stored text does not."""
    vectors = np.eye(4, dtype=np.float32)
    rows = {name: place for place, name in enumerate("abcd")}
    query = np.array([[0.9, 0.8, 0.1, 0.0]], np.float32)

    assert recall_of_exact([["a", "b"]], rows, vectors, query, 2) == 1.0
    assert recall_of_exact([["a", "c"]], rows, vectors, query, 2) == 0.5
    assert recall_of_exact([["x", "a"]], rows, vectors, query, 2) == 0.5


def test_bars_are_met_or_missed_by_the_figures() -> None:
    """A bar says missed where the figure is beyond it, on either side."""
    verdicts = {bar.name: bar.met for bar in bars_of(results(ingest_share=0.8)["sizes"][0])}

    assert verdicts["recall p95, embedding included, hybrid"]
    assert not verdicts["… to naive SQLite, p95"]
    assert not verdicts["ingest, share of the bare embedder"]
    assert Bar(1, "at the bar", 5.0, 5.0).met


def test_the_report_says_what_is_missed_and_what_is_missing() -> None:
    """Both the text and the page give every verdict, and the reason why a peer is not there."""
    for told in (as_text(results()), as_page(results())):
        assert "missed" in told
        assert "Chroma at 10,000 nodes is not measured: no wheel for this platform." in told
        assert "1,100" in told


def test_the_plot_is_well_formed_and_names_everyone() -> None:
    """It parses, and each contender has its label."""
    drawn = ElementTree.fromstring(draw(results()))
    labels = {"".join(text.itertext()) for text in drawn.iter("{http://www.w3.org/2000/svg}text")}

    assert {"Mimir", "naive SQLite", "NumPy matrix"} <= labels


def test_each_peer_has_its_lock_file() -> None:
    """What the comparison installs is pinned, and what is pinned is compared."""
    locked = {path.stem.removeprefix("bench-") for path in (ROOT / "requirements").glob("bench-*.txt")}

    assert locked == set(MODULES) == {entry.peer for entry in PEER_ENTRIES}
