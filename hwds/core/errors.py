"""The hierarchy of errors; each message is one line for the user, each class has the exit code of
the process.
"""

from collections.abc import Iterable, Iterator
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


# What a library raises while it fits data: the model's own failure, or the machine's.

FIT_ERRORS = (ArithmeticError, LookupError, ValueError)
"""What libraries raise for data that they cannot fit: numpy's LinAlgError, the errors of
convergence, of overflow, and of too few values are among them.
"""

BARE_ERRORS = (Exception, RuntimeError)
"""What libraries raise as it is, with `FIT_WORDS`; other errors derive from it."""

FIT_WORDS = ("able to be fitted", "able to be estimated", "parameter boundaries", "out of range")
"""What statsforecast's bare errors say where no candidate fits a series."""

MACHINE_ERRORS = (OSError, MemoryError, ImportError, EOFError)
"""What a machine without disk, memory or files raises; a child that was killed has errors of its
own.
"""

MACHINE_WORDS = ("bad_alloc", "out of memory", "cannot allocate", "no space left", "new thread")
"""What libraries say of a machine in an error of another kind (XGBoost's is a ValueError)."""


def fit_failure(error: Exception) -> str:
    """Return the kind of an error that is a model's own, by which it is counted.

    Empty where it is not: a failure of the machine is none, however libraries wrap it, and neither
    is a mistake in code. Whoever falls back raises it again then.
    """
    bare = type(error) in BARE_ERRORS and any(word in str(error) for word in FIT_WORDS)
    if not (bare or isinstance(error, FIT_ERRORS)) or any(map(_is_of_machine, _chain(error))):
        return ""
    return str(error) if bare else type(error).__name__


def _is_of_machine(error: BaseException) -> bool:
    from concurrent.futures import BrokenExecutor  # commands that only list names do without
    from subprocess import SubprocessError

    said, kinds = str(error).lower(), (*MACHINE_ERRORS, BrokenExecutor, SubprocessError)
    return isinstance(error, kinds) or any(word in said for word in MACHINE_WORDS)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and all that it came from, or was raised while they were handled."""
    waiting, seen = [error], set[int]()
    while waiting:
        each = waiting.pop()
        if id(each) not in seen:
            seen.add(id(each))
            yield each
            inside = each.exceptions if isinstance(each, BaseExceptionGroup) else ()
            waiting += [one for one in (each.__cause__, each.__context__, *inside) if one]


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
