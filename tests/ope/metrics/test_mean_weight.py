"""The test of a log's mean weight: few heavy weights are no proof of wrong propensities, and too
low ones still are.
"""

import numpy as np

from hwds.ope.estimates import chance_of_low_mean, refutes_propensities


def told(weights, expected=1.0):
    error = float(weights.std(ddof=1) / np.sqrt(len(weights)))
    plain = refutes_propensities(float(weights.mean()), error, expected)
    return plain, refutes_propensities(
        float(weights.mean()), error, expected, chance_of_low_mean(weights, expected)
    )


def test_heavy_weights_whose_mean_is_right_are_not_refuted():
    rng = np.random.default_rng(0)
    logs = [np.exp(rng.normal(-2.0, 2.0, 500)) for _ in range(300)]  # of mean 1
    plain, turned = np.mean([told(weights) for weights in logs], axis=0)
    assert plain > 0.02
    assert turned <= 0.01


def test_propensities_that_are_too_high_still_are():
    rng = np.random.default_rng(1)
    logs = [np.exp(rng.normal(-0.125, 0.5, 2000)) / 1.2 for _ in range(50)]
    assert all(told(weights) == (True, True) for weights in logs)
    assert chance_of_low_mean(np.ones(5), 1.0) == 1.0
