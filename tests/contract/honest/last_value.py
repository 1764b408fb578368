"""The last value, in a protocol that calibrates its intervals."""

from tests.support.panels import LastValue as Model  # noqa: F401

SETTINGS = {"intervals": "conformal"}
