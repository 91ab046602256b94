"""The sketch: images, erasure inside them, the graph for large spaces, and damage."""

from __future__ import annotations

import random
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mimir_vault.errors import FormatError
from mimir_vault.index.sketch import Sketch, image_id

BYTES = 16


def codes_of(count: int, seed: int = 0) -> np.ndarray:  # type: ignore[type-arg]
    return np.random.default_rng(seed).integers(0, 256, (count, BYTES), dtype=np.uint8)


def filled(count: int, graph_from: int = 10**9) -> tuple[Sketch, np.ndarray]:  # type: ignore[type-arg]
    sketch, codes = Sketch(BYTES, graph_from=graph_from), codes_of(count)
    sketch.add(np.arange(count) * 2 + 1, np.arange(count), codes)
    while sketch.extend_graph(64):
        pass
    return sketch, codes


def test_a_scan_finds_the_nearest_by_hamming_distance() -> None:
    """Without a graph the candidates are exactly the nearest."""
    sketch, codes = filled(500)
    query = codes_of(1, seed=9)[0]
    distances = np.bitwise_count(codes ^ query).sum(axis=1, dtype=np.int64)
    vids, found = sketch.search(query, 20)

    assert found.tolist() == np.sort(distances)[:20].tolist()
    assert (distances[(vids - 1) // 2] == found).all()


@pytest.mark.parametrize("graph_from", [10**9, 100])
def test_an_image_comes_back_whole(graph_from: int) -> None:
    """A loaded sketch finds what the saved one found, and goes on growing."""
    sketch, codes = filled(300, graph_from)
    again = Sketch.load(sketch.save(), graph_from=graph_from)

    assert len(again) == 300
    assert again.image_id == sketch.image_id != b""
    for row in (0, 150, 299):
        assert again.search(codes[row], 1)[0].tolist() == [row * 2 + 1]
    again.add([9_999], [1], codes_of(1, seed=5))
    again.extend_graph()
    assert again.search(codes_of(1, seed=5)[0], 1)[0].tolist() == [9_999]


@pytest.mark.parametrize("graph_from", [10**9, 100])
def test_removed_codes_are_not_saved(graph_from: int) -> None:
    """After a removal the code is neither found nor in the image, with a graph and without."""
    sketch, codes = filled(300, graph_from)

    assert sketch.remove([1, 3, 299, 4]) == 3
    image = sketch.save()
    for row in (0, 1, 149):
        assert codes[row].tobytes() not in image
    again = Sketch.load(image, graph_from=graph_from)
    assert 1 not in again
    assert 5 in again
    assert not {1, 3, 299} & set(again.search(codes[0], 50)[0].tolist())
    assert (again.removed_share > 0) == (graph_from == 100)


@pytest.mark.parametrize("graph_from", [10**9, 100])
def test_codes_can_be_overwritten_in_a_saved_image(graph_from: int) -> None:
    """Zeros at the places that are named erase a code for good and leave a valid image with the same id."""
    sketch, codes = filled(300, graph_from)
    image = bytearray(sketch.save())
    places = sketch.code_places([1, 7, 2])

    assert places == Sketch.image_places(image, [1, 7, 2])
    assert [bytes(image[offset : offset + length]) for offset, length in places] == [
        codes[0].tobytes(),
        codes[3].tobytes(),
    ]
    for offset, length in places:
        image[offset : offset + length] = bytes(length)
    again = Sketch.load(image, graph_from=graph_from)
    assert codes[0].tobytes() not in bytes(image)
    assert again.image_id == sketch.image_id == image_id(image[:64])
    assert again.remove([1, 7]) == 2


@pytest.mark.parametrize("graph_from", [10**9, 100])
def test_a_filter_is_met_before_the_cut(graph_from: int) -> None:
    """However far from the query the allowed nodes lie, all of them are found, nearest first."""
    sketch, codes = filled(300, graph_from)
    far = np.argsort(-np.bitwise_count(codes ^ codes[0]).sum(axis=1, dtype=np.int64))[:7]
    vids, distances = sketch.search(codes[0], 5, lambda seqs: np.isin(seqs, far))

    assert set(vids.tolist()) <= set((far * 2 + 1).tolist())
    assert len(vids) == 5
    assert distances.tolist() == sorted(distances.tolist())
    assert sketch.search(codes[0], 5, lambda seqs: seqs < 0)[0].tolist() == []


def test_nodes_are_removed_with_all_their_vectors() -> None:
    """Whoever learns of an erasure knows the node, not its vectors."""
    sketch, codes = Sketch(BYTES), codes_of(4)
    sketch.add([1, 2, 3, 4], [7, 8, 7, 9], codes)

    assert sketch.remove_nodes([7, 99]) == 2
    assert Sketch.load(sketch.save()).vids.tolist() == [2, 4]


def test_retain_takes_out_what_is_gone_elsewhere() -> None:
    """Only the vids that still exist are kept."""
    sketch, codes = filled(10)

    assert sketch.retain([1, 3, 77]) == 8
    assert sketch.vids.tolist() == [1, 3]
    assert codes[5].tobytes() not in sketch.save()


def test_a_graph_with_many_removed_codes_is_built_anew() -> None:
    """Above the allowed share the next extension starts a new graph, and nothing is lost meanwhile."""
    sketch, codes = filled(300, graph_from=100)
    sketch.remove(np.arange(100) * 2 + 1)
    assert sketch.removed_share > 0.2
    while sketch.extend_graph(50):
        assert sketch.search(codes[200], 1)[0].tolist() == [401]

    assert sketch.removed_share == 0
    assert sketch.search(codes[250], 1)[0].tolist() == [501]


def test_vids_that_come_late_or_twice_keep_the_order() -> None:
    """A lower vid is sorted in, a known one is left as it was."""
    sketch, codes = Sketch(BYTES, graph_from=2), codes_of(5)
    sketch.add([10, 20], [1, 2], codes[:2])
    sketch.extend_graph()
    sketch.add([5, 20, 10, 5], [3, 9, 9, 9], codes[[2, 3, 4, 3]])

    assert sketch.vids.tolist() == [5, 10, 20]
    assert sketch.search(codes[2], 9, lambda seqs: seqs == 3)[0].tolist() == [5]
    assert sketch.search(codes[2], 1)[0].tolist() == [5]
    assert [found.tolist() for found in sketch.search(codes[1], 1)] == [[20], [0]]


def test_wrong_shapes_are_a_value_error() -> None:
    """Codes of another length or negative vids are a programmer's nonsense."""
    sketch = Sketch(BYTES)
    with pytest.raises(ValueError, match="shape"):
        sketch.add([1], [1], codes_of(1)[:, :8])
    with pytest.raises(ValueError, match="seqs"):
        sketch.add([1], [1, 2], codes_of(1))
    with pytest.raises(ValueError, match="negative"):
        sketch.add([-1], [1], codes_of(1))
    with pytest.raises(ValueError, match="8-byte"):
        Sketch(12)


@pytest.mark.parametrize("graph_from", [10**9, 100])
def test_damaged_images_are_refused(graph_from: int) -> None:
    """Any flip outside the codes, any cut and any nonsense is a FormatError, never a crash."""
    image = bytes(filled(150, graph_from)[0].save())
    places = Sketch.image_places(image, np.arange(150) * 2 + 1)
    first, last = places[0][0], places[-1][0] + BYTES
    chance = random.Random(1)
    for _ in range(300):
        place = chance.randrange(len(image))
        if first <= place < last:
            continue
        flipped = bytearray(image)
        flipped[place] ^= 1 << chance.randrange(8)
        with pytest.raises(FormatError):
            Sketch.load(flipped)
    for cut in (0, 10, 60, first, last - 1, len(image) - 1):
        with pytest.raises(FormatError):
            Sketch.load(image[:cut])
    with pytest.raises(FormatError):
        Sketch.load(image + b"\0")
    assert image_id(b"nonsense" * 10) == image_id(b"") == b""


def test_a_newer_format_says_so() -> None:
    """The version stands in the head and is named in the error."""
    image = bytearray(Sketch(BYTES).save())
    image[4] = 9
    with pytest.raises(FormatError, match="update Mimir"):
        Sketch.load(image)


def test_searching_while_adding_and_removing_is_safe() -> None:
    """Threads that add, remove and search at once neither crash nor find what was never there."""
    sketch, codes = Sketch(BYTES, graph_from=200), codes_of(1_500)
    faults: list[object] = []

    def search() -> None:
        for row in range(0, 1_500, 5):
            vids, distances = sketch.search(codes[row], 5)
            if len(vids) != len(distances) or (len(vids) and not 0 <= int(vids.min()) <= int(vids.max()) < 1_500):
                faults.append((vids, distances))

    readers = [threading.Thread(target=search) for _ in range(2)]
    for reader in readers:
        reader.start()
    for first in range(0, 1_500, 50):
        vids = np.arange(first, first + 50)
        sketch.add(vids, vids, codes[first : first + 50])
        sketch.extend_graph()
        sketch.remove([first + 7])
    for reader in readers:
        reader.join()

    assert not faults
    assert len(sketch) == 1_470


VERBS = st.sampled_from(["add", "remove", "extend", "reload"])
STEPS = st.lists(st.tuples(VERBS, st.lists(st.integers(0, 30), max_size=8)), max_size=12)


@settings(deadline=None)
@given(STEPS, st.sampled_from([4, 10**9]))
def test_any_history_leaves_what_its_end_says(steps: list[tuple[str, list[int]]], graph_from: int) -> None:
    """After any adds, removals and reloads exactly the vectors that are left are found."""
    sketch, codes, left = Sketch(BYTES, graph_from=graph_from), codes_of(31), set()
    for verb, vids in steps:
        if verb == "add":
            sketch.add(vids, vids, codes[vids])
            left |= set(vids)
        elif verb == "remove":
            assert sketch.remove(vids) == len(left & set(vids))
            left -= set(vids)
        elif verb == "extend":
            sketch.extend_graph(3)
        else:
            sketch = Sketch.load(sketch.save(), graph_from=graph_from)
    vids, distances = sketch.search(codes[0], 31)

    assert sketch.vids.tolist() == sorted(left)
    assert sorted(vids.tolist()) == sorted(left)
    assert distances.tolist() == sorted(np.bitwise_count(codes[vids] ^ codes[0]).sum(axis=1, dtype=np.int64).tolist())
