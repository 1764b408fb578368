"""Manifest: what is in a bundle, with the digest of each file, and the signature over all of it.

A sealed folder of `core.checksums` guards against damage; a bundle travels, so that its digests are SHA-256 and signed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from hwds.core.errors import DataError
from hwds.production.bundle.keys import is_signed, public_of, refuse_untrusted, sign

FORMAT = 1
"""The version of the layout of bundles."""

MANIFEST, SIGNATURE = "bundle.json", "bundle.sig"
MODEL, GRAPH, CONFIG, STATE = "model", "model.onnx", "config.json", "state"
SCHEMA, ARROW = "schema.json", "schema.arrow"
REFERENCE, DECISION, CONFORMAL, LATENCY, PARITY = "reference.json", "decision.json", "conformal.json", "latency.json", "parity"
CARD, CARD_JSON, CARD_SAGEMAKER = "card.md", "card.json", "card.sagemaker.json"
LOCK, LICENCES, TABLES = "requirements.lock", "licences.csv", "tables"


@dataclass(frozen=True)
class Manifest:
    """The content of `bundle.json`.

    Attributes:
        kind: The kind of its questions: `rows`, `events`, `panel`, `runs`, `images`.
        family: The task of the run's protocol.
        run: The run's title.
        model: The label of its model.
        python: The version of Python that made it.
        graph: The columns that `model.onnx` reads (`numbers`, `texts`), or why there is none (`why`).
        parity: What a fresh process showed: rows, worst differences, cases.
        files: By path within the folder the SHA-256 and the size of every other file.
        format: The version of the layout.
    """

    kind: str
    family: str
    run: str
    model: str
    python: str
    graph: Mapping[str, Any]
    parity: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    format: int = FORMAT

    @cached_property
    def digest(self) -> str:
        """The name of this bundle and no other: 16 digits of the SHA-256 of the manifest."""
        return hashlib.sha256(self.content()).hexdigest()[:16]

    def content(self) -> bytes:
        """Return the bytes that are signed."""
        return json.dumps(asdict(self), indent=1, sort_keys=True).encode() + b"\n"

    @classmethod
    def read(cls, folder: Path, trusted: Mapping[str, str] | None) -> Self:
        """Return the manifest of a folder whose signature and files are what they were when it was made.

        Args:
            folder: The bundle.
            trusted: Public keys, each with its file; None takes any signer, for what was just made here.

        Raises:
            DataError: It is no bundle, unsigned, of another signer or layout, or a file was changed, is absent or was added.
        """
        content = _content(folder)
        _check_signature(folder, content, trusted)
        try:
            stored = json.loads(content)
            version = stored["format"]
            if version != FORMAT:
                raise DataError(f"{folder}: is of layout {version}, this hwds reads {FORMAT}; make the bundle again.")
            manifest = cls(**stored)
        except (ValueError, TypeError, KeyError) as error:
            raise DataError(f"{folder / MANIFEST}: is no manifest of a bundle.") from error
        _check_files(folder, manifest.files)
        return manifest

    def write(self, folder: Path, key: Any) -> None:
        """Write the manifest and its signature."""
        (folder / MANIFEST).write_bytes(self.content())
        signed = {"algorithm": "ed25519", "public_key": public_of(key.public_key()), "signature": sign(self.content(), key)}
        (folder / SIGNATURE).write_text(json.dumps(signed, indent=1) + "\n")


def files_of(folder: Path) -> dict[str, dict[str, Any]]:
    """Return every file of a folder but manifest and signature, by path, with SHA-256 and size.

    Raises:
        DataError: One is a link, or reaches outside the folder.
    """
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            raise DataError(f"{path}: is a link, which no bundle may hold.")
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name not in (MANIFEST, SIGNATURE):
            found[name] = {"sha256": sha256(path), "bytes": path.stat().st_size}
    return found


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file.

    Raises:
        DataError: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}.") from error


def _content(folder: Path) -> bytes:
    try:
        return (folder / MANIFEST).read_bytes()
    except OSError as error:
        raise DataError(f"{folder}: is no bundle, it has no {MANIFEST}.") from error


def _check_signature(folder: Path, content: bytes, trusted: Mapping[str, str] | None) -> None:
    try:
        signed = json.loads((folder / SIGNATURE).read_bytes())
        public, signature = str(signed["public_key"]), str(signed["signature"])
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DataError(f"{folder}: is not signed; a bundle that is not is never loaded.") from error
    if trusted is not None:
        refuse_untrusted(public, dict(trusted), folder)
    if not is_signed(content, signature, public):
        raise DataError(f"{folder / MANIFEST}: is not what was signed; the bundle was changed.")


def _check_files(folder: Path, files: Mapping[str, Mapping[str, Any]]) -> None:
    there = files_of(folder)
    for name, known in files.items():
        if name not in there:
            raise DataError(f"{folder / name}: is absent; the bundle was changed.")
        if there[name] != known:
            raise DataError(f"{folder / name}: has other bytes than were signed; the bundle was changed.")
    added = sorted(set(there) - set(files))
    if added:
        raise DataError(f"{folder / added[0]}: was added to what was signed; the bundle was changed.")
