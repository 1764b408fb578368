"""A forecaster that sees series as they are since their last break."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from hwds.core.compose import compose
from hwds.core.errors import ConfigError
from hwds.core.serialization import load_fitted, save_fitted
from hwds.evaluation.panel_folds import FromEnd, future_of, panel_known_at
from hwds.experiment.spec import check
from hwds.forecast.models.base import ForecastContext
from hwds.forecast.models.ets import ETS
from hwds.forecast.models.seasonal_naive import SeasonalNaive
from hwds.forecast.models.since_break import SinceBreak
from hwds.forecast.models.theta import Theta
from hwds.forecast.models.xgboost import XGBoost
from hwds.frames.panel import Panel
from tests.support.panels import monthly_panel

STEPS = 12
CONTEXT = ForecastContext(0, "fold", levels=(0.1, 0.5, 0.9), season=12)


def shifted(n, size, after, months=96, seed=0) -> Panel:
    """A season, noise, and a shift so many months before the cutoff, which lies a year before the
    end.
    """
    rng, t = np.random.default_rng(seed), np.arange(months + STEPS)
    panel = monthly_panel(n_series=n, months=len(t))
    values = [
        100
        + 5 * np.sin(2 * np.pi * t / 12)
        + rng.normal(size=len(t))
        + size * (t >= months - after)
        for _ in range(n)
    ]
    return replace(panel, table=panel.table.with_columns(target=pl.Series(np.concatenate(values))))


def answers(model, panel):
    """Forecasts of the last year, and what came."""
    history, future = (
        panel_known_at(panel, FromEnd(STEPS)),
        future_of(panel, np.arange(panel.n_series), panel.lengths - STEPS, STEPS),
    )
    said = model.learn(history, horizon=STEPS, context=CONTEXT).predict(history, future)
    return said, panel.target.reshape(panel.n_series, -1)[:, -STEPS:]


def errors(model, panel):
    said, actual = answers(model, panel)
    return np.abs(said.quantiles[..., 1] - actual).mean(1)


@pytest.mark.parametrize("member", [Theta(), ETS()], ids=["theta", "ets"])
def test_forecasts_after_a_shift_are_better(member):
    panel = shifted(16, 8.0, 40)
    change = errors(SinceBreak(member=member), panel) - errors(member, panel)
    assert change.mean() < -2 * change.std() / 4


def test_series_without_a_shift_are_forecast_as_they_were():
    panel = shifted(8, 0.0, 40)
    said, plain = answers(SinceBreak(member=Theta()), panel)[0], answers(Theta(), panel)[0]
    assert (said.mean == plain.mean).all(1).sum() >= 7
    assert (said.quantiles == plain.quantiles).all((1, 2)).sum() >= 7


def test_intervals_of_the_seasonal_naive_forget_the_shift():
    panel = shifted(8, 30.0, 40)
    said, plain = (
        answers(SinceBreak(member=SeasonalNaive()), panel)[0],
        answers(SeasonalNaive(), panel)[0],
    )
    np.testing.assert_array_equal(said.mean, plain.mean)
    assert (np.ptp(said.quantiles, -1) < 0.4 * np.ptp(plain.quantiles, -1)).all()


def test_what_is_dropped_leaves_two_seasons():
    panel = panel_known_at(shifted(4, 30.0, 30), FromEnd(STEPS))
    shown = (
        SinceBreak(member=Theta(), earlier="dropped")
        .learn(panel, horizon=STEPS, context=CONTEXT)
        .since.view(panel)
    )
    assert shown.lengths.tolist() == [30] * 4
    assert shown.series_ids.to_list() == panel.series_ids.to_list()
    moved = (
        SinceBreak(member=Theta()).learn(panel, horizon=STEPS, context=CONTEXT).since.view(panel)
    )
    assert moved.lengths.tolist() == panel.lengths.tolist()
    assert (
        np.abs(
            moved.target.reshape(4, -1)[:, :66].mean(1)
            - panel.target.reshape(4, -1)[:, 66:].mean(1)
        ).max()
        < 3
    )
    np.testing.assert_array_equal(
        moved.target.reshape(4, -1)[:, 66:], panel.target.reshape(4, -1)[:, 66:]
    )


def test_odd_series_are_seen_as_they_are():
    odd = [
        np.full(60, 3.0),
        np.zeros(60),
        np.r_[np.full(59, np.nan), 1.0],
        np.full(60, np.nan),
        np.r_[np.nan, np.arange(59.0)],
    ]
    odd.append(np.where(np.arange(60) % 3 == 0, 5.0, np.nan))
    panel = monthly_panel(n_series=len(odd))
    panel = replace(
        panel,
        table=panel.table.with_columns(target=pl.Series(np.concatenate(odd), nan_to_null=True)),
    )
    shown = (
        SinceBreak(member=Theta()).learn(panel, horizon=STEPS, context=CONTEXT).since.view(panel)
    )
    np.testing.assert_array_equal(shown.target, panel.target)


def test_what_is_stored_forecasts_the_same(tmp_path):
    panel = shifted(3, 20.0, 40)
    future = future_of(panel, np.arange(3), panel.lengths, STEPS)
    fitted = SinceBreak(member=Theta()).learn(panel, horizon=STEPS, context=CONTEXT)
    save_fitted(fitted, tmp_path / "model")
    said, again = (
        fitted.predict(panel, future),
        load_fitted(tmp_path / "model").predict(panel, future),
    )
    assert np.array_equal(said.quantiles, again.quantiles)


def test_a_member_is_an_option_with_changes_and_must_be_alone():
    made = check(
        compose(["model=forecast/since_break", "model.member={forecast/ets: {season: 4}}"])
    ).model
    assert made == SinceBreak(
        name="forecast/since_break", member=ETS(name="forecast/ets(season=4)", season=4)
    )
    with pytest.raises(ConfigError) as refusal:
        check(compose(["model=forecast/since_break", "model.member=forecast/xgboost"]))
    said = "model.member: must be a forecaster that fits each series alone, got 'forecast/xgboost'."
    assert str(refusal.value) == said
    with pytest.raises(
        ConfigError,
        match=r"model\.member: no option 'forecast/tetha'; did you mean 'forecast/theta'\?",
    ):
        check(compose(["model=forecast/since_break", "model.member=forecast/tetha"]))
    with pytest.raises(ConfigError, match=r"model\.member: no key 'forms'; did you mean 'form'\?"):
        check(
            compose(
                ["model=forecast/since_break", "model.member={forecast/theta: {forms: dynamic}}"]
            )
        )
    with pytest.raises(ConfigError):
        SinceBreak(member=XGBoost())
