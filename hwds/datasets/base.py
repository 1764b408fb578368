"""Dataset: the recipe of a frame; what is joined to one, public holidays, and public files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np
import polars as pl
from polars import DataFrame, Series, col
from pydantic import Field

from hwds.core.errors import ConfigError, DataError, HwdsError, nearest
from hwds.core.recipe import PositiveInt, Recipe, Small
from hwds.frames.frequency import Frequency
from hwds.frames.panel import COLUMN, MADE_AT, VALUE, Panel, Vintages
from hwds.frames.roles import SERIES, TARGET, TIME, Names, Roles, as_names
from hwds.frames.table import Frame
from hwds.results.files import read_table
from hwds.results.folder import RunFolder

# Joining: a finished run's forecasts as a covariate, known from the cutoff on at which each was
# made.

_KEY = "__key__"
_CUTOFF, _STEP = "cutoff", "step"


class Join(Recipe):
    """A finished run's forecasts as a known-future column of another experiment.

    At a cutoff the rows ahead hold the last forecast that was made up to it, the rows of the past
    the last one that was made before each of them; rows that were not forecast are null. A forecast
    counts as made at the last instant that its fit could know of any series. The run must go in the
    dataset's steps, for the date of a quarter does not mean what a month's does.

    Attributes:
        run: A run's path, its id or the beginning of it, or an experiment's name for its latest
            run.
        column: The `mean`, or a quantile (`q_0.9`).
        as_: The column's name here; `as` in YAML.
        model: Whose forecasts, by its label in the run's tables; the run's own model's where
            nothing is given.
        on: Static or level columns whose values, joined with '|', name the run's series; its own
            names where none.
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
    vintages: list[DataFrame] = []
    sources: dict[str, str] = {}
    for index, join in enumerate(joins):
        path = f"dataset.join[{index}]"
        if join.as_ in ("", SERIES, TIME, TARGET, *panel.roles.names, *sources):
            raise ConfigError(f"{path}.as: must be the name of a new column, got '{join.as_}'.")
        folder = _find_run(path, join.run)
        table = _read_forecasts(path, join, folder)
        vintages.append(
            _usable_vintages(path, join, folder, _of_panel_series(path, join, panel, table), panel)
        )
        sources[join.as_] = f"the {join.column} of run {folder.title}" + (
            f", {join.model}" if join.model else ""
        )
    return panel.with_vintages(Vintages(pl.concat(vintages), sources))


def _find_run(path: str, name: str) -> RunFolder:
    try:
        return RunFolder.find(name)
    except HwdsError as error:
        raise ConfigError(f"{path}.run: {error}") from error


def _read_forecasts(path: str, join: Join, folder: RunFolder) -> DataFrame:
    """Return all forecasts of a model of the run: `series_id`, `time`, `made_at`, `value`, with
    those of `hwds predict`.
    """
    try:
        rows = folder.read_tables().predictions
    except HwdsError as error:
        raise ConfigError(f"{path}.run: {error}") from error
    if not {SERIES, TIME, _CUTOFF, _STEP, "mean"} <= set(rows.columns):
        raise ConfigError(
            f"{path}.run: run {folder.title} is no forecast of series; there is nothing to join."
        )
    known = [name for name in rows.columns if name == "mean" or name.startswith("q_")]
    if join.column not in known:
        happened = (
            "is what happened, and no forecast"
            if join.column == "actual"
            else "is not forecast by the run"
        )
        raise ConfigError(f"{path}.column: '{join.column}' {happened}{nearest(join.column, known)}")
    run_model, labels = folder.read_config()["model"]["name"], rows["model"].unique().to_list()
    model = join.model or run_model
    if model not in labels:
        raise ConfigError(
            f"{path}.model: run {folder.title} has no model '{model}'{nearest(model, labels)}"
        )
    parts = [_with_made_at(rows.filter(model=model))]
    future = folder.path / "future.parquet"  # of hwds predict, from one fit on all rows
    if model == run_model and future.is_file():
        parts.append(read_table(future).with_columns(col(_CUTOFF).max().alias(MADE_AT)))
    columns = col(_STEP).cast(pl.Int32), col(join.column).cast(pl.Float64).alias(VALUE)
    forecasts = pl.concat([part.select(SERIES, TIME, MADE_AT, _CUTOFF, *columns) for part in parts])
    return forecasts.filter(col(VALUE).is_not_null() & col(VALUE).is_finite())


def _with_made_at(rows: DataFrame) -> DataFrame:
    """Return the rows with `made_at`: the cutoff, where the series of a fold share its instants.

    Counted back from each series' own end, a fit knows others' later rows: then it is the latest
    cutoff of its turn.
    """
    turn = col(_CUTOFF).rank("dense", descending=True).over("fold", SERIES).alias("turn")
    cuts = rows.select("fold", SERIES, _CUTOFF).unique().with_columns(turn)
    shared = col(_CUTOFF).n_unique().over("fold") == col("turn").max().over("fold")
    made = (
        pl.when(shared)
        .then(_CUTOFF)
        .otherwise(col(_CUTOFF).max().over("fold", "turn"))
        .alias(MADE_AT)
    )
    return rows.join(cuts.with_columns(made).drop("turn"), on=["fold", SERIES, _CUTOFF], how="left")


def _of_panel_series(path: str, join: Join, panel: Panel, table: DataFrame) -> DataFrame:
    """Return the forecasts by the panel's series.

    By what these have in common where `on` says so.
    """
    names, known = as_names(join.on), (*panel.roles.static, *panel.roles.level)
    if not names:
        return table
    for name in names:
        if name not in known:
            raise ConfigError(
                f"{path}.on: no static or level column '{name}'{nearest(name, known)}"
            )
    series = panel.table[panel.offsets[:-1]].with_columns(col(*names).cast(pl.String))
    values = pl.concat_str(col(*names), separator="|")
    sums = pl.concat_str(
        [pl.concat_str(pl.lit(f"{name}="), name) for name in names], separator="|"
    )  # of a reconciled run
    keys = pl.concat([series.select(SERIES, key.alias(_KEY)) for key in (values, sums)])
    return table.rename({SERIES: _KEY}).join(keys, on=_KEY).select(table.columns)


def _usable_vintages(
    path: str, join: Join, folder: RunFolder, table: DataFrame, panel: Panel
) -> DataFrame:
    """Return the vintages of the panel's series, each forecast once.

    Raises:
        DataError: None is of a row that the panel has.
    """
    kind = panel.table.schema[TIME]
    if table.schema[TIME].is_temporal() != kind.is_temporal():
        raise DataError(
            f"{path}.run: run {folder.title} tells time as {table.schema[TIME]}, the dataset as "
            f"{kind}."
        )
    table = table.with_columns(col(TIME, MADE_AT, _CUTOFF).cast(kind))
    _refuse_other_steps(path, folder, table, panel.frequency)
    usable = table.join(panel.ends.select(SERIES), on=SERIES, how="semi")
    if table.is_empty() or usable.join(panel.table, on=[SERIES, TIME], how="semi").is_empty():
        raise DataError(
            f"{path}.run: run {folder.title} forecasts no row of the dataset: "
            f"{_mismatch(table, usable, panel)}."
        )
    once = usable.sort(SERIES, TIME, MADE_AT, _CUTOFF).unique(
        [SERIES, TIME, MADE_AT], keep="last", maintain_order=True
    )
    return once.select(SERIES, TIME, MADE_AT, pl.lit(join.as_).alias(COLUMN), VALUE)


def _refuse_other_steps(
    path: str, folder: RunFolder, table: DataFrame, frequency: Frequency
) -> None:
    """Refuse a run of another frequency: a quarter dated by its first day is known two months later
    than a month so dated.
    """
    for (step,), part in (
        table.unique([_CUTOFF, TIME, _STEP]).partition_by(_STEP, as_dict=True).items()
    ):
        if (frequency.after(part[_CUTOFF], int(step)) != part[TIME]).any():
            raise DataError(
                f"{path}.run: run {folder.title} does not forecast in the dataset's steps of "
                f"{frequency.every}."
            )


def _mismatch(table: DataFrame, own: DataFrame, panel: Panel) -> str:
    if table.is_empty():
        return "it has no value, or none of its series is named by dataset.join's 'on'"
    if own.is_empty():
        return (
            f"its first series is '{table[SERIES].min()!s}', the dataset's "
            f"'{panel.series_ids[0]}'; see 'on'"
        )
    times = panel.table[TIME]
    return (
        f"its rows are {own[TIME].min()!s} to {own[TIME].max()!s}, the dataset's "
        f"{times.min()!s} to {times.max()!s}"
    )


# Public holidays of a country as a column that is known ahead.

HOLIDAYS = "holidays"
"""The name of the column."""


def with_holidays(panel: Panel, country: str) -> Panel:
    """Return a panel with the number of public holidays in each row as a known-future column,
    `holidays`.

    A row reaches from its instant to that of the next one; one that stands on the last day of its
    month reaches back to the one before it. An hour of a holiday counts 1.

    Args:
        panel: Its time is dates or instants.
        country: An ISO 3166 code, `US` or `DE`, and of a part of it, `US-CA` or `DE-BY`.

    Raises:
        ConfigError: There is no such country or part, time is counted in whole numbers, or the
            panel has a column of the name.
    """
    if not panel.table.schema[TIME].is_temporal():
        raise ConfigError(
            "dataset.country: holidays have dates, and the dataset's time is whole numbers."
        )
    if HOLIDAYS in panel.table.columns:
        raise ConfigError(f"dataset.country: the dataset has a column '{HOLIDAYS}' already.")
    roles = panel.roles | {"known_future": (*panel.roles.known_future, HOLIDAYS)}
    plan = None if panel.plan is None else count_holidays(panel.plan, panel, country)
    return replace(panel, table=count_holidays(panel.table, panel, country), roles=roles, plan=plan)


def count_holidays(rows: DataFrame, panel: Panel, country: str) -> DataFrame:
    """Return rows with the number of public holidays in each as their column `holidays`.

    Args:
        rows: With the time of each, of the panel or after it.
        panel: Whose frequency says how far a row reaches.
        country: See `with_holidays`.
    """
    if rows.is_empty():
        return rows.with_columns(pl.lit(None, pl.Int32).alias(HOLIDAYS))
    times = rows[TIME].unique().sort()
    first, behind = _row_spans(panel, times)
    days = _days_of_holidays(country, first.min().year, behind.max().year)  # type: ignore[union-attr]
    counts = np.searchsorted(days, behind.to_numpy()) - np.searchsorted(days, first.to_numpy())
    return rows.with_columns(
        rows[TIME].replace_strict(times, Series(counts, dtype=pl.Int32)).alias(HOLIDAYS)
    )


def _row_spans(panel: Panel, times: Series) -> tuple[Series, Series]:
    """Return the first day of each row, and the first one behind it."""
    if panel.frequency.month_end:
        before, ends = panel.frequency.after(times, -1), times
        return before.dt.date().dt.offset_by("1d"), ends.dt.date().dt.offset_by("1d")
    first, following = times.dt.date(), panel.frequency.after(times, 1).dt.date()
    later = pl.select(
        pl.max_horizontal(following, first.dt.offset_by("1d"))
    ).to_series()  # of hours, the day
    return first, later


def _days_of_holidays(country: str, first: int, last: int) -> np.ndarray:
    """Return the days of a country's holidays, rising."""
    from holidays import country_holidays, list_supported_countries

    known = list_supported_countries()
    code, _, part = country.partition("-")
    if code not in known:
        raise ConfigError(f"dataset.country: no country '{code}'{nearest(code, known)}")
    if part and part not in known[code]:
        raise ConfigError(
            f"dataset.country: {code} has no part '{part}'{nearest(part, known[code])}"
        )
    days = country_holidays(code, subdiv=part or None, years=range(first, last + 1))
    return np.unique(np.array(list(days), "datetime64[D]"))


# Dataset: the recipe of a frame, and the files of public data sets that are laid below
# $HWDS_DATA: where each is to be had, what it must look like, how it is read.


@dataclass(frozen=True, slots=True)
class PublicFile:
    """One Parquet file of a public data set.

    Attributes:
        file: Its place below $HWDS_DATA.
        origin: Who publishes it, for a user who has to fetch it.
        licence: The licence of the data.
        columns: What it holds.
        rows: How many.
        sha256: The digest of the file that this project's figures were made with; the same rows
            written anew have another.
    """

    file: str
    origin: str
    licence: str
    columns: tuple[str, ...]
    rows: int
    sha256: str

    def source(self) -> str:
        """Return where the file is to be had and where it must lie, in a line."""
        return (
            f"{self.origin} ({self.licence}); lay it at $HWDS_DATA/{self.file} with the columns "
            f"{', '.join(self.columns)}"
            f" and {self.rows:,} rows (sha256 {self.sha256})."
        )

    def read(self) -> DataFrame:
        """Return the rows, with the columns in order.

        Raises:
            DataError: It is not there, with all that `source` says, or it is not what was
                published.
        """
        from hwds.frames.files import read_files

        name = Path(self.file).stem
        folder = os.environ.get("HWDS_DATA")
        if not folder:
            raise DataError(
                f"dataset: {name} is not at hand, for HWDS_DATA names no folder: {self.source()}"
            )
        file = Path(folder).expanduser() / self.file
        if not file.is_file():
            raise DataError(
                f"dataset: {name} is not at hand, for there is no file '{file}': {self.source()}"
            )
        try:
            table = read_files(str(file), self.columns).table
        except DataError as error:  # these data sets have no `path` to correct
            raise DataError(str(error).replace("dataset.path:", "dataset:", 1)) from error
        if len(table) != self.rows:
            raise DataError(
                f"dataset: '{file}' has {len(table):,} rows, the published data {self.rows:,}: "
                f"{self.source()}"
            )
        return table


class Truth(Recipe):
    """A model that knows what no other can: a simulator's parameters. What it says is not
    calibrated.
    """

    local: ClassVar[bool] = False
    true_law: ClassVar[bool] = True


class Dataset(Recipe):
    """The recipe of a Panel, a Table or a World (`gives` says which), chosen by `dataset=`."""

    gives: ClassVar[type] = Frame
    public: ClassVar[PublicFile | None] = None

    def load(self) -> Frame:
        """Return the frame, checked.

        Raises:
            DataError: The data is absent or wrong.
        """
        raise NotImplementedError(f"{type(self).__name__}.load")

    def frame(self) -> Frame:
        """Return the frame that an experiment cuts: as loaded, with all that the config adds to it.

        Raises:
            ConfigError: What it adds does not go with the frame.
            DataError: The data is absent or wrong.
        """
        return self.load()

    def truth(self, task: str) -> Truth | None:
        """Return the model that knows the right answer to a task, None where the dataset knows
        none.

        It runs on the same cells as the experiment's models. Its score is the floor that no model
        can beat but by chance.

        Args:
            task: What the protocol asks for (`forecast`, `ab`, `ope`).
        """
        return None

    def remarks(self, frame: Frame) -> list[str]:
        """Return sentences on what was taken for granted of the frame, for its reader.

        Nothing where all was said.
        """
        return []

    def source(self) -> str:
        """Return where the data is to be had, for `hwds data`: source, licence, columns and digest
        in a line or two.
        """
        return self.public.source() if self.public else "simulated; nothing to fetch."


class PanelDataset(Dataset):
    """A dataset of series.

    Attributes:
        join: Forecasts of finished runs as known-future columns: `{run: price_forecast, column:
            mean, as: competitor_price}`.
        unserved: The past-only column with the share of demand that could not be served, if there
            is one. The target is then demand: sales over the share that was served, unknown where
            none was. Models learn and are scored on demand.
        stock: The past-only column with the stock at the end of a row, if there is one. At a stock
            of 0, sales are not demand: the target is unknown, is not learned from, and is not
            scored.
        country: The country whose public holidays are counted in each row, in the known-future
            column `holidays`: an ISO code, `US` or `DE`, or the code of a part of it, `US-CA`.
            Needs hwds[holidays].
    """

    gives = Panel
    join: tuple[Join, ...] = ()
    unserved: str = ""
    stock: str = ""
    country: str = ""

    def needed_imports(self) -> dict[str, tuple[str, ...]]:
        """Return the calendar that a country asks for."""
        return super().needed_imports() | ({"country": ("holidays",)} if self.country else {})

    def frame(self) -> Panel:
        """Return the panel with what is joined to it, its target demand where the config says what
        tells it from sales.

        Raises:
            ConfigError: No such run, model or column, or a name that is taken.
            DataError: The data is absent or wrong, or has nothing in common with a run.
        """
        panel = self.load()
        assert isinstance(panel, Panel)
        if self.unserved or self.stock:
            panel = as_demand(panel, unserved=self.unserved, stock=self.stock)
        panel = with_holidays(panel, self.country) if self.country else panel
        return with_joined(panel, self.join) if self.join else panel


def as_demand(panel: Panel, *, unserved: str = "", stock: str = "") -> Panel:
    """Return the panel with demand as its target, unknown (null) where sales do not tell it.

    Args:
        panel: Its target is sales.
        unserved: The past-only column with the share of each row's demand that could not be served:
            demand is sales over the share that could, and unknown where none could; a row without a
            value was served in full.
        stock: The past-only column with what was left to sell at the end of each row: demand is
            unknown where nothing was.

    Raises:
        ConfigError: There is no such past-only column.
        DataError: A share is not from 0 to 1.
    """
    demand = col(TARGET)
    if unserved:
        _check_past("unserved", unserved, panel)
        _check_shares(panel, unserved)
        share = col(unserved).fill_null(0.0)
        demand = pl.when(share == 0).then(demand).when(share < 1).then(demand / (1 - share))
    if stock:
        _check_past("stock", stock, panel)
        demand = pl.when((col(stock) > 0) | col(stock).is_null()).then(demand)
    return replace(panel, table=panel.table.with_columns(demand.alias(TARGET)))


def _check_past(field: str, column: str, panel: Panel) -> None:
    if column not in panel.roles.past_only:
        raise ConfigError(
            f"dataset.{field}: no past-only column "
            f"'{column}'{nearest(column, panel.roles.past_only)}"
        )


def _check_shares(panel: Panel, column: str) -> None:
    wrong = (
        panel.table.select(~col(column).is_between(0, 1)).to_series().fill_null(False).arg_true()
    )
    if len(wrong):
        row = panel.table.row(wrong[0], named=True)
        where = f"series '{row[SERIES]}' has {row[column]!r} at {row[TIME]}"
        raise DataError(f"dataset.unserved: {where} in column '{column}', not a share from 0 to 1.")


# Public data sets of series.

SeriesAtMost = Annotated[PositiveInt, Small(30)]
"""The most series of a public data set that are read; under size=small enough of them for every
kind to be there.
"""


def limit_series(table: DataFrame, most: int) -> DataFrame:
    """Return the rows of at most so many series, evenly spread over them in their order."""
    names = table[SERIES].unique(maintain_order=True)
    if len(names) <= most:
        return table
    places = np.linspace(0, len(names) - 1, most).round().astype(np.int64)
    return table.filter(col(SERIES).is_in(names.gather(places).implode()))


class PublicSeries(PanelDataset):
    """The base of data sets of one file with the columns `series_id` and `date`, the target last,
    monthly by default.

    A subclass says what differs; `rows` is its own where the file looks otherwise.

    Attributes:
        series: Series at most; of more an even sample is taken.
    """

    public: ClassVar[PublicFile]
    unit: ClassVar[str]
    every: ClassVar[str] = "1mo"
    horizon: ClassVar[int] = 12
    panel_roles: ClassVar[Roles] = Roles()
    series: SeriesAtMost = 100_000

    def load(self) -> Panel:
        """Return the panel.

        Raises:
            DataError: It does not lie below $HWDS_DATA.
        """
        frequency = Frequency(self.every)
        return Panel.build(
            limit_series(self.rows(), self.series),
            frequency,
            roles=self.panel_roles,
            horizon=self.horizon,
            unit=self.unit,
        )

    def rows(self) -> DataFrame:
        """Return the rows of the file under the names of a panel."""
        return self.public.read().rename({"date": TIME, self.public.columns[-1]: TARGET})
