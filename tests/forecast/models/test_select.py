"""Choice by series: who is best there, drawn to who is best everywhere, and what the choice
costs.
"""

import numpy as np
import pytest

from hwds.core.cache import Cache
from hwds.core.serialization import load_fitted, save_fitted
from hwds.evaluation.panel_folds import future_of
from hwds.evaluation.protocol import Cell, RunContext
from hwds.forecast.models.drift import Drift
from hwds.forecast.models.naive import Naive
from hwds.forecast.models.seasonal_naive import SeasonalNaive
from hwds.forecast.models.select import Select, best_by_series, choose_members
from hwds.forecast.protocols.holdout import Holdout
from hwds.forecast.stacking import MemberWindows
from tests.support.panels import inner_context, monthly_panel


def windows(errors, rows=6):
    """`errors[i][k]`: the typical error of member k on series i, over three windows of `rows`
    rows.
    """
    rng = np.random.default_rng(0)
    series = np.repeat([f"s{i}" for i in range(len(errors))], 3 * rows)
    window = np.tile(np.repeat([1, 2, 3], rows), len(errors))
    forecasts = np.repeat(np.array(errors), 3 * rows, axis=0) * rng.choice(
        [-1, 1], size=(len(series), 1)
    )
    return MemberWindows(
        forecasts + 0.01 * rng.normal(size=forecasts.shape),
        np.zeros(len(series)),
        window,
        series,
        np.ones(len(series), np.int64),
    )


def test_each_series_gets_its_own_best():
    choice = choose_members(windows([[1.0, 2.0], [2.0, 1.0], [1.0, 3.0]] * 10))
    assert [choice.members[f"s{i}"] for i in range(3)] == [0, 1, 0]
    assert choice.usual == 0
    assert choice.outside < choice.single


def test_luck_is_not_followed():
    rng = np.random.default_rng(1)
    n, rows = 300, 3
    series, window = np.repeat(np.arange(n), 3 * rows), np.tile(np.repeat([1, 2, 3], rows), n)
    forecasts = rng.normal(size=(len(series), 2)) * [1.0, 1.1]
    seen = MemberWindows(forecasts, np.zeros(len(series)), window, series.astype(str), window)
    choice = choose_members(seen)
    assert np.mean(list(choice.members.values())) < 0.1, "the better member answers for nearly all"
    losses, codes = np.abs(forecasts), np.unique(series.astype(str), return_inverse=True)[1]
    greedy = best_by_series(losses, codes, n, 0.0)
    assert choice.outside <= losses[np.arange(len(codes)), greedy[codes]].mean() + 0.2
    assert choice.outside >= choice.inside, "choosing costs something"


def test_no_window_means_the_first_member_for_all():
    empty = MemberWindows(
        np.zeros((0, 2)),
        np.zeros(0),
        np.zeros(0, np.int64),
        np.zeros(0, object),
        np.zeros(0, np.int64),
    )
    assert choose_members(empty).members == {}
    assert choose_members(empty).usual == 0


def test_a_selection_answers_as_the_chosen_member_and_is_saved(tmp_path):
    panel = monthly_panel()
    future = future_of(panel, np.arange(6), panel.lengths, 6)
    members = (SeasonalNaive(name="s"), Drift(name="d"), Naive(name="n"))
    fitted = Select(members=members).learn(
        panel, horizon=6, context=inner_context(tmp_path / "cells")
    )
    said = fitted.predict(panel, future)
    for place, name in enumerate(panel.series_ids.to_list()):
        own = members[fitted.choice.members[name]]
        alone = own.learn(panel, horizon=6, context=inner_context(tmp_path / "cells")).predict(
            panel, future
        )
        assert said.mean[place] == pytest.approx(alone.mean[place])
        assert said.diagnostics["member"][place] == own.name
    assert said.diagnostics["choosing_cost"] == pytest.approx(
        fitted.choice.outside - fitted.choice.inside
    )
    save_fitted(fitted, tmp_path / "model")
    again = load_fitted(tmp_path / "model").predict(panel, future)
    assert np.array_equal(said.mean, again.mean)
    assert np.array_equal(said.quantiles, again.quantiles)


def test_who_answered_and_what_choosing_costs_stand_in_the_tables(tmp_path):
    panel, protocol = monthly_panel(), Holdout(horizon=6)
    model = Select(members=(SeasonalNaive(name="s"), Drift(name="d"), Naive(name="n")))
    (fold,) = protocol.split(panel)
    rows = protocol.evaluate_cell(
        model, panel, Cell("m", fold, 0, 6), RunContext(0, fold.name, cache=Cache(tmp_path))
    )
    assert set(rows["member"]) <= {"s", "d", "n"}
    scores = {
        score.metric: score
        for score in protocol.score(protocol.postprocess(rows))
        if score.aggregate == "mean"
    }
    assert scores["choosing_cost"].n == 6
    assert scores["choosing_cost"].value == pytest.approx(rows["choosing_cost"][0])
    assert "choosing_cost" in [measure.name for measure in protocol.measures(panel)]
