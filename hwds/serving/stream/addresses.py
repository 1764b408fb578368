"""Addresses: `mqtt://user@host:1883/topic?qos=1` in parts, refused in a line where a part is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

from hwds.core.errors import ConfigError, nearest
from hwds.core.secrets import without_secrets


@dataclass(frozen=True)
class Address:
    """An address in parts.

    Attributes:
        scheme: Before `://`.
        host: The machine.
        port: Of the server.
        path: Without the first stroke: a topic.
        user: A name, empty for none.
        password: Empty for none.
        options: The options after `?`.
        shown: The whole of it without secrets.
    """

    scheme: str
    host: str
    port: int
    path: str
    user: str
    password: str
    options: dict[str, str]
    shown: str


def address(flag: str, text: str, port: int, options: tuple[str, ...]) -> Address:
    """Return an address in parts.

    Args:
        flag: Where it was given, for a refusal.
        text: The address.
        port: The usual one.
        options: Those that may stand after `?`.

    Raises:
        ConfigError: It has no host or no path, its port is none, or an option is not known.
    """
    shown = without_secrets(text)
    try:
        parts = urlsplit(text)
        given = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
        used = parts.port or port
    except ValueError as error:
        raise ConfigError(f"stream: {flag} {shown}: {error}.") from error
    if not parts.hostname:
        raise ConfigError(f"stream: {flag} {shown}: must have a host.")
    rest = f"#{unquote(parts.fragment)}" if "#" in text else ""  # `plant/#` is a topic, and no part of a page
    topic = unquote(parts.path).removeprefix("/") + rest
    if not topic:
        raise ConfigError(f"stream: {flag} {shown}: must have a topic after the host, {parts.scheme}://{parts.hostname}/topic.")
    for name in given:
        if name not in options:
            raise ConfigError(f"stream: {flag} {shown}: no option '{name}'{nearest(name, options)}")
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    return Address(parts.scheme, parts.hostname, used, topic, user, password, given, shown)
