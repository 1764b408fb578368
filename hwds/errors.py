"""The one tree of errors; each is one line for the user, with the exit code of the process."""

from collections.abc import Iterable
from difflib import get_close_matches


class HwdsError(Exception):
    """The run failed."""

    exit_code = 1


class ConfigError(HwdsError):
    """The configuration is wrong: the path, the value and the nearest right name are in the message."""

    exit_code = 2


class DataError(HwdsError):
    """The data is wrong: the file, column, series and row are in the message."""

    exit_code = 2


class CellError(HwdsError):
    """More cells failed than `compute.max_failed` allows."""


class ResumeError(HwdsError):
    """A run cannot be gone on with: another process holds it, or its folder is damaged."""


def nearest(word: str, known: Iterable[str]) -> str:
    """The end of a refusal: `; did you mean 'units'?`, or the known names where none is near."""
    names = sorted(set(known))
    close = get_close_matches(word, names, n=1, cutoff=0.6)
    if not close:  # `xgboost` for `forecast/xgboost`
        tails = {name.rsplit("/", 1)[-1]: name for name in names}
        close = [tails[tail] for tail in get_close_matches(word.rsplit("/", 1)[-1], tails, n=1, cutoff=0.6)]
    if close:
        return f"; did you mean '{close[0]}'?"
    return f"; known: {', '.join(names[:12])}{', ...' if len(names) > 12 else '.'}" if names else "."
