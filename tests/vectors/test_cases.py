"""Every case of the test vectors ends as it says, and the generator writes the files as they are."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mimir_vault.crypto.digests import Digests
from mimir_vault.crypto.envelope import Context, Role, open_envelope
from mimir_vault.crypto.keys import KdfProfile, Label, derive, stretch
from mimir_vault.crypto.sealer import SealedNode, SpaceSealer
from mimir_vault.crypto.secret import SecretBytes
from mimir_vault.crypto.vault_keys import VaultKeys, pins_file_name
from mimir_vault.crypto.wrap import NodeKeyWrap
from mimir_vault.errors import FormatError, MimirError, TamperedError, WrongKeyError
from mimir_vault.keyslots.header import Header
from mimir_vault.keyslots.passphrase import normalise
from mimir_vault.keyslots.recovery_code import parse
from mimir_vault.keyslots.unlock import unlock

FOLDER = Path(__file__).resolve().parent
FORMAT = FOLDER.parents[1] / "docs" / "FORMAT.md"
CASES = sorted((FOLDER / "cases").glob("*.json"))
OUTCOMES: dict[str, type[MimirError]] = {
    "wrong_key": WrongKeyError,
    "tampered": TamperedError,
    "format": FormatError,
}
Case = dict[str, Any]


def octets(case: Case, name: str) -> bytes:
    return bytes.fromhex(case[name])


def secret(case: Case, name: str) -> SecretBytes:
    return SecretBytes.copy_of(octets(case, name))


def no_randomness(length: int) -> bytes:
    raise AssertionError("opening needs no randomness")


def ring_of(case: Case) -> dict[int, SecretBytes]:
    return {int(epoch): SecretBytes.copy_of(bytes.fromhex(key)) for epoch, key in case["ring"].items()}


def run_envelope(case: Case) -> Case:
    context = Context(Role(case["role"]), octets(case, "scope"), octets(case, "detail"))
    return {"plaintext": open_envelope(secret(case, "key"), context, octets(case, "envelope")).hex()}


def run_wrap(case: Case) -> Case:
    wrap = NodeKeyWrap(secret(case, "wrap_key"), case["epoch"])
    node_key = wrap.unwrap(octets(case, "wrap"), octets(case, "node_id"))
    return {"node_key": node_key.view().hex()}


def run_node(case: Case) -> Case:
    parts = {name: bytes.fromhex(value) for name, value in case["node"].items() if name != "epoch"}
    sealer = SpaceSealer(octets(case, "space_id"), ring_of(case), no_randomness)
    opened = sealer.open_node(SealedNode(epoch=case["node"]["epoch"], **parts))
    return {"opened": [value.hex() for value in opened]}


def run_ring(case: Case) -> Case:
    vault_keys = VaultKeys(octets(case, "vault_id"), secret(case, "catalog_key"), no_randomness)
    ring = vault_keys.unwrap_ring(octets(case, "space_id"), octets(case, "wrapped"))
    return {"ring": {str(epoch): key.view().hex() for epoch, key in ring.items()}}


def run_key_tree(case: Case) -> Case:
    derived = []
    for row in case["derived"]:
        key = derive(secret(row, "secret"), Label(row["label"].encode() + b"\0"), octets(row, "context"))
        derived.append({**row, "key": key.view().hex()})
    return {"derived": derived, "pins_file_name": pins_file_name(octets(case, "vault_id"))}


def run_digest(case: Case) -> Case:
    digests = Digests(secret(case, "secret"), octets(case, "scope"))
    element = digests.digest_element(octets(case, "tag"), octets(case, "content")).to_bytes(32, "big")
    return {"element": element.hex(), "chain": digests.chain(bytes(32), element).hex()}


def run_passphrase(case: Case) -> Case:
    stretched = stretch(normalise(case["passphrase"]), octets(case, "salt"), KdfProfile.of_byte(case["profile"]))
    return {"secret": stretched.view().hex()}


def run_recovery_code(case: Case) -> Case:
    entropy = parse(case["words"])
    return {"entropy": entropy.view().hex()}


def run_header(case: Case) -> Case:
    raw = bytearray((FOLDER / "headers" / case["header"]).read_bytes())
    for edit in case["edits"]:
        content = bytes.fromhex(edit["bytes"])
        raw[edit["offset"] : edit["offset"] + len(content)] = content
    if case["checksum"] == "recomputed":
        raw[65_472:65_504] = hashlib.sha256(raw[:65_472]).digest()
    ((kind, value),) = case["secret"].items()
    given = bytes.fromhex(value) if kind == "raw_key" else value
    root = unlock(Header.decode(bytes(raw[: case.get("length", len(raw))])), **{kind: given})
    return {
        "opened": {
            "root_key": root.root_key.view().hex(),
            "catalog_key": root.catalog_key.view().hex(),
            "catalog_file": root.catalog_file,
            "epoch": root.epoch,
            "slots": [[slot.id, slot.index, slot.kind, slot.label, slot.created] for slot in root.slots],
        }
    }


RUNNERS = {
    "envelope": run_envelope,
    "wrap": run_wrap,
    "node": run_node,
    "ring": run_ring,
    "key_tree": run_key_tree,
    "digest": run_digest,
    "passphrase": run_passphrase,
    "recovery_code": run_recovery_code,
    "header": run_header,
}


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_a_case_ends_as_it_says(path: Path) -> None:
    """Success gives exactly what the file holds; a failure is of exactly the kind it names."""
    case: Case = json.loads(path.read_text(encoding="ascii"))
    run = RUNNERS[case["kind"]]

    if case["expect"] == "success":
        outcome = run(case)
        assert outcome == {name: case[name] for name in outcome}
    else:
        with pytest.raises(MimirError) as caught:
            run(case)
        assert caught.type is OUTCOMES[case["expect"]]


def test_every_kind_succeeds_somewhere_and_every_outcome_is_shown() -> None:
    """No kind of case consists of failures alone, and each of the four outcomes occurs."""
    cases: list[Case] = [json.loads(path.read_text(encoding="ascii")) for path in CASES]

    assert {case["kind"] for case in cases if case["expect"] == "success"} == set(RUNNERS)
    assert {case["expect"] for case in cases} == {"success", *OUTCOMES}


def test_the_generator_writes_these_files(tmp_path: Path) -> None:
    """Seeded, it gives the committed files and the worked example byte for byte."""
    document = tmp_path / "FORMAT.md"
    document.write_bytes(FORMAT.read_bytes())

    subprocess.run([sys.executable, str(FOLDER / "generate.py"), str(tmp_path), str(document)], check=True)

    for name in ("cases", "headers"):
        written = {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}
        assert written == {path.name: path.read_bytes() for path in (FOLDER / name).iterdir()}
    assert document.read_bytes() == FORMAT.read_bytes()
