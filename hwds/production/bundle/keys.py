"""Keys: ed25519 pairs with which bundles are signed, and the public ones that are trusted."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hwds.core.errors import ConfigError, DataError
from hwds.production.bundle.ed25519 import is_valid

KEY_VARIABLE, TRUST_VARIABLE = "HWDS_SIGNING_KEY", "HWDS_TRUSTED_KEYS"
"""Variables of the environment that name the private key, and the public ones (a file or a folder of them)."""

PUBLIC = ".pub"


def default_key() -> Path:
    """Return the private key that is used where none is named."""
    named = os.environ.get(KEY_VARIABLE)
    return Path(named) if named else Path.home() / ".config" / "hwds" / "signing.pem"


def signing_key(path: Path) -> Any:
    """Return a private key; where the file is absent a new pair is written, readable by its owner alone.

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
        path.with_name(path.name + PUBLIC).write_text(public_of(key.public_key()) + "\n")
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(f"--key: {path} is no key that can be used ({type(error).__name__}: {error}).") from error
    return key


def public_of(key: Any) -> str:
    """Return a public key as 64 hexadecimal digits."""
    return str(key.public_bytes_raw().hex())


def trusted_keys(place: str | None) -> dict[str, str]:
    """Return the public keys that are trusted, each with the file that it is from.

    Args:
        place: A file or a folder of files `*.pub`; None takes the variable, or else the pair of the default private key.

    Raises:
        ConfigError: There is none, or a file holds no key.
    """
    named = place or os.environ.get(TRUST_VARIABLE)
    path = Path(named) if named else default_key().with_name(default_key().name + PUBLIC)
    files = sorted(path.glob(f"*{PUBLIC}")) if path.is_dir() else [path] if path.is_file() else []
    if not files:
        raise ConfigError(f"--trust: no public key at {path}; a bundle's signature cannot be checked without one.")
    keys = {}
    for file in files:
        text = file.read_text(errors="replace").strip()
        if len(text) != 64 or set(text) - set("0123456789abcdef"):
            raise ConfigError(f"--trust: {file} holds no public key, which is 64 hexadecimal digits.")
        keys[text] = str(file)
    return keys


def is_signed(content: bytes, signature: str, public: str) -> bool:
    """Return whether a signature (hexadecimal) is that of a content by the owner of a public key."""
    if find_spec("cryptography") is None:
        return _is_signed_alone(content, signature, public)
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public)).verify(bytes.fromhex(signature), content)
    except (InvalidSignature, ValueError):
        return False
    return True


def _is_signed_alone(content: bytes, signature: str, public: str) -> bool:
    try:
        return is_valid(content, bytes.fromhex(signature), bytes.fromhex(public))
    except ValueError:
        return False


def sign(content: bytes, key: Any) -> str:
    """Return the signature of a content, in hexadecimal digits."""
    return str(key.sign(content).hex())


def refuse_untrusted(public: str, trusted: dict[str, str], folder: Path) -> None:
    """Refuse a bundle of a signer who is not trusted.

    Raises:
        DataError: He is not.
    """
    if public not in trusted:
        raise DataError(f"{folder}: is signed by {public[:16]}..., whom no key of {', '.join(set(trusted.values()))} is of.")
