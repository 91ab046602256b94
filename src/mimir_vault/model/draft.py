"""Drafts: what a caller hands in to become a node, and the checks that every draft passes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from datetime import datetime
from typing import Any

from mimir_vault.model.clock import parse_moment
from mimir_vault.model.link import Link

TEXT_BYTES_MAX = 1 << 20
"""Longest text of one node (1 MiB of UTF-8, about 180,000 words): a memory is a passage, not an archive."""
DATA_BYTES_MAX = 16 << 20
"""Largest `data` of one node (16 MiB): a node is written in one transaction and opened whole."""
METADATA_BYTES_MAX = 64 << 10
"""Largest metadata of one node as JSON (64 KiB): it is opened for every filter that names it."""
NAME_LENGTH_MAX = 256
"""Longest user, agent, session, speaker, role, kind or tag, in characters."""
TAGS_MAX = 64
"""Most tags of one node."""
LINKS_MAX = 64
"""Most links of one node."""
REF_PARTS_MAX = 64
"""Most parts of a ref."""
METADATA_DEPTH_MAX = 32
"""Deepest nesting of metadata: beyond it parsers of other languages give up."""
INTEGER_BITS_MAX = 4_096
"""Widest whole number in metadata: Python itself refuses to read decimals beyond about 14,000 bits."""
DEFAULT_KIND = "turn"
"""Kind of a node when nothing is said; a view of another kind takes it for nothing said."""
BETWEEN_PASSAGES = "\n\n"
"""Joins the passages that are given in place of a text, where they are cut out of one."""
DUPLICATES = ("mark", "merge")
"""What happens to a text that is there already: "mark" stores it, and a context shows it once; "merge" gives back the
node that says the same, unless the draft has a ref or a place in a session."""


@dataclass(frozen=True, slots=True)
class Draft:
    """What becomes a node: its text, and what `Memory.remember` takes as keywords.

    `index` True finds the node by its text, False never, a list of passages by these instead. `vector` is the caller's
    own, float32 (d,) or (n, d) with d that of the memory's embedder; it is used in place of the embedder's.
    """

    text: str = ""
    _: KW_ONLY
    speaker: str | None = None
    role: str | None = None
    session: str | None = None
    user: str | None = None
    agent: str | None = None
    kind: str = DEFAULT_KIND
    at: datetime | str | None = None
    tags: Sequence[str] = ()
    metadata: Mapping[str, Any] | None = None
    links: Sequence[Link] = ()
    ref: tuple[str, ...] | None = None
    data: bytes | None = None
    index: bool | Sequence[str] = True
    vector: Any = field(default=None, compare=False)
    expires_at: datetime | str | None = None
    pinned: bool = False
    duplicates: str = DUPLICATES[0]


def make_draft(text: str, fields: Mapping[str, Any]) -> Draft:
    """Return a draft of keyword fields (TypeError for one that there is not)."""
    known = Draft.__dataclass_fields__.keys() - {"text"}
    for name in fields:
        if name not in known:
            raise TypeError(f"a memory has no field {str(name)[:40]!r}; it has {', '.join(sorted(known))}")
    return Draft(text, **fields)


def check_draft(draft: Draft) -> Draft:
    """Return the draft with moments parsed and sequences frozen, or say in one sentence what is wrong with it.

    Raises:
        TypeError: a field has the wrong type.
        ValueError: a field has an impossible value (empty text, NUL bytes, a naive date, NaN in metadata, …).
    """
    if not isinstance(draft, Draft):
        raise TypeError(f"remember_many takes Drafts, not {type(draft).__name__}")
    check_text(draft.text, "text", TEXT_BYTES_MAX)
    if not draft.text.strip() and draft.ref is None and not draft.metadata and draft.data is None:
        raise ValueError("the text is empty; give a text, or a ref, metadata or data")
    for name in ("speaker", "role", "session", "user", "agent"):
        check_name(getattr(draft, name), name)
    if draft.kind is None:
        raise ValueError("kind may not be None; leave it out for a turn")
    check_name(draft.kind, "kind")
    if not isinstance(draft.pinned, bool):
        raise TypeError("pinned must be True or False")
    if draft.duplicates not in DUPLICATES:
        raise ValueError(f"duplicates is one of {', '.join(DUPLICATES)}, not {str(draft.duplicates)[:40]!r}")
    if draft.vector is not None and draft.index is False:
        raise ValueError("a vector is given for a node that is never to be found; leave out vector or index=False")
    metadata_json(draft.metadata)
    checked: dict[str, Any] = {
        "at": None if draft.at is None else parse_moment(draft.at, "at"),
        "expires_at": None if draft.expires_at is None else parse_moment(draft.expires_at, "expires_at"),
        "tags": check_tags(draft.tags),
        "links": _check_links(draft.links),
        "ref": None if draft.ref is None else check_ref(draft.ref),
        "data": _check_data(draft.data),
        "index": _check_index(draft.index),
    }
    changed = {name: value for name, value in checked.items() if value is not getattr(draft, name)}
    return replace(draft, **changed) if changed else draft


def check_text(text: object, name: str, bytes_max: int) -> None:
    """Refuse what is not text, holds NUL or lone surrogates, or is longer than `bytes_max` in UTF-8."""
    if not isinstance(text, str):
        raise TypeError(f"{name} must be text, not {type(text).__name__}")
    if "\x00" in text:
        raise ValueError(f"{name} holds a NUL character; remove it (is this a binary file?)")
    try:
        size = len(text.encode("utf-8"))
    except UnicodeEncodeError:
        raise ValueError(f"{name} holds half a character (a lone surrogate); decode the source as UTF-8") from None
    if size > bytes_max:
        raise ValueError(f"{name} has {size:,} bytes, the most is {bytes_max:,}; split it into several memories")


def check_name(value: object, name: str) -> None:
    """Refuse a user, agent, session, speaker, role, kind or tag that is empty, too long or no text; None is fine."""
    if value is None:
        return
    if isinstance(value, str) and len(value) > NAME_LENGTH_MAX:
        raise ValueError(f"{name} has {len(value):,} characters, the most is {NAME_LENGTH_MAX}")
    check_text(value, name, 4 * NAME_LENGTH_MAX)
    if not value:
        raise ValueError(f"{name} is empty; leave it out instead")


def check_tags(tags: Sequence[str]) -> tuple[str, ...]:
    """Return the tags without repetitions, in the order given."""
    if isinstance(tags, (str, bytes)) or not isinstance(tags, Iterable):
        raise TypeError("tags must be a list of texts")
    kept = tuple(tags)
    for tag in kept:
        if tag is None:
            raise TypeError("a tag must be text, not None")
        check_name(tag, "a tag")
    if len(kept) > TAGS_MAX:
        raise ValueError(f"a node has at most {TAGS_MAX} tags")
    return tuple(dict.fromkeys(kept))


def check_ref(ref: Sequence[str], name: str = "ref") -> tuple[str, ...]:
    """Return a ref (or a prefix of refs, by its name in the sentence of an error) as a tuple of texts."""
    if isinstance(ref, (str, bytes)) or not isinstance(ref, (tuple, list)):
        raise TypeError(f'{name} must be a tuple of texts, for example ("prefs", "ada", "seat")')
    if not ref:
        raise ValueError(f"{name} is empty; give at least one part")
    for part in ref:
        if not isinstance(part, str):
            raise TypeError(f"every part of {name} is text, not {type(part).__name__}")
        try:
            part.encode("utf-8")
        except UnicodeEncodeError:
            raise ValueError(f"a part of {name} holds half a character (a lone surrogate)") from None
    if sum(len(part) for part in ref) > 4 * NAME_LENGTH_MAX or len(ref) > REF_PARTS_MAX:
        raise ValueError(f"{name} has at most {REF_PARTS_MAX} parts and {4 * NAME_LENGTH_MAX} characters in all")
    return tuple(ref)


def metadata_json(metadata: Mapping[str, Any] | None) -> str:
    """Return metadata as compact JSON text, "" for none.

    Raises:
        TypeError: a value that JSON does not know, or a name that is no text.
        ValueError: NaN or infinity, a lone surrogate, too deep or too large.
    """
    if metadata is None or (isinstance(metadata, Mapping) and not metadata):
        return ""
    if not isinstance(metadata, Mapping):
        raise TypeError(f"metadata must be a mapping, not {type(metadata).__name__}")
    plain = _plain_json(metadata, "metadata", METADATA_DEPTH_MAX)
    try:
        text = json.dumps(plain, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        size = len(text.encode("utf-8"))
    except UnicodeEncodeError:
        raise ValueError("metadata holds half a character (a lone surrogate)") from None
    except ValueError:
        raise ValueError("metadata holds NaN or infinity, which JSON does not know; use None or text") from None
    if size > METADATA_BYTES_MAX:
        raise ValueError(f"metadata has {size:,} bytes as JSON, the most is {METADATA_BYTES_MAX:,}")
    return text


def _plain_json(value: Any, path: str, depth: int) -> Any:
    """Return `value` built of dict, list, str, int, float, bool and None alone; refuse everything else."""
    if depth < 0:
        raise ValueError(f"metadata is nested deeper than {METADATA_DEPTH_MAX} levels")
    if type(value) is int and value.bit_length() > INTEGER_BITS_MAX:
        raise ValueError(f"metadata holds a whole number of more than {INTEGER_BITS_MAX:,} bits; give it as text")
    if value is None or isinstance(value, (bool, str)) or type(value) in (int, float):
        return value
    if isinstance(value, Mapping):
        for name in value:
            if not isinstance(name, str):
                raise TypeError(f"{one_line(path)} has a name that is no text: {name!r:.40}")
        return {name: _plain_json(part, f"{path}.{name}", depth - 1) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain_json(part, f"{path}[{place}]", depth - 1) for place, part in enumerate(value)]
    raise TypeError(
        f"{one_line(path)} is {type(value).__name__}, which JSON does not know; use text, numbers, lists or mappings"
    )


def one_line(text: str) -> str:
    """Return a caller's text as it may stand in a sentence: on one line and not too long."""
    return " ".join(text.split())[:80]


def _check_links(links: Sequence[Link]) -> tuple[Link, ...]:
    if isinstance(links, (str, bytes, Link)) or not isinstance(links, Iterable):
        raise TypeError("links must be a list of Link")
    kept = tuple(links)
    for link in kept:
        if not isinstance(link, Link):
            raise TypeError(f"links must be a list of Link, not of {type(link).__name__}")
    if len(kept) > LINKS_MAX:
        raise ValueError(f"a node has at most {LINKS_MAX} links")
    return tuple(dict.fromkeys(kept))


def _check_data(data: object) -> bytes | None:
    if data is None:
        return None
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise TypeError(f"data must be bytes, not {type(data).__name__}")
    kept = bytes(data)
    if len(kept) > DATA_BYTES_MAX:
        raise ValueError(f"data has {len(kept):,} bytes, the most is {DATA_BYTES_MAX:,}")
    return kept


def _check_index(index: object) -> bool | tuple[str, ...]:
    if isinstance(index, bool):
        return index
    if isinstance(index, str) or not isinstance(index, Sequence):
        raise TypeError("index must be True, False or a list of passages")
    for passage in index:
        check_text(passage, "a passage of index", TEXT_BYTES_MAX)
        if not passage.strip():
            raise ValueError("a passage of index is empty")
    check_text("".join(index), "index", TEXT_BYTES_MAX)
    return tuple(index)
