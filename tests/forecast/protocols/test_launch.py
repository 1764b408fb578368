from datetime import date

import numpy as np
import polars as pl
import pytest

from hwds.core.errors import ConfigError, DataError
from hwds.core.serialization import Serializable
from hwds.datasets.simulated.hardware_demand import HardwareDemand
from hwds.evaluation.leak_check import check_leaks
from hwds.evaluation.protocol import Cell, RunContext
from hwds.forecast.models.analog import Analog
from hwds.forecast.protocols.launch import Launch
from hwds.frames.frequency import Frequency
from hwds.frames.panel import Forecasts, Panel
from hwds.frames.roles import Roles
from tests.support.panels import FittedLastValue, LastValue

BEGINS = {"old": 0, "early": 5, "late": 20, "twin": 20, "last": 30, "tail": 39}


def launches(months=40, horizon=6, without=()):
    """Series that begin at different months and all go on to the end; the tail has one row."""
    times = pl.date_range(date(2018, 1, 1), date(2040, 1, 1), "1mo", eager=True)[:months]
    parts = []
    for number, (name, begin) in enumerate(BEGINS.items()):
        if name in without:
            continue
        age = np.arange(months - begin)
        parts.append(
            pl.DataFrame(
                {
                    "series_id": [name] * len(age),
                    "time": times[begin:],
                    "target": 100.0 * (number + 1) + age,
                    "price": 10.0 + age,
                    "kind": ["a", "b"][number % 2],
                }
            )
        )
    roles = Roles(known_future=("price",), static=("kind",))
    return Panel.build(pl.concat(parts), Frequency("1mo"), roles=roles, horizon=horizon)


class Seen(LastValue):
    """Keeps what it was given."""

    launches = True

    def learn(self, history, *, horizon, context):
        KEPT.append(("fit", history))

        class Watching(FittedLastValue, Serializable):
            def predict(self, history, future):
                KEPT.append(("predict", history, future))
                return super().predict(history, future)

            def launch(self, history, future):
                KEPT.append(("launch", history, future))
                mean = np.ones((future.n_series, int(future.lengths[0])))
                return Forecasts.of(mean, np.repeat(mean[..., None], len(self.levels), axis=2))

            def sample(self, history, future, n, streams):
                return np.ones((future.n_series, n, int(future.lengths[0])))

        return Watching(context.levels)


KEPT: list[tuple] = []


def asked(protocol, panel, model=None, **cut):
    KEPT.clear()
    folds = protocol.split(panel)
    cells = [Cell("m", fold, cut.get("start", 0), cut.get("stop", fold.units)) for fold in folds]
    return folds, [
        protocol.evaluate_cell(model or Seen(), panel, cell, RunContext(0)) for cell in cells
    ]


def test_a_fold_is_an_instant_of_launches_and_asks_what_begins_there():
    folds, rows = asked(Launch(), launches())
    assert [fold.name for fold in folds] == ["2019-09-01", "2020-07-01"]
    assert [sorted(part["series_id"].unique()) for part in rows] == [["late", "twin"], ["last"]]
    assert rows[0].filter(pl.col("series_id") == "late")["actual"].to_list() == [
        300.0 + age for age in range(1, 7)
    ]
    assert rows[0]["cutoff"].unique().to_list() == [date(2019, 9, 1)]


@pytest.mark.parametrize("after", [0, 1, 3])
def test_history_is_all_that_is_known_of_all_and_ends_at_the_cutoff(after):
    _, rows = asked(Launch(after=after, launches=1), launches(without=("tail",)))
    fitted, (kind, known, future) = KEPT
    cutoff = pl.Series([date(2020, 7, 1)]).dt.offset_by(f"{after - 1}mo")[0]
    assert fitted[1].table["time"].max() == cutoff
    assert set(fitted[1].series_ids) == {"old", "early", "late", "twin"} | (
        {"last"} if after else set()
    )
    assert kind == ("predict" if after else "launch")
    assert known.n_series == (1 if after else 4)
    assert future.table["time"].to_list()[0] == pl.Series([cutoff]).dt.offset_by("1mo")[0]
    assert future.table["target"].null_count() == 6
    assert future.table["price"].to_list()[0] == 10.0 + after
    assert future.table["kind"].unique().to_list() == ["a"]
    assert rows[0]["cutoff"].unique().to_list() == [cutoff]
    assert rows[0]["step"].to_list() == [1, 2, 3, 4, 5, 6]
    assert rows[0]["actual"][0] == 500.0 + after


def test_a_launch_with_fewer_rows_than_the_horizon_is_scored_on_those():
    _, (_, rows) = asked(Launch(horizon=18), launches())
    assert rows["step"].to_list() == list(range(1, 10))


def test_before_and_launches_choose_the_instants():
    assert [fold.name for fold in Launch(before=5).split(launches())] == [
        "2018-06-01",
        "2019-09-01",
        "2020-07-01",
    ]
    assert [fold.name for fold in Launch(before=5, launches=1).split(launches())] == ["2020-07-01"]
    assert len(Launch(after=0).split(launches())) == 3  # the tail's one row is asked for


def test_panels_without_launches_are_refused():
    with pytest.raises(
        DataError, match=r"no series begins 36 rows or more after the data does \(protocol.before\)"
    ):
        Launch(before=36).split(launches())


def test_a_block_of_series_answers_as_all_do():
    _, (whole, _) = asked(Launch(), launches(), LastValue())
    panel = launches()
    place = panel.series_ids.to_list().index("twin")
    _, (block, _) = asked(Launch(), panel, LastValue(), start=place, stop=place + 1)
    assert block.equals(whole.filter(pl.col("series_id") == "twin"))


def test_launches_that_something_simpler_answered_are_remarked_on():
    protocol = Launch(after=0)
    folds, rows = asked(protocol, launches())
    marks = {"model": "m", "fallback": True, "fallback_kind": "too little to learn from"}
    shown = pl.concat(rows).with_columns(**{name: pl.lit(mark) for name, mark in marks.items()})
    _, said = protocol.warnings_after(folds, shown)
    assert (
        said == "m: 4 of 4 series by a fallback, in 4 of 4 forecasts: too little to learn from (4)."
    )


def test_a_model_that_needs_rows_is_refused_where_there_are_none():
    Launch(after=1).check_models({"m": LastValue()}, launches())
    Launch(after=0).check_models({"m": Seen()}, launches())
    with pytest.raises(
        ConfigError,
        match=r"^protocol.after: 'm' cannot forecast a series without a row; use forecast/analog",
    ):
        Launch(after=0).check_models({"m": LastValue()}, launches())


def test_scores_need_no_past_and_say_so_where_they_do():
    _, rows = asked(Launch(after=0, paths=3), launches())
    scores = {
        (score.metric, score.aggregate): score
        for score in Launch().score(pl.concat(rows))
        if score.step is None
    }
    assert scores["wape", "mean"].value == pytest.approx(1 - 1 / 400, abs=5e-3)
    assert scores["wape", "mean"].n == 4
    assert scores["mase[m=12]", "mean"].value is None
    assert scores["mase[m=12]", "mean"].n_undefined == 4


def test_intervals_of_series_with_a_past_are_refused():
    with pytest.raises(ConfigError, match=r"intervals: must be .*model"):
        Launch(intervals="conformal")


def test_the_truth_answers_launches_and_knows_an_outage():
    dataset = HardwareDemand(seed=3, families=2, channels=2, months=60)
    panel = dataset.load()
    protocol = Launch(after=0)
    _, parts = asked(protocol, panel, dataset.truth("forecast"))
    rows = pl.concat(parts)
    assert rows["mean"].is_finite().all()
    inside = rows.select(
        (pl.col("actual") >= pl.col("q_0.1")) & (pl.col("actual") <= pl.col("q_0.9"))
    ).to_series()
    assert 0.6 < inside.mean() <= 1.0
    cutoff = protocol.split(panel)[-1].cutoffs[0].instant
    means = []
    for share in (0.0, 0.5):
        now = pl.when(pl.col("time") == cutoff).then(share).otherwise("shortage").alias("shortage")
        changed = panel.with_table(panel.table.with_columns(now))
        (told,) = asked(Launch(after=0, launches=1), changed, dataset.truth("forecast"))[1]
        means.append(told.filter(pl.col("step") == 1)["mean"].to_numpy())
    assert (means[1] < 0.95 * means[0]).all()


@pytest.mark.parametrize("after", [0, 1])
def test_analog_does_not_leak(after):
    panel = HardwareDemand(seed=3, families=2, channels=2, months=48).load()
    found = list(
        check_leaks(Launch(after=after, horizon=4, launches=2), "m", Analog(), panel, RunContext(0))
    )
    assert len(found) == 2
    assert [leak for leak in found if leak] == []


def test_a_launch_learned_from_its_own_rows_is_caught():
    class Peeking(Launch):
        """Lets a launch be learned from beyond its cutoff."""

        def evaluate_cell(self, model, frame, cell, context):
            rows = super().evaluate_cell(model, frame, cell, context)
            level = float(
                frame.table.filter(pl.col("series_id") == rows["series_id"][0])["target"].mean()
            )
            return rows.with_columns(mean=pl.lit(level))

    assert [
        leak
        for leak in check_leaks(Peeking(after=1), "m", LastValue(), launches(), RunContext(0))
        if leak
    ]
