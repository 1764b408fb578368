"""Learned weights: equal where members are alike, the best alone where they are not, a mixture where that is best."""

from dataclasses import replace

import numpy as np
import pytest

from hwds.forecast.models.stacking.shrinkage import learned_weights, paired, screened
from hwds.forecast.models.stacking.weights import MemberWindows


def seen(spreads, bias=0.0, rows=1800, per_series=8, seed=0):
    """Members that miss the target by their own noise."""
    rng = np.random.default_rng(seed)
    place, target = np.arange(rows), rng.normal(size=rows)
    forecasts = target[:, None] + bias + rng.normal(size=(rows, len(spreads))) * np.array(spreads)
    window = place // per_series % 3 + 1
    return MemberWindows(forecasts, target, window, (place // (3 * per_series)).astype(str), place % per_series + 1)


def test_members_that_are_alike_have_equal_weights():
    np.testing.assert_allclose(learned_weights(seen([1.0, 1.0, 1.0])), 1 / 3, atol=0.05)


@pytest.mark.parametrize("seed", range(3))
def test_members_that_are_alike_on_the_one_series_that_there_is_have_equal_weights_too(seed):
    data = seen([1.0, 1.0, 1.0], rows=36, per_series=12, seed=seed)
    assert len(set(data.series)) == 1
    assert learned_weights(data).max() < 0.6


@pytest.mark.parametrize("seed", range(12))
def test_none_of_members_that_are_alike_and_share_half_of_their_errors_answers_alone_where_no_gain_is_asked(seed):
    """On a dozen series the best of them is so by chance: alone, it errs by 10 % more."""
    rng = np.random.default_rng(seed)
    names, window = np.repeat([f"s{i:02d}" for i in range(12)], 8), np.tile(np.repeat([1, 2], 4), 12)
    target = rng.normal(size=96)
    forecasts = target[:, None] + rng.normal(size=(96, 1)) + 0.6 * rng.normal(size=(96, 3))
    few = MemberWindows(forecasts, target, window, names, np.tile([1, 2, 3, 4], 24))
    assert learned_weights(few, gain=0.0).max() < 0.5


def test_a_member_that_is_far_behind_has_none():
    data = seen([0.2, 4.0, 4.0])
    assert screened(data).tolist() == [0]
    assert learned_weights(data).tolist() == [1.0, 0.0, 0.0]


@pytest.mark.parametrize("spreads", [[1.0, 1.0], [0.5, 1.0, 2.0], [0.2, 4.0], [1.0, 1.05, 3.0, 3.0]])
def test_the_mean_is_never_one_percent_worse_than_its_best_member_on_rows_to_come(spreads):
    after = seen(spreads, rows=20_000, seed=1)
    weights = learned_weights(seen(spreads))
    assert np.abs(after.forecasts @ weights - after.target).mean() <= 1.01 * after.losses.mean(0).min()


def test_a_mixture_that_is_ahead_in_one_window_alone_gives_way_to_the_best_member():
    data = seen([1.0, 1.0])
    errors = data.forecasts - data.target[:, None]
    errors[:, 1] = np.where(data.window == 1, errors[:, 1], 1.1 * errors[:, 0])  # they err alike in the other windows
    shared = replace(data, forecasts=data.target[:, None] + errors)
    assert learned_weights(shared, gain=0.0)[1] > 0.2
    assert learned_weights(shared)[0] > 0.99


def test_a_mixture_need_not_be_ahead_in_a_window_before_which_little_was_known():
    """What one member gained there over another that had too few rows to learn from says little of now."""
    data = seen([1.0, 1.0])
    errors = data.forecasts - data.target[:, None]
    errors[:, 1] = np.where(data.window == 3, 1.1 * errors[:, 0], errors[:, 1])
    shared = replace(data, forecasts=data.target[:, None] + errors)
    double = replace(
        shared, window=np.where(shared.window == 2, 2 + 2 * (shared.step % 2), shared.window)
    )  # 1, 2 and 4 show both
    early = replace(double, known=np.where(double.window == 3, 0.4, 0.8))
    assert learned_weights(early).min() > 0.3
    assert learned_weights(replace(early, known=early.known + 0.2))[0] > 0.99


@pytest.mark.parametrize("known", [(0.8, 0.6, 0.4), (0.8, 0.4, 0.2), (0.3, 0.2, 0.1)])
def test_few_windows_like_now_leave_members_together_that_are_not_clearly_behind(known):
    """Errors that all series of a window share make a member ahead in both windows by chance."""
    data = seen([1.0, 1.08, 1.5])
    few = replace(data, known=np.select([data.window == 1, data.window == 2], known[:2], known[2]))
    np.testing.assert_allclose(learned_weights(few), [0.5, 0.5, 0.0], atol=0.1)
    assert learned_weights(replace(few, known=few.known + 1))[2] > 0  # three windows tell that it helps


def test_members_that_win_by_turns_share_the_weight_where_no_gain_is_asked():
    """The best of them in hindsight is half a per cent ahead of their mean, by one window of two."""
    data = seen([1.0, 1.0])
    data = data.take(data.window < 3)
    size = np.where((data.window == 1)[:, None], [1.0, 1.08], [1.06, 1.0])
    errors = size * (data.forecasts[:, :1] - data.target[:, None])
    turns = replace(data, forecasts=data.target[:, None] + errors)
    assert turns.losses.mean(0)[0] < np.abs(errors.mean(1)).mean()
    np.testing.assert_allclose(learned_weights(turns, gain=0.0, near=0.2), 0.5, atol=0.05)


def test_weights_are_a_mean():
    weights = learned_weights(seen([0.5, 0.7, 3.0]))
    assert weights.sum() == pytest.approx(1)
    assert (weights >= 0).all()


def test_one_window_is_cut_by_series():
    data = seen([1.0, 2.0])
    one = data.take(data.window == 1)
    assert learned_weights(one).argmax() == 0


def test_a_paired_difference_counts_each_series_once():
    mean, error = paired(np.array([1.0, 1.0, 3.0]), np.array(["a", "a", "b"], object))
    assert (mean, error) == (2.0, pytest.approx(1.0))
    assert paired(np.ones(3), np.array(["a"] * 3, object)) == (1.0, np.inf)


def test_a_window_that_was_hard_for_all_has_no_more_say():
    data = seen([0.5, 1.0])
    hard = data.window == 1
    swapped = np.where(hard[:, None], data.forecasts[:, ::-1], data.forecasts)  # the worse one is better there
    scale = np.where(hard, 20.0, 1.0)
    shocked = MemberWindows(swapped * scale[:, None], data.target * scale, data.window, data.series, data.step)
    assert shocked.losses.mean(0).argmin() == 1
    assert learned_weights(shocked).argmax() == 0


def test_what_was_behind_for_want_of_rows_is_judged_by_the_windows_that_are_like_now():
    data = seen([0.5, 0.5])
    slow = np.select([data.window == 1, data.window == 2], [0.6, 1.2], 1.6)  # a learner that gains with every row
    errors = data.forecasts - data.target[:, None]
    errors[:, 1] = errors[:, 0] * slow
    grown = replace(data, forecasts=data.target[:, None] + errors)
    assert grown.losses.mean(0).argmin() == 0
    known = np.select([data.window == 1, data.window == 2], [0.8, 0.4], 0.2)
    assert learned_weights(replace(grown, known=known)).argmax() == 1
    long = replace(grown, known=1 - 0.01 * data.window)  # of a long history all windows tell alike
    assert learned_weights(long).argmax() == 0


def test_near_and_flat_keep_what_is_a_little_behind_at_equal_weights():
    """Series share the shocks of a window: of one window or two a difference of some per cent is no evidence."""
    data = seen([1.0, 1.0])
    errors = (data.forecasts - data.target[:, None])[:, [0, 0]]
    close, far = (replace(data, forecasts=data.target[:, None] + errors * np.array([1.0, by])) for by in (1.1, 1.3))
    assert learned_weights(close).tolist() == [1.0, 0.0]
    assert learned_weights(close, gain=0.0, near=0.2, flat=0.1).tolist() == [0.5, 0.5]
    assert learned_weights(close, gain=0.0, near=0.2, flat=0.01)[0] > 0.7
    assert learned_weights(far, gain=0.0, near=0.2, flat=0.5).tolist() == [1.0, 0.0]


@pytest.mark.parametrize("gain", [0.0, 1.0])
@pytest.mark.parametrize(("sizes", "weights"), [([0.0, 0.0, 0.0], [1 / 3] * 3), ([0.0, 0.0, 1.0], [0.5, 0.5, 0.0])])
def test_members_that_are_exact_share_the_weight(sizes, weights, gain):
    np.testing.assert_allclose(learned_weights(seen(sizes), gain=gain), weights)
