"""Exports as tests compare them: without what every vault makes anew."""

from __future__ import annotations

import io
import json
from typing import Any

from mimir_vault.memory import Memory

MADE_BY_VAULT = ("id", "recorded_at", "superseded_by")


def exported(memory: Memory, **restrictions: Any) -> bytes:
    """Return an export as JSON Lines."""
    file = io.BytesIO()
    memory.export_to(file, **restrictions)
    return file.getvalue()


def comparable(export: bytes, *, follows: bool = True) -> list[dict[str, Any]]:
    """Return the lines of an export without ids, moments of recording, import ids and refs that an import made.

    Links name lines by their place in the file; those that lead out of it are left out.
    """
    lines = [json.loads(line) for line in export.splitlines()]
    places = {line["id"]: place for place, line in enumerate(lines)}
    for line in lines:
        line["links"] = sorted(
            (link["kind"], places[link["target"]])
            for link in line["links"]
            if link["target"] in places and (follows or link["kind"] != "follows")
        )
        if line["ref"] is not None and line["ref"][-1].startswith("import:"):
            line["ref"] = None
        line["metadata"].pop("import_id", None)
        for name in MADE_BY_VAULT:
            del line[name]
    return lines
