"""The result tables that every protocol writes, the measures they are of, and verdicts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from operator import attrgetter
from typing import Any, ClassVar, Literal

import polars as pl
from polars import DataFrame, col

from hwds.core.files import Displayed

# Measure: the description of a metric, with all that tables, legends and charts need to know of
# it.

Better = Literal["low", "high", "none"]
Beside = Literal["no", "page", "segments", "always"]


@dataclass(frozen=True, slots=True)
class Measure:
    """The description of a metric.

    Attributes:
        name: The column's name in the tables, definition included (`mase[m=12]`).
        meaning: The quantity that it measures, in one sentence without its stop; empty where the
            name says all.
        better: `low`, `high`, or `none` where neither is (bias, coverage, width).
        units: The units that its mean is taken over and that `n` counts: `series`, `replications`,
            `rows`.
        beside: Where it stands beside another headline: `no`, on the `page` only, there by
            `segments` too, or `always`, in the terminal too.
        reference: The label of the model that others are compared with, empty where there is none.
        called: The reference, or the policy that is evaluated, in a sentence; `the` and its name
            where empty.
        subject: The column of the outcome that it is computed for (`bought`), where the name does
            not say it.
        measured_in: The unit of its values (`USD`, `conversions`); empty for a share, a ratio, or a
            number without unit.
        confidence: The confidence level of its intervals.
        head: The head of its column in plain words, empty for the name; one that ends with `%` has
            its values in percent.
    """

    name: str
    meaning: str = field(default="", kw_only=True)
    better: Better = field(default="low", kw_only=True)
    units: str = field(default="units", kw_only=True)
    beside: Beside = field(default="no", kw_only=True)
    reference: str = field(default="", kw_only=True)
    called: str = field(default="", kw_only=True)
    subject: str = field(default="", kw_only=True)
    measured_in: str = field(default="", kw_only=True)
    confidence: float = field(default=0.95, kw_only=True)
    head: str = field(default="", kw_only=True)

    @classmethod
    def filled(
        cls, rows: Iterable[Mapping[str, str]], *, units: str = "units", **values: Any
    ) -> tuple[Measure, ...]:
        """Return the measures of rows of a YAML file.

        Args:
            rows: The fields of each, texts with `{places}`.
            units: The units of those that have none of their own.
            values: What stands in the places.
        """
        texts = ({name: text.format(**values) for name, text in row.items()} for row in rows)
        return tuple(cls(**{"units": units, **row}) for row in texts)  # type: ignore[arg-type]

    @property
    def short(self) -> str:
        """The name without its definition: `mase` of `mase[m=12]`."""
        return short(self.name)

    @property
    def with_unit(self) -> str:
        """The name with subject and unit: `pseudo_regret, USD`; `minimum_effect, bought`."""
        return ", ".join(filter(None, (self.name, self.subject, self.measured_in)))

    @property
    def heading(self) -> str:
        """The head of its column in plain words, with the unit: `MASE`, `rmse capped, cycles`."""
        parts = (self.short.replace("_", " "), self.subject, self.measured_in)
        return self.head or ", ".join(filter(None, parts))

    @property
    def rival(self) -> str:
        """The reference in words: `the seasonal naive`."""
        return (
            self.called
            or f"the {self.reference.rpartition('/')[2].replace('_', ' ') or 'reference'}"
        )

    @property
    def explained(self) -> str:
        """The meaning, and whether lower or higher is better."""
        side = "" if self.better == "none" else f"; {self.better}er is better"
        return f"{self.meaning}{side}" if self.meaning else ""

    def as_skill(self) -> Measure:
        """Return the skill in this metric: 1 - the metric / that of the reference."""
        meaning = f"1 - {self.name} / that of {self.rival} on the same rows"
        return Measure(
            f"skill_{self.name}",
            meaning=meaning,
            better="high",
            units=self.units,
            reference=self.reference,
            called=self.called,
        )


DEFINITION = r"\[.*$|@\d[\d.]*$|=\d[\d.]*$"
"""The part of a metric's name that is its definition: `[m=12]` of `mase[m=12]`, `@100` of
`card_precision@100`, `=0.9` of `recall@precision=0.9`.
"""


def short(name: str) -> str:
    """Return `mase` of `mase[m=12]`, `card_precision` of `card_precision@100`, `recall@precision`
    of `recall@precision=0.9`.
    """
    return re.sub(DEFINITION, "", name)


# The result tables that every protocol writes.

SCORES = {
    "experiment": pl.String,
    "dataset": pl.String,
    "task": pl.String,
    "model": pl.String,
    "fold": pl.Int32,
    "cutoff": pl.String,
    "segment_by": pl.String,
    "segment": pl.String,
    "step": pl.Int32,
    "seed": pl.Int64,
    "metric": pl.String,
    "aggregate": pl.String,
    "value": pl.Float64,
    "stderr": pl.Float64,
    "ci_low": pl.Float64,
    "ci_high": pl.Float64,
    "ci_method": pl.String,
    "p_value": pl.Float64,
    "n": pl.Int64,
    "n_undefined": pl.Int64,
    "n_failed": pl.Int64,
    "n_fallback": pl.Int64,
    "status": pl.String,
}
"""The columns of the scores table; a null fold means all folds together, any other null that it
does not apply.
"""

TIMINGS = {
    "model": pl.String,
    "fold": pl.Int32,
    "start": pl.Int64,
    "stop": pl.Int64,
    "seconds": pl.Float64,
    "cached": pl.Boolean,
    "status": pl.String,
}
"""The columns of the timings table: the seconds of each cell when it was computed."""

METRICS = {
    **dict.fromkeys(
        (
            "metric",
            "meaning",
            "better",
            "units",
            "beside",
            "reference",
            "called",
            "subject",
            "measured_in",
            "head",
        ),
        pl.String,
    ),
    "confidence": pl.Float64,
}
"""The columns of the metrics table: the fields of each metric's `Measure`."""


def place_of_total(aggregates: Sequence[str | None]) -> int | None:
    """Return the index of the total to show: the mean, else the pooled one, else the first.

    None where there is none.
    """
    wanted = [name for name in ("mean", "pooled") if name in aggregates]
    return aggregates.index(wanted[0]) if wanted else (0 if aggregates else None)


WHOLE_RUN = pl.all_horizontal(col("fold", "step", "segment").is_null())
"""The rows of the scores table that are of all folds, steps and segments together."""

BY_FALLBACK = "by a fallback"
"""The words by which a remark counts what a simpler model than the run's has forecast."""

TRUTH = "truth"
"""The label of the simulator's own true conditional distribution."""


def metrics_table(measures: Iterable[Measure]) -> DataFrame:
    """Return the metrics table of some measures, one row each."""
    columns = list(METRICS)[1:]
    rows = [
        (measure.name, *(getattr(measure, column) for column in columns)) for measure in measures
    ]
    return DataFrame(rows, schema=METRICS, orient="row")


@dataclass(frozen=True, eq=False)
class Tables:
    """The result tables of a run."""

    scores: DataFrame
    predictions: DataFrame
    timings: DataFrame
    metrics: DataFrame = field(default_factory=lambda: metrics_table(()))

    def measure(self, name: str) -> Measure:
        """Return the measure of a metric by its full or its short name.

        One with nothing but the name where there is none.
        """
        measures = [Measure(row.pop("metric"), **row) for row in self.metrics.to_dicts()]
        rows = next((entry for entry in measures if entry.name == name), None)
        return rows or next((entry for entry in measures if entry.short == name), Measure(name))

    def headline(self, metric: str, model: str) -> dict[str, Any]:
        """Return the row of a model's total of a metric, by its short or full name.

        Empty where there is none.
        """
        name = col("metric") if "[" in metric else col("metric").str.replace(DEFINITION, "")
        rows = self.scores.filter((name == metric) & WHOLE_RUN, model=model)
        place = place_of_total(rows["aggregate"].to_list())
        return {} if place is None else rows.row(place, named=True)

    def overall(self, metric: str, aggregate: str = "mean") -> DataFrame:
        """Return the scores of one metric over all folds and steps, by its short name (`mase`), one
        row a model.
        """
        name = col("metric").str.replace(DEFINITION, "")
        return self.scores.filter((name == metric) & WHOLE_RUN, aggregate=aggregate)


# Verdict: the result of a decision, as plain values that are stored beside the tables.


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict(Displayed):
    """The result of a decision: an action, its reasons, and a sentence.

    Class attributes: `files`, the field of each table by the name of its file; `stored`, the
    values of fields that are objects, such as `terms.level`: the values are stored by their own
    names, and not the objects; `words`, the template of the sentence.

    Attributes:
        decision: The name of the decision's option.
        action: The action, in a word.
        rule: The rule that was binding, `none` where none was.
        excluded: The candidates that each rule excluded, by rule.
        sentence: The result in words, for a manager.
    """

    files: ClassVar[Mapping[str, str]] = {}
    stored: ClassVar[tuple[str, ...]] = ()
    words: ClassVar[str] = ""

    decision: str
    action: str
    rule: str
    excluded: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    sentence: str = ""

    @property
    def advice(self) -> str:
        """The action with the rule that was binding: `HOLD (few_cases)`."""
        return self.action if self.rule == "none" else f"{self.action} ({self.rule})"

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; tables lie beside them."""
        in_files = {*self.files.values(), *(path.partition(".")[0] for path in self.stored)}
        names = [each.name for each in fields(self) if each.name not in in_files]
        plain = {name: _plain(getattr(self, name)) for name in names}
        return plain | {path.rpartition(".")[2]: attrgetter(path)(self) for path in self.stored}

    def tables(self) -> dict[str, DataFrame]:
        """Return the tables that are stored in files of their own, by the name of the file."""
        return {file: getattr(self, name) for file, name in self.files.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value


def row_of(table: DataFrame, **key: object) -> dict[str, Any] | None:
    """Return the row with these values; None where there is none."""
    rows = table.filter(**key)
    return rows.row(0, named=True) if len(rows) else None


# Columns: each is declared once, with all that is ever said of it.

Kind = Literal[
    "text", "word", "count", "units", "number", "share", "change", "flag", "p_value", "made"
]

KINDS: dict[Kind, Any] = {
    "text": pl.String,
    "word": pl.String,
    "count": pl.Int64,
    "units": pl.Float64,
    "number": pl.Float64,
    "share": pl.Float64,
    "change": pl.Float64,
    "flag": pl.Boolean,
    "p_value": pl.Float64,
}
"""The types of stored values by the kind of the column. A `word` is shown without underscores, a
number of `units` without decimals, a `share` in percent and a `change` in percent with its sign;
the numbers of a column of kind `number` have the same decimals. What is not here, `made`, is only
shown, and not stored.
"""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a result table.

    Attributes:
        name: Its name in Parquet, CSV and Python.
        kind: The kind of its values.
        meaning: A sentence for the reference, empty where the title says it.
        title: Its title on a page, empty where it is not shown; a template, see `say`.
        brief: Its title in the terminal, empty where it is not shown there.
        show: The template of a cell by the names of the row's columns; empty for that of the kind.
        to: The column of the upper end, where this is the lower end of an interval.
        when: The template of a condition, `True` where cells are shown; empty for always.
    """

    name: str
    kind: Kind
    meaning: str = ""
    title: str = ""
    brief: str = ""
    show: str = ""
    to: str = ""
    when: str = ""


@dataclass(frozen=True, slots=True)
class Declared:
    """The columns of a result table, in their order."""

    columns: tuple[Column, ...]

    @classmethod
    def of(cls, *columns: Column | Iterable[Column]) -> Declared:
        """Return the table of some columns and groups of columns."""
        flat = [[each] if isinstance(each, Column) else each for each in columns]
        return cls(tuple(column for group in flat for column in group))

    @property
    def schema(self) -> dict[str, Any]:
        """The type of each column."""
        return {each.name: KINDS[each.kind] for each in self.columns if each.kind in KINDS}

    def frame(self, rows: Sequence[Any] | dict[str, Any]) -> pl.DataFrame:
        """Return rows, or columns by name, as a table with these columns."""
        return pl.DataFrame(
            rows, schema=self.schema, orient=None if isinstance(rows, dict) else "row"
        )

    def select(self, names: str = "") -> list[Column]:
        """Return the columns with a title, or those of these names in this order."""
        by_name = {column.name: column for column in self.columns}
        chosen = [by_name[name] for name in names.split()] if names else self.columns
        return [column for column in chosen if column.title]

    def reference(self) -> str:
        """Return the rows of the reference: the name, the type and the meaning of each column."""
        meanings = {each.name: each.meaning or each.title for each in self.columns}
        return "\n".join(
            f"| `{name}` | {kind} | {meanings[name]} |" for name, kind in self.schema.items()
        )


def with_interval(
    column: Column, ends: str = "95 %", brief: str = "", kind: Kind | None = None
) -> tuple[Column, ...]:
    """Return a column with those of its interval, `_low` and `_high`, shown as one.

    Args:
        column: The column of the value.
        ends: The title of the interval; empty where it is not shown.
        brief: Its title in the terminal.
        kind: The kind of the ends where it is another.
    """
    low, high = f"{column.name}_low", f"{column.name}_high"
    end = Column(low, kind or column.kind, title=ends, brief=brief, to=high)
    return column, end, replace(end, name=high, title="", to="")
