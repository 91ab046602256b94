"""The change feed: a reader hears of everything once, and begins anew after a rebuild."""

from __future__ import annotations

import apsw
import numpy as np
import pytest

from mimir_vault.crypto.sealer import SpaceSealer
from mimir_vault.model.facets import Facets
from mimir_vault.store import feed
from mimir_vault.store.feed import News, Seen
from mimir_vault.store.links import SUPERSEDES
from mimir_vault.store.nodes import StoredNode
from mimir_vault.store.writer import Findable

from .conftest import metadata, space_sealer, state, writing


@pytest.fixture
def sealer() -> SpaceSealer:
    """The sealer of the space."""
    return space_sealer()


def put(connection: apsw.Connection, sealer: SpaceSealer, **given: object) -> StoredNode:
    """Put a node in a transaction of its own."""
    with writing(connection, sealer) as writer:
        return writer.put(b"", metadata(writer.recorded(0), **given), state(), Findable(), None)


def seqs(news: News | None) -> list[int]:
    """Return the seqs of the facets that are new."""
    assert news is not None
    return [Facets.unpack(news.facets[start : start + 64]).seq for start in range(0, len(news.facets), 64)]


def heard(connection: apsw.Connection, seen: Seen) -> News:
    """Return the news, of which there must be some."""
    news = feed.news(connection, seen)
    assert news is not None
    return news


def test_an_empty_space_is_news_once(plain: apsw.Connection) -> None:
    """A reader that saw nothing hears of generation 0, then of nothing."""
    news = heard(plain, Seen())
    assert (news.facets, len(news.erased), news.supersedes.shape, dict(news.names)) == (b"", 0, (0, 2), {})
    assert news.seen == Seen(0, 0, 0)
    assert not news.anew
    assert feed.news(plain, news.seen) is None


def test_new_nodes_and_names_are_told_once(plain: apsw.Connection, sealer: SpaceSealer) -> None:
    """Ascending by seq, with the names they use."""
    put(plain, sealer, user="ada")
    first = heard(plain, Seen())
    put(plain, sealer, user="ada")
    put(plain, sealer, user="bo")
    second = heard(plain, first.seen)
    assert (seqs(first), seqs(second)) == ([1], [2, 3])
    assert sorted(first.names.values()) == ["ada", "turn"]
    assert list(second.names.values()) == ["bo"]
    assert feed.news(plain, second.seen) is None


def test_changed_and_erased_nodes_are_told(plain: apsw.Connection, sealer: SpaceSealer) -> None:
    """A changed node's facets come again; an erased one's seq; what is newer than seen comes only as new."""
    one, two = put(plain, sealer), put(plain, sealer)
    seen = heard(plain, Seen()).seen
    with writing(plain, sealer) as writer:
        writer.replace_state(one, state(pinned=True))
    with writing(plain, sealer) as writer:
        writer.erase([two], lambda *_: b"")
    three = put(plain, sealer)
    with writing(plain, sealer) as writer:
        writer.replace_state(three, state(hidden=True))
    news = heard(plain, seen)
    assert seqs(news) == [1, 3]
    assert news.erased.tolist() == [2]
    assert news.erased.dtype == np.int64
    assert feed.news(plain, news.seen) is None


def test_a_node_put_and_erased_unseen_is_only_a_tombstone(plain: apsw.Connection, sealer: SpaceSealer) -> None:
    """And its seq does not come back."""
    seen = heard(plain, Seen()).seen
    node = put(plain, sealer)
    with writing(plain, sealer) as writer:
        writer.erase([node], lambda *_: b"")
    news = heard(plain, seen)
    assert (seqs(news), news.erased.tolist()) == ([], [1])
    after = put(plain, sealer)
    assert seqs(heard(plain, news.seen)) == [after.seq] == [2]


def test_superseding_is_told_in_pairs(plain: apsw.Connection, sealer: SpaceSealer) -> None:
    """(newer, older); links of other kinds are not."""
    old = put(plain, sealer)
    put(plain, sealer, links=((SUPERSEDES, old.sealed.id), (3, old.sealed.id)))
    assert heard(plain, Seen()).supersedes.tolist() == [[2, 1]]


def test_after_a_rebuild_every_reader_begins_anew(plain: apsw.Connection, sealer: SpaceSealer) -> None:
    """What was read before is void: codes and numbers are others. A reader that comes later is not told so."""
    put(plain, sealer)
    seen = heard(plain, Seen()).seen
    assert feed.rebuilt_at(plain) == -1
    with writing(plain, sealer) as writer:
        feed.note_rebuild(plain, writer.generation)
        generation = writer.generation
    assert feed.rebuilt_at(plain) == generation
    news = heard(plain, seen)
    assert news.anew
    assert seqs(news) == [1]
    put(plain, sealer)
    later = heard(plain, news.seen)
    assert not later.anew
    assert seqs(later) == [2]
    assert not heard(plain, Seen()).anew
