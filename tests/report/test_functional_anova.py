"""Main effects of settings: those of a tree are those of its own predictions over all
combinations.
"""

import numpy as np
import pytest

from hwds.report.sweep_pictures import _main_effects, setting_shares


def test_a_trees_main_effects_are_those_of_its_predictions():
    from sklearn.tree import DecisionTreeRegressor

    rng = np.random.default_rng(0)
    settings = np.stack(
        [rng.integers(0, 4, 30), rng.random(30).round(1), rng.integers(0, 2, 30)], axis=1
    ).astype(float)
    scores = settings[:, 0] * settings[:, 2] + settings[:, 1] + rng.normal(size=30)
    tree = DecisionTreeRegressor(min_samples_leaf=2, random_state=0).fit(settings, scores)
    grids = [np.unique(column, return_counts=True) for column in settings.T]
    every = np.stack(np.meshgrid(*(values for values, _ in grids), indexing="ij"), axis=-1)
    told = tree.predict(every.reshape(-1, 3)).reshape(every.shape[:3])
    weights = [counts / 30 for _, counts in grids]
    mean = np.einsum("abc,a,b,c", told, *weights)
    whole = np.einsum("abc,a,b,c", (told - mean) ** 2, *weights)
    alone = [
        np.einsum("abc,b,c->a", told, weights[1], weights[2]),
        np.einsum("abc,a,c->b", told, weights[0], weights[2]),
        np.einsum("abc,a,b->c", told, weights[0], weights[1]),
    ]
    wanted = [
        weight @ (effect - mean) ** 2 / whole for weight, effect in zip(weights, alone, strict=True)
    ]
    assert _main_effects(tree.tree_, settings) == pytest.approx(wanted)
    assert 0 < sum(wanted) < 1  # the first and the last act together


def test_what_matters_is_found_and_a_trial_that_diverged_hides_nothing():
    rng = np.random.default_rng(1)
    settings = np.stack([rng.random(60), rng.random(60), rng.integers(0, 3, 60)], axis=1)
    scores = 4 * settings[:, 0] + (settings[:, 2] == 1) + 0.1 * rng.normal(size=60)
    found = setting_shares(settings, scores)
    assert found.share[0] > 0.6 > 0.05 > found.share[1]
    assert (found.low <= found.share).all()
    assert (found.share <= found.high).all()
    assert found.fit > 0.8
    diverged = scores.copy()
    diverged[7] = 1e9
    assert setting_shares(settings, diverged).share[0] > 0.6
    assert setting_shares(settings, rng.normal(size=60)).fit < 0.2


def test_a_forest_of_stumps_without_a_spread_has_no_shares():
    assert (setting_shares(np.arange(12.0)[:, None], np.ones(12)).share == 0).all()
