"""A vault against a plain dictionary: whatever is remembered, superseded, forgotten and rebuilt, both agree."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from mimir_vault.errors import ExistsError, NotFoundError
from mimir_vault.memory import Memory
from mimir_vault.model.draft import Draft
from mimir_vault.model.filter import matches, parse_filter
from mimir_vault.model.node import Node
from mimir_vault.model.view import View
from mimir_vault.testing import FixedClock, HashEmbedder
from mimir_vault.vault import Vault

from . import vault_steps as steps
from .dictionary_space import PAST, Known, Space
from .vault_values import (
    EXPIRIES,
    METADATA,
    MOMENTS,
    PLACES,
    REFS,
    SESSIONS,
    SPACES,
    START,
    TAGS,
    USERS,
    WHERES,
)


class VaultAgainstDictionaries(RuleBasedStateMachine):
    """One vault, up to three spaces, a second handle that only reads, and dictionaries that should say the same."""

    @initialize()
    def begin(self) -> None:
        """Create the vault, and open it a second time as another process would."""
        self.folder = Path(tempfile.mkdtemp(prefix="mimir-test-"))
        self.idle = mock.patch("mimir_vault.upkeep.IDLE_SECONDS", 3_600.0)
        self.idle.start()  # What has expired is forgotten when a vault is closed, and not whenever a step took long.
        self.around: dict[str, Any] = {
            "raw_key": bytes(32), "embedder": HashEmbedder(16), "clock": FixedClock(step=1),
            "state_folder": self.folder / "state",
        }  # fmt: skip
        self.vault = Vault.create(self.folder / "vault", recovery=False, size_floor=1 << 20, **self.around)
        self.reader = Vault.open(self.folder / "vault", **self.around)
        self.model: dict[str, Space] = {"main": Space()}
        self.words = 0

    # -- what the rules share -------------------------------------------------------------------------------------

    def space(self, data: st.DataObject) -> tuple[Memory, Space]:
        """Choose a space; return it and its dictionary."""
        name = data.draw(st.sampled_from(sorted(self.model)))
        return self.vault.space(name), self.model[name]

    def chosen(self, data: st.DataObject) -> tuple[Memory, Space, Known]:
        """Choose a space and a node of it that is current (there may be none: then a new one)."""
        memory, space = self.space(data)
        if not space.current():
            self.store(memory, space, [self.draft(data, expires=None)])
        return memory, space, data.draw(st.sampled_from(space.current()))

    def draft(self, data: st.DataObject, expires: datetime | None) -> Draft:
        """Make up a draft with a word of its own."""
        self.words += 1
        return Draft(
            f"said unique{self.words} about seats", speaker=data.draw(USERS), user=data.draw(USERS),
            session=data.draw(SESSIONS), tags=data.draw(TAGS), metadata=data.draw(METADATA), at=data.draw(MOMENTS),
            ref=data.draw(REFS), expires_at=expires, pinned=data.draw(st.booleans()),
        )  # fmt: skip

    def store(self, memory: Memory, space: Space, drafts: list[Draft]) -> None:
        """Remember drafts and check that each came back as it was given."""
        nodes = memory.remember_many(drafts) if len(drafts) > 1 else [self.remember(memory, drafts[0])]
        for draft, node in zip(drafts, nodes, strict=True):
            holder = space.holder(draft.ref)
            self.take_in(space, node, draft, {holder} if holder is not None else set())

    @staticmethod
    def remember(memory: Memory, draft: Draft) -> Node:
        """Remember one draft by keywords."""
        fields = {name: getattr(draft, name) for name in Draft.__dataclass_fields__ if name not in ("text", "_")}
        return memory.remember(draft.text, **fields)

    @staticmethod
    def take_in(space: Space, node: Node, draft: Draft, superseded: set[str]) -> None:
        """Compare a new node with its draft and put it into the dictionary."""
        told = ("text", "speaker", "user", "session", "tags", "metadata", "ref", "expires_at", "pinned")
        assert {name: getattr(node, name) for name in told} == {name: getattr(draft, name) for name in told}
        assert node.at == (draft.at if draft.at is not None else node.recorded_at)
        assert {link.target for link in node.links if link.kind == "supersedes"} == superseded
        newest = max((known.node.recorded_at for known in space.nodes.values()), default=PAST)
        assert node.recorded_at > newest
        space.add(Known(node, draft.text.split()[1], superseded))

    # -- writing --------------------------------------------------------------------------------------------------

    @rule(data=st.data(), expires=EXPIRIES)
    def remember_one(self, data: st.DataObject, expires: datetime | None) -> None:
        """Remember a node."""
        self.store(*self.space(data), [self.draft(data, expires)])

    @rule(data=st.data(), count=st.integers(2, 4))
    def remember_some(self, data: st.DataObject, count: int) -> None:
        """Remember several at once."""
        self.store(*self.space(data), [self.draft(data, None) for _ in range(count)])

    @rule(data=st.data())
    def supersede(self, data: st.DataObject) -> None:
        """Supersede a node with a new text; all else is carried over. The holder of its ref goes with it."""
        self.replace_text(*self.chosen(data))

    def replace_text(self, memory: Memory, space: Space, old: Known) -> None:
        """Supersede one node."""
        self.words += 1
        text = f"said unique{self.words} instead"
        node = memory.supersede(old.node.id, text)
        superseded = {old.node.id} if old.node.ref is None else {space.holder(old.node.ref) or ""}
        same = replace(old.node, text=text)
        fields = {name: getattr(same, name) for name in Draft.__dataclass_fields__ if name in Node.__dataclass_fields__}
        del fields["links"]
        self.take_in(space, node, Draft(**{**fields, "at": None}), superseded)

    @rule(data=st.data())
    def forget_one(self, data: st.DataObject) -> None:
        """Forget a node by its id; the receipt names what is visible again."""
        memory, space, known = self.chosen(data)
        steps.forgotten(memory, space, [known.node.id], memory.forget(known.node.id))

    @rule(data=st.data(), ref=PLACES, below=st.booleans())
    def forget_a_ref(self, data: st.DataObject, ref: tuple[str, ...], below: bool) -> None:
        """Forget all versions of a ref, or all that is below a prefix."""
        memory, space = self.space(data)
        named = [one for one, known in space.nodes.items() if known.node.ref is not None and (
            known.node.ref[: len(ref)] == ref if below else known.node.ref == ref
        )]  # fmt: skip
        try:
            receipt = memory.forget(under=ref) if below else memory.forget(ref=ref)
        except NotFoundError:
            assert not below
            assert named == []
        else:
            steps.forgotten(memory, space, named, receipt)

    @rule(data=st.data(), old=PLACES, new=PLACES)
    def move(self, data: st.DataObject, old: tuple[str, ...], new: tuple[str, ...]) -> None:
        """Give a ref and all below it another name, unless one of the new names is taken."""
        memory, space = self.space(data)
        there = {one: known.node.ref for one, known in space.nodes.items() if known.node.ref is not None}
        moved = {one: (*new, *ref[len(old) :]) for one, ref in there.items() if ref[: len(old)] == old}
        taken = set(moved.values()) & {ref for one, ref in there.items() if one not in moved}
        try:
            count = memory.move(old, new)
        except ValueError:
            assert old[: len(new)] == new or new[: len(old)] == old
        except NotFoundError:
            assert not moved
        except ExistsError:
            assert taken
        else:
            assert not taken
            assert count == len(set(moved.values())) > 0
            for one, ref in moved.items():
                space.change(one, node=replace(space.nodes[one].node, ref=ref))

    @rule(data=st.data(), hidden=st.booleans(), grace=st.booleans())
    def hide_or_keep(self, data: st.DataObject, hidden: bool, grace: bool) -> None:
        """Take a node out of answers, for good or with a grace, or bring it back; twice is once."""
        memory, space = self.space(data)
        if space.nodes:
            one = data.draw(st.sampled_from(sorted(space.nodes)))
            steps.hide(memory, space, one, hidden, grace)

    @rule(data=st.data(), chosen=st.lists(st.sampled_from("rsfh"), min_size=1, max_size=4), fails=st.booleans())
    def transact(self, data: st.DataObject, chosen: list[str], fails: bool) -> None:
        """Several verbs at once: seen inside, by nobody else before the end, and undone when the block fails."""
        name = data.draw(st.sampled_from(sorted(self.model)))
        memory, before = self.vault.space(name), self.model[name]
        space = before.copy()
        try:
            with memory.transaction():
                for step in chosen:
                    self.take_a_step(data, memory, space, step)
                    hits = memory.recall("said", lanes=("lexical",), k=1_000)
                    assert {hit.id for hit in hits} == space.visible()
                assert [node.id for node in memory.nodes()] == [known.node.id for known in space.current()]
                hits = self.reader.space(name).recall("said", lanes=("lexical",), k=1_000)
                assert {hit.id for hit in hits} == before.visible()
                if fails:
                    raise KeyError
        except KeyError:
            return
        self.model[name] = space

    def take_a_step(self, data: st.DataObject, memory: Memory, space: Space, step: str) -> None:
        """Remember, supersede, forget or hide one node."""
        if step == "r" or not space.current():
            self.store(memory, space, [self.draft(data, None)])
            return
        known = data.draw(st.sampled_from(space.current()))
        if step == "s":
            self.replace_text(memory, space, known)
        elif step == "f":
            steps.forgotten(memory, space, [known.node.id], memory.forget(known.node.id), on_disk="pending")
        else:
            steps.hide(memory, space, known.node.id, hidden=True, grace=False)

    @rule(data=st.data(), where=WHERES, user=USERS)
    def forget_some(self, data: st.DataObject, where: Any, user: str | None) -> None:
        """Forget by a filter, expired nodes included; a dry run before says the same and does nothing."""
        memory, space = self.space(data)
        if where is None and user is None:
            return
        filter_ = View().parse(where, user=user)
        ids = [one for one, known in space.nodes.items() if matches(filter_, known.node)]
        assert list(memory.forget(where=where, user=user, dry_run=True).ids) == ids
        steps.forgotten(memory, space, ids, memory.forget(where=where, user=user))

    # -- spaces ---------------------------------------------------------------------------------------------------

    @rule(name=st.sampled_from(SPACES))
    def create_space(self, name: str) -> None:
        """Create a space, unless its name is taken."""
        try:
            self.vault.create_space(name)
        except ExistsError:
            assert name in self.model
        else:
            assert name not in self.model
            self.model[name] = Space()

    @rule(old=st.sampled_from(SPACES), new=st.sampled_from(SPACES))
    def rename_space(self, old: str, new: str) -> None:
        """Rename a space, unless there is none or the name is taken."""
        try:
            self.vault.rename_space(old, new)
        except NotFoundError:
            assert old not in self.model
        except ExistsError:
            assert new in self.model
        else:
            self.model[new] = self.model.pop(old)

    @precondition(lambda self: len(self.model) > 1)
    @rule(data=st.data())
    def erase_space(self, data: st.DataObject) -> None:
        """Erase a space; its file is gone."""
        name = data.draw(st.sampled_from(sorted(self.model)))
        self.vault.erase_space(name)
        del self.model[name]
        assert len(list((self.folder / "vault" / "spaces").glob("*.db"))) == len(self.model)

    @rule()
    def reopen(self) -> None:
        """Lock the vault and open it again; what had expired may be gone then."""
        self.vault.lock()
        self.vault = Vault.open(self.folder / "vault", **self.around)
        for name, space in self.model.items():
            steps.purge(self.vault.space(name), space)

    @rule(data=st.data())
    def rebuild(self, data: st.DataObject) -> None:
        """Make all derived data of a space again."""
        memory, space = self.space(data)
        assert memory.rebuild() == len(space.nodes)

    # -- reading --------------------------------------------------------------------------------------------------

    @rule(data=st.data(), mine=st.booleans())
    def recall_a_word(self, data: st.DataObject, mine: bool) -> None:
        """A word of its own finds its node, in either handle, if and only if it is visible."""
        name = data.draw(st.sampled_from(sorted(self.model)))
        memory, space = (self.vault if mine else self.reader).space(name), self.model[name]
        if space.nodes:
            known = data.draw(st.sampled_from(list(space.nodes.values())))
            hits = memory.recall(known.word, lanes=("lexical",), k=50)
            assert (known.node.id in [hit.id for hit in hits]) == (known.node.id in space.visible())

    @rule(data=st.data(), mine=st.booleans(), where=WHERES, as_of=MOMENTS, back=st.none() | st.integers(0, 20))
    def recall_all(self, data: st.DataObject, mine: bool, where: Any, as_of: datetime | None, back: int | None) -> None:
        """A word that all share finds exactly what is visible at that moment and passes the filter."""
        name = data.draw(st.sampled_from(sorted(self.model)))
        memory, space = (self.vault if mine else self.reader).space(name), self.model[name]
        moments = [known.node.recorded_at for known in space.nodes.values()]
        known_at = moments[-1 - back] if back is not None and back < len(moments) else None
        hits = memory.recall("said", lanes=("lexical",), k=1_000, where=where, as_of=as_of, known_at=known_at)
        filter_ = parse_filter(where)
        expected = {one for one in space.visible(as_of, known_at) if matches(filter_, space.nodes[one].node)}
        assert {hit.id for hit in hits} == expected
        assert all(hits[place].score >= hits[place + 1].score for place in range(len(hits) - 1))

    @rule(data=st.data(), mine=st.booleans(), where=WHERES, user=USERS, limit=st.none() | st.integers(1, 5))
    def list_nodes(self, data: st.DataObject, mine: bool, where: Any, user: str | None, limit: int | None) -> None:
        """Nodes and their number are those that pass the filter, in order; paging goes on behind a node."""
        name = data.draw(st.sampled_from(sorted(self.model)))
        memory, space = (self.vault if mine else self.reader).space(name), self.model[name]
        filter_ = View().parse(where, user=user)
        expected = [known.node.id for known in space.current() if matches(filter_, known.node)]
        assert memory.count(where, user=user) == len(expected)
        assert [node.id for node in memory.nodes(where, user=user, limit=limit)] == expected[:limit]
        assert [node.id for node in memory.nodes(where, user=user, order="newest")] == expected[::-1]
        if expected:
            after = data.draw(st.integers(0, len(expected) - 1))
            rest = [node.id for node in memory.nodes(where, user=user, after=expected[after])]
            assert rest == expected[after + 1 :]

    @rule(data=st.data())
    def read_one(self, data: st.DataObject) -> None:
        """A node comes back whole by its id, its first digits and its ref, with its versions."""
        memory, space, known = self.chosen(data)
        found = memory.get(known.node.id[:12])
        assert found is not None
        assert replace(found, superseded_by=None) == replace(known.node, superseded_by=None)
        assert [node.id for node in memory.history(known.node.id)] == space.versions(known.node.id)
        if known.node.ref is not None:
            by_ref = memory.get(ref=known.node.ref)
            assert (by_ref.id if by_ref else None) == space.pointed_at(known.node.ref)

    @rule(data=st.data(), mine=st.booleans(), under=st.just(()) | PLACES)
    def list_refs(self, data: st.DataObject, mine: bool, under: tuple[str, ...]) -> None:
        """Refs in their order, those of current nodes; and nodes by their refs."""
        name = data.draw(st.sampled_from(sorted(self.model)))
        memory, space = (self.vault if mine else self.reader).space(name), self.model[name]
        current = [known.node for known in space.current()]
        below = [node for node in current if node.ref is not None and node.ref[: len(under)] == under]
        held = {node.ref for node in below}
        assert memory.refs(under) == sorted(held)
        assert memory.refs(under, depth=1) == sorted({ref[:1] for ref in held if ref is not None})
        if under:
            assert memory.count(under=under) == len(below)
        listed = [node.id for node in memory.nodes(order="ref")]
        without = [node.id for node in current if node.ref is None]
        assert (
            listed
            == [
                node.id
                for node in sorted((node for node in current if node.ref is not None), key=lambda node: node.ref)
            ]
            + without
        )

    @rule(data=st.data(), mine=st.booleans())
    def list_hidden(self, data: st.DataObject, mine: bool) -> None:
        """Hidden nodes are listed when asked for, and nowhere else."""
        name = data.draw(st.sampled_from(sorted(self.model)))
        memory, space = (self.vault if mine else self.reader).space(name), self.model[name]
        hidden = [one for one, known in space.nodes.items() if known.hidden]
        assert [node.id for node in memory.nodes(hidden=True)] == hidden

    @invariant()
    def visible_nodes_are_found(self) -> None:
        """Through the second handle, which hears of changes as another process does, now and a day from the start."""
        for name, space in self.model.items():
            for as_of in (None, START + timedelta(1)):
                hits = self.reader.space(name).recall("said", lanes=("lexical",), k=1_000, as_of=as_of)
                assert {hit.id for hit in hits} == space.visible(as_of)

    @invariant()
    def the_spaces_are_those(self) -> None:
        """Both handles name the same spaces."""
        assert {info.name for info in self.vault.spaces()} == set(self.model)
        assert {info.name for info in self.reader.spaces()} == set(self.model)

    def teardown(self) -> None:
        """In the end everything verifies, and after locking there are only files of whole size classes."""
        if not hasattr(self, "vault"):
            return
        try:
            self.reader.lock()
            assert self.vault.verify(full=True) == []
            self.vault.lock()
            files = list((self.folder / "vault").rglob("*.db*"))
            assert len(files) == len(self.model) + 1
            assert {path.stat().st_size for path in files} <= {1 << 20, 3 << 19, 2 << 20, 3 << 20}
        finally:
            self.vault.lock()
            self.idle.stop()
            shutil.rmtree(self.folder)


TestVault = VaultAgainstDictionaries.TestCase
TestVault.settings = settings(
    max_examples=25, stateful_step_count=25, deadline=None, derandomize=True, print_blob=False
)
