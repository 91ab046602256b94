"""Values that the state machine of a vault chooses from."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from .dictionary_space import PAST

START = datetime(2026, 5, 1, tzinfo=UTC)
FUTURE = datetime(2099, 1, 1, tzinfo=UTC)
SPACES = ("main", "work", "home")
USERS = st.sampled_from([None, "ada", "bo"])
SESSIONS = st.sampled_from([None, "s1", "s2"])
TAGS = st.sampled_from([(), ("a",), ("a", "b")])
METADATA = st.sampled_from([{}, {"n": 1}, {"n": 2, "city": "Turin"}, {"deep": {"n": [1, 2]}}])
MOMENTS = st.none() | st.integers(-2, 2).map(lambda days: START + timedelta(days))
EXPIRIES = st.sampled_from([None, FUTURE, PAST])
REFS = st.sampled_from([None, ("r",), ("r", "x")])
PLACES = st.sampled_from([("r",), ("r", "x"), ("q",), ("q", "r")])
WHERES = st.sampled_from([
    None, {"user": "ada"}, {"user": None}, {"tags": "a"}, {"tags": {"contains": ["a", "b"]}}, {"metadata.n": 1},
    {"metadata.n": {"gte": 2}}, {"metadata.deep.n": {"contains": 2}}, {"metadata.city": {"exists": True}},
    {"not": {"user": "ada"}}, {"or": [{"tags": "b"}, {"metadata.n": 1}]}, {"session": {"in": ["s1", "s2"]}},
    {"at": {"gte": START}}, {"text": {"contains": "unique1"}}, {"user": "ada", "metadata.n": {"ne": 1}},
])  # fmt: skip
