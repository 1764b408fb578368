"""Stacks: weights that find the truth, shrink where nothing is to be learned, and see only inner windows."""

from dataclasses import dataclass

import numpy as np
import polars as pl
import pytest

from hwds.context import Context
from hwds.execution.inner import InnerWindows
from hwds.features.none import None_
from hwds.frames.forecasts import Forecasts
from hwds.models.forecast.base import Forecaster
from hwds.models.forecast.drift import Drift
from hwds.models.forecast.naive import Naive
from hwds.models.forecast.seasonal_naive import SeasonalNaive
from hwds.models.forecast.stack import Stack
from hwds.models.forecast.stack_weights import STRENGTHS, Windows, shrunk_weights, simplex_weights, windows_of
from hwds.protocols.cutting import FromEnd, future_of
from hwds.stored import load_fitted, save_fitted
from tests.toys import monthly_panel


def context(folder):
    told = {"levels": (0.1, 0.5, 0.9), "season": 12, "horizon": 6, "features": None_(), "answers": InnerWindows(folder)}
    return Context(0, "fold", **told)


def windows(weights, n=3000, noise=0.1, seed=0):
    luck = np.random.default_rng(seed)
    answers = luck.normal(size=(n, len(weights)))
    return Windows(answers, answers @ np.array(weights) + noise * luck.normal(size=n), np.arange(n) % 3 + 1)


@pytest.mark.parametrize("weights", [(0.5, 0.5), (0.2, 0.8), (1.0, 0.0, 0.0), (0.1, 0.6, 0.3), (0.7, 0.0, 0.3)])
def test_the_weights_of_a_mixture_are_found(weights):
    np.testing.assert_allclose(simplex_weights(windows(weights), 0.0), weights, atol=0.02)
    np.testing.assert_allclose(shrunk_weights(windows(weights)), weights, atol=0.03)


def test_weights_are_those_of_the_least_absolute_error():
    from scipy.optimize import minimize

    luck = np.random.default_rng(1)
    answers, target = luck.normal(size=(400, 3)), luck.standard_t(2, 400)
    seen = Windows(answers, target, np.ones(400, np.int64))

    def loss(weights):
        return np.abs(answers @ weights - target).mean()

    starts = np.vstack([np.eye(3), np.full((1, 3), 1 / 3)])
    whole = {"type": "eq", "fun": lambda weights: weights.sum() - 1}
    found = min(
        (minimize(loss, start, bounds=[(0, 1)] * 3, constraints=whole, method="SLSQP").fun for start in starts), default=0
    )
    assert loss(simplex_weights(seen, 0.0)) <= found + 1e-3


def test_members_that_say_the_same_share_the_weight_and_noise_is_shrunk():
    luck = np.random.default_rng(2)
    alike = luck.normal(size=(90, 1)).repeat(3, axis=1) + 0.5 * luck.normal(size=(90, 3))
    seen = Windows(alike, luck.normal(size=90), np.arange(90) % 3 + 1)
    free, shrunk = simplex_weights(seen, 0.0), shrunk_weights(seen)
    assert np.ptp(shrunk) <= np.ptp(free)
    np.testing.assert_allclose(simplex_weights(seen, STRENGTHS[-1]), 1 / 3)
    assert simplex_weights(seen, 1.0).min() >= 0
    assert simplex_weights(seen, 1.0).sum() == pytest.approx(1)


@dataclass(frozen=True)
class _Season:
    shift: float
    levels: tuple[float, ...]

    def predict(self, history, future):
        plain = (
            SeasonalNaive().fit(history, horizon=6, context=Context(0, levels=self.levels, season=12)).predict(history, future)
        )
        return Forecasts.of(plain.mean + self.shift, plain.quantiles + self.shift)


class Season(Forecaster):
    """The season before, moved."""

    shift: float = 0.0

    def fit(self, history, *, horizon, context):
        return _Season(self.shift, context.levels)


def test_a_stack_weighs_its_members_and_lies_between_them(tmp_path):
    panel = monthly_panel()
    history = panel.until(panel.lengths - 6)
    future = future_of(panel, np.arange(6), FromEnd(6).ends(panel), 6)
    stack = Stack(members=(Season(name="low", shift=-30.0), Season(name="high", shift=40.0)))
    fitted = stack.fit(history, horizon=6, context=context(tmp_path))
    assert fitted.weights.sum() == pytest.approx(1)
    assert 0.2 < fitted.weights[1] < 0.8
    low, high = (member.predict(history, future).mean for member in fitted.members)
    answer = fitted.predict(history, future)
    assert ((low < answer.mean) & (answer.mean < high)).all()
    assert (np.diff(answer.quantiles, axis=-1) >= 0).all()


@pytest.mark.parametrize("combine", ["shrunk", "simplex", "equal", "median"])
def test_a_saved_stack_says_the_same(tmp_path, combine):
    panel = monthly_panel()
    future = future_of(panel, np.arange(6), panel.lengths, 6)
    stack = Stack(members=(SeasonalNaive(name="s"), Drift(name="d"), Naive(name="n")), combine=combine)
    fitted = stack.fit(panel, horizon=6, context=context(tmp_path / "cells"))
    save_fitted(fitted, tmp_path / "model")
    said, again = fitted.predict(panel, future), load_fitted(tmp_path / "model").predict(panel, future)
    assert np.array_equal(said.mean, again.mean)
    assert np.array_equal(said.quantiles, again.quantiles)


def test_rows_that_a_member_lacks_do_not_count():
    keys = {"series_id": ["a", "a"], "cutoff": [1, 1], "step": [1, 2]}
    full = pl.DataFrame(keys | {"actual": [1.0, 2.0], "scale_abs": [1.0, 1.0], "mean": [1.0, 2.0]})
    assert len(windows_of([full, full.head(1)]).target) == 1
    assert len(windows_of([full, pl.DataFrame()]).target) == 0
    assert len(windows_of([full.with_columns(scale_abs=pl.lit(0.0)), full]).target) == 0
