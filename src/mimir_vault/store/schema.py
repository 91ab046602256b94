"""Tables of a space's and of the catalog's database, as numbered migrations."""

from __future__ import annotations

import apsw

from mimir_vault.errors import FormatError

SPACE_APPLICATION_ID = 0x4D696D53
"""`MimS`: marks a space's database inside its encrypted pages."""
CATALOG_APPLICATION_ID = 0x4D696D43
"""`MimC`: marks the catalog's database."""
PINS_APPLICATION_ID = 0x4D696D50
"""`MimP`: marks a database of pins."""

_COMMON = """
CREATE TABLE freshness (
    one INTEGER PRIMARY KEY CHECK (one = 1), generation INTEGER NOT NULL, count INTEGER NOT NULL,
    digest BLOB NOT NULL, rows_digest BLOB NOT NULL, chain BLOB NOT NULL, recorded INTEGER NOT NULL
) STRICT;
CREATE TABLE chain (generation INTEGER PRIMARY KEY, value BLOB NOT NULL) STRICT;
CREATE TABLE audit (
    place INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, event BLOB NOT NULL, chain BLOB NOT NULL
) STRICT;
CREATE TABLE setting (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE padding (pages INTEGER NOT NULL, data BLOB NOT NULL) STRICT;
"""

_SPACE_1 = """
-- Truth: envelopes, wrapped node keys, callers' vectors, tombstones.
CREATE TABLE node (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id BLOB NOT NULL UNIQUE, epoch INTEGER NOT NULL, wrap BLOB NOT NULL,
    payload BLOB NOT NULL, metadata BLOB NOT NULL, state BLOB NOT NULL
) STRICT;
CREATE TABLE sealed_vector (
    seq INTEGER NOT NULL, model INTEGER NOT NULL, window INTEGER NOT NULL, data BLOB NOT NULL,
    PRIMARY KEY (seq, model, window)
) STRICT, WITHOUT ROWID;
CREATE TABLE tombstone (
    id BLOB PRIMARY KEY, generation INTEGER NOT NULL, seq INTEGER NOT NULL, superseded BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX tombstone_generation ON tombstone (generation);
CREATE TABLE model (
    code INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, dimension INTEGER NOT NULL, digest TEXT NOT NULL,
    probe BLOB NOT NULL, frozen BLOB, home INTEGER NOT NULL
) STRICT;

-- Derived: all of it can be made again from the truth.
CREATE TABLE derived (
    kind TEXT PRIMARY KEY, version INTEGER NOT NULL, model INTEGER NOT NULL, through INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE change (generation INTEGER NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (generation, seq))
    STRICT, WITHOUT ROWID;
CREATE TABLE facet (seq INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT;
CREATE TABLE name (
    code INTEGER PRIMARY KEY AUTOINCREMENT, text TEXT NOT NULL UNIQUE, uses INTEGER NOT NULL
) STRICT;
CREATE TABLE thread (
    code INTEGER PRIMARY KEY AUTOINCREMENT, identity BLOB NOT NULL UNIQUE, length INTEGER NOT NULL,
    uses INTEGER NOT NULL, head INTEGER NOT NULL
) STRICT;
CREATE TABLE ref (path BLOB NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (path, seq)) STRICT, WITHOUT ROWID;
CREATE TABLE link (
    newer INTEGER NOT NULL, kind INTEGER NOT NULL, target BLOB NOT NULL, older INTEGER NOT NULL,
    PRIMARY KEY (newer, kind, target)
) STRICT, WITHOUT ROWID;
CREATE INDEX link_target ON link (target);
CREATE TABLE attribute (
    path INTEGER NOT NULL, value BLOB NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (path, value, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE term (code INTEGER PRIMARY KEY AUTOINCREMENT, text TEXT NOT NULL UNIQUE, nodes INTEGER NOT NULL) STRICT;
CREATE TABLE words (seq INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT;
CREATE TABLE posting (term INTEGER NOT NULL, first INTEGER NOT NULL, data BLOB NOT NULL, PRIMARY KEY (term, first))
    STRICT, WITHOUT ROWID;
CREATE TABLE vector (
    vid INTEGER PRIMARY KEY AUTOINCREMENT, seq INTEGER NOT NULL, model INTEGER NOT NULL, window INTEGER NOT NULL,
    data BLOB NOT NULL
) STRICT;
CREATE INDEX vector_seq ON vector (seq);
CREATE TABLE passage (
    seq INTEGER NOT NULL, model INTEGER NOT NULL, window INTEGER NOT NULL, start INTEGER NOT NULL,
    stop INTEGER NOT NULL, PRIMARY KEY (seq, model, window)
) STRICT, WITHOUT ROWID;
CREATE TABLE sketch (model INTEGER NOT NULL, part INTEGER NOT NULL, data BLOB NOT NULL, PRIMARY KEY (model, part))
    STRICT, WITHOUT ROWID;

-- Who does the upkeep; moments are microseconds since 1970.
CREATE TABLE lease (one INTEGER PRIMARY KEY CHECK (one = 1), owner BLOB NOT NULL, deadline INTEGER NOT NULL) STRICT;
"""

_CATALOG_1 = """
CREATE TABLE space (
    id BLOB PRIMARY KEY, name TEXT NOT NULL UNIQUE, file TEXT NOT NULL UNIQUE, ring BLOB NOT NULL,
    size_floor INTEGER NOT NULL, created INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
"""

_PINS_1 = """
CREATE TABLE pin (
    name TEXT NOT NULL, replica BLOB NOT NULL, generation INTEGER NOT NULL, chain BLOB NOT NULL, at INTEGER NOT NULL,
    PRIMARY KEY (name, replica)
) STRICT, WITHOUT ROWID;
"""

SPACE_MIGRATIONS = (_COMMON + _SPACE_1,)
CATALOG_MIGRATIONS = (_COMMON + _CATALOG_1,)
PINS_MIGRATIONS = (_PINS_1,)

DIGESTED_TABLES = (
    "audit", "setting", "sealed_vector", "model", "derived", "change", "facet", "name", "thread", "ref", "link",
    "attribute", "term", "words", "posting", "vector", "passage", "sketch", "space",
)  # fmt: skip
"""Tables whose every row counts into `rows_digest`. Not counted: `node` and `tombstone` (the set digest covers them),
`freshness`, `chain` and `lease` (they would chase their own tail), `padding` (zeros)."""


def migrate(connection: apsw.Connection, migrations: tuple[str, ...], application_id: int, name: str) -> None:
    """Inside a write transaction: bring a database to the newest version.

    Raises:
        FormatError: a newer release wrote it, or it is another kind of database.
    """
    version, found = int(connection.pragma("user_version")), int(connection.pragma("application_id"))
    if version > len(migrations):
        raise FormatError(
            f"{name} has format {version}, this version of Mimir knows up to {len(migrations)}; update Mimir"
        )
    if version and found != application_id:
        raise FormatError(f"{name} is a database of another kind")
    for number in range(version, len(migrations)):
        connection.execute(migrations[number])
    connection.pragma("user_version", len(migrations))
    connection.pragma("application_id", application_id)


def is_current(connection: apsw.Connection, migrations: tuple[str, ...], application_id: int, name: str) -> bool:
    """Say whether nothing has to be migrated; refuse what `migrate` would refuse."""
    version, found = int(connection.pragma("user_version")), int(connection.pragma("application_id"))
    if version > len(migrations):
        raise FormatError(
            f"{name} has format {version}, this version of Mimir knows up to {len(migrations)}; update Mimir"
        )
    if version and found != application_id:
        raise FormatError(f"{name} is a database of another kind")
    return version == len(migrations)
