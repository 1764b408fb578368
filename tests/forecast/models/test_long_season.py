"""A forecaster that sees series without their longer season: hours without the week."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from hwds.core.seeds import stream
from hwds.core.serialization import load_fitted, save_fitted
from hwds.evaluation.panel_folds import future_of
from hwds.forecast.models.base import ForecastContext
from hwds.forecast.models.damped import Damped
from hwds.forecast.models.long_season import (
    LongerSeason,
    LongSeason,
    longer_season,
    put_back_season,
    take_out_season,
)
from hwds.forecast.racing import PanelTraits, race_candidates
from hwds.frames.frequency import Frequency
from hwds.frames.panel import Panel
from hwds.frames.roles import Roles

DAY, WEEK, STEPS = 24, 168, 48
HOURS = np.arange(5 * WEEK)
DAYS = np.exp(0.5 * np.sin(2 * np.pi * HOURS / DAY))
WEEKENDS = (HOURS // DAY) % 7 > 4
CONTEXT = ForecastContext(0, levels=(0.1, 0.5, 0.9), season=DAY)
MODEL = LongSeason(member=Damped(origins=0))


def noise(number, size=0.05):
    return np.exp(stream("hours", number).normal(0, size, len(HOURS)))


def hours(series) -> Panel:
    count = len(series)
    columns = {
        "series_id": np.repeat([f"s{i}" for i in range(count)], len(HOURS)),
        "time": np.tile(HOURS, count),
        "target": pl.Series(np.concatenate(series), nan_to_null=True),
    }
    return Panel.build(
        pl.DataFrame(columns), Frequency("1i"), roles=Roles(), season=DAY, horizon=STEPS
    )


def error(model, panel):
    """The mean error over a cutoff on each day of the last week, as a share of what comes."""
    errors = []
    for day in range(7):
        ends = panel.lengths - STEPS - DAY * day
        history, future = (
            panel.until(ends),
            future_of(panel, np.arange(panel.n_series), ends, STEPS),
        )
        said = (
            model.learn(history, horizon=STEPS, context=CONTEXT)
            .predict(history, future)
            .quantiles[..., 1]
        )
        actual = np.stack(
            [panel.series(i)[ends[i] : ends[i] + STEPS] for i in range(panel.n_series)]
        )
        errors.append(np.abs(said / actual - 1).mean())
    return np.mean(errors)


@pytest.mark.parametrize(
    "shape",
    [np.where(WEEKENDS, 0.6, 1.0), np.where(WEEKENDS, 0.6 / DAYS, 1.0)],
    ids=["level", "shape"],
)
def test_hours_are_forecast_by_their_day_of_the_week(shape):
    panel = hours([100 * DAYS * shape * noise(i) for i in range(5)])
    assert error(MODEL, panel) < 0.6 * error(MODEL.member, panel)


@pytest.mark.parametrize(
    "level", [np.zeros(len(HOURS)), np.cumsum(stream("walk", 0).normal(0, 0.02, len(HOURS)))]
)
def test_where_there_is_no_week_forecasts_stay_nearly_as_they_were(level):
    panel = hours([100 * DAYS * np.exp(level) * noise(i) for i in range(5)])
    assert error(MODEL, panel) < 1.03 * error(MODEL.member, panel)


def test_the_parts_are_the_week_and_come_back():
    values = 100 * DAYS * np.where(WEEKENDS, 0.6, 1.0) * noise(0, 0.001)
    parts = longer_season(values, DAY, 7)
    shown = take_out_season(parts, values)
    assert np.log(shown / DAYS).std() < 0.005 < np.log(values / DAYS).std()
    np.testing.assert_allclose(
        put_back_season(parts, shown[500:600], 500), values[500:600], rtol=1e-12
    )


def test_fewer_than_sixteen_days_are_shown_as_they_are():
    values = 100 * DAYS * np.where(WEEKENDS, 0.6, 1.0)
    assert longer_season(values[: 16 * DAY], DAY, 7)
    assert not longer_season(values[: 15 * DAY], DAY, 7)


def test_a_series_begins_at_its_first_known_row_and_odd_ones_are_seen_as_they_are():
    values = 100 * DAYS * np.where(WEEKENDS, 0.6, 1.0) * noise(0)
    late, sparse = np.where(HOURS < 50, np.nan, values), np.where(HOURS % 3 == 0, values, np.nan)
    panel = hours([late, sparse, np.zeros(len(HOURS)), np.full(len(HOURS), np.nan)])
    shown, parts = LongerSeason(DAY, 7).without(panel)
    assert [len(each) > 0 for each in parts] == [True, False, False, False]
    assert np.log(shown.series(0)[50:] / DAYS[50:]).std() < 0.07
    np.testing.assert_array_equal(shown.target[len(HOURS) :], panel.target[len(HOURS) :])


def test_no_forecast_of_what_was_never_negative_is_below_zero():
    busy = (HOURS % DAY < DAY / 2) == WEEKENDS
    demand = [np.maximum(stream("demand", i).normal(busy * 3.0 - 1.0, 1.0), 0.0) for i in range(3)]
    panel = hours(demand)
    future = future_of(panel, np.arange(3), panel.lengths, STEPS)
    assert any(part.additive for part in LongerSeason(DAY, 7).of(demand[0]))
    assert (
        MODEL.learn(panel, horizon=STEPS, context=CONTEXT).predict(panel, future).quantiles.min()
        >= 0
    )


def test_what_is_stored_forecasts_the_same(tmp_path):
    panel = hours([100 * DAYS * np.where(WEEKENDS, 0.6, 1.0) * noise(i) for i in range(2)])
    future = future_of(panel, np.arange(2), panel.lengths, STEPS)
    fitted = MODEL.learn(panel, horizon=STEPS, context=CONTEXT)
    save_fitted(fitted, tmp_path / "model")
    said, again = (
        fitted.predict(panel, future),
        load_fitted(tmp_path / "model").predict(panel, future),
    )
    np.testing.assert_array_equal(said.quantiles, again.quantiles)


def test_the_race_shows_candidates_hours_without_weeks_where_most_series_have_one():
    weeks = hours([100 * DAYS * np.where(WEEKENDS, 0.6, 1.0) * noise(i) for i in range(3)])
    plain = hours([100 * DAYS * noise(i) for i in range(3)])
    looks = [PanelTraits.of(panel, DAY) for panel in (weeks, plain)]
    assert [look.weeks for look in looks] == [True, False]
    shown, bare = race_candidates(looks[0]), race_candidates(looks[1])
    assert [each.model.member for each in shown] == [each.model for each in bare]
    assert {each.after for each in shown} - {""} <= {each.name for each in shown}
    assert "weeks of days" in str(looks[0])
    assert not PanelTraits.of(replace(weeks, season=12), 12).weeks


def test_models_of_intermittent_demand_are_shown_hours_as_they_are():
    chance = np.where(WEEKENDS, 0.05, np.where(HOURS % DAY > 8, 0.9, 0.1))
    panel = hours([stream("calls", i).poisson(chance).astype(float) for i in range(4)])
    look = PanelTraits.of(panel, DAY)
    assert (look.kind, look.weeks) == ("intermittent", True)
    assert LongerSeason(DAY, 7).without(panel)[0].target.min() < 0
    future = future_of(panel, np.arange(4), panel.lengths, STEPS)
    shown = {each.name: each.model for each in race_candidates(look)}
    plain = [name for name, model in shown.items() if not isinstance(model, LongSeason)]
    assert [name.split("(")[0] for name in plain] == [
        f"forecast/{kind}" for kind in ("zero", "tsb", "croston", "adida", "xgboost")
    ]
    for name in plain[:4]:
        assert (
            not shown[name]
            .learn(panel, horizon=STEPS, context=CONTEXT)
            .predict(panel, future)
            .fallback.any()
        )


def test_a_season_that_is_a_week_is_no_day_with_seven_weeks_round_it():
    rows = np.arange(20 * WEEK)
    values = (
        100
        * np.where(rows // WEEK % 7 > 4, 0.6, 1.0)
        * np.exp(stream("weeks", 0).normal(0, 0.05, len(rows)))
    )
    assert longer_season(values, WEEK, 7)
    columns = {"series_id": ["s0"] * len(rows), "time": rows, "target": values}
    panel = Panel.build(
        pl.DataFrame(columns), Frequency("1i"), roles=Roles(), season=WEEK, horizon=STEPS
    )
    assert not PanelTraits.of(panel, WEEK).weeks
