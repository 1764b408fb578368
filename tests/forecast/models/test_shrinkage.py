"""Learned weights: equal where members are alike, the best alone where they are not, a mixture
where that is best.
"""

from dataclasses import replace

import numpy as np
import pytest

from hwds.forecast.racing import team_weights
from hwds.forecast.stacking import MemberWindows, learned_weights, paired_difference, screen_members


def seen(spreads, bias=0.0, rows=1800, per_series=8, seed=0):
    """Members that miss the target by their own noise."""
    rng = np.random.default_rng(seed)
    place, target = np.arange(rows), rng.normal(size=rows)
    forecasts = target[:, None] + bias + rng.normal(size=(rows, len(spreads))) * np.array(spreads)
    window = place // per_series % 3 + 1
    return MemberWindows(
        forecasts, target, window, (place // (3 * per_series)).astype(str), place % per_series + 1
    )


def test_members_that_are_alike_have_equal_weights():
    np.testing.assert_allclose(learned_weights(seen([1.0, 1.0, 1.0])), 1 / 3, atol=0.05)


@pytest.mark.parametrize("seed", range(3))
def test_members_that_are_alike_on_the_one_series_that_there_is_have_equal_weights_too(seed):
    data = seen([1.0, 1.0, 1.0], rows=36, per_series=12, seed=seed)
    assert len(set(data.series)) == 1
    assert learned_weights(data).max() < 0.6


@pytest.mark.parametrize("seed", range(12))
def test_none_of_members_that_are_alike_and_share_half_of_their_errors_answers_alone(seed):
    """On a dozen series the best of them is so by chance: alone, it errs by 10 % more."""
    rng = np.random.default_rng(seed)
    names, window = (
        np.repeat([f"s{i:02d}" for i in range(12)], 8),
        np.tile(np.repeat([1, 2], 4), 12),
    )
    target = rng.normal(size=96)
    forecasts = target[:, None] + rng.normal(size=(96, 1)) + 0.6 * rng.normal(size=(96, 3))
    few = MemberWindows(forecasts, target, window, names, np.tile([1, 2, 3, 4], 24))
    assert max(learned_weights(few).max(), team_weights(few).max()) < 0.5


def test_a_member_that_is_far_behind_has_none():
    data = seen([0.2, 4.0, 4.0])
    assert screen_members(data).tolist() == [0]
    assert learned_weights(data).tolist() == [1.0, 0.0, 0.0]


@pytest.mark.parametrize(
    "spreads", [[1.0, 1.0], [0.5, 1.0, 2.0], [0.2, 4.0], [1.0, 1.05, 3.0, 3.0]]
)
def test_the_mean_is_never_one_percent_worse_than_its_best_member_on_rows_to_come(spreads):
    after = seen(spreads, rows=20_000, seed=1)
    weights = learned_weights(seen(spreads))
    assert (
        np.abs(after.forecasts @ weights - after.target).mean() <= 1.01 * after.losses.mean(0).min()
    )


def test_a_mixture_need_not_be_ahead_in_every_window():
    """In two of three the second member is behind the first by 10 % and errs alike.

    What it gains in the third is weighed.
    """
    data = seen([1.0, 1.0])
    errors = data.forecasts - data.target[:, None]
    errors[:, 1] = np.where(data.window == 1, errors[:, 1], 1.1 * errors[:, 0])
    assert learned_weights(replace(data, forecasts=data.target[:, None] + errors))[1] > 0.2


@pytest.mark.parametrize("known", [(0.8, 0.6, 0.4), (0.8, 0.4, 0.2), (0.3, 0.2, 0.1)])
def test_few_windows_like_now_leave_members_nearly_equal_that_are_not_clearly_behind(known):
    """Errors that all series of a window share make a member ahead in both windows by chance."""
    data = seen([1.0, 1.01, 1.5])
    errors = np.column_stack([data.forecasts[:, :1] - data.target[:, None]] * 3) * [1.0, 1.01, 1.5]
    alike = replace(data, forecasts=data.target[:, None] + errors)
    few = replace(alike, known=np.select([data.window == 1, data.window == 2], known[:2], known[2]))
    assert learned_weights(few).tolist() == [0.5, 0.5, 0.0]
    assert (
        learned_weights(replace(few, known=few.known + 1))[0] > 0.9
    )  # three windows tell them apart


def test_members_that_win_by_turns_share_the_weight():
    """The best of them in hindsight is half a per cent ahead of their mean, by one window of
    two.
    """
    data = seen([1.0, 1.0])
    data = data.take(data.window < 3)
    size = np.where((data.window == 1)[:, None], [1.0, 1.08], [1.06, 1.0])
    errors = size * (data.forecasts[:, :1] - data.target[:, None])
    turns = replace(data, forecasts=data.target[:, None] + errors)
    assert turns.losses.mean(0)[0] < np.abs(errors.mean(1)).mean()
    np.testing.assert_allclose([learned_weights(turns), team_weights(turns)], 0.5, atol=0.05)


def test_weights_are_a_mean():
    weights = learned_weights(seen([0.5, 0.7, 3.0]))
    assert weights.sum() == pytest.approx(1)
    assert (weights >= 0).all()


def test_one_window_is_cut_by_series():
    data = seen([1.0, 2.0])
    one = data.take(data.window == 1)
    assert learned_weights(one).argmax() == 0


def test_a_paired_difference_counts_each_series_once():
    mean, error = paired_difference(np.array([1.0, 1.0, 3.0]), np.array(["a", "a", "b"], object))
    assert (mean, error) == (2.0, pytest.approx(1.0))
    assert paired_difference(np.ones(3), np.array(["a"] * 3, object)) == (1.0, np.inf)


def test_a_window_that_was_hard_for_all_has_no_more_say():
    data = seen([0.5, 1.0])
    hard = data.window == 1
    swapped = np.where(
        hard[:, None], data.forecasts[:, ::-1], data.forecasts
    )  # the worse one is better there
    scale = np.where(hard, 20.0, 1.0)
    shocked = MemberWindows(
        swapped * scale[:, None], data.target * scale, data.window, data.series, data.step
    )
    assert shocked.losses.mean(0).argmin() == 1
    assert learned_weights(shocked).argmax() == 0


def test_what_was_behind_for_want_of_rows_is_judged_by_the_windows_that_are_like_now():
    data = seen([0.5, 0.5])
    slow = np.select(
        [data.window == 1, data.window == 2], [0.6, 1.2], 1.6
    )  # a learner that gains with every row
    errors = data.forecasts - data.target[:, None]
    errors[:, 1] = errors[:, 0] * slow
    grown = replace(data, forecasts=data.target[:, None] + errors)
    assert grown.losses.mean(0).argmin() == 0
    known = np.select([data.window == 1, data.window == 2], [0.8, 0.4], 0.2)
    assert learned_weights(replace(grown, known=known)).argmax() == 1
    long = replace(grown, known=1 - 0.01 * data.window)  # of a long history all windows tell alike
    assert learned_weights(long).argmax() == 0


@pytest.mark.parametrize("rule", [learned_weights, team_weights])
def test_of_one_window_what_is_a_little_behind_has_nearly_equal_weight(rule):
    """Series share the shocks of a window: a difference of some per cent is no evidence."""
    data = seen([1.0, 1.0])
    one = data.take(data.window == 1)
    errors = (one.forecasts - one.target[:, None])[:, [0, 0]]
    close, behind, far = (
        replace(one, forecasts=one.target[:, None] + errors * [1.0, by]) for by in (1.03, 1.15, 1.3)
    )
    assert rule(close).tolist() == [0.5, 0.5]
    assert 0.05 < rule(behind)[1] < 0.25
    assert rule(far).tolist() == [1.0, 0.0]


@pytest.mark.parametrize("rule", [learned_weights, team_weights])
@pytest.mark.parametrize(
    ("sizes", "weights"), [([0.0, 0.0, 0.0], [1 / 3] * 3), ([0.0, 0.0, 1.0], [0.5, 0.5, 0.0])]
)
def test_members_that_are_exact_share_the_weight(sizes, weights, rule):
    np.testing.assert_allclose(rule(seen(sizes)), weights)
