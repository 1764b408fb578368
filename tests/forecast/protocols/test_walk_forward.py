from dataclasses import replace
from datetime import date
from typing import ClassVar

import numpy as np
import polars as pl
import pytest

from hwds.core.errors import DataError
from hwds.evaluation.leak_check import check_leaks
from hwds.evaluation.protocol import Cell, RunContext
from hwds.forecast.models.base import Forecaster
from hwds.forecast.protocols.holdout import Holdout
from hwds.forecast.protocols.walk_forward import WalkForward
from hwds.forecast.rows import fallback_remarks
from hwds.frames.frequency import Frequency
from hwds.frames.panel import Panel
from tests.support.panels import LastValue, monthly_panel, panel_of


def asked(protocol, panel, model=None):
    folds = protocol.split(panel)
    cells = [Cell("m", fold, 0, fold.units) for fold in folds]
    return folds, [
        protocol.evaluate_cell(model or LastValue(), panel, cell, RunContext(0)) for cell in cells
    ]


def test_cutoffs_are_a_stride_apart_and_leave_the_horizon():
    panel = monthly_panel(months=60, horizon=6)
    folds, _ = asked(WalkForward(windows=3, stride=4), panel)
    assert [fold.name for fold in folds] == ["2021-10-01", "2022-02-01", "2022-06-01"]


@pytest.mark.parametrize(
    ("refit", "sizes"), [("always", [1] * 5), ("never", [5]), ("every_2", [2, 2, 1])]
)
def test_refit_says_how_many_cutoffs_a_fit_serves(refit, sizes):
    folds = WalkForward(windows=5, horizon=2, refit=refit).split(monthly_panel())
    assert [len(fold.cutoffs) for fold in folds] == sizes


def rows_apart(every, rows, horizon, later=0):
    """Twenty series of so many rows, of which the last ones begin sixty rows later."""
    times = pl.date_range(date(1900, 1, 1), date(2100, 1, 1), every, eager=True)[:rows]
    parts = [
        pl.DataFrame({"series_id": f"s{i:02d}", "time": times, "target": np.arange(rows) % 7 + 1.0})
        for i in range(20)
    ]
    parts[20 - later :] = [part[60:] for part in parts[20 - later :]]
    return Panel.build(pl.concat(parts), Frequency(every), horizon=horizon)


@pytest.mark.parametrize(
    ("every", "rows", "horizon", "windows", "stride"),
    [
        ("1mo", 8, 12, 1, 12),  # refused when asked for
        ("1mo", 20, 12, 1, 12),
        ("1mo", 36, 12, 3, 6),
        ("1mo", 48, 12, 5, 6),  # one season before the first
        ("1mo", 60, 12, 5, 6),  # two
        ("1mo", 96, 12, 11, 6),
        ("1mo", 108, 12, 12, 6),  # seven a horizon apart
        ("1mo", 132, 12, 9, 12),  # not half as many more if they were closer
        ("1mo", 441, 12, 12, 12),
        ("1mo", 60, 1, 12, 1),
        ("1mo", 60, 3, 12, 3),
        ("1w", 150, 8, 10, 4),
        ("1w", 120, 4, 12, 4),  # four after two seasons are less than two thirds of a third one
        ("1w", 300, 13, 12, 13),
        ("1q", 40, 8, 5, 4),
        ("1y", 20, 6, 3, 3),
        ("1y", 60, 6, 12, 3),
        ("1d", 365, 28, 11, 28),
    ],
)
@pytest.mark.parametrize("align", ["calendar", "end"])
def test_the_length_of_the_data_gives_the_number_of_cutoffs(
    every, rows, horizon, windows, stride, align
):
    panel = rows_apart(every, rows, horizon)
    protocol = WalkForward(align=align)
    assert protocol.windows_on(panel) == (windows, stride)
    cutoffs = protocol.cutoffs(panel)
    assert len(cutoffs) == windows
    assert cutoffs[-1].ends(panel).tolist() == [max(rows - horizon, 0)] * 20
    if rows > horizon:
        assert cutoffs[0].ends(panel)[0] == rows - horizon - (windows - 1) * stride > 0
        assert sum(len(fold.cutoffs) for fold in protocol.split(panel)) == windows


@pytest.mark.parametrize(("later", "windows"), [(0, 12), (17, 12), (18, 7), (20, 7)])
@pytest.mark.parametrize("align", ["calendar", "end"])
def test_data_begins_where_more_than_one_series_in_ten_has(later, windows, align):
    panel = rows_apart("1mo", 168, 12, later)
    protocol = WalkForward(align=align, stride=12)
    assert protocol.windows_on(panel) == (windows, 12)


def test_settings_decide_what_is_given_and_the_data_the_rest():
    panel = rows_apart("1mo", 108, 12)
    assert WalkForward(windows=3).windows_on(panel) == (3, 12)
    assert WalkForward(horizon=3).windows_on(panel) == (12, 3)
    assert WalkForward(horizon=3, gap=3).windows_on(panel) == (12, 3)
    assert WalkForward(stride=24).windows_on(panel) == (4, 24)
    short = rows_apart("1mo", 48, 12)
    assert WalkForward(stride=12).windows_on(short) == (3, 12), "no closer than was asked"


@pytest.mark.parametrize(
    ("settings", "sizes"),
    [
        ({}, [5, 6, 1]),
        ({"refit": "always"}, [1] * 12),
        ({"refit": "every_5"}, [5, 5, 2]),
        ({"windows": 6}, [1] * 6),
        ({"windows": 2}, [1] * 2),
    ],
)
def test_three_fits_serve_the_cutoffs_that_the_data_gave(settings, sizes):
    folds = WalkForward(**settings).split(rows_apart("1mo", 108, 12))
    assert [len(fold.cutoffs) for fold in folds] == sizes
    assert [fold.name for fold in folds] == [fold.cutoffs[0].label for fold in folds]


class Fits(Forecaster):
    """Repeats the last value, and notes the last instant of each fit and of what it was asked
    after.
    """

    notes: ClassVar = []

    def learn(self, history, *, horizon, context):
        fitted_at = history.table["time"].max()

        class Fitted(type(LastValue().learn(history, horizon=horizon, context=context))):
            def predict(self, history, future):
                Fits.notes.append((fitted_at, history.table["time"].max(), context.fold))
                return super().predict(history, future)

        return Fitted(context.levels)


class FitsOfEach(Fits):
    local = True


def notes_of(model, panel):
    """The last instant of each fit, of what it was then asked after, and the fold of its draws."""
    Fits.notes = []
    folds, _ = asked(WalkForward(), panel, model)
    assert [len(fold.cutoffs) for fold in folds] == [5, 5, 1]
    return Fits.notes


def test_a_model_of_all_series_shares_fits_and_one_of_each_series_does_not():
    panel = monthly_panel(months=96, horizon=12)
    cutoffs = [cutoff.instant for cutoff in WalkForward().cutoffs(panel)]
    shared = [
        (cutoffs[place], cutoff)
        for place, cutoff in zip([0] * 5 + [5] * 5 + [10], cutoffs, strict=True)
    ]
    assert all(fitted_at <= cutoff for fitted_at, cutoff in shared)
    assert [note[:2] for note in notes_of(Fits(), panel)] == shared
    alone = notes_of(FitsOfEach(), panel)
    assert [note[:2] for note in alone] == [(each, each) for each in cutoffs]
    assert alone[1][2] == str(cutoffs[1]), "random numbers of its own"


def test_a_model_of_each_series_answers_as_with_a_fit_at_each_cutoff():
    panel = monthly_panel(months=96, horizon=12)
    parts = [
        pl.concat(asked(protocol, panel, LastValue())[1]).drop("window")
        for protocol in (WalkForward(), WalkForward(windows=11, stride=6))
    ]
    assert parts[0].equals(parts[1])


def test_windows_of_a_fold_are_numbered_on_whoever_is_fitted():
    panel = monthly_panel(months=96, horizon=12)
    for model in (Fits(), FitsOfEach()):
        rows = [
            part["window"].unique().sort().to_list()
            for part in asked(WalkForward(), panel, model)[1]
        ]
        assert rows == [[*range(5)], [*range(5)], [0]]


def test_only_shared_fits_make_other_keys():
    panel = rows_apart("1mo", 108, 12)
    settings = {
        name: [protocol.fold_settings(fold) for fold in protocol.split(panel)]
        for name, protocol in {
            "default": WalkForward(),
            "given": WalkForward(windows=3),
            "every": WalkForward(refit="every_3"),
        }.items()
    }
    assert settings == {
        "default": [[0, "local fits"], [0, "local fits"], 0],
        "given": [0, 0, 0],
        "every": [0, 0, 0, 0],
    }
    assert WalkForward().split(panel)[-1].cutoffs == WalkForward(windows=3).split(panel)[-1].cutoffs


@pytest.mark.parametrize("model", [Fits(), FitsOfEach()])
def test_shared_fits_leak_nothing(model):
    panel = monthly_panel(months=96, horizon=12)
    found = list(check_leaks(WalkForward(), "m", model, panel, RunContext(0)))
    assert found == [None] * 11


def test_the_words_of_the_plan_say_how_many_cutoffs_and_why():
    said = WalkForward().cutoff_words(rows_apart("1mo", 108, 12))
    assert said == (
        "12 cutoffs, 6 rows apart, by the length of the data: 30 rows (2.5 seasons) lie before the "
        "first. A model of all series is fitted at 3 of them, a model of each series alone at "
        "every one."
    )
    assert WalkForward(windows=3).cutoff_words(rows_apart("1mo", 108, 12)) == ""
    assert (
        WalkForward()
        .cutoff_words(rows_apart("1mo", 36, 12))
        .endswith(
            "12 rows (1.0 seasons) lie before the first. Fewer than 4 cannot tell which model is "
            "better: the data is too short for 12 steps ahead."
        )
    )
    assert "every one" not in WalkForward(refit="always").cutoff_words(rows_apart("1mo", 108, 12))


def test_rows_are_the_last_value_beside_what_happened():
    panel = monthly_panel(n_series=2, months=40)
    _, (rows,) = asked(WalkForward(windows=1, horizon=3), panel)
    values = panel.series(0)
    first = rows.filter(pl.col("series_id") == "s0")
    assert first["actual"].to_list() == values[-3:].tolist()
    assert first["mean"].to_list() == [values[-4]] * 3
    assert first["step"].to_list() == [1, 2, 3]
    assert first["scale_abs"][0] == pytest.approx(np.mean(np.abs(values[12:-3] - values[:-15])))


def test_a_gap_moves_the_scored_steps_and_leaves_the_cutoff():
    panel = monthly_panel(n_series=1, months=40)
    _, (rows,) = asked(WalkForward(windows=1, horizon=3, gap=2), panel)
    assert rows["step"].to_list() == [3, 4, 5]
    assert rows["mean"][0] == panel.series(0)[-6]
    assert rows["actual"].to_list() == panel.series(0)[-3:].tolist()


def test_a_model_is_given_no_row_after_the_cutoff_and_no_past_only_value_of_the_future():
    seen = {}

    class Spy(LastValue):
        def learn(self, history, *, horizon, context):
            seen["last"] = history.table["time"].max()
            fitted = super().learn(history, horizon=horizon, context=context)
            original = type(fitted).predict

            class Watching(type(fitted)):
                def predict(self, history, future):
                    seen["future"] = future.table
                    seen["history"] = history.table["time"].max()
                    return original(self, history, future)

            return Watching(fitted.levels)

    asked(WalkForward(windows=1, horizon=4), monthly_panel(), Spy())
    assert seen["last"] == seen["history"] < seen["future"]["time"].min()
    assert seen["future"]["target"].null_count() == len(seen["future"])
    assert seen["future"]["visits"].null_count() == len(seen["future"])
    assert seen["future"]["promotion"].null_count() == 0


def test_the_number_of_future_rows_does_not_tell_where_a_series_ends():
    panel = monthly_panel(n_series=3, months=40)
    shorter = replace(
        panel, table=panel.table.filter(~((pl.col("series_id") == "s1") & (panel.positions > 37)))
    )
    protocol = WalkForward(windows=1, horizon=6)
    cutoff = protocol.cutoffs(shorter)[0]
    _, (rows,) = asked(protocol, shorter)
    assert rows.filter(pl.col("series_id") == "s1")["step"].to_list() == [1, 2, 3, 4]
    from hwds.evaluation.panel_folds import future_of, series_at

    future = future_of(shorter, series_at(shorter, cutoff), cutoff.ends(shorter), 6)
    assert future.lengths.tolist() == [6, 6, 6]


def test_a_series_that_ended_before_the_cutoff_is_not_asked_under_calendar_but_is_under_end():
    panel = monthly_panel(n_series=2, months=40)
    ended = replace(
        panel, table=panel.table.filter(~((pl.col("series_id") == "s1") & (panel.positions > 20)))
    )
    _, (calendar,) = asked(WalkForward(windows=1, horizon=3), ended)
    _, (end,) = asked(WalkForward(windows=1, horizon=3, align="end"), ended)
    assert calendar["series_id"].unique().to_list() == ["s0"]
    assert sorted(end["series_id"].unique()) == ["s0", "s1"]


def test_sliding_hides_the_older_rows():
    lengths = []

    class Spy(LastValue):
        def learn(self, history, *, horizon, context):
            lengths.append(history.lengths.max())
            return super().learn(history, horizon=horizon, context=context)

    asked(WalkForward(windows=2, horizon=3, sliding=24), monthly_panel(), Spy())
    assert lengths == [24, 24]


def test_too_many_windows_are_refused_with_the_figures():
    with pytest.raises(
        DataError,
        match="20 windows of 6 steps, 6 apart, leave no history; the longest series has 60 rows: "
        "ask",
    ):
        WalkForward(windows=20).split(monthly_panel())


def test_holdout_takes_the_last_rows_where_there_is_no_split():
    folds, (rows,) = asked(Holdout(horizon=5), monthly_panel(n_series=2))
    assert folds[0].name == "end-5"
    assert rows.height == 10


def test_holdout_takes_the_datasets_split():
    panel = monthly_panel(n_series=2, months=40)
    split = pl.Series("part", np.where(panel.positions < 33, "train", "test"))
    panel = replace(
        panel, table=panel.table.with_columns(split), roles=panel.roles | {"split": "part"}
    )
    folds, (rows,) = asked(Holdout(), panel)
    assert folds[0].name == "split"
    assert rows.group_by("series_id").len()["len"].to_list() == [7, 7]


def test_what_was_published_after_the_cutoff_is_hidden():
    panel = monthly_panel(n_series=1, months=40)
    out = panel.table["time"].dt.offset_by("2mo").alias("out")
    panel = replace(
        panel, table=panel.table.with_columns(out), roles=panel.roles | {"available_at": "out"}
    )
    holes = []

    class Spy(LastValue):
        def learn(self, history, *, horizon, context):
            holes.append(np.isnan(history.target).nonzero()[0].tolist())
            return super().learn(history, horizon=horizon, context=context)

    asked(WalkForward(windows=1, horizon=3), panel, Spy())
    assert holes == [[35, 36]]


def test_series_without_scaled_errors_are_named_and_why():
    long = monthly_panel(n_series=8, months=40)
    late = pl.col("time") >= long.table["time"].max().replace(month=1)  # the last four rows
    panel = replace(long, table=long.table.filter(pl.col("series_id").is_in(["s0", "s1"]) | late))
    protocol = WalkForward(windows=1, horizon=3)
    folds, rows = asked(protocol, panel)
    (said,) = protocol.warnings_after(folds, pl.concat(rows))
    assert said == (
        "6 series (s2, s3, +4) are scored by the mean scale of the others at some cutoff. They "
        "have no two known values a season of 12 rows apart before it, or equal ones only. If no "
        "series has a scale, mase and rmsse divide by the series' own change from row to row. If "
        "the seasonal naive answers, its intervals are as wide as such changes."
    )
    by_series = {
        score.n_undefined
        for score in protocol.score(pl.concat(rows))
        if score.metric == "mase[m=12]"
    }
    assert by_series == {0}
    folds, rows = asked(protocol, long)
    assert protocol.warnings_after(folds, pl.concat(rows)) == []


def test_fallbacks_are_counted_alike_by_sentence_page_remark_and_tables(command, tmp_path):
    waves = [100 + place % 12 + place % 5 for place in range(48)]
    values = {"a": waves, "b": waves[::-1], "flat": [7] * 48, "late": waves[:24] + [3] * 24}
    panel_of(values, 3).table.write_csv(tmp_path / "own.csv")
    words = "model=forecast/damped rivals=[forecast/theta] protocol=walk_forward compute=serial"
    more = "protocol.windows=2 protocol.horizon=3 dataset=file dataset.path=own.csv"
    roles = "dataset.roles.series=series_id dataset.roles.time=time dataset.roles.target=target"
    done = command([*words.split(), *more.split(), *roles.split()])
    assert done.code == 0, done.err
    said = " ".join(done.out.split())
    remark = "1 of 4 series by a fallback, in 2 of 8 forecasts: all values equal (2)."
    assert said.count("by a fallback") == 1
    assert f"forecast/damped, forecast/theta: {remark}" in said
    (folder,) = tmp_path.glob("outputs/runs/*/*")
    scores = pl.read_parquet(folder / "scores.parquet").filter(pl.col("fold").is_null())
    assert scores["n_fallback"].unique().to_list() == [1]
    rows = pl.read_parquet(folder / "predictions.parquet")
    kinds = rows.filter("fallback").select("series_id", "fallback_kind").unique().rows()
    assert kinds == [("flat", "all values equal")]
    assert rows["fallback_kind"].count() == rows["fallback"].sum() == 2 * 2 * 3
    assert command(["report", str(folder.relative_to(tmp_path / "outputs/runs"))]).code == 0
    page = (folder / "report.md").read_text()
    assert page.count("by a fallback") == 1
    assert remark in page


def test_a_run_of_an_earlier_version_tells_no_kinds_of_fallbacks():
    rows = pl.DataFrame({"model": ["m"], "series_id": ["a"], "fallback": [True], "cutoff": [1]})
    assert not list(fallback_remarks(rows))


@pytest.mark.parametrize(
    ("windows", "stride", "said"), [(6, 1, ["50 %"]), (5, 1, []), (6, 2, ["50 %"]), (9, 2, [])]
)
def test_many_cutoffs_within_a_part_of_a_season_are_remarked_on(windows, stride, said):
    panel = monthly_panel(months=60)
    protocol = WalkForward(windows=windows, horizon=1, stride=stride)
    folds, rows = asked(protocol, panel)
    remarks = [
        line for line in protocol.warnings_after(folds, pl.concat(rows)) if "of a season" in line
    ]
    assert [
        line.partition(" of a season")[0].rpartition("forecast ")[2] for line in remarks
    ] == said
