"""Manifest of a bundle: the digest of each file, and the signature over all of it."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hwds.core.errors import ConfigError, DataError
from hwds.core.questions import Fields, Json, RowRule

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
            f"{folder}: is signed by {public[:16]}..., and that key is not in "
            f"{', '.join(set(trusted.values()))}."
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
    graph: Fields
    parity: Fields = field(default_factory=dict)
    files: Mapping[str, Fields] = field(default_factory=dict)
    format: int = FORMAT

    @cached_property
    def digest(self) -> str:
        """The name of this bundle and no other: 16 digits of the SHA-256 of the manifest."""
        return hashlib.sha256(self.content()).hexdigest()[:16]

    def content(self) -> bytes:
        """Return the bytes that are signed."""
        return json.dumps(asdict(self), indent=1, sort_keys=True).encode() + b"\n"

    def write(self, folder: Path, key: Any) -> None:
        """Write the manifest and its signature."""
        (folder / MANIFEST).write_bytes(self.content())
        signed = {
            "algorithm": "ed25519",
            "public_key": public_key_text(key.public_key()),
            "signature": sign(self.content(), key),
        }
        (folder / SIGNATURE).write_text(json.dumps(signed, indent=1) + "\n")


# The reading of a bundle: every file is read once, and what was checked is what is loaded. A file
# that is put in the place of another one afterwards is not seen.


@dataclass(frozen=True)
class BundlePath:
    """A file or a folder of a bundle whose files are in memory; a `Readable`, as a `Path` is.

    Attributes:
        folder: The place that the bundle was read from, for messages.
        files: The content of every file, manifest and signature too, by its path in the bundle.
        place: The path in the bundle; empty for all of it.
    """

    folder: Path
    files: Mapping[str, bytes] = field(repr=False)
    place: str = ""

    def __str__(self) -> str:
        return str(self.folder / self.place)

    def __truediv__(self, name: str, /) -> BundlePath:
        """Return a file or folder in this folder."""
        return replace(self, place=f"{self.place}/{name}" if self.place else name)

    def is_file(self) -> bool:
        """Return whether this is a file."""
        return self.place in self.files

    def read_bytes(self) -> bytes:
        """Return the content of this file.

        Raises:
            DataError: The bundle has no such file.
        """
        if not self.is_file():
            raise DataError(f"{self}: is absent from the bundle.")
        return self.files[self.place]

    def contents(self) -> dict[str, bytes]:
        """Return the content of every file in this folder, by its path in it."""
        begin = f"{self.place}/" if self.place else ""
        found = self.files.items()
        return {name[len(begin) :]: content for name, content in found if name.startswith(begin)}


def read_bundle(folder: Path, trusted: Mapping[str, str] | None) -> tuple[Manifest, BundlePath]:
    """Return the manifest of a folder and its files in memory, which are what was signed.

    Args:
        folder: The bundle.
        trusted: Public keys, each with its file; None takes any signer, for what was just made
            here.

    Raises:
        DataError: It is no bundle, unsigned, of another signer or layout, or a file was changed,
            is absent, was added or is no plain file.
    """
    if not (folder / MANIFEST).exists():
        raise DataError(f"{folder}: is no bundle, it has no {MANIFEST}.")
    content = _read_file(folder / MANIFEST)
    signature = _checked_signature(folder, content, trusted)
    try:
        stored = json.loads(content)
        version = stored["format"]
        if version != FORMAT:
            raise DataError(
                f"{folder}: is of layout {version}, this hwds reads {FORMAT}; make the bundle "
                f"again."
            )
        manifest = Manifest(**stored)
    except (ValueError, TypeError, KeyError) as error:
        raise DataError(f"{folder / MANIFEST}: is no manifest of a bundle.") from error
    files = _checked_files(folder, manifest.files)
    return manifest, BundlePath(folder, files | {MANIFEST: content, SIGNATURE: signature})


def read_files(folder: Path) -> dict[str, bytes]:
    """Return the content of every file of a folder but manifest and signature, by path.

    Raises:
        DataError: One is no plain file, or cannot be read.
    """
    return {name: _read_file(folder / name) for name in _names(folder)}


def files_of(folder: Path) -> dict[str, Json]:
    """Return the SHA-256 and the size of every file of a folder but manifest and signature; see
    `read_files`.
    """
    return {name: _facts(content) for name, content in read_files(folder).items()}


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file.

    Raises:
        DataError: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise _unreadable(path, error) from error


def _facts(content: bytes) -> Json:
    return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


def _unreadable(path: Path, error: OSError) -> DataError:
    return DataError(f"{path}: cannot be read: {error.strerror or error}.")


def _names(folder: Path) -> list[str]:
    """Return the paths of all files of a folder but manifest and signature.

    Raises:
        DataError: One is no plain file, or a folder is empty.
    """
    found = set()
    try:
        for path in folder.rglob("*"):
            if not stat.S_ISDIR((facts := path.lstat()).st_mode):
                _refuse_odd(path, facts)
                found.add(path.relative_to(folder).as_posix())
            elif not os.listdir(path):
                raise DataError(f"{path}: is an empty folder, which no bundle may hold.")
    except OSError as error:
        raise _unreadable(folder, error) from error
    return sorted(found - {MANIFEST, SIGNATURE})


def _refuse_odd(path: Path, facts: os.stat_result) -> None:
    """Refuse what is no plain file of one name.

    Raises:
        DataError: It is a link, a pipe, a socket or a device, or has a second name.
    """
    if stat.S_ISLNK(facts.st_mode):
        raise DataError(f"{path}: is a link, which no bundle may hold.")
    if not stat.S_ISREG(facts.st_mode):
        raise DataError(f"{path}: is no plain file, and no bundle may hold anything else.")
    if facts.st_nlink > 1:
        raise DataError(
            f"{path}: is a hard link, which no bundle may hold; copy the bundle to a new folder."
        )


def _read_file(path: Path, most: int = -1) -> bytes:
    """Return the content of a plain file, or so many bytes of it; a pipe is not waited for.

    Raises:
        DataError: It is no plain file, or cannot be read.
    """
    try:
        _refuse_odd(path, path.lstat())
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        with open(handle, "rb") as file:
            _refuse_odd(path, os.fstat(handle))
            return file.read(most)
    except OSError as error:
        raise _unreadable(path, error) from error


def _checked_signature(folder: Path, content: bytes, trusted: Mapping[str, str] | None) -> bytes:
    """Return the signature of a manifest's content.

    Raises:
        DataError: There is none, it is of a signer who is not trusted, or of another content.
    """
    if not (folder / SIGNATURE).exists():
        raise DataError(f"{folder}: is not signed; a bundle that is not is never loaded.")
    stored = _read_file(folder / SIGNATURE)
    try:
        signed = json.loads(stored)
        public, signature = str(signed["public_key"]), str(signed["signature"])
    except (ValueError, TypeError, KeyError) as error:
        raise DataError(
            f"{folder}: is not signed; a bundle that is not is never loaded."
        ) from error
    if trusted is not None:
        refuse_untrusted(public, dict(trusted), folder)
    if not is_signed(content, signature, public):
        raise DataError(
            f"{folder / MANIFEST}: differs from the signed file; the bundle was changed."
        )
    return stored


def _checked_files(folder: Path, known: Mapping[str, Fields]) -> dict[str, bytes]:
    """Return the content of the files of a manifest.

    Raises:
        DataError: One has other bytes, is absent or was added.
    """
    there = _names(folder)
    if absent := sorted(set(known) - set(there)):
        raise DataError(f"{folder / absent[0]}: is absent; the bundle was changed.")
    if added := sorted(set(there) - set(known)):
        raise DataError(f"{folder / added[0]}: was added after signing; the bundle was changed.")
    files = {name: _read_file(folder / name, int(known[name]["bytes"]) + 1) for name in there}
    for name, content in files.items():
        if _facts(content) != known[name]:
            raise DataError(
                f"{folder / name}: has other bytes than were signed; the bundle was changed."
            )
    return files


# The rule of a bundle's decision, by the class that the bundle names.

ALERT_RULE = "hwds.detection.alerts.tiers:AlertTiers"
"""The class of the rule of a bundle that names none: of older versions, which had this one alone.
"""


def stored_rule(decision: Fields | None) -> RowRule | None:
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
