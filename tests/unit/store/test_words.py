"""Words: postings and tail together are what a plain dictionary would say, whatever was put, merged and erased."""

from __future__ import annotations

import apsw
import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from mimir_vault.store import words
from mimir_vault.store.words import BLOCK_PLACES, PLACE

from .conftest import plain_space

TERMS = ("ada", "bo", "seat", "window", "zebra")
NODE_TERMS = st.dictionaries(st.sampled_from(TERMS), st.integers(1, 300), max_size=4)


def write(connection: apsw.Connection, seq: int, places: list[tuple[int, int]]) -> None:
    """Write the term list of a node as the writer does."""
    if places:
        connection.execute("INSERT INTO words VALUES (?, ?)", (seq, words.pack(places)))


def found(connection: apsw.Connection, term: str) -> dict[int, int]:
    """Return seq → times of a term, read as a recall does: merged postings and the tail."""
    known = words.frequencies(connection, [term])
    if term not in known:
        return {}
    code, _ = known[term]
    merged = words.postings(connection, [code]).get(code)
    result = {} if merged is None else dict(zip(merged["number"].tolist(), merged["times"].tolist(), strict=True))
    seqs, places = words.tail(connection, words.through(connection))
    for seq, place in zip(seqs.tolist(), places, strict=True):
        if place["number"] == code:
            assert seq not in result
            result[seq] = int(place["times"])
    return result


class WordsAgainstADictionary(RuleBasedStateMachine):
    """Puts, merges and erases nodes; a dictionary of dictionaries does the same."""

    @initialize()
    def begin(self) -> None:
        """Start with an empty space; blocks are as small as they are in no release, so that they split."""
        self.connection = plain_space()
        self.model: dict[int, dict[str, int]] = {}
        self.newest = 0

    @rule(terms=NODE_TERMS)
    def put(self, terms: dict[str, int]) -> None:
        """Put a node."""
        self.newest += 1
        codes = words.codes(self.connection, terms, create=True)
        write(self.connection, self.newest, sorted((codes[t], min(n, 255)) for t, n in terms.items()))
        self.model[self.newest] = {term: min(n, 255) for term, n in terms.items()}

    @rule()
    def merge(self) -> None:
        """Merge the tail; it says how many nodes it held."""
        tail = sum(1 for seq, terms in self.model.items() if terms and seq > words.through(self.connection))
        assert words.tail_nodes(self.connection) == tail
        assert words.merge(self.connection, 1) == tail
        assert words.tail_nodes(self.connection) == 0

    @rule(data=st.data())
    def erase(self, data: st.DataObject) -> None:
        """Erase some nodes, with an empty tail as `erase` asks for."""
        if self.model:
            gone = data.draw(st.lists(st.sampled_from(sorted(self.model)), unique=True, max_size=4))
            words.merge(self.connection, 1)
            words.erase(self.connection, gone)
            for seq in gone:
                del self.model[seq]
            used = {term for terms in self.model.values() for term in terms}
            assert {text for (text,) in self.connection.execute("SELECT text FROM term")} == used

    @invariant()
    def postings_and_tail_are_the_dictionary(self) -> None:
        """Every term is found in its nodes with its counts, and postings are in order, in blocks of bounded size."""
        for term in TERMS:
            expected = {seq: terms[term] for seq, terms in self.model.items() if term in terms}
            assert found(self.connection, term) == expected
        for term, first, data in self.connection.execute("SELECT term, first, data FROM posting ORDER BY term, first"):
            places = words.unpack(data)
            assert 0 < len(places) <= words.BLOCK_PLACES
            assert (np.diff(places["number"].astype(np.int64)) > 0).all()
            assert first <= places["number"][0], term
        counted = {code: len(places) for code, places in words.postings(self.connection, self.codes()).items()}
        for code, count in self.connection.execute("SELECT code, nodes FROM term"):
            assert counted.get(code, 0) == count

    def codes(self) -> list[int]:
        """Return the codes of all terms."""
        return [code for (code,) in self.connection.execute("SELECT code FROM term")]

    def teardown(self) -> None:
        """Close the space."""
        self.connection.close()


class SmallBlocks(WordsAgainstADictionary):
    """The same with blocks of three places."""

    @initialize()
    def begin(self) -> None:
        """Make blocks small for this machine alone."""
        words.BLOCK_PLACES = 3
        super().begin()

    def teardown(self) -> None:
        """Make blocks what they were."""
        words.BLOCK_PLACES = BLOCK_PLACES
        super().teardown()


BOUNDED = settings(max_examples=60, stateful_step_count=20, deadline=None)
TestWords = WordsAgainstADictionary.TestCase
TestWords.settings = BOUNDED
TestWordsInSmallBlocks = SmallBlocks.TestCase
TestWordsInSmallBlocks.settings = BOUNDED


def put(connection: apsw.Connection, seq: int, **terms: int) -> None:
    """Put a node."""
    codes = words.codes(connection, terms, create=True)
    write(connection, seq, sorted((codes[term], times) for term, times in terms.items()))


def test_a_place_has_five_bytes() -> None:
    """Code or seq in four, little-endian, then the count; packing and unpacking are inverse."""
    assert PLACE.itemsize == 5
    packed = words.pack([(1, 2), (0xFFFFFFFF, 255)])
    assert packed == b"\x01\x00\x00\x00\x02" + b"\xff\xff\xff\xff\xff"
    assert words.unpack(packed).tolist() == [(1, 2), (0xFFFFFFFF, 255)]


def test_codes_are_made_or_left_out(plain: apsw.Connection) -> None:
    """Known terms keep their codes; unknown ones get one only when asked to."""
    assert words.codes(plain, [], create=True) == {}
    made = words.codes(plain, ["b", "a", "b"], create=True)
    assert sorted(made) == ["a", "b"]
    assert words.codes(plain, ["a", "c"], create=False) == {"a": made["a"]}
    assert words.codes(plain, ["a", "c"], create=True)["a"] == made["a"]


def test_a_node_without_terms_has_no_row(plain: apsw.Connection) -> None:
    """Nothing is stored for nothing."""
    write(plain, 1, [])
    assert words.tail_nodes(plain) == 0
    assert words.merge(plain, 1) == 0


def test_asking_for_nothing_gives_nothing(plain: apsw.Connection) -> None:
    """Empty lists of terms are answered without a query."""
    assert words.postings(plain, []) == {}
    assert words.frequencies(plain, []) == {}
    seqs, places = words.tail(plain, 0)
    assert (len(seqs), len(places)) == (0, 0)


@pytest.mark.parametrize("count", [BLOCK_PLACES - 1, BLOCK_PLACES, BLOCK_PLACES + 1, 2 * BLOCK_PLACES + 5])
def test_long_lists_are_cut_into_blocks_that_stay_within_a_page(plain: apsw.Connection, count: int) -> None:
    """Merged at once or in two goes, the blocks are the same and the list is whole."""
    for seq in range(1, count + 1):
        put(plain, seq, ada=1)
        if seq == count // 3:
            words.merge(plain, 1)
    words.merge(plain, 1)
    sizes = [len(data) for (data,) in plain.execute("SELECT data FROM posting ORDER BY first")]
    assert len(sizes) == -(-count // BLOCK_PLACES)
    assert max(sizes) <= 3_800
    assert sorted(found(plain, "ada")) == list(range(1, count + 1))
    words.erase(plain, range(1, BLOCK_PLACES))
    put(plain, count + 1, ada=2)
    words.merge(plain, 1)
    assert sorted(found(plain, "ada")) == [*range(BLOCK_PLACES, count + 2)]


def test_erasing_takes_the_term_with_its_last_node(plain: apsw.Connection) -> None:
    """The word itself is in no table afterwards; what others share stays."""
    put(plain, 1, secret=1, shared=1)
    put(plain, 2, shared=3)
    words.merge(plain, 1)
    words.erase(plain, [1, 99])
    assert found(plain, "shared") == {2: 3}
    assert [text for (text,) in plain.execute("SELECT text FROM term")] == ["shared"]
    assert plain.execute("SELECT count(*) FROM posting").fetchall() == [(1,)]
