"""Markdown files: the one place that writes them, in which no text becomes HTML or a link."""

from __future__ import annotations

import re
from pathlib import Path

from hwds.core.atomic import write_text
from hwds.core.secrets import without_secrets

PICTURE = r"[\w.-]+\.(?:png|svg)\)"
"""The end of the only links that hwds writes: a picture beside the page."""

LINK = re.compile(rf"\](?=\((?!{PICTURE}))|\](?=\[)", re.ASCII)
"""The middle of any other link."""

REFERENCE = re.compile(r"^( {0,3})\[(?=[^\]\n]*\]:)", re.MULTILINE)
"""The beginning of a line that says where a link leads."""


def write_markdown(path: Path, text: str) -> None:
    """Write a page whose names and texts are other people's: data, options and labels.

    Raises:
        HwdsError: The folder cannot be written.
    """
    write_text(path, harmless(without_secrets(text)))


def harmless(text: str) -> str:
    """Return a page in which Markdown recognises no HTML and no link, but for pictures beside it."""
    return REFERENCE.sub(r"\1\[", LINK.sub(r"\]", text.replace("<", "&lt;")))
