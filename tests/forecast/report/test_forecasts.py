import warnings
from dataclasses import replace
from datetime import date

import numpy as np
import polars as pl
import pytest

from hwds.evaluation.protocol import Cell, RunContext
from hwds.forecast.protocols.holdout import Holdout
from hwds.forecast.protocols.walk_forward import WalkForward
from hwds.forecast.report import choose_series, forecasts_figure, quantile_pairs, series_scores
from hwds.frames.frequency import Frequency
from hwds.frames.panel import Panel
from hwds.report.pictures import GREY, save_png
from tests.support.panels import LastValue, monthly_panel
from tests.support.result_tables import run_of


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def lines(axes, label):
    return [line for line in axes.lines if line.get_label() == label]


def cutoffs(axes):
    return sum(line.get_linestyle() == "--" and line.get_color() == GREY for line in axes.lines)


def test_the_typical_the_best_and_the_worst(real, panel):
    own = real.predictions.filter(pl.col("model") == "last")
    scores = series_scores(own)
    assert scores["score"].is_sorted()
    mean = real.overall("mase").filter(pl.col("model") == "last")["value"][0]
    assert scores["score"].mean() == pytest.approx(mean), "the same score as in the leaderboard"
    picks = choose_series(own)
    assert [pick.why for pick in picks] == ["typical", "best", "worst"]
    assert [pick.series for pick in picks] == [scores["series_id"][place] for place in (2, 0, 5)]
    titles = [
        axes.get_title(loc="left")
        for axes in forecasts_figure(panel, real.predictions, "last").axes
    ]
    assert titles == [f"{pick.why}: {pick.series}" for pick in picks]


def test_what_is_drawn(real, panel):
    figure = forecasts_figure(panel, real.predictions, "last")
    assert len(figure.axes) == 3
    assert len(figure.legends) == 1
    assert [text.get_text() for text in figure.legends[0].texts] == [
        *("history", "actual", "median forecast", "cutoff", "90 % band", "50 % band")
    ]
    for axes, pick in zip(
        figure.axes, choose_series(real.predictions.filter(pl.col("model") == "last")), strict=True
    ):
        assert axes.get_ylabel() == "units"
        assert axes.get_title(loc="right").startswith("mase[m=12] ")
        assert cutoffs(axes) == 4
        assert len(axes.collections) == 4 * 2, "two bands for each cutoff"
        values = panel.table.filter(pl.col("series_id") == pick.series)["target"].to_numpy()
        np.testing.assert_array_equal(lines(axes, "actual")[0].get_ydata(), values[-25:])
        np.testing.assert_array_equal(lines(axes, "history")[0].get_ydata(), values[:-24])


def test_history_is_five_seasons_and_nothing_after_the_last_forecast():
    panel = monthly_panel(2, 240)
    predictions = run_of(
        panel, WalkForward(name="w", windows=1, horizon=6), last=LastValue(name="l")
    ).predictions
    axes = forecasts_figure(panel, predictions, "last").axes[0]
    assert len(lines(axes, "history")[0].get_ydata()) == 60
    assert max(lines(axes, "actual")[0].get_xdata()) == np.datetime64(predictions["time"].max())


def test_dates_are_short(real, panel):
    axes = forecasts_figure(panel, real.predictions, "last").axes[0]
    axes.figure.canvas.draw()
    assert (
        {"2018", "2019", "2020"}
        <= {tick.get_text() for tick in axes.get_xticklabels()}
        <= {str(year) for year in range(2016, 2026)}
    )


def test_integer_times_have_whole_ticks():
    steps = np.tile(np.arange(40), 3)
    names = np.repeat(["a", "b", "c"], 40)
    values = 50_000.0 + 1000 * np.random.default_rng(0).normal(size=120)
    panel = Panel.build(
        pl.DataFrame({"series_id": names, "time": steps, "target": values}),
        Frequency("1i"),
        season=4,
    )
    predictions = run_of(
        panel, WalkForward(name="w", windows=8, horizon=1), last=LastValue(name="l")
    ).predictions
    axes = forecasts_figure(panel, predictions, "last").axes[0]
    axes.figure.canvas.draw()
    assert all(float(tick).is_integer() for tick in axes.get_xticks())
    assert all(tick.get_text().endswith("k") for tick in axes.get_yticklabels())
    assert axes.get_ylabel() == "value"
    assert cutoffs(axes) == 8
    assert lines(axes, "median forecast")[0].get_marker() == "D", "one step alone is no line"


def test_times_with_a_zone_show_its_clock(panel, real):
    zone = pl.Datetime("us", "Europe/Berlin")
    zoned = replace(
        panel,
        table=panel.table.with_columns(
            pl.col("time").cast(pl.Datetime("us")).dt.replace_time_zone(zone.time_zone)
        ),
    )
    columns = [
        pl.col(name).cast(pl.Datetime("us")).dt.replace_time_zone(zone.time_zone)
        for name in ("time", "cutoff")
    ]
    figure = forecasts_figure(zoned, real.predictions.with_columns(columns), "last")
    assert lines(figure.axes[0], "history")[0].get_xdata()[0] == np.datetime64(date(2018, 1, 1))


def test_overlapping_windows_are_paler(panel):
    predictions = run_of(
        panel, WalkForward(name="w", windows=12, horizon=12, stride=1), last=LastValue(name="l")
    ).predictions
    shade = forecasts_figure(panel, predictions, "last").axes[0].collections[0].get_facecolor()[0]
    assert shade[3] < 0.1


def test_wide_bands_do_not_squash_the_series(panel, real):
    wide = real.predictions.with_columns(pl.col("q_0.95") * 1e6)
    low, high = forecasts_figure(panel, wide, "last").axes[0].get_ylim()
    assert high < 3 * panel.target.max()
    assert low < high


def test_one_series_two_series_and_no_scale(real, panel):
    def titles(predictions):
        figure = forecasts_figure(panel, predictions, "last")
        return figure.get_suptitle(), [
            (axes.get_title(loc="left"), axes.get_title(loc="right")) for axes in figure.axes
        ]

    one, two = (
        real.predictions.filter(pl.col("series_id").is_in(names))
        for names in (["s0"], ["s0", "s1"])
    )
    assert titles(one)[0] == "last: 1 series"
    assert titles(one)[1][0][0] == "only: s0"
    assert titles(two)[0] == "last: best and worst of 2 series"
    bare = real.predictions.with_columns(pl.lit(None, pl.Float64).alias("scale_abs"))
    assert titles(bare)[0] == "last: typical, best and worst of 6 series"
    assert all(right.startswith("wape ") for _, right in titles(bare)[1])
    empty = bare.with_columns(pl.lit(0.0).alias("actual"))
    assert titles(empty) == ("last: first of 6 series", [("first: s0", "no scale")])


def test_holes_and_strange_names_are_drawn(real, panel, tmp_path):
    strange = "$x_{1$ \n 売上"
    holes = pl.when(pl.col("step") == 2).then(None).otherwise(pl.col("q_0.5")).alias("q_0.5")
    renamed = pl.col("series_id").replace("s0", strange)
    other = replace(panel, table=panel.table.with_columns(renamed), unit="k$ / 月 $")
    rows = real.predictions.filter(pl.col("series_id") == "s0").with_columns(renamed, holes)
    assert save_png(forecasts_figure(other, rows, "last"), tmp_path / "f.png")
    assert forecasts_figure(other, rows, "last").axes[0].get_title(loc="left") == "only: $x_{1$ ??"


def test_the_same_bytes_at_a_readable_width(real, panel, tmp_path):
    first, second = tmp_path / "a.png", tmp_path / "b.png"
    for path in (first, second):
        assert save_png(forecasts_figure(panel, real.predictions, "last"), path)
    assert first.read_bytes() == second.read_bytes()
    assert first.with_suffix(".svg").read_bytes() == second.with_suffix(".svg").read_bytes()
    assert int.from_bytes(first.read_bytes()[16:20]) == 1500
    assert {path.name for path in tmp_path.iterdir()} == {"a.png", "a.svg", "b.png", "b.svg"}


def test_nothing_to_draw(real, panel, tmp_path):
    assert not save_png(forecasts_figure(panel, real.predictions, "breaks_too"), tmp_path / "f.png")
    assert not save_png(forecasts_figure(panel, pl.DataFrame(), "last"), tmp_path / "f.png")
    assert not list(tmp_path.iterdir())


def test_bands_are_the_symmetric_pairs():
    assert quantile_pairs(["mean", "q_0.1", "q_0.5", "q_0.9"]) == [("q_0.1", "q_0.9", 80)]
    assert quantile_pairs(["q_0.9", "q_0.05", "q_0.5", "q_0.1", "q_0.95", "q_0.7"]) == [
        ("q_0.05", "q_0.95", 90),
        ("q_0.1", "q_0.9", 80),
    ]
    assert quantile_pairs(["mean", "q_0.5"]) == []


def test_nominal_dates_that_begin_in_the_year_1_are_drawn(tmp_path):
    panel = monthly_panel(n_series=1, months=30)
    first = pl.date_range(date(1, 1, 1), date(9, 1, 1), "1mo", eager=True)[:30].alias("time")
    panel = replace(panel, table=panel.table.with_columns(first))
    (fold,) = Holdout(horizon=6).split(panel)
    rows = Holdout(horizon=6).evaluate_cell(
        LastValue(), panel, Cell("m", fold, 0, 1), RunContext(0)
    )
    rows = rows.select(pl.lit("m").alias("model"), pl.lit(0, pl.Int32).alias("fold"), pl.all())
    assert save_png(forecasts_figure(panel, rows, "m"), tmp_path / "f.png")
    assert (tmp_path / "f.png").stat().st_size > 10_000


def test_the_axis_names_the_users_column_and_its_unit_and_no_key_depends_on_it(real, panel):
    named = replace(panel, quantity="sold")
    figure = forecasts_figure(named, real.predictions, "last")
    assert {axes.get_ylabel() for axes in figure.axes} == {"sold, units"}
    assert replace(panel, quantity="units").axis == "units"
    assert replace(panel, quantity="", unit="").axis == "value"
    assert named.fingerprint == panel.fingerprint
