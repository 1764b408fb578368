"""Manifest of a bundle: the digest of each file, and the signature over all of it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

from hwds.core.errors import ConfigError, DataError
from hwds.core.questions import RowRule

# Keys: ed25519 pairs with which bundles are signed, and the public ones that are trusted.

KEY_VARIABLE, TRUST_VARIABLE = "HWDS_SIGNING_KEY", "HWDS_TRUSTED_KEYS"
"""Variables of the environment that name the private key, and the public ones (a file or a folder
of them).
"""

PUBLIC_SUFFIX = ".pub"


def default_key() -> Path:
    """Return the private key that is used where none is named."""
    named = os.environ.get(KEY_VARIABLE)
    return Path(named) if named else Path.home() / ".config" / "hwds" / "signing.pem"


def signing_key(path: Path) -> Any:
    """Return a private key; where the file is absent a new pair is written, readable by its owner
    alone.

    Args:
        path: A PEM file; the public key lies beside it, under the same name with `.pub` behind.

    Raises:
        ConfigError: The file holds no ed25519 key, or cannot be read or written.
    """
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    try:
        if path.is_file():
            key = serialization.load_pem_private_key(path.read_bytes(), None)
            if not isinstance(key, Ed25519PrivateKey):
                raise ConfigError(f"--key: {path} holds another kind of key than ed25519.")
            return key
        key = Ed25519PrivateKey.generate()
        path.parent.mkdir(parents=True, exist_ok=True)
        encoding, plain = serialization.Encoding.PEM, serialization.NoEncryption()
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, plain))
        path.with_name(path.name + PUBLIC_SUFFIX).write_text(
            public_key_text(key.public_key()) + "\n"
        )
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(
            f"--key: {path} is no key that can be used ({type(error).__name__}: {error})."
        ) from error
    return key


def public_key_text(key: Any) -> str:
    """Return a public key as 64 hexadecimal digits."""
    return str(key.public_bytes_raw().hex())


def trusted_keys(place: str | None) -> dict[str, str]:
    """Return the public keys that are trusted, each with the file that it is from.

    Args:
        place: A file or a folder of files `*.pub`; None takes the variable, or else the pair of the
            default private key.

    Raises:
        ConfigError: There is none, or a file holds no key.
    """
    named = place or os.environ.get(TRUST_VARIABLE)
    path = Path(named) if named else default_key().with_name(default_key().name + PUBLIC_SUFFIX)
    files = (
        sorted(path.glob(f"*{PUBLIC_SUFFIX}"))
        if path.is_dir()
        else [path]
        if path.is_file()
        else []
    )
    if not files:
        raise ConfigError(
            f"--trust: no public key at {path}; a bundle's signature cannot be checked without one."
        )
    keys = {}
    for file in files:
        text = file.read_text(errors="replace").strip()
        if len(text) != 64 or set(text) - set("0123456789abcdef"):
            raise ConfigError(
                f"--trust: {file} holds no public key, which is 64 hexadecimal digits."
            )
        keys[text] = str(file)
    return keys


def is_signed(content: bytes, signature: str, public: str) -> bool:
    """Return whether a signature (hexadecimal) is that of a content by the owner of a public
    key.

    Raises:
        ConfigError: `cryptography` is not installed.
    """
    if find_spec("cryptography") is None:
        raise ConfigError("bundle: needs cryptography: pip install 'hwds[serve]'.")
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public)).verify(
            bytes.fromhex(signature), content
        )
    except (InvalidSignature, ValueError):
        return False
    return True


def sign(content: bytes, key: Any) -> str:
    """Return the signature of a content, in hexadecimal digits."""
    return str(key.sign(content).hex())


def refuse_untrusted(public: str, trusted: dict[str, str], folder: Path) -> None:
    """Refuse a bundle of a signer who is not trusted.

    Raises:
        DataError: He is not.
    """
    if public not in trusted:
        raise DataError(
            f"{folder}: is signed by {public[:16]}..., whom no key of "
            f"{', '.join(set(trusted.values()))} is of."
        )


# Manifest: what is in a bundle, with the digest of each file, and the signature over all of it.
# A sealed folder of `core.checksums` guards against damage; a bundle travels, so that its
# digests are SHA-256 and signed.

FORMAT = 1
"""The version of the layout of bundles."""

MANIFEST, SIGNATURE = "bundle.json", "bundle.sig"
MODEL, GRAPH, CONFIG, STATE = "model", "model.onnx", "config.json", "state"
SCHEMA, ARROW = "schema.json", "schema.arrow"
REFERENCE, DECISION, CONFORMAL, LATENCY, PARITY = (
    "reference.json",
    "decision.json",
    "conformal.json",
    "latency.json",
    "parity",
)
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
        graph: The columns that `model.onnx` reads (`numbers`, `texts`), or why there is none
            (`why`).
        parity: What a fresh process showed: rows, worst differences, cases.
        files: The SHA-256 and the size of every other file, by its path within the folder.
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
        """Return the manifest of a folder whose signature and files are what they were when it was
        made.

        Args:
            folder: The bundle.
            trusted: Public keys, each with its file; None takes any signer, for what was just made
                here.

        Raises:
            DataError: It is no bundle, unsigned, of another signer or layout, or a file was
                changed, is absent or was added.
        """
        content = _content(folder)
        _check_signature(folder, content, trusted)
        try:
            stored = json.loads(content)
            version = stored["format"]
            if version != FORMAT:
                raise DataError(
                    f"{folder}: is of layout {version}, this hwds reads {FORMAT}; make the bundle "
                    f"again."
                )
            manifest = cls(**stored)
        except (ValueError, TypeError, KeyError) as error:
            raise DataError(f"{folder / MANIFEST}: is no manifest of a bundle.") from error
        _check_files(folder, manifest.files)
        return manifest

    def write(self, folder: Path, key: Any) -> None:
        """Write the manifest and its signature."""
        (folder / MANIFEST).write_bytes(self.content())
        signed = {
            "algorithm": "ed25519",
            "public_key": public_key_text(key.public_key()),
            "signature": sign(self.content(), key),
        }
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
        raise DataError(
            f"{folder}: is not signed; a bundle that is not is never loaded."
        ) from error
    if trusted is not None:
        refuse_untrusted(public, dict(trusted), folder)
    if not is_signed(content, signature, public):
        raise DataError(f"{folder / MANIFEST}: is not what was signed; the bundle was changed.")


def _check_files(folder: Path, files: Mapping[str, Mapping[str, Any]]) -> None:
    there = files_of(folder)
    for name, signed in files.items():
        if name not in there:
            raise DataError(f"{folder / name}: is absent; the bundle was changed.")
        if there[name] != signed:
            raise DataError(
                f"{folder / name}: has other bytes than were signed; the bundle was changed."
            )
    added = sorted(set(there) - set(files))
    if added:
        raise DataError(
            f"{folder / added[0]}: was added to what was signed; the bundle was changed."
        )


# The rule of a bundle's decision, by the class that the bundle names.

ALERT_RULE = "hwds.detection.alerts.tiers:AlertTiers"
"""The class of the rule of a bundle that names none: of older versions, which had this one alone.
"""


def stored_rule(decision: Mapping[str, Any] | None) -> RowRule | None:
    """Return what a bundle's `decision.json` says of rows; None where it says nothing.

    Raises:
        DataError: The class of the rule is not here.
    """
    content = decision or {}
    path = content.get("rule", ALERT_RULE if content.get("kind") == "alerts" else None)
    if path is None:
        return None
    module, _, name = path.partition(":")
    try:
        rule: type[RowRule] = getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise DataError(f"{DECISION}: its rule '{path}' is not here ({error}).") from error
    return rule.stored(content)
