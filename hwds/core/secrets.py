"""Secrets: values of environment variables that no file, page, picture or message may show.

A secret is the value of a variable that is named like one, and of any that a config was given by
`${oc.env:NAME}`: those are remembered by name in `HWDS_CONFIG_ENV`, which processes inherit.
Everything that leaves goes through here: what is printed (`filter_secrets`), texts, data and tables
that are written, pages, and the texts of pictures. What is printed or logged has no character that
moves, colours or hides other text, whoever wrote it (`visible`).
"""

from __future__ import annotations

import html
import json
import os
import re
import sys
import traceback
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO
from urllib.parse import quote

NAMES = re.compile(
    r"KEY|TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|PWD$|(^|_)PASS$|CREDENTIAL|(^|_)AUTH$|(^|_)DSN$"
    r"|(^|_)(DB|DATABASE|MONGO|MONGODB|REDIS|POSTGRES|POSTGRESQL|MYSQL|AMQP|BROKER)_UR[IL]$",
    re.IGNORECASE,
)
"""A part of the name of a variable whose value is a secret."""

REMEMBERED = "HWDS_CONFIG_ENV"
"""The variable with the names of those that a config was given."""

SHORTEST = 6
"""The least length of a secret; shorter values are ordinary words."""

REDACTED = re.compile(r"\$\{oc\.env:(\w+)\}")
"""A redacted secret in a stored config: the name of its variable."""

IN_ADDRESS = re.compile(r"(?<=://)[^/\s@'\"]+(?=@)")
"""The user and the password in an address."""

UNSEEN = {
    code: f"\\u{code:04x}"
    for codes in (
        *(range(0x09), range(0x0B, 0x0D), range(0x0E, 0x20), range(0x7F, 0xA0)),
        *(range(0x61C, 0x61D), range(0x200E, 0x2010), range(0x2028, 0x202F)),
        *(range(0x2066, 0x206A), range(0xFEFF, 0xFF00)),
    )
    for code in codes
}
"""Characters that are not seen and change how others are, as JSON escapes them: controls of
terminals (C0 but line feed and tab, ESC, C1), of direction, and of lines. A carriage return is one
where no line feed follows.
"""

COLOUR, REWRITTEN = r"(\x1b\[[0-9;]*m)", r"\r(\x1b\[K)?"
"""How Rich begins and ends a colour, and how a line of progress begins."""


def visible(text: str) -> str:
    """Return the text with unseen characters escaped as JSON escapes them."""
    shown = text.translate(UNSEEN)
    return re.sub(r"\r(?!\n)", r"\\u000d", shown) if "\r" in shown else shown


def without_secrets(text: str) -> str:
    """Return the text with `***` for every secret of the environment and for the credentials in
    every address.
    """
    redacted = text
    for value in secrets():
        redacted = redacted.replace(value, "***")
    return IN_ADDRESS.sub("***", redacted)


def change_texts(node: Any, change: Callable[[str], str], *, but: Collection[str] = ()) -> Any:
    """Return data in which every text is changed, and everything else as it is.

    Values below the keys `but` are left alone.
    """
    if isinstance(node, Mapping):
        return {
            key: value if key in but else change_texts(value, change, but=but)
            for key, value in node.items()
        }
    if isinstance(node, list | tuple):
        return [change_texts(value, change, but=but) for value in node]
    return change(node) if isinstance(node, str) else node


def data_without_secrets(node: Any) -> Any:
    """Return plain data without secrets: texts by `without_secrets`, dates as texts, keys and
    numbers unchanged.
    """
    if isinstance(node, Mapping):
        return {str(key): data_without_secrets(value) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [data_without_secrets(value) for value in node]
    return node if node is None or isinstance(node, int | float) else without_secrets(str(node))


def texts_without_secrets(node: Any) -> Any:
    """Return data in which every text is without secrets, and everything else as it is."""
    return change_texts(node, without_secrets)


def redact_env(node: Any) -> Any:
    """Return a config with `${oc.env:NAME}` for every secret of the environment.

    Names of options are unchanged.
    """

    def redact(text: str) -> str:
        for value, name in _names_by_secret().items():
            text = text.replace(value, f"${{oc.env:{name}}}")
        return text

    return change_texts(node, redact, but=("name", "recipe"))


def restore_env(node: Any) -> Any:
    """Return the config that `redact_env` was given, in the same environment.

    A missing variable stays named.
    """
    return change_texts(node, lambda text: REDACTED.sub(_restore, text))


def _restore(match: re.Match[str]) -> str:
    remember(match[1])
    return os.environ.get(match[1], match[0])


def remember(name: str) -> None:
    """Let the value of a variable count as a secret, here and in processes that are begun later."""
    os.environ[REMEMBERED] = ",".join(sorted({*_remembered_names(), name}))


def given_by_environment(text: str) -> bool:
    """Return whether a text has the value of a variable that a config was given."""
    return any(value in text for value in _secrets_of_config())


def secrets() -> tuple[str, ...]:
    """Return the values that are secrets, and their forms in JSON, HTML and addresses, the longest
    first.

    Existing paths are not secrets.
    """
    return _secrets_of(_environment())


def _environment() -> tuple[Any, ...]:
    """Return the environment as Python holds it, by which answers are remembered: to decode it
    takes half a millisecond.
    """
    return tuple(os.environ._data.items())  # type: ignore[attr-defined]


@lru_cache(maxsize=4)
def _secrets_of(environment: tuple[Any, ...]) -> tuple[str, ...]:
    """Return the secrets of this very environment: a page asks for every text of its own."""
    forms = {form for value in _names_by_secret_in(environment) for form in _forms(value)}
    return tuple(sorted(forms, key=lambda form: (-len(form), form)))


@contextmanager
def filter_secrets() -> Iterator[None]:
    """Show no secret in what is printed within the block, nor in the traceback of what ends it."""
    streams = sys.stdout, sys.stderr
    sys.excepthook = _traceback
    sys.stdout, sys.stderr = (_Filtered(stream) for stream in streams)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = streams


def _traceback(
    kind: type[BaseException], error: BaseException, frames: TracebackType | None
) -> None:
    lines = "".join(traceback.format_exception(kind, error, frames))
    sys.stderr.write(visible(without_secrets(lines)))


class _Filtered:
    """A stream whose texts have no secrets and no unseen characters.

    Args:
        stream: The stream itself.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._of: tuple[str | None, tuple[str, ...]] = ("none yet", ())

    def write(self, text: str) -> int:
        """Write a text without its secrets, with unseen characters escaped."""
        remembered = os.environ.get(REMEMBERED)
        if self._of[0] != remembered:  # looked up once, not for every line
            self._of = remembered, secrets()
        if "://" in text or any(value in text for value in self._of[1]):
            text = without_secrets(text)
        return self._stream.write(text if visible(text) == text else self._escaped(text))

    def _escaped(self, text: str) -> str:
        """Return a text with all unseen characters escaped but those of its line of progress, and
        on a terminal those of colours.
        """
        begun = re.match(REWRITTEN, text)
        begin = begun[0] if begun else ""
        if not self._stream.isatty():
            return begin + visible(text[len(begin) :])
        parts = re.split(COLOUR, text[len(begin) :])
        parts[::2] = map(visible, parts[::2])
        return begin + "".join(parts)

    def writelines(self, lines: list[str]) -> None:
        """Write several texts."""
        for line in lines:
            self.write(line)

    def close(self) -> None:
        """Leave the stream open: it is the host's, whatever a library's log handler makes of it."""
        self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _forms(value: str) -> set[str]:
    plain = (value, " ".join(value.split()), html.escape(value), quote(value), quote(value, ""))
    quoted = (json.dumps(value), json.dumps(value, ensure_ascii=False), repr(value))
    return {*plain, *(text[1:-1] for text in quoted)}


def _names_by_secret() -> dict[str, str]:
    """Return each secret with the name of its variable."""
    return _names_by_secret_in(_environment())


@lru_cache(maxsize=4)
def _names_by_secret_in(_: tuple[Any, ...]) -> dict[str, str]:
    """Return the secrets of this very environment; it is what the answer is remembered by."""
    named = {
        value: name
        for name, value in sorted(os.environ.items())
        if NAMES.search(name) and len(value) >= SHORTEST
    }
    named |= _secrets_of_config()
    return {
        value: named[value] for value in sorted(named, key=len, reverse=True) if not _is_path(value)
    }


def _secrets_of_config() -> dict[str, str]:
    """Return the values of the remembered variables that are secrets: no number and no path is
    one.
    """
    return {
        value: name
        for name in _remembered_names()
        if len(value := os.environ.get(name, "")) >= SHORTEST
        and not (_is_path(value) or _is_number(value))
    }


def _remembered_names() -> list[str]:
    return [name for name in os.environ.get(REMEMBERED, "").split(",") if name]


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True


def _is_path(value: str) -> bool:
    try:
        return value.startswith(("/", ".", "~")) and Path(value).expanduser().exists()
    except (OSError, ValueError, RuntimeError):
        return False
