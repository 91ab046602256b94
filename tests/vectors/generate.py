"""Write the test vectors: `python tests/vectors/generate.py [FOLDER DOCUMENT]`. Seeded: the same bytes every time.

One file in `cases/` is one case: its kind, what it takes, and the expected outcome (success, wrong_key, tampered or
format). Headers lie in `headers/` as they would on disk. The worked example in docs/FORMAT.md is written from here too.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from world import PASSPHRASE, World, flip, seeded, shown, worked_example

from mimir_vault.crypto.digests import Digests
from mimir_vault.crypto.envelope import Context, Role, node_id, seal
from mimir_vault.crypto.keys import KdfProfile, Label, derive, stretch
from mimir_vault.crypto.sealer import SealedNode
from mimir_vault.crypto.secret import SecretBytes
from mimir_vault.crypto.vault_keys import pins_file_name
from mimir_vault.keyslots.passphrase import normalise
from mimir_vault.keyslots.recovery_code import generate as new_recovery_code

FOLDER = Path(__file__).resolve().parent
FORMAT = FOLDER.parents[1] / "docs" / "FORMAT.md"
BEGIN = "<!-- worked example: written by tests/vectors/generate.py -->\n"
END = "<!-- end of the worked example -->\n"
HEADER_NAME = "three-slots.bin"

Case = dict[str, Any]


def envelope_cases(world: World) -> dict[str, Case]:
    """Return envelopes of several roles, and one case for each thing an envelope is bound to."""
    key, scope = SecretBytes.random(32, seeded("envelope key")), world.space_id

    def case(expect: str, comment: str, role: Role, detail: bytes, sealed: bytes, plain: bytes | None = None) -> Case:
        made: Case = {"comment": comment, "kind": "envelope", "expect": expect, "key": shown(key), "role": int(role)}
        made |= {"scope": scope.hex(), "detail": detail.hex(), "envelope": sealed.hex()}
        return made if plain is None else {**made, "plaintext": plain.hex()}

    cases: dict[str, Case] = {}
    for name, role, detail, plain in (
        ("payload", Role.PAYLOAD, b"", b"I prefer window seats"),
        ("payload-empty", Role.PAYLOAD, b"", b""),
        ("metadata", Role.METADATA, b"", b"speaker: Ada"),
        ("state", Role.STATE, (7).to_bytes(8, "big"), b"pinned"),
        ("vector", Role.VECTOR, b"model A, window 0", bytes(range(32))),
    ):
        sealed = seal(key, Context(role, scope, detail), plain, seeded(f"envelope {name}"))
        cases[f"envelope-{name}"] = case("success", f"An envelope with role {role}.", role, detail, sealed, plain)
    whole = seal(key, Context(Role.PAYLOAD, scope), b"I prefer window seats", seeded("envelope payload"))
    for name, place in (("salt", 0), ("commitment", 24), ("ciphertext", 56), ("tag", -1)):
        comment = f"One bit of the {name} is flipped."
        cases[f"envelope-{name}-flipped"] = case("tampered", comment, Role.PAYLOAD, b"", flip(whole, place))
    cases["envelope-cut"] = case("tampered", "The last byte is missing.", Role.PAYLOAD, b"", whole[:-1])
    cases["envelope-short"] = case("tampered", "Shorter than any envelope.", Role.PAYLOAD, b"", whole[:71])
    cases["envelope-extended"] = case("tampered", "One byte too many.", Role.PAYLOAD, b"", whole + b"\0")
    cases["envelope-other-role"] = case("tampered", "Sealed as a payload.", Role.VECTOR, b"", whole)
    cases["envelope-other-suite"] = case("tampered", "Sealed with suite 1.", Role.METADATA, b"", whole)
    cases["envelope-other-detail"] = case("tampered", "Sealed without a detail.", Role.PAYLOAD, b"x", whole)
    other_scope = {"scope": world.header.vault_id.hex(), "comment": "Sealed for another space."}
    cases["envelope-other-scope"] = case("tampered", "", Role.PAYLOAD, b"", whole) | other_scope
    other_key = {"key": "00" * 32, "comment": "Sealed under another key."}
    cases["envelope-other-key"] = case("tampered", "", Role.PAYLOAD, b"", whole) | other_key
    return cases


def wrap_cases(world: World) -> dict[str, Case]:
    """Return the wrap of a node key, and what it is bound to."""
    base: Case = {"kind": "wrap", "expect": "tampered", "wrap_key": shown(world.wrap_key(2)), "epoch": 2}
    base |= {"node_id": world.node.id.hex(), "wrap": world.node.wrap.hex()}
    right = {"comment": "A node key of epoch 2.", "expect": "success", "node_key": shown(world.node_key)}
    return {
        "wrap": base | right,
        "wrap-flipped": base | {"comment": "One bit is flipped.", "wrap": flip(world.node.wrap, 20).hex()},
        "wrap-cut": base | {"comment": "One byte is missing.", "wrap": world.node.wrap[:-1].hex()},
        "wrap-other-epoch": base | {"comment": "The row names another epoch.", "epoch": 1},
        "wrap-other-node": base | {"comment": "The wrap of another node.", "node_id": world.other.id.hex()},
    }


def node_cases(world: World) -> dict[str, Case]:
    """Return whole nodes, and nodes whose parts were exchanged."""
    ring = {str(epoch): shown(secret) for epoch, secret in world.ring.items()}
    node, other = world.node, world.other

    def case(expect: str, comment: str, sealed: SealedNode, opened: tuple[bytes, bytes, bytes] | None = None) -> Case:
        made: Case = {"comment": comment, "kind": "node", "expect": expect, "space_id": world.space_id.hex()}
        parts = {name: getattr(sealed, name).hex() for name in ("id", "wrap", "payload", "metadata", "state")}
        made |= {"ring": ring, "node": {"epoch": sealed.epoch, **parts}}
        if opened is None:
            return made
        return made | {"opened": [value.hex() for value in opened]}

    swapped = replace(node, payload=other.payload, id=node_id(other.payload, node.metadata))
    raised = replace(node, state=(2).to_bytes(8, "big") + node.state[8:])
    second = world.sealer.replace_state(node, b"hidden")
    first = world.sealer.replace_state(other, b"pinned")
    return {
        "node": case("success", "A node of the newest epoch.", node, world.sealer.open_node(node)),
        "node-empty": case(
            "success", "A node of empty values and without a state.", other, world.sealer.open_node(other)
        ),
        "node-old-epoch": case(
            "success", "An older epoch opens.", world.old_node, world.sealer.open_node(world.old_node)
        ),
        "node-second-state": case("success", "A replaced state.", second, world.sealer.open_node(second)),
        "node-first-state": case(
            "success", "A state sealed where there was none.", first, world.sealer.open_node(first)
        ),
        "node-other-id": case("tampered", "The id is not of these envelopes.", replace(node, id=other.id)),
        "node-other-payload": case("tampered", "Another node's payload.", replace(node, payload=other.payload)),
        "node-other-payload-and-id": case("tampered", "Another node's payload, the id made to fit.", swapped),
        "node-other-state": case("tampered", "Another node's state.", replace(node, state=first.state)),
        "node-other-state-for-none": case(
            "tampered", "Another node's state where there was none.", replace(other, state=node.state)
        ),
        "node-state-without-envelope": case(
            "tampered", "Of the state only the counter is left.", replace(node, state=node.state[:8])
        ),
        "node-other-epoch": case("tampered", "The epoch in the row was changed.", replace(node, epoch=1)),
        "node-unknown-epoch": case("tampered", "The ring has no such epoch.", replace(node, epoch=3)),
        "node-counter-raised": case("tampered", "The state's counter in clear was changed.", raised),
    }


def ring_cases(world: World) -> dict[str, Case]:
    """Return the wrap of a key ring, and rings in a form that is refused."""
    catalog_key, vault_id = world.root.catalog_key, world.header.vault_id
    base: Case = {"kind": "ring", "expect": "tampered", "vault_id": vault_id.hex(), "catalog_key": shown(catalog_key)}
    base |= {"space_id": world.space_id.hex(), "wrapped": world.wrapped_ring.hex()}
    ring = {str(epoch): shown(secret) for epoch, secret in world.ring.items()}

    def sealed(name: str, plain: bytes) -> str:
        with derive(catalog_key, Label.SPACE_RING_WRAP, vault_id) as key:
            return seal(key, Context(Role.SPACE_RING, world.space_id, vault_id), plain, seeded(name)).hex()

    backwards = (2).to_bytes(4, "big") + bytes(32) + (1).to_bytes(4, "big") + bytes(32)
    return {
        "ring": base | {"comment": "Two epochs.", "expect": "success", "ring": ring},
        "ring-other-space": base | {"comment": "Wrapped for another space.", "space_id": vault_id.hex()},
        "ring-other-vault": base | {"comment": "Wrapped in another vault.", "vault_id": world.space_id.hex()},
        "ring-flipped": base | {"comment": "One bit is flipped.", "wrapped": flip(world.wrapped_ring, 60).hex()},
        "ring-out-of-order": base | {"comment": "Epochs descend.", "wrapped": sealed("backwards", backwards)},
        "ring-epoch-zero": base | {"comment": "Epochs begin at 1.", "wrapped": sealed("zero", bytes(36))},
        "ring-empty": base | {"comment": "No epoch at all.", "wrapped": sealed("empty", b"")},
    }


def key_tree_cases(world: World) -> dict[str, Case]:
    """Return every label but those of envelopes and slots."""
    vault, space = world.header.vault_id, world.space_id
    tree = (
        (world.root.root_key, vault, (Label.HEADER_MAC, Label.HEADER_SEAL)),
        (
            world.root.catalog_key,
            vault,
            (Label.CATALOG_PAGES, Label.PINS_PAGES, Label.AUDIT, Label.IDENTITY_WRAP, Label.SPACE_RING_WRAP),
        ),
        (
            world.ring[1],
            space,
            (Label.SPACE_PAGES, Label.NODE_KEY_WRAP, Label.DIGEST, Label.CHAIN, Label.SYNC, Label.PACK),
        ),
    )
    derived = []
    for secret, context, labels in tree:
        for label in labels:
            key = derive(secret, label, context)
            name = label.value[:-1].decode()
            derived.append({"secret": shown(secret), "label": name, "context": context.hex(), "key": shown(key)})
    case = {"comment": "Every label but those of envelopes and slots.", "kind": "key_tree", "expect": "success"}
    return {"key-tree": case | {"derived": derived, "vault_id": vault.hex(), "pins_file_name": pins_file_name(vault)}}


def hash_cases(world: World) -> dict[str, Case]:
    """Return a digest element with a chain value, and a stretched passphrase."""
    digests = Digests(world.ring[1], world.space_id)
    element = digests.digest_element(b"node", b"content").to_bytes(32, "big")
    typed, salt = "Gru\u0308ße １２", bytes(range(16))
    stretched = stretch(normalise(typed), salt, KdfProfile.INTERACTIVE)
    return {
        "digest": {
            "comment": "One element, and the chain value after one of 32 zeros.",
            "kind": "digest",
            "expect": "success",
            "secret": shown(world.ring[1]),
            "scope": world.space_id.hex(),
            "tag": b"node".hex(),
            "content": b"content".hex(),
            "element": element.hex(),
            "chain": digests.chain(bytes(32), element).hex(),
        },
        "passphrase": {
            "comment": "Decomposed accents and full-width digits are normalised before Argon2id.",
            "kind": "passphrase",
            "expect": "success",
            "passphrase": typed,
            "salt": salt.hex(),
            "profile": int(KdfProfile.INTERACTIVE),
            "secret": shown(stretched),
        },
    }


def recovery_code_cases(_: World) -> dict[str, Case]:
    """Return recovery codes as people type them, and as they mistype them."""
    entropy = seeded("recovery code")(32)
    words = new_recovery_code(lambda _: bytes(bytearray(entropy))).split()
    numbered = "\n".join(f"{number}. {word.upper()}" for number, word in enumerate(words, start=1))

    def case(comment: str, typed: str, right: bool = False) -> Case:
        made: Case = {"comment": comment, "kind": "recovery_code", "words": typed}
        return made | ({"expect": "success", "entropy": entropy.hex()} if right else {"expect": "wrong_key"})

    return {
        "recovery-code": case("24 words.", " ".join(words), right=True),
        "recovery-code-numbered": case("As a person may type it.", numbered, right=True),
        "recovery-code-unknown-word": case("A word not in the list.", " ".join(["mimir", *words[1:]])),
        "recovery-code-swapped": case("Two words are swapped.", " ".join([words[1], words[0], *words[2:]])),
        "recovery-code-short": case("23 words.", " ".join(words[:23])),
    }


def header_base(world: World) -> Case:
    """Return a case that opens the whole header by its raw key. `checksum` says whether edits made it fit again."""
    secret = {"raw_key": world.raw_key.hex()}
    return {"kind": "header", "header": HEADER_NAME, "edits": [], "checksum": "kept", "secret": secret}


def unlock_cases(world: World) -> dict[str, Case]:
    """Return what opens the header, and secrets that do not."""
    base = header_base(world)
    opened = {
        "root_key": shown(world.root.root_key),
        "catalog_key": shown(world.root.catalog_key),
        "catalog_file": world.root.catalog_file,
        "epoch": world.header.epoch,
        "slots": [[slot.id, slot.index, slot.kind, slot.label, slot.created] for slot in world.root.slots],
    }
    right = {"passphrase": PASSPHRASE, "recovery_code": world.words, "raw_key": world.raw_key.hex()}
    wrong = {"passphrase": PASSPHRASE.upper(), "recovery_code": "zoo " * 23 + "vote", "raw_key": "00" * 32}
    cases: dict[str, Case] = {}
    for kind in right:
        name = kind.replace("_", "-")
        success = {"expect": "success", "comment": f"Opened by its {name}.", "opened": opened}
        failure = {"expect": "wrong_key", "comment": "It opens no slot."}
        cases[f"header-{name}"] = base | success | {"secret": {kind: right[kind]}}
        cases[f"header-wrong-{name}"] = base | failure | {"secret": {kind: wrong[kind]}}
    return cases


def header_cases(world: World) -> dict[str, Case]:
    """Return what was done to the header, and how it is refused."""
    raw, base = world.header.encode(), header_base(world)
    used = {slot.index: slot.kind_name for slot in world.root.slots}
    own_slot = next(64 + index * 2048 for index in used if used[index] == "raw key")
    unused_slot = next(64 + index * 2048 for index in range(24) if index not in used)
    cases: dict[str, Case] = {}
    for name, expect, offset, checksum in (
        ("magic", "format", 0, "kept"),
        ("epoch", "tampered", 15, "kept"),
        ("fill", "tampered", 60_000, "kept"),
        ("checksum", "tampered", 65_480, "kept"),
        ("mac", "tampered", 65_535, "kept"),
        ("epoch-and-checksum", "tampered", 15, "recomputed"),
        ("vault-id-and-checksum", "wrong_key", 16, "recomputed"),
        ("replica-id-and-checksum", "tampered", 32, "recomputed"),
        ("salt-and-checksum", "tampered", 48, "recomputed"),
        ("own-slot-and-checksum", "wrong_key", own_slot + 60, "recomputed"),
        ("unused-slot-and-checksum", "tampered", unused_slot, "recomputed"),
        ("sealed-part-and-checksum", "tampered", 49_300, "recomputed"),
        ("fill-and-checksum", "tampered", 60_000, "recomputed"),
    ):
        edits = [{"offset": offset, "bytes": flip(raw[offset : offset + 1], 0).hex()}]
        case = {"expect": expect, "comment": f"One bit is flipped: {name.replace('-', ' ')}."}
        cases[f"header-flipped-{name}"] = base | case | {"checksum": checksum, "edits": edits}
    for name, offset, value in (("major-version", 8, 2), ("suite", 10, 2), ("profile", 11, 4), ("no-profile", 11, 0)):
        edits = [{"offset": offset, "bytes": f"{value:02x}"}]
        case = {"expect": "format", "comment": f"Byte {offset} is {value}, which version 1 does not know."}
        cases[f"header-unknown-{name}"] = base | case | {"checksum": "recomputed", "edits": edits}
    cases["header-cut"] = base | {"expect": "tampered", "comment": "Half of it is missing.", "length": 32_768}
    cases["header-empty"] = base | {"expect": "format", "comment": "Nothing is there.", "length": 0}
    return cases


MAKERS = (
    envelope_cases,
    wrap_cases,
    node_cases,
    ring_cases,
    key_tree_cases,
    hash_cases,
    recovery_code_cases,
    unlock_cases,
    header_cases,
)


def write(folder: Path, document: Path) -> None:
    """Write every case and header below `folder`, without those of earlier days, and the example into `document`."""
    world = World()
    for name in ("cases", "headers"):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for stale in (folder / name).iterdir():
            stale.unlink()
    (folder / "headers" / HEADER_NAME).write_bytes(world.header.encode())
    for make in MAKERS:
        for name, case in make(world).items():
            text = json.dumps(case, indent=1, sort_keys=True)
            (folder / "cases" / f"{name}.json").write_text(text + "\n", encoding="ascii", newline="\n")
    before, rest = document.read_text(encoding="utf-8").split(BEGIN)
    after = rest.split(END)[1]
    document.write_text(before + BEGIN + worked_example(world) + END + after, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    write(*(Path(argument) for argument in sys.argv[1:]) if len(sys.argv) == 3 else (FOLDER, FORMAT))
