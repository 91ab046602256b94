"""Views: what they fill on writes, what they let through, and what they refuse."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mimir_vault.model.draft import Draft
from mimir_vault.model.filter import EVERYTHING, Condition, Every, matches, parse_filter
from mimir_vault.model.node import Node
from mimir_vault.model.view import FIELDS, View, under_condition

AT = datetime(2026, 5, 1, tzinfo=UTC)
DOCS = ("langchain", "docs")


def node(**given: Any) -> Node:
    """Return a node with these fields."""
    return Node("0" * 64, "text", AT, AT, **given)


# -- narrowing --------------------------------------------------------------------------------------------------------


def test_a_view_of_nothing_sees_everything() -> None:
    """It has no field fixed, and asks nothing of a node."""
    assert View().filter_ == EVERYTHING
    assert View().narrowed() == View()
    assert View().parse() == EVERYTHING


@pytest.mark.parametrize("field", FIELDS)
def test_a_fixed_field_is_asked_of_every_node(field: str) -> None:
    """A node of that value passes, one of another or of none does not."""
    view = View().narrowed(**{field: "a"})
    assert getattr(view, field) == "a"
    assert view.filter_ == Every((Condition((field,), "eq", "a"),))
    assert matches(view.filter_, node(**{field: "a"}))
    assert not matches(view.filter_, node(**{field: "b"}))
    assert not matches(view.filter_, node())


@pytest.mark.parametrize(
    ("ref", "passes"),
    [(DOCS, True), ((*DOCS, "1"), True), (("langchain",), False), (("langchain", "docs2"), False), (None, False)],
)
def test_a_view_of_refs_sees_what_begins_so(ref: tuple[str, ...] | None, passes: bool) -> None:
    """Part by part: the prefix itself and what is below it; never a node without a ref."""
    assert matches(View().narrowed(under=DOCS).filter_, node(ref=ref)) is passes


def test_a_view_of_a_view_has_the_fields_of_both() -> None:
    """What the first fixed stays; the same value may be said again."""
    first = View().narrowed(user="ada", under=("langchain",))
    second = first.narrowed(user="ada", agent="travel", under=DOCS)
    assert (second.user, second.agent, second.under) == ("ada", "travel", DOCS)
    assert first.narrowed().under == ("langchain",)
    passing = node(user="ada", agent="travel", ref=(*DOCS, "1"))
    assert matches(second.filter_, passing)
    for other in (node(user="ada", agent="travel"), node(user="ada", ref=(*DOCS, "1"))):
        assert not matches(second.filter_, other)


@pytest.mark.parametrize("field", FIELDS)
def test_a_field_that_is_fixed_takes_no_other_value(field: str) -> None:
    """A ValueError that names the field and both values."""
    view = View().narrowed(**{field: "a"})
    with pytest.raises(ValueError, match=f"this view is of {field} 'a'; it can neither write nor read {field} 'b'"):
        view.narrowed(**{field: "b"})


def test_a_view_of_refs_is_not_left_again() -> None:
    """A prefix beside or above its own is refused."""
    view = View().narrowed(under=DOCS)
    for under in (("langchain",), ("langchain", "other"), ("docs",)):
        with pytest.raises(ValueError, match="this view is of refs under"):
            view.narrowed(under=under)


def test_what_only_reads_goes_on_only_reading() -> None:
    """No further view can write again; merging may be turned on and off."""
    view = View().narrowed(read_only=True, duplicates="merge")
    assert view.narrowed(read_only=False).read_only
    assert view.narrowed().duplicates == "merge"
    assert view.narrowed(duplicates="mark").duplicates == "mark"


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        ({"user": ""}, ValueError, "user is empty"),
        ({"agent": 5}, TypeError, "agent must be text, not int"),
        ({"session": "\ud800"}, ValueError, "lone surrogate"),
        ({"kind": "x" * 257}, ValueError, "kind has 257 characters"),
        ({"under": "prefs"}, TypeError, "under must be a tuple of texts"),
        ({"under": ""}, TypeError, "under must be a tuple of texts"),
        ({"under": []}, ValueError, "under is empty"),
        ({"under": None}, TypeError, "under must be a tuple of texts"),
        ({"under": ("a", 5)}, TypeError, "every part of under is text, not int"),
        ({"read_only": 1}, TypeError, "read_only must be True or False, not int"),
        ({"duplicates": "drop"}, ValueError, "duplicates is one of mark, merge, not 'drop'"),
    ],
)
def test_a_view_that_cannot_be_is_refused(given: dict[str, Any], error: type[Exception], says: str) -> None:
    """Each in one sentence."""
    with pytest.raises(error, match=says) as caught:
        View().narrowed(**given)
    assert type(caught.value) is error
    assert "\n" not in str(caught.value)


# -- reading ----------------------------------------------------------------------------------------------------------


def test_a_reading_verb_asks_within_the_view() -> None:
    """The view's fields, the verb's and the filter must all hold."""
    view = View().narrowed(user="ada")
    session, role = Condition(("session",), "eq", "s"), Condition(("role",), "eq", "user")
    assert view.parse() == view.filter_
    assert view.parse({"role": "user"}, session="s") == Every((view.filter_, session, role))
    assert View().parse({"role": "user"}) == role
    assert View().parse(session="s") == session
    assert View().parse(None, under=DOCS) == under_condition(DOCS)
    assert not matches(view.parse({"user": "eve"}), node(user="eve"))


def test_a_verb_may_say_what_the_view_says() -> None:
    """It asks for nothing more then; another value is refused."""
    view = View().narrowed(user="ada", under=DOCS)
    assert view.parse(user="ada", under=DOCS) == view.filter_
    assert view.parse(under=(*DOCS, "a")) == Every((view.filter_, under_condition((*DOCS, "a"))))
    with pytest.raises(ValueError, match="this view is of user 'ada'"):
        view.parse(user="eve")
    with pytest.raises(ValueError, match="this view is of refs under"):
        view.parse(under=("other",))


def test_the_arguments_of_a_verb_are_checked() -> None:
    """As those of a view, beside whatever the filter says."""
    with pytest.raises(ValueError, match="user is empty"):
        View().parse(user="")
    with pytest.raises(TypeError, match="session must be text"):
        View().parse(session=5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="under must be a tuple"):
        View().parse(under="prefs")
    with pytest.raises(ValueError, match="no field 'ref'"):
        View().parse({"ref": ("a",)})


def test_a_filter_that_asks_for_more_than_the_view_is_told_apart() -> None:
    """What `parse` gave of nothing asks for nothing more."""
    for view in (View(), View().narrowed(user="ada")):
        assert not view.asks(view.parse())
        assert view.asks(view.parse({"role": "user"}))
        assert view.asks(view.parse(session="s"))
        assert view.asks(view.parse(under=DOCS))


def test_a_prefix_within_a_view_is_whole() -> None:
    """() stands for all of the view; others are given from the root."""
    view = View().narrowed(under=DOCS)
    assert view.below(()) == DOCS
    assert view.below(DOCS) == DOCS
    assert view.below([*DOCS, "a"]) == (*DOCS, "a")
    assert View().below(()) == ()


NAMES = st.sampled_from(["a", "b"])
REFS = st.lists(NAMES, min_size=1, max_size=3).map(tuple)
GIVEN = st.fixed_dictionaries(
    {}, optional={"user": NAMES, "agent": NAMES, "session": NAMES, "kind": NAMES, "under": REFS}
)
NODES = st.builds(
    node, user=NAMES | st.none(), agent=NAMES | st.none(), session=NAMES | st.none(), kind=NAMES, ref=REFS | st.none()
)


@given(GIVEN, GIVEN, st.sampled_from([None, {"kind": "a"}, {"not": {"user": "a"}}]), NODES)
def test_nothing_outside_of_a_view_passes(
    outer: dict[str, Any], inner: dict[str, Any], where: dict[str, Any] | None, one: Node
) -> None:
    """A view of a view, and every filter made by it, let through less and never more."""
    view = View().narrowed(**outer)
    try:
        narrower = view.narrowed(**inner)
    except ValueError:
        return
    assert matches(narrower.filter_, one) == (
        matches(view.filter_, one) and matches(View().narrowed(**inner).filter_, one)
    )
    assert matches(narrower.parse(where), one) == (matches(narrower.filter_, one) and matches(parse_filter(where), one))


# -- writing ----------------------------------------------------------------------------------------------------------


def test_a_draft_is_filled_with_what_the_view_says() -> None:
    """Where it leaves a field open; everything else stays as it is."""
    view = View().narrowed(user="ada", agent="travel", session="s", kind="fact", duplicates="merge")
    draft = Draft("text", role="user", ref=("r",), tags=("t",))
    filled = view.fill(draft, "name")
    assert (filled.user, filled.agent, filled.session, filled.kind) == ("ada", "travel", "s", "fact")
    assert (filled.text, filled.role, filled.ref, filled.tags) == ("text", "user", ("r",), ("t",))
    assert filled.duplicates == "merge"
    assert View().fill(draft, "name") == draft
    assert view.fill(Draft("text", duplicates="merge", kind="fact"), "name").duplicates == "merge"


@pytest.mark.parametrize("field", FIELDS)
def test_a_draft_that_says_something_else_is_refused(field: str) -> None:
    """The same value is fine, another is a ValueError."""
    view = View().narrowed(**{field: "a"})
    assert getattr(view.fill(Draft("text", **{field: "a"}), "name"), field) == "a"
    with pytest.raises(ValueError, match=f"this view is of {field} 'a'"):
        view.fill(Draft("text", **{field: "b"}), "name")


def test_a_draft_without_a_ref_gets_one_in_a_view_of_refs() -> None:
    """It ends in the name given, so that the node lies inside the view."""
    view = View().narrowed(under=DOCS)
    filled = view.fill(Draft("text"), "0f")
    assert filled.ref == (*DOCS, "0f")
    assert matches(view.filter_, node(ref=filled.ref))
    assert view.fill(Draft("text", ref=(*DOCS, "1")), "0f").ref == (*DOCS, "1")
    assert View().fill(Draft("text"), "0f").ref is None


@pytest.mark.parametrize(("ref", "says"), [(("other", "1"), "is not below that"), (DOCS, "at least one part more")])
def test_a_ref_outside_of_a_view_is_refused(ref: tuple[str, ...], says: str) -> None:
    """Beside its prefix, and the prefix itself."""
    with pytest.raises(ValueError, match=says):
        View().narrowed(under=DOCS).fill(Draft("text", ref=ref), "0f")


@given(GIVEN, GIVEN)
def test_what_a_view_fills_it_sees(fixed: dict[str, Any], fields: dict[str, Any]) -> None:
    """A draft that it does not refuse becomes a node that passes."""
    view = View().narrowed(**fixed)
    ref = fields.pop("under", None)
    try:
        filled = view.fill(Draft("text", ref=ref, **fields), "0f")
    except ValueError:
        return
    assert matches(
        view.filter_,
        node(user=filled.user, agent=filled.agent, session=filled.session, kind=filled.kind, ref=filled.ref),
    )
