"""The hierarchy of errors; each message is one line for the user, each class has the exit code of
the process.
"""

from collections.abc import Iterable
from difflib import get_close_matches


class HwdsError(Exception):
    """The run failed."""

    exit_code = 1


class ConfigError(HwdsError):
    """The configuration is wrong: the path, the value and the nearest right name are in the
    message.
    """

    exit_code = 2


class DataError(HwdsError):
    """The data is wrong: the file, column, series and row are in the message."""

    exit_code = 2


class CellError(HwdsError):
    """More cells failed than `compute.max_failed` allows."""


class ResumeError(HwdsError):
    """A run cannot be resumed: another process has locked it, or its folder is damaged."""


def unknown(
    what: str, name: str, place: object, known: Iterable[str], listed: Iterable[str] | None = None
) -> ConfigError:
    """Return the refusal of an unknown name: `no run 'adhok' below outputs/runs; did you mean
    'adhoc'?`.

    Args:
        what: The kind of thing that the name is of: `run`.
        name: The name that the user typed.
        place: The folder that was searched.
        known: All valid names.
        listed: The names to list where none of the valid ones is near; None for all of them.
    """
    return ConfigError(f"no {what} '{name}' below {place}{nearest(name, known, listed)}")


def ambiguous(what: str, name: str, matches: Iterable[str]) -> ConfigError:
    """Return the refusal of a name that is the beginning of several: `run '0a': 2 runs begin so:
    0a1b, 0a2c.`.
    """
    names = sorted(matches)
    return ConfigError(f"{what} '{name}': {len(names)} {what}s begin so: {', '.join(names)}.")


def with_article(word: str) -> str:
    """Return a word after its article: `a Panel`, `an int`."""
    return f"an {word}" if word[0] in "aeiouAEIO" else f"a {word}"


def nearest(word: str, known: Iterable[str], listed: Iterable[str] | None = None) -> str:
    """Return the end of a refusal: `; did you mean 'units'?`, or the known names where none is
    near.

    Args:
        word: The word that was refused.
        known: The valid words.
        listed: The words to list where none of the valid ones is near; None for all of them.
    """
    names = sorted(set(known))
    close = get_close_matches(word, names, n=1, cutoff=0.6)
    if not close:  # `xgboost` for `forecast/xgboost`
        tails = {name.rsplit("/", 1)[-1]: name for name in names}
        close = [
            tails[tail]
            for tail in get_close_matches(word.rsplit("/", 1)[-1], tails, n=1, cutoff=0.6)
        ]
    if close:
        return f"; did you mean '{close[0]}'?"
    names = names if listed is None else sorted(set(listed))
    return (
        f"; known: {', '.join(names[:12])}{', ...' if len(names) > 12 else '.'}" if names else "."
    )
