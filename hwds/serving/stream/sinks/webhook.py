"""Alerts posted to an address of the web."""

from __future__ import annotations

import os
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from hwds.core.errors import ConfigError
from hwds.core.secrets import without_secrets
from hwds.serving.stream.sinks.base import NotSent

TOKEN = "HWDS_WEBHOOK_TOKEN"
"""The variable with a token, which is sent as `Authorization: Bearer`."""

TIMEOUT = 10.0


class _NoRedirect(HTTPRedirectHandler):
    """Refuses to be sent elsewhere: a POST would become a GET."""

    def redirect_request(self, *_: object) -> None:
        """Return nothing, which makes it an error."""


class Webhook:
    """An address that takes each alert as JSON by POST, and answers with a code of 200 to 299.

    `Idempotency-Key` is the alert's id, by which a second time can be told.

    Args:
        text: `https://host/path`.

    Raises:
        ConfigError: It has no host, or names a user.
    """

    def __init__(self, text: str) -> None:
        self.name, self._address = without_secrets(text), text
        if not urlsplit(text).hostname:
            raise ConfigError(f"stream: --to {self.name}: must have a host.")
        if urlsplit(text).username is not None:
            raise ConfigError(f"stream: --to {self.name}: must have no user; a token is sent where {TOKEN} holds one.")
        self._opener = build_opener(_NoRedirect)

    def send(self, alert: str, id: str) -> None:
        """Post it."""
        headers = {"Content-Type": "application/json", "Idempotency-Key": id.encode("unicode_escape").decode()}
        if token := os.environ.get(TOKEN):
            headers["Authorization"] = f"Bearer {token}"
        try:
            with self._opener.open(Request(self._address, alert.encode(), headers, method="POST"), timeout=TIMEOUT) as answer:
                answer.read(1 << 16)
        except HTTPError as error:
            raise NotSent(f"the answer was {error.code}") from error
        except (OSError, HTTPException) as error:
            raise NotSent(" ".join(str(error).split())) from error

    def close(self) -> None:
        """Nothing is held."""
