"""Numbers for readers, with decimals that fit their size or their standard error."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import floor, isfinite, log10

WIDTH = 100
"""The letters of a line where a terminal tells no width."""

UNBOUNDED = 10.0
"""The share beyond which the end of an interval says nothing: a loss of ten times and more."""


def decimals(values: Iterable[float | None]) -> int:
    """Return the decimals that give the largest number four significant digits below 10, none from
    1000 on.
    """
    sizes = [abs(value) for value in values if value is not None and isfinite(value) and value != 0]
    if not sizes:
        return 3
    size = floor(log10(max(sizes)))
    return min(max(3 - size - (size < 0), 0), 9)


def fixed(value: float | None, places: int) -> str:
    """Return a number with so many decimals, empty for None."""
    return "" if value is None else f"{value:z,.{places}f}"


def column_texts(values: Sequence[float | None]) -> tuple[str, ...]:
    """Return the numbers of one column, all with the same decimals."""
    places = decimals(values)
    return tuple(fixed(value, places) for value in values)


def with_errors(values: Sequence[float | None], errors: Sequence[float | None]) -> tuple[str, ...]:
    """Return the numbers of a column with their standard errors, all with the same decimals.

    `none` where one is missing.
    """
    places = decimals(values)
    tails = ["" if error is None else f" ± {fixed(error, places)}" for error in errors]
    return tuple(
        f"{fixed(value, places)}{tail}" or "none" for value, tail in zip(values, tails, strict=True)
    )


def brief(value: float, stderr: float | None = None, unit: str = "") -> str:
    """Return a number for a sentence, with the digits of its error (`0.812 ± 0.021`), or else three
    (`1,893 USD`, `1.65 USD`).

    Args:
        value: The number.
        stderr: Its standard error, which is shown with two digits.
        unit: Its unit: a currency (`USD`, `€`) has two decimals from 1 on and none from 1,000 on.
    """
    places = places_of(value, stderr, unit)
    shown = " ± ".join(fixed(number, places) for number in (value, stderr) if number is not None)
    return f"{shown} {unit}" if unit else shown


def signed(value: float, unit: str = "") -> str:
    """Return a difference, always with its sign: `+0.0130`, `-1.18 USD`."""
    return f"{'+' if value >= 0 else ''}{brief(value, None, unit)}"


def interval(
    value: float, low: float, high: float, unit: str = "", *, sign: bool = False
) -> tuple[str, str]:
    """Return a number and its interval, all with the same decimals: `1.65 USD` and `-1.35 to 4.65
    USD`.

    Args:
        value: The number.
        low: The lower end of its interval.
        high: The upper end.
        unit: See `brief`.
        sign: Whether positive numbers have a sign, as differences have.
    """
    ends = [abs(end) for end in (value, low, high) if isfinite(end)]
    places = places_of(max(ends, default=0.0), None, unit)
    shown = [
        f"{'+' if sign and end >= 0 else ''}{fixed(end, places)}" for end in (value, low, high)
    ]
    behind = f" {unit}" if unit else ""
    return f"{shown[0]}{behind}", f"{shown[1]} to {shown[2]}{behind}"


def quote_interval(
    value: float, low: float | None, high: float | None, unit: str = "", *, sign: bool = False
) -> tuple[str, str]:
    """Return a number for a sentence, and its interval in brackets: `1.65 USD` and ` (95 %: -1.35
    to 4.65 USD)`.

    Args:
        value: The number.
        low: The lower end of its 95 % interval; None where there is none, and then the second text
            is empty.
        high: The upper end.
        unit: See `brief`.
        sign: See `interval`.
    """
    if low is None or high is None:
        return interval(value, value, value, unit, sign=sign)[0], ""
    text, ends = interval(value, low, high, unit, sign=sign)
    return text, f" (95 %: {ends})"


def quote_percent(share: float, low: float | None, high: float | None) -> tuple[str, str]:
    """Return the same for a share: `12 %` and ` (95 %: 6 to 18)`, with decimals that fit the
    interval.

    A gain that may as well be a loss of ten times and more has none.
    """
    if low is None or high is None or low < -UNBOUNDED < share or (share < UNBOUNDED < high):
        return percent(share), ""
    places = _places(100 * share, 25 * (high - low))
    text, least, most = (f"{100 * end:z.{places}f}" for end in (share, low, high))
    return f"{text} %", f" (95 %: {least} to {most})"


def p_value_text(p_value: float) -> str:
    """Return a p-value: `0.036`, `< 0.0001`."""
    return (
        "< 0.0001"
        if p_value < 0.0001
        else f"{p_value:.4f}"
        if p_value < 0.001
        else f"{p_value:.3f}"
    )


def probability_text(share: float) -> str:
    """Return a probability, never as certainty: `97.3 %`, `> 99.9 %`."""
    return "> 99.9 %" if share > 0.999 else "< 0.1 %" if share < 0.001 else f"{100 * share:.1f} %"


def places_of(value: float, stderr: float | None = None, unit: str = "") -> int:
    """Return the decimals of a number; for several numbers pass the largest."""
    if stderr:
        return min(max(1 - floor(log10(stderr)), 0), 9) if isfinite(stderr) else 0
    size = abs(value)
    if is_money(unit) and 1 <= size < 1000:
        return 2
    if not size or not isfinite(size):
        return 2
    return min(max(2 - floor(log10(size)), 0), 9)


def is_money(unit: str) -> bool:
    """Return whether a unit is a currency: a sign, or at most three capitals (ISO 4217).

    Other units are in small letters.
    """
    return (unit.isupper() and len(unit) <= 3) or (len(unit) == 1 and not unit.isalpha())


def percent(share: float, stderr: float | None = None) -> str:
    """Return a share as `12 %` or `12 % ± 3`, with decimals that fit its standard error."""
    error = None if stderr is None else 100 * stderr
    places = _places(100 * share, error)
    return f"{100 * share:.{places}f} %" + ("" if error is None else f" ± {error:.{places}f}")


def percent_cell(share: float | None, places: int = 1) -> str:
    """Return a share in percent as a cell of a column whose title has the unit, empty for None."""
    return "" if share is None else f"{100 * share:.{places}f}"


def _places(value: float, error: float | None) -> int:
    if not error:
        return int(abs(value) < 10)
    return 0 if error >= 1 else 1 if error >= 0.1 else 2


def duration(seconds: float | None) -> str:
    """Return seconds as `< 0.1 s`, `0.4 s`, `12 s`, `3.3 min` or `2.1 h`, empty for None."""
    if seconds is None:
        return ""
    if seconds < 0.05:
        return "< 0.1 s"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5970 else f"{seconds / 3600:.1f} h"


def counted(count: int, noun: str) -> str:
    """Return a count with its noun: `1 unit`, `2 units`, `96 series`."""
    single = noun if noun == "series" else noun.removesuffix("s")
    return f"{count:,} {single if count == 1 else noun}"


def first_to_last(values: Iterable[object]) -> str:
    """Return the least and the greatest of some values as text, `49 to 84`.

    Once where they are one, empty of none.
    """
    rising = sorted(values)  # type: ignore[type-var]
    return " to ".join(dict.fromkeys(map(str, [*rising[:1], *rising[-1:]])))


def first_few(names: Sequence[str], most: int) -> str:
    """Return the first names and the number of the others: `a, b and 3 more`."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def listed(names: Sequence[str], most: int | None = None) -> str:
    """Return names as a sentence has them: `a`, `a and b`, `a, b and c`; as `first_few` of more."""
    if len(names) < 2 or (most is not None and len(names) > most):
        return first_few(names, most or 1)
    return f"{', '.join(names[:-1])} and {names[-1]}"
