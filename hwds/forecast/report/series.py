"""A report's series: a fair sample of them drawn, and the scores of each in a table."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from hwds.forecast.report.forecasts import View, bands, draw_view, view_of
from hwds.forecast.report.selection import series_scores, series_wapes
from hwds.frames.panel import Panel
from hwds.frames.roles import SERIES, TARGET, TIME
from hwds.report.grid import Grid, grid_of
from hwds.report.pages.base import Folded, GridTable, Part, Text
from hwds.report.pages.picture import Picture, Pictures
from hwds.report.pictures.style import new_figure
from hwds.report.standings import Standings
from hwds.results.formatting import brief, counted, decimals, fixed
from hwds.results.tables import TRUTH, Tables

DRAWN = 24
"""Series that are drawn at most."""

LISTED = 2000
"""Series of the table at most, the worst ones; the others are in the predictions."""

RIVALS = 5
"""Other models of the table at most, the best ones."""


def series_parts(tables: Tables, board: Standings, panel: Panel | None) -> Iterator[Part]:
    """Yield the parts of the section; nothing where the experiment's own model has no forecast.

    Args:
        tables: Of one run.
        board: Its standings.
        panel: The data; None where it is gone, so that no history is drawn.
    """
    model = board.own.model if board.own else ""
    rows = tables.predictions
    of_model = rows.filter(pl.col("model") == model) if rows.width else rows
    if of_model.is_empty():
        return
    ranked, metric = ranking(of_model)
    picks = sample(len(ranked))
    which = "all" if len(picks) == len(ranked) else f"{len(picks)} drawn, evenly from the best to the worst"
    bare = "" if panel is not None else " The history before the forecasts is not at hand any more."
    legend = "With dots: what happened; grey: before that; blue: the median forecast and its bands; dashed: the cutoffs."
    yield Text(f"{model} on {counted(len(ranked), 'series')} ({which}), by {metric}. {legend}{bare}")
    yield Pictures(tuple(_fan(of_model, panel, place + 1, ranked.row(place), metric) for place in picks))
    listed = min(len(ranked), LISTED)
    title = "Each series" if listed == len(ranked) else f"The {listed:,} worst of {len(ranked):,} series"
    yield Folded(f"{title} in a table", (GridTable(series_grid(tables, board)),))


def ranking(of_model: pl.DataFrame) -> tuple[pl.DataFrame, str]:
    """Return each series with its score, the best first, and the score's name: MASE, or WAPE where none has a scale."""
    scores = series_scores(of_model)
    if scores["score"].null_count() == len(scores):
        return series_wapes(of_model).select(SERIES, "score"), "wape"
    return scores.select(SERIES, "score"), f"mase[m={of_model['season'][0]}]"


def sample(many: int) -> list[int]:
    """Return places evenly from the first to the last."""
    return sorted({round(place) for place in np.linspace(0, many - 1, min(many, DRAWN))})


def _fan(of_model: pl.DataFrame, panel: Panel | None, rank: int, ranked: tuple[str, float | None], metric: str) -> Picture:
    """Draw one series."""
    series, score = ranked
    forecasts = of_model.filter(pl.col(SERIES) == series)
    view = View(_actuals(forecasts), forecasts) if panel is None else view_of(panel, of_model, series)
    figure = new_figure(4.4, 2.3)
    axes = figure.subplots()
    draw_view(axes, view, "")
    axes.tick_params(labelsize=8)
    axes.set_ylabel("")
    title = f"{rank}. {series}: {'no scale' if score is None else f'{metric} {brief(score)}'}"
    return Picture.of_figure(figure, title, "")


def _actuals(forecasts: pl.DataFrame) -> pl.DataFrame:
    """Return the actuals, as far as the predictions have them."""
    return forecasts.select(TIME, pl.col("actual").alias(TARGET)).unique(TIME).sort(TIME)


def series_grid(tables: Tables, board: Standings) -> Grid:
    """Return the scores of each series by each model, the worst of the own model first."""
    assert board.own is not None
    others = [line.model for line in board.all if line is not board.own][:RIVALS]
    others += [TRUTH] if board.truth and TRUTH not in others else []
    rows = tables.predictions
    of_model = rows.filter(pl.col("model") == board.own.model)
    ranked, metric = ranking(of_model)
    table = ranked.rename({"score": board.own.model}).join(_answers(of_model), on=SERIES, how="left", maintain_order="left")
    for model in others:
        of_rival = rows.filter(pl.col("model") == model)
        scores = ranking(of_rival)[0].rename({"score": model}) if len(of_rival) else None
        table = table if scores is None else table.join(scores, on=SERIES, how="left", maintain_order="left")
    shown = table.reverse().sort(pl.col(board.own.model).is_null(), maintain_order=True).head(LISTED)
    models = [model for model in (board.own.model, *others) if model in shown.columns]
    places = decimals([value for model in models for value in shown[model]])
    covers = [name for name in shown.columns if name.endswith("% band")]
    titles = ["series", "forecasts", *(f"{metric}, {model}" for model in models), *(f"inside the {name}" for name in covers)]
    lines = [
        [
            str(row[SERIES]), f"{row['forecasts']:,}",
            *("" if row[model] is None else fixed(row[model], places) for model in models),
            *("" if row[name] is None else f"{100 * row[name]:.0f} %" for name in covers),
        ]
        for row in shown.iter_rows(named=True)
    ]  # fmt: skip
    return grid_of([(title, title) for title in titles], lines)


def _answers(of_model: pl.DataFrame) -> pl.DataFrame:
    """Return the number of forecasts of each series, and the share of actuals inside its widest band."""
    held = [
        pl.col("actual").is_between(low, high).mean().alias(f"{share} % band")
        for low, high, share in bands(of_model.columns)[:1]
    ]
    return of_model.group_by(SERIES).agg(pl.len().alias("forecasts"), *held)
