"""Numbers as people read them: decimals that fit their size or their standard error."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import floor, isfinite, log10


def decimals(values: Iterable[float | None]) -> int:
    """Decimals that leave the largest of the numbers about four significant digits below 10, none from 1000 on."""
    sizes = [abs(value) for value in values if value is not None and isfinite(value) and value != 0]
    if not sizes:
        return 3
    size = floor(log10(max(sizes)))
    return min(max(3 - size - (size < 0), 0), 9)


def fixed(value: float | None, places: int) -> str:
    """A number with so many decimals, empty for None."""
    return "" if value is None else f"{value:,.{places}f}"


def column(values: Sequence[float | None]) -> tuple[str, ...]:
    """The numbers of one column, all with the same decimals."""
    places = decimals(values)
    return tuple(fixed(value, places) for value in values)


def brief(value: float, stderr: float | None = None) -> str:
    """A number inside a sentence: three digits, without a leading zero (`.812`, `.812 ± .021`)."""
    places = decimals([value]) - (stderr is None and abs(value) >= 1) - (0.01 <= abs(value) < 0.1)
    shown = [_bare(fixed(number, max(places, 0))) for number in (value, stderr) if number is not None]
    return " ± ".join(shown)


def _bare(text: str) -> str:
    return text.replace("0.", ".", 1) if text.startswith(("0.", "-0.")) else text


def percent(share: float, stderr: float | None = None) -> str:
    """A share as `12 %` or `12 % ± 3`, with the decimals that its standard error deserves."""
    error = None if stderr is None else 100 * stderr
    places = _places(100 * share, error)
    return f"{100 * share:.{places}f} %" + ("" if error is None else f" ± {error:.{places}f}")


def _places(value: float, error: float | None) -> int:
    if not error:
        return int(abs(value) < 10)
    return 0 if error >= 1 else 1 if error >= 0.1 else 2


def duration(seconds: float | None) -> str:
    """Seconds as `< 0.1 s`, `0.4 s`, `12 s`, `3.3 min` or `2.1 h`, empty for None."""
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
    """`1 unit`, `2 units`, `96 series`."""
    single = noun if noun == "series" else noun.removesuffix("s")
    return f"{count:,} {single if count == 1 else noun}"
