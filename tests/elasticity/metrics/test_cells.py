"""Scores of cells: the error of a mean over cells that share errors."""

import numpy as np
import polars as pl
import pytest

from hwds.elasticity.metrics import score_cells


def cells(slopes, stderr, draws):
    """Rows of cells with an interval of 2 standard errors and their draws."""
    slopes, stderr = np.asarray(slopes), np.asarray(stderr)
    columns = dict.fromkeys(("elasticity", "weight_own"), slopes)
    columns |= {"stderr": stderr, "ci_low": slopes - 2 * stderr, "ci_high": slopes + 2 * stderr}
    columns |= {
        name: np.zeros(len(slopes)) for name in ("lag", "lag_stderr", "cross", "cross_stderr")
    }
    return pl.DataFrame(columns | {"status": ["identified"] * len(slopes), "draws": draws.tolist()})


def mean_score(rows):
    return next(each for each in score_cells(rows, 0.95) if each.metric == "mean_elasticity")


def test_one_elasticity_of_all_cells_has_its_own_error():
    """The spread of 400 draws misses it by 3.5 %; the table beside it has the estimate's own."""
    draws = -2 + 0.667 * np.random.default_rng(0).standard_normal(400)
    score = mean_score(cells(np.full(6, -2.0), np.full(6, 0.667), np.tile(draws, (6, 1))))
    assert score.stderr == pytest.approx(0.667)
    assert (score.ci_low, score.ci_high) == (pytest.approx(-2 - 1.334), pytest.approx(-2 + 1.334))
    assert abs(draws.std(ddof=1) - 0.667) > 0.001


def test_own_errors_of_cells_average_out():
    draws = 0.5 * np.random.default_rng(1).standard_normal((100, 4000))
    score = mean_score(cells(np.full(100, -2.0), np.full(100, 0.5), -2 + draws))
    assert score.stderr == pytest.approx(0.05, rel=0.05)
