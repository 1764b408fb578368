"""Loaded: a bundle with the service that answers by it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, NamedTuple, Self

import polars as pl

from hwds.production.server.settings import ServerSettings
from hwds.production.services.base import Service
from hwds.production.services.opening import Bundle

LOG = logging.getLogger("hwds.server")

FAILURES: tuple[type[BaseException], ...] = (Exception, pl.exceptions.PanicException)
"""The exceptions of a service that fails: a panic of polars is no `Exception`."""


class Loaded(NamedTuple):
    """A bundle, its service, and facts of it that every request needs."""

    bundle: Bundle
    service: Service
    schema: dict[str, Any]
    digest: str

    @classmethod
    def of(cls, bundle: Bundle, settings: ServerSettings) -> Self:
        """Return a bundle with its service.

        Raises:
            DataError: It is of another version of hwds.
        """
        store = Path(settings.store) if settings.store else None
        service = bundle.service(store, "power" if settings.power else "process")
        return cls(bundle, service, service.question_schema(), bundle.manifest.digest)
