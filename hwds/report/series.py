"""A report's series: a fair sample of them drawn, and the scores of each in a table."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from hwds.frames.panel import Panel
from hwds.frames.roles import SERIES, TARGET, TIME
from hwds.report.forecast_plot import View, bands, draw_view, view_of
from hwds.report.grid import Grid, grid_of
from hwds.report.page import Folded, Part, Table, Text
from hwds.report.page_picture import Picture, Pictures
from hwds.report.picks import series_scores, series_wapes
from hwds.report.standings import Standings
from hwds.report.style import new_figure
from hwds.results.tables import TRUTH, Tables
from hwds.results.wording import brief, counted, decimals, fixed

DRAWN = 24
"""Series that are drawn at most."""

LISTED = 2000
"""Series of the table at most, the worst ones; the others are in the predictions."""

RIVALS = 5
"""Other models of the table at most, the best ones."""


def series_parts(tables: Tables, board: Standings, panel: Panel | None) -> Iterator[Part]:
    """The parts of the section; nothing where the experiment's own model has no forecast.

    Args:
        tables: Of one run.
        board: Its standings.
        panel: The data; None where it is gone, so that no history is drawn.
    """
    model = board.own.model if board.own else ""
    rows = tables.predictions
    own = rows.filter(pl.col("model") == model) if rows.width else rows
    if own.is_empty():
        return
    ranked, metric = ranking(own)
    picks = sample(len(ranked))
    which = "all" if len(picks) == len(ranked) else f"{len(picks)} drawn, evenly from the best to the worst"
    bare = "" if panel is not None else " The history before the forecasts is not at hand any more."
    said = "With dots: what happened; grey: before that; blue: the median forecast and its bands; dashed: the cutoffs."
    yield Text(f"{model} on {counted(len(ranked), 'series')} ({which}), by {metric}. {said}{bare}")
    yield Pictures(tuple(_fan(own, panel, place + 1, ranked.row(place), metric) for place in picks))
    listed = min(len(ranked), LISTED)
    told = "Each series" if listed == len(ranked) else f"The {listed:,} worst of {len(ranked):,} series"
    yield Folded(f"{told} in a table", (Table(series_grid(tables, board)),))


def ranking(own: pl.DataFrame) -> tuple[pl.DataFrame, str]:
    """Each series with its score, the best first, and the score's name: MASE, or WAPE where none has a scale."""
    scores = series_scores(own)
    if scores["score"].null_count() == len(scores):
        return series_wapes(own).select(SERIES, "score"), "wape"
    return scores.select(SERIES, "score"), f"mase[m={own['season'][0]}]"


def sample(many: int) -> list[int]:
    """Places evenly from the first to the last."""
    return sorted({round(place) for place in np.linspace(0, many - 1, min(many, DRAWN))})


def _fan(own: pl.DataFrame, panel: Panel | None, rank: int, ranked: tuple[str, float | None], metric: str) -> Picture:
    """One series."""
    series, score = ranked
    forecasts = own.filter(pl.col(SERIES) == series)
    view = View(_actuals(forecasts), forecasts) if panel is None else view_of(panel, own, series)
    figure = new_figure(4.4, 2.3)
    axes = figure.subplots()
    draw_view(axes, view, "")
    axes.tick_params(labelsize=8)
    axes.set_ylabel("")
    told = f"{rank}. {series}: {'no scale' if score is None else f'{metric} {brief(score)}'}"
    return Picture.of_figure(figure, told, "")


def _actuals(forecasts: pl.DataFrame) -> pl.DataFrame:
    """What happened, as far as the predictions know it."""
    return forecasts.select(TIME, pl.col("actual").alias(TARGET)).unique(TIME).sort(TIME)


def series_grid(tables: Tables, board: Standings) -> Grid:
    """The scores of each series by each model, the worst of the own model first."""
    assert board.own is not None
    others = [line.model for line in board.all if line is not board.own][:RIVALS]
    others += [TRUTH] if board.truth and TRUTH not in others else []
    rows = tables.predictions
    own = rows.filter(pl.col("model") == board.own.model)
    ranked, metric = ranking(own)
    table = ranked.rename({"score": board.own.model}).join(_answers(own), on=SERIES, how="left", maintain_order="left")
    for model in others:
        answers = rows.filter(pl.col("model") == model)
        scores = ranking(answers)[0].rename({"score": model}) if len(answers) else None
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


def _answers(own: pl.DataFrame) -> pl.DataFrame:
    """How many forecasts of each series there are, and which share of actuals its widest band holds."""
    held = [
        pl.col("actual").is_between(low, high).mean().alias(f"{share} % band") for low, high, share in bands(own.columns)[:1]
    ]
    return own.group_by(SERIES).agg(pl.len().alias("forecasts"), *held)
