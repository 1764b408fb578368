"""Stacks: weights that find the truth, shrink where nothing is to be learned, and see only inner
windows.
"""

from dataclasses import dataclass, replace

import numpy as np
import polars as pl
import pytest

from hwds.core.errors import ConfigError
from hwds.core.serialization import load_fitted, save_fitted
from hwds.evaluation.panel_folds import FromEnd, future_of
from hwds.forecast.models.base import ForecastContext, Forecaster
from hwds.forecast.models.drift import Drift
from hwds.forecast.models.naive import Naive
from hwds.forecast.models.seasonal_naive import SeasonalNaive
from hwds.forecast.models.stack import Stack
from hwds.forecast.stacking import (
    MemberWindows,
    absolute_ridge_weights,
    absolute_simplex_weights,
    inverse_error_weights,
    learn_group_weights,
    member_windows,
    winner_weights,
)
from hwds.frames.panel import Forecasts
from tests.support.panels import inner_context, monthly_panel


def seen(answers, target, per_series=1):
    """Rows in series of three windows, `per_series` rows of each."""
    n = len(target)
    place = np.arange(n)
    return MemberWindows(
        answers,
        target,
        place // per_series % 3 + 1,
        (place // (3 * per_series)).astype(str),
        place % per_series + 1,
    )


def windows(weights, n=3000, noise=0.1, seed=0):
    rng = np.random.default_rng(seed)
    answers = rng.normal(size=(n, len(weights)))
    return seen(answers, answers @ np.array(weights) + noise * rng.normal(size=n))


@pytest.mark.parametrize(
    "weights", [(0.5, 0.5), (0.2, 0.8), (1.0, 0.0, 0.0), (0.1, 0.6, 0.3), (0.7, 0.0, 0.3)]
)
def test_the_weights_of_a_mixture_are_found(weights):
    np.testing.assert_allclose(absolute_simplex_weights(windows(weights)), weights, atol=0.02)
    np.testing.assert_allclose(absolute_ridge_weights(windows(weights)), weights, atol=0.03)


def test_inverse_weights_go_by_the_squared_error():
    errors = np.array([[1.0, 2.0, -3.0], [-1.0, 2.0, 3.0]])
    np.testing.assert_allclose(
        inverse_error_weights(seen(errors, np.zeros(2))), np.array([36, 9, 4]) / 49
    )


def test_a_ridge_finds_what_is_no_mean():
    np.testing.assert_allclose(
        absolute_ridge_weights(windows((1.5, -0.3, 0.2))), [1.5, -0.3, 0.2], atol=0.02
    )


def test_weights_are_those_of_the_least_absolute_error():
    from scipy.optimize import minimize

    rng = np.random.default_rng(1)
    answers, target = rng.normal(size=(400, 3)), rng.standard_t(2, 400)

    def loss(weights):
        return np.abs(answers @ weights - target).mean()

    starts = np.vstack([np.eye(3), np.full((1, 3), 1 / 3)])
    whole = {"type": "eq", "fun": lambda weights: weights.sum() - 1}
    found = min(
        (
            minimize(loss, start, bounds=[(0, 1)] * 3, constraints=whole, method="SLSQP").fun
            for start in starts
        ),
        default=0,
    )
    assert loss(absolute_simplex_weights(seen(answers, target))) <= found + 1e-3


def test_where_nothing_is_to_be_learned_a_ridge_is_equal_weights():
    rng = np.random.default_rng(2)
    alike = rng.normal(size=(90, 1)).repeat(3, axis=1) + 0.5 * rng.normal(size=(90, 3))
    one_window = MemberWindows(
        alike,
        alike.mean(1),
        np.ones(90, np.int64),
        np.arange(90).astype(str),
        np.ones(90, np.int64),
    )
    np.testing.assert_allclose(absolute_ridge_weights(one_window), 1 / 3)
    assert winner_weights(windows((0.1, 0.8, 0.1))).tolist() == [0.0, 1.0, 0.0]


def test_groups_and_steps_have_weights_of_their_own_half_way_to_those_of_all():
    rng = np.random.default_rng(3)
    answers = rng.normal(size=(5400, 2))
    rows = seen(answers, np.zeros(5400), per_series=6)
    first = rows.series.astype(int) % 2 == 0
    late = rows.step > 4
    target = np.where(first & late, answers[:, 0], answers[:, 1])
    rows = replace(rows, target=target)
    group = np.where(first, "a", "b").astype(object)
    usual = absolute_simplex_weights(rows)
    learnt = learn_group_weights(rows, group, 6, absolute_simplex_weights, by_step=True)
    got = learnt.of(np.array(["a", "a", "b", "new"], object), np.array([1, 6, 6, 6]))
    np.testing.assert_allclose(got.sum(1), 1)
    base = (absolute_simplex_weights(rows.take(first)) + usual) / 2
    np.testing.assert_allclose(got[1], (np.array([1, 0]) + base) / 2, atol=0.01)
    np.testing.assert_allclose(got[0], (np.array([0, 1]) + base) / 2, atol=0.01)
    assert got[2][1] > got[3][1] > got[1][1]
    few = learn_group_weights(
        rows.take(np.arange(60)), group[:60], 6, absolute_simplex_weights, by_step=True
    )
    assert np.ptp(few.values[..., 0]) == 0


@dataclass(frozen=True)
class _Season:
    shift: float
    levels: tuple[float, ...]

    def predict(self, history, future):
        plain = (
            SeasonalNaive()
            .learn(history, horizon=6, context=ForecastContext(0, levels=self.levels, season=12))
            .predict(history, future)
        )
        return Forecasts.of(plain.mean + self.shift, plain.quantiles + self.shift)


class Season(Forecaster):
    """The season before, moved."""

    shift: float = 0.0

    def learn(self, history, *, horizon, context):
        return _Season(self.shift, context.levels)


def test_a_stack_weighs_its_members_and_lies_between_them(tmp_path):
    panel = monthly_panel()
    history = panel.until(panel.lengths - 6)
    future = future_of(panel, np.arange(6), FromEnd(6).ends(panel), 6)
    stack = Stack(members=(Season(name="low", shift=-30.0), Season(name="high", shift=40.0)))
    fitted = stack.learn(history, horizon=6, context=inner_context(tmp_path))
    weights = fitted.weights.values[0, 0]
    assert weights.sum() == pytest.approx(1)
    assert 0.2 < weights[1] < 0.8
    low, high = (member.predict(history, future).mean for member in fitted.members)
    answer = fitted.predict(history, future)
    assert ((low < answer.mean) & (answer.mean < high)).all()
    assert (np.diff(answer.quantiles, axis=-1) >= 0).all()


@pytest.mark.parametrize(
    "combine", ["inverse", "shrunk", "simplex", "ridge", "equal", "median", "best"]
)
def test_a_saved_stack_says_the_same(tmp_path, combine):
    panel = monthly_panel()
    future = future_of(panel, np.arange(6), panel.lengths, 6)
    stack = Stack(
        members=(SeasonalNaive(name="s"), Drift(name="d"), Naive(name="n")), combine=combine
    )
    fitted = stack.learn(panel, horizon=6, context=inner_context(tmp_path / "cells"))
    save_fitted(fitted, tmp_path / "model")
    said, again = (
        fitted.predict(panel, future),
        load_fitted(tmp_path / "model").predict(panel, future),
    )
    assert np.array_equal(said.mean, again.mean)
    assert np.array_equal(said.quantiles, again.quantiles)


def test_rows_that_a_member_lacks_do_not_count():
    keys = {"series_id": ["a", "a"], "cutoff": [1, 1], "step": [1, 2]}
    full = pl.DataFrame(keys | {"actual": [1.0, 2.0], "scale_abs": [1.0, 1.0], "q_0.5": [1.0, 2.0]})
    assert len(member_windows([full, full.head(1)]).target) == 1
    assert len(member_windows([full, pl.DataFrame()]).target) == 0
    assert len(member_windows([full.with_columns(scale_abs=pl.lit(0.0)), full]).target) == 0


def test_inner_windows_of_a_stack_are_weighed_by_the_others_and_fit_no_member_again(tmp_path):
    class Counted(SeasonalNaive):
        """Counts its fits."""

        def learn(self, history, *, horizon, context):
            COUNTED.append(int(history.lengths[0]))
            return super().learn(history, horizon=horizon, context=context)

    COUNTED.clear()
    stack = Stack(members=(Counted(), Drift(), Naive()), combine="inverse")
    asking, history = inner_context(tmp_path), monthly_panel()
    fitted = stack.learn(history, horizon=6, context=asking)
    assert len(COUNTED) == 3
    rows = stack.backtest(history, 3, horizon=6, context=asking)
    assert len(COUNTED) == 3
    assert rows.height == 6 * 3 * 6
    parts = [asking.inner(member, history, 3, horizon=6) for member in stack.members]
    held_out = member_windows([part.filter(pl.col("window") != -1) for part in parts])
    weights = inverse_error_weights(held_out)
    assert not np.allclose(weights, fitted.weights.values[0, 0])
    last = [part.filter(pl.col("window") == -1)["mean"].to_numpy() for part in parts]
    np.testing.assert_allclose(
        rows.filter(pl.col("window") == -1)["mean"], weights @ np.array(last)
    )
    assert (np.diff(rows.select("q_0.1", "q_0.5", "q_0.9").to_numpy(), axis=1) >= 0).all()
    assert stack.backtest(history, 1, horizon=6, context=asking).equals(
        rows.filter(pl.col("window") == -1)
    )


def test_the_actuals_of_an_inner_window_do_not_weigh_it(tmp_path):
    stack, history = Stack(members=(SeasonalNaive(), Drift(), Naive())), monthly_panel()
    last = pl.Series(history.positions >= history.lengths[0] - 6)
    rubbish = pl.when(last).then(pl.lit(1e6)).otherwise(pl.col("target")).alias("target")
    poisoned = replace(history, table=history.table.with_columns(rubbish))
    clean, other = (
        stack.backtest(panel, 3, horizon=6, context=inner_context(tmp_path)).filter(
            pl.col("window") == -1
        )
        for panel in (history, poisoned)
    )
    assert clean.select("mean", "q_0.1", "q_0.9").equals(other.select("mean", "q_0.1", "q_0.9"))


COUNTED: list[int] = []


def test_plain_combinations_are_scored_beside_learned_weights():
    stack = Stack(
        name="forecast/stack(windows=4)",
        members=(SeasonalNaive(), Drift()),
        windows=4,
        weights_by=("step",),
    )
    companions = stack.companions()
    assert [rival.name for rival in companions] == [
        f"forecast/stack(windows=4,combine={how})" for how in ("equal", "median", "best")
    ]
    assert all(
        rival.windows == 4 and not rival.weights_by and not rival.companions()
        for rival in companions
    )


def test_what_members_said_is_kept_for_all_who_ask(tmp_path):
    class Counted(SeasonalNaive):
        """Counts its fits."""

        def learn(self, history, *, horizon, context):
            COUNTED.append(0)
            return super().learn(history, horizon=horizon, context=context)

    COUNTED.clear()
    panel = monthly_panel()
    history, future = (
        panel.until(panel.lengths - 6),
        future_of(panel, np.arange(6), FromEnd(6).ends(panel), 6),
    )
    stack = Stack(members=(Counted(), Drift()))
    said = [
        recipe.learn(history, horizon=6, context=inner_context(tmp_path)).predict(history, future)
        for recipe in (stack, *stack.companions())
    ]
    assert len(COUNTED) == 4, "three windows and all rows, whoever asks"
    assert not np.array_equal(said[0].mean, said[1].mean)
    for file in tmp_path.rglob("*.npz"):
        file.write_bytes(file.read_bytes()[:100])
    again = stack.learn(history, horizon=6, context=inner_context(tmp_path)).predict(
        history, future
    )
    assert np.array_equal(again.mean, said[0].mean)
    assert len(COUNTED) == 5, "a damaged file is computed again"


def test_a_column_to_weigh_by_must_be_static(tmp_path):
    panel = monthly_panel()
    table = panel.table.with_columns(family=pl.lit("x"))
    panel = replace(panel, table=table, roles=panel.roles | {"static": ("family",)})
    stack = Stack(members=(SeasonalNaive(), Drift()), weights_by=("famly",))
    with pytest.raises(
        ConfigError,
        match=r"model.weights_by: no static or level column 'famly'; did you mean 'family'",
    ):
        stack.learn(panel, horizon=6, context=inner_context(tmp_path))
