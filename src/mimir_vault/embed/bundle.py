"""The model files inside the package, read only after their digests were checked."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable

from mimir_vault.errors import FormatError, TamperedError


@dataclass(frozen=True)
class Bundle:
    """A model that lies in the package; the digest of its manifest pins all its files."""

    name: str
    dimension: int
    max_tokens: int
    folder: Traversable
    manifest_sha256: str

    def manifest(self) -> dict[str, str]:
        """Return {file: SHA-256}.

        Raises:
            TamperedError: the manifest is not the one that was shipped.
            FormatError: it is missing.
        """
        content = self._read("manifest.json", self.manifest_sha256)
        files: dict[str, str] = json.loads(content)["files"]
        return files

    def read(self, file: str) -> bytes:
        """Return the bytes of a file the manifest names; the same errors as manifest()."""
        return self._read(file, self.manifest()[file])

    def _read(self, file: str, digest: str) -> bytes:
        try:
            content = self.folder.joinpath(file).read_bytes()
        except OSError as error:
            raise FormatError(
                f"The model file {file} is missing from the package; install mimir-vault again."
            ) from error
        if hashlib.sha256(content).hexdigest() != digest:
            raise TamperedError(f"The model file {file} is not the one that was shipped; install mimir-vault again.")
        return content


def all_minilm_l6_v2() -> Bundle:
    """Return the bundled all-MiniLM-L6-v2, as tools/build_model.py made it."""
    return Bundle(
        name="all-MiniLM-L6-v2",
        dimension=384,
        max_tokens=256,
        folder=resources.files("mimir_vault.embed") / "assets",
        manifest_sha256="99a1c1bb4bb8fbcf48bcb0e002094e49e504a3337829d1d16537f197bb6e5b0c",
    )
