"""Joining: a finished run's forecasts as a covariate, known from the cutoff on at which each was made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import polars as pl
from pydantic import Field

from hwds.core.errors import ConfigError, DataError, HwdsError, nearest
from hwds.core.recipe import Recipe
from hwds.frames.frequency import Frequency
from hwds.frames.panel import Panel
from hwds.frames.roles import SERIES, TARGET, TIME, Names, listed
from hwds.frames.vintages import COLUMN, MADE_AT, VALUE, Vintages
from hwds.results.files import read_table
from hwds.results.folder import RunFolder

_KEY = "__key__"
_CUTOFF, _STEP = "cutoff", "step"


class Join(Recipe):
    """A finished run's forecasts as a known-future column of another experiment.

    At a cutoff the rows ahead hold the last forecast that was made up to it, the rows of the past the last one that was made
    before each of them; rows that were not forecast are null. A forecast counts as made at the last instant that its fit could
    know of any series. The run must go in the dataset's steps, for the date of a quarter does not mean what a month's does.

    Attributes:
        run: A run's path, its id or the beginning of it, or an experiment's name for its latest run.
        column: The `mean`, or a quantile (`q_0.9`).
        as_: The column's name here; `as` in YAML.
        model: Whose forecasts, by its label in the run's tables; the run's own model's where nothing is given.
        on: Static or level columns whose values, joined with '|', name the run's series; its own names where none.
    """

    run: str
    column: str = "mean"
    as_: Annotated[str, Field(alias="as")]
    model: str | None = None
    on: Names = None


def with_joined(panel: Panel, joins: Sequence[Join]) -> Panel:
    """Return the panel with a column for each join.

    Raises:
        ConfigError: No such run, model or column, or a name that is taken.
        DataError: A run has no forecast that the panel could use.
    """
    vintages: list[pl.DataFrame] = []
    sources: dict[str, str] = {}
    for index, join in enumerate(joins):
        path = f"dataset.join[{index}]"
        _refuse_taken(path, join.as_, (SERIES, TIME, TARGET, *panel.roles.names, *sources))
        folder = _run(path, join.run)
        table = _forecasts(path, join, folder)
        vintages.append(_usable(path, join, folder, _by_series(path, join, panel, table), panel))
        sources[join.as_] = f"the {join.column} of run {folder.title}" + (f", {join.model}" if join.model else "")
    return panel.with_vintages(Vintages(pl.concat(vintages), sources))


def _refuse_taken(path: str, name: str, taken: Sequence[str]) -> None:
    if not name or name in taken:
        raise ConfigError(f"{path}.as: must be the name of a new column, got '{name}'.")


def _run(path: str, name: str) -> RunFolder:
    try:
        return RunFolder.find(name)
    except HwdsError as error:
        raise ConfigError(f"{path}.run: {error}") from error


def _forecasts(path: str, join: Join, folder: RunFolder) -> pl.DataFrame:
    """Return all forecasts of a model of the run: `series_id`, `time`, `made_at`, `value`, with those of `hwds predict`."""
    try:
        rows = folder.read_tables().predictions
    except HwdsError as error:
        raise ConfigError(f"{path}.run: {error}") from error
    if not {SERIES, TIME, _CUTOFF, _STEP, "mean"} <= set(rows.columns):
        raise ConfigError(f"{path}.run: run {folder.title} is no forecast of series; there is nothing to join.")
    known = [name for name in rows.columns if name == "mean" or name.startswith("q_")]
    if join.column not in known:
        happened = "is what happened, and no forecast" if join.column == "actual" else "is not forecast by the run"
        raise ConfigError(f"{path}.column: '{join.column}' {happened}{nearest(join.column, known)}")
    run_model, labels = folder.read_config()["model"]["name"], rows["model"].unique().to_list()
    model = join.model or run_model
    if model not in labels:
        raise ConfigError(f"{path}.model: run {folder.title} has no model '{model}'{nearest(model, labels)}")
    parts = [_made(rows.filter(pl.col("model") == model))]
    future = folder.path / "future.parquet"  # of hwds predict, from one fit on all rows
    if model == run_model and future.is_file():
        parts.append(read_table(future).with_columns(pl.col(_CUTOFF).max().alias(MADE_AT)))
    columns = pl.col(_STEP).cast(pl.Int32), pl.col(join.column).cast(pl.Float64).alias(VALUE)
    forecasts = pl.concat([part.select(SERIES, TIME, MADE_AT, _CUTOFF, *columns) for part in parts])
    return forecasts.filter(pl.col(VALUE).is_not_null() & pl.col(VALUE).is_finite())


def _made(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the rows with `made_at`: the cutoff, where the series of a fold share its instants.

    Counted back from each series' own end, a fit knows others' later rows: then it is the latest cutoff of its turn.
    """
    turn = pl.col(_CUTOFF).rank("dense", descending=True).over("fold", SERIES).alias("turn")
    cuts = rows.select("fold", SERIES, _CUTOFF).unique().with_columns(turn)
    shared = pl.col(_CUTOFF).n_unique().over("fold") == pl.col("turn").max().over("fold")
    made = pl.when(shared).then(_CUTOFF).otherwise(pl.col(_CUTOFF).max().over("fold", "turn")).alias(MADE_AT)
    return rows.join(cuts.with_columns(made).drop("turn"), on=["fold", SERIES, _CUTOFF], how="left")


def _by_series(path: str, join: Join, panel: Panel, table: pl.DataFrame) -> pl.DataFrame:
    """Return the forecasts by the panel's series; by what these have in common where `on` says so."""
    names, known = listed(join.on), (*panel.roles.static, *panel.roles.level)
    if not names:
        return table
    for name in names:
        if name not in known:
            raise ConfigError(f"{path}.on: no static or level column '{name}'{nearest(name, known)}")
    series = panel.table[panel.offsets[:-1]].with_columns(pl.col(*names).cast(pl.String))
    values = pl.concat_str(pl.col(*names), separator="|")
    sums = pl.concat_str([pl.concat_str(pl.lit(f"{name}="), name) for name in names], separator="|")  # of a reconciled run
    keys = pl.concat([series.select(SERIES, key.alias(_KEY)) for key in (values, sums)])
    return table.rename({SERIES: _KEY}).join(keys, on=_KEY).select(table.columns)


def _usable(path: str, join: Join, folder: RunFolder, table: pl.DataFrame, panel: Panel) -> pl.DataFrame:
    """Return the vintages of the panel's series, each forecast once.

    Raises:
        DataError: None is of a row that the panel has.
    """
    kind = panel.table.schema[TIME]
    if table.schema[TIME].is_temporal() != kind.is_temporal():
        raise DataError(f"{path}.run: run {folder.title} tells time as {table.schema[TIME]}, the dataset as {kind}.")
    table = table.with_columns(pl.col(TIME, MADE_AT, _CUTOFF).cast(kind))
    _refuse_other_steps(path, folder, table, panel.frequency)
    usable = table.join(panel.ends.select(SERIES), on=SERIES, how="semi")
    if table.is_empty() or usable.join(panel.table, on=[SERIES, TIME], how="semi").is_empty():
        raise DataError(f"{path}.run: run {folder.title} forecasts no row of the dataset: {_apart(table, usable, panel)}.")
    once = usable.sort(SERIES, TIME, MADE_AT, _CUTOFF).unique([SERIES, TIME, MADE_AT], keep="last", maintain_order=True)
    return once.select(SERIES, TIME, MADE_AT, pl.lit(join.as_).alias(COLUMN), VALUE)


def _refuse_other_steps(path: str, folder: RunFolder, table: pl.DataFrame, frequency: Frequency) -> None:
    """Refuse a run of another frequency: a quarter dated by its first day is known two months later than a month so dated."""
    for (step,), part in table.unique([_CUTOFF, TIME, _STEP]).partition_by(_STEP, as_dict=True).items():
        if (frequency.after(part[_CUTOFF], int(step)) != part[TIME]).any():
            raise DataError(f"{path}.run: run {folder.title} does not forecast in the dataset's steps of {frequency.every}.")


def _apart(table: pl.DataFrame, own: pl.DataFrame, panel: Panel) -> str:
    if table.is_empty():
        return "it has no value, or none of its series is named by dataset.join's 'on'"
    if own.is_empty():
        return f"its first series is '{table[SERIES].min()!s}', the dataset's '{panel.series_ids[0]}'; see 'on'"
    times = panel.table[TIME]
    return f"its rows are {own[TIME].min()!s} to {own[TIME].max()!s}, the dataset's {times.min()!s} to {times.max()!s}"
