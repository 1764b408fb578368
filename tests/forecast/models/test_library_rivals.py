"""Rivals by other libraries: what they forecast, when the seasonal naive answers, never in auto."""

from __future__ import annotations

import numpy as np
import pytest

from hwds.forecast.models.auto_arima_pmdarima import AutoARIMAPmdarima
from hwds.forecast.models.auto_arima_statsforecast import AutoARIMAStatsforecast
from hwds.forecast.models.base import ForecastContext
from hwds.forecast.models.unobserved_components import UnobservedComponents
from hwds.forecast.racing import PanelTraits, race_candidates
from tests.forecast.models.test_sarima import after, panel_of

CONTEXT = ForecastContext(0, levels=(0.1, 0.5, 0.9), season=4)
STEPS = 6
RIVALS = [
    UnobservedComponents(),
    UnobservedComponents(trend="smooth", harmonics=2),
    AutoARIMAPmdarima(most_ordinary=1, most_seasonal=1),
    AutoARIMAStatsforecast(most_ordinary=1, most_seasonal=1),
]


def waves(rows, seed=0):
    """A line with a season of four rows, and what comes after it without noise."""
    rng, place = np.random.default_rng(seed), np.arange(rows + STEPS)
    whole = 50 + 0.5 * place + 8 * np.sin(2 * np.pi * place / 4)
    return whole[:rows] + rng.normal(0, 1, rows), whole[rows:]


@pytest.mark.parametrize("rival", RIVALS, ids=repr)
def test_it_goes_on_with_line_and_season_and_twice_the_same(rival):
    values, truth = waves(48)
    panel = panel_of([values, 1000 * values])
    fitted = rival.learn(panel, horizon=STEPS, context=CONTEXT)
    made, again = (fitted.predict(panel, after(panel, STEPS)) for _ in range(2))
    assert not made.fallback.any()
    assert np.abs(made.mean[0] - truth).mean() < 2
    np.testing.assert_allclose(made.mean[1], 1000 * made.mean[0], rtol=0.02)
    assert (np.diff(made.quantiles, axis=-1) > 0).all()
    assert np.abs(made.quantiles[0, :, 2] - made.quantiles[0, :, 0]).max() < 12
    np.testing.assert_array_equal(made.quantiles, again.quantiles)


@pytest.mark.parametrize("rival", RIVALS, ids=repr)
def test_the_seasonal_naive_answers_few_rows_and_constant_ones(rival):
    panel = panel_of([[1.0, 2.0, 3.0, 4.0, 5.0], [7.0] * 30])
    made = rival.learn(panel, horizon=STEPS, context=CONTEXT).predict(panel, after(panel, STEPS))
    assert made.fallback.all()
    assert made.mean[0].tolist() == [2.0, 3.0, 4.0, 5.0, 2.0, 3.0]


def test_auto_races_none_of_them():
    for season, zeros, columns in ((12, 0.0, 0), (12, 0.5, 0), (12, 0.0, 2)):
        look = PanelTraits(100, 60, season, zeros, 0.0, columns, False)
        kinds = {type(each.model) for each in race_candidates(look)}
        assert not kinds & {type(rival) for rival in RIVALS}
