"""Words: templates of sentences and titles, with one way to round each kind of number."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from hwds.results.formatting import (
    brief,
    counted,
    duration,
    fixed,
    interval,
    listed,
    p_value_text,
    percent,
    percent_cell,
    probability_text,
    quote_interval,
    quote_percent,
    signed,
)
from hwds.results.tables import TRUTH, Tables, Verdict

if TYPE_CHECKING:
    from jinja2 import Environment, Template

VerdictT = TypeVar("VerdictT", bound=Verdict)

BETTER, WORSE, NOT_SURE = "BETTER", "WORSE", "NOT SURE"
"""The words of every comparison: of runs, tables of contrasts, sweeps and pages."""

ESTIMATE = "ESTIMATE"
"""The word of a number that is compared with nothing."""

BREAK = re.compile(r"\s*\n\s*")
"""A line break in a template, which is a space."""

SENTENCE_END = re.compile(r"(?<=[.]) (?=[A-Z])")
"""The end of a sentence."""

BLANK_LINE = re.compile(r"\n\s*\n")


def say(template: str, about: Any = None, **values: Any) -> str:
    """Return a template with its values filled in.

    A line break is a space. A filter gives an empty text for None.

    Args:
        template: The template in Jinja's language, with the filters of `FILTERS`.
        about: What it is about: its attributes, or the keys of a mapping, are names, too.
        values: The values by name.
    """
    return BREAK.sub(" ", fill(template, about, **values)).strip()


def say_lines(template: str, about: Any = None, **values: Any) -> list[str]:
    """Return the paragraphs of a template, each as a line; see `say`.

    A paragraph ends with an empty line; one without text is left out.
    """
    paragraphs = BLANK_LINE.split(fill(template, about, **values))
    return [line for each in paragraphs if (line := BREAK.sub(" ", each).strip())]


def fill(template: str, about: Any = None, **values: Any) -> str:
    """Return the same with line breaks as they are."""
    return _compile(template).render(values | {"about": about})


def spoken(verdict: VerdictT, **values: Any) -> VerdictT:
    """Return a verdict with its sentence, from the template of its class and other values.

    A paragraph of the template is a line: the verdict first, then notes by their weight.
    """
    return replace(verdict, sentence="\n".join(say_lines(verdict.words, verdict, **values)))


COVERAGE_LINE = """
Its {{ level | percent }} {{ called }} cover {{ covers | percent }} (95 %: {{ reach }}): too
{{ "narrow" if covers < level else "wide" }}.{% if cure %} {{ cure }}{% endif %}"""


def coverage_words(
    called: str,
    level: float,
    covers: float | None,
    ends: tuple[float | None, float | None],
    cure: str = "",
) -> str:
    """Return a sentence on intervals that surely cover another share than promised; empty if they
    may keep the promise.

    Args:
        called: What the intervals are called: `bands`.
        level: The promised share.
        covers: The share that came.
        ends: Its 95 % interval.
        cure: What helps, a sentence.
    """
    low, high = ends
    if covers is None or low is None or high is None or low <= level <= high:
        return ""
    reach = f"{100 * max(low, 0):.0f} to {100 * min(high, 1):.0f}"
    told = {"called": called, "level": level, "covers": covers}
    return say(COVERAGE_LINE, told, reach=reach, cure=cure)


def word_of(verdicts: Iterable[str]) -> str:
    """Return the word for the verdicts of a comparison with several rivals: the worst comes first.

    Args:
        verdicts: Of each rival: `better`, `worse`, `unsure`, `alike`, or two of these.
    """
    said = [each.partition(",")[0] for each in verdicts]
    for verdict, word in (("worse", WORSE), ("better", BETTER), ("alike", "ALIKE")):
        if verdict in said:
            return word
    return NOT_SURE


def study_word(verdicts: Iterable[str]) -> str:
    """Return the word for the contrasts of a study: `MIXED` where some are better, some worse."""
    said = set(verdicts)
    return "MIXED" if {"better", "worse"} <= said else word_of(said)


def sentences_of(text: str) -> list[str]:
    """Return the sentences of a text."""
    return SENTENCE_END.split(text)


def verdict_word(low: float | None, high: float | None) -> str:
    """Return the word for a gain with this interval; None for an end that is not known."""
    if low is None or high is None or low <= 0 <= high:
        return NOT_SURE
    return BETTER if low > 0 else WORSE


def scores_of(tables: Tables, model: str) -> Callable[[str], Mapping[str, Any]]:
    """Return the function that gives a model's total of a metric by its name, its value and the
    ends of its interval None where it has none.
    """
    nothing = dict.fromkeys(("value", "ci_low", "ci_high"))
    return lambda name: {**nothing, **tables.headline(name, model)}


def rivals_words(
    tables: Tables, metric: str, model: str, floor: str, template: str, *, least: bool = False
) -> str:
    """Return the values of the other models, best first, and of the truth.

    Args:
        tables: The tables of the run.
        metric: The name of the metric.
        model: The experiment's own.
        floor: What the truth is called.
        template: The template of a value.
        least: Whether the least value is the best.
    """
    rows = tables.overall(metric).drop_nulls("value").sort("value", descending=not least)
    values = dict(rows.select("model", "value").iter_rows())
    ordered = [name for name in values if name not in (model, TRUTH)]
    named = {name: name for name in ordered} | ({TRUTH: floor} if TRUTH in values else {})
    return ", ".join(f"{name} {say(template, value=values[key])}" for key, name in named.items())


@cache
def _environment() -> Environment:
    """Return the environment of all templates; names are looked up in what they are about, too."""
    from jinja2 import Environment, StrictUndefined
    from jinja2.runtime import Context
    from jinja2.utils import missing

    class Fields(Context):
        def resolve_or_missing(self, key: str) -> Any:
            found = super().resolve_or_missing(key)
            about = super().resolve_or_missing("about")
            if found is not missing or about is missing:
                return found
            if isinstance(about, Mapping):
                return about.get(key, missing)
            return getattr(about, key, missing)

    environment = Environment(undefined=StrictUndefined, autoescape=False)
    environment.context_class = Fields
    environment.filters.update({name: _or_nothing(each) for name, each in FILTERS.items()})
    return environment


@cache
def _compile(template: str) -> Template:
    return _environment().from_string(template)


def _or_nothing(write: Callable[..., str]) -> Callable[..., str]:
    def written(value: Any, *settings: Any, **options: Any) -> str:
        return "" if value is None else write(value, *settings, **options)

    return written


def _span(low: float, high: float, kind: str = "units") -> str:
    """Return the ends of an interval with their kind's decimals: `1,200 to 1,500`."""
    write = FILTERS[kind]
    return f"{write(low)} to {write(high)}"


def _interval_filter(quote: Callable[..., tuple[str, str]]) -> Callable[..., str]:
    """Return the filter of a value with its interval; with `less` that of a loss, which is said as
    a gain.
    """

    def written(
        value: float, low: float | None, high: float | None, *rest: Any, less: bool = False
    ) -> str:
        if less:
            value = -value
            low, high = (None if end is None else -end for end in (high, low))
        return "".join(quote(value, low, high, *rest))

    return written


def _share_with_interval(share: float, low: float | None, high: float | None) -> str:
    """Return a share with its interval, which ends at 0 and at 1."""
    if low is not None and high is not None:
        low, high = max(low, 0.0), min(high, 1.0)
    return "".join(quote_percent(share, low, high))


FILTERS: dict[str, Callable[..., str]] = {
    "brief": brief,
    "change": lambda share: f"{100 * share:+.1f}",
    "chance": probability_text,
    "count": lambda count: f"{count:,}",
    "counted": counted,
    "duration": duration,
    "flag": lambda holds: "yes" if holds else "no",
    "ends": lambda value, *rest, **more: interval(value, *rest, **more)[1],
    "listed": listed,
    "money": lambda value, unit="": brief(value, None, unit),
    "number_of": lambda score: f"{round(score['value'] * score['n']):,}",
    "p_value": p_value_text,
    "percent": percent,
    "quantile": lambda level: f"P{100 * level:.4g}",
    "quoted": _interval_filter(quote_interval),
    "quoted_percent": _interval_filter(quote_percent),
    "quoted_share": _share_with_interval,
    "share": percent_cell,
    "signed": signed,
    "size": lambda value, *rest, **more: interval(value, *rest, **more)[0],
    "span": _span,
    "units": lambda value: fixed(value, 0),
    "word": lambda name: name.replace("_", " "),
    "written": format,
}
"""What writes a value: a number with three digits (`brief`), with the unit (`money`), with its 95 %
interval (`quoted`, `quoted_percent`), as a share (`percent`; in a column `share`), by Python's own
format (`written`), and so on.
"""
