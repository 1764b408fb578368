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


def unknown(what: str, name: str, place: object, known: Iterable[str], listed: Iterable[str] | None = None) -> ConfigError:
    """That nothing of a kind is called so: `no run 'adhok' below outputs/runs; did you mean 'adhoc'?`.

    Args:
        what: The kind: `run`.
        name: What was typed.
        place: Where it was looked for.
        known: All that it may be called.
        listed: What is told where none of these is near; all of them where None.
    """
    return ConfigError(f"no {what} '{name}' below {place}{nearest(name, known, listed)}")


def several(what: str, name: str, found: Iterable[str]) -> ConfigError:
    """That a name is the beginning of more than one: `run '0a': 2 runs begin so: 0a1b, 0a2c.`."""
    names = sorted(found)
    return ConfigError(f"{what} '{name}': {len(names)} {what}s begin so: {', '.join(names)}.")


def nearest(word: str, known: Iterable[str], listed: Iterable[str] | None = None) -> str:
    """The end of a refusal: `; did you mean 'units'?`, or the known names where none is near.

    Args:
        word: What was said.
        known: What may be meant.
        listed: What is told in place of all of these where none is near.
    """
    names = sorted(set(known))
    close = get_close_matches(word, names, n=1, cutoff=0.6)
    if not close:  # `xgboost` for `forecast/xgboost`
        tails = {name.rsplit("/", 1)[-1]: name for name in names}
        close = [tails[tail] for tail in get_close_matches(word.rsplit("/", 1)[-1], tails, n=1, cutoff=0.6)]
    if close:
        return f"; did you mean '{close[0]}'?"
    names = names if listed is None else sorted(set(listed))
    return f"; known: {', '.join(names[:12])}{', ...' if len(names) > 12 else '.'}" if names else "."
