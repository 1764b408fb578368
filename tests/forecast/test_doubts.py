"""Remarks on a sure difference: shocks that last, a break, few that decide, wrong coverage."""

from datetime import date

import numpy as np
import polars as pl

from hwds.forecast.metrics import point_metrics
from hwds.forecast.rows import (
    SkillBlocks,
    break_remarks,
    few_remarks,
    shock_remarks,
)

MASE = point_metrics(1)[3]
LEVELS = (0.1, 0.5, 0.9)


def answers(errors, naive=1.0, half=1.2816):
    """Forecasts with errors of shape (series, cutoffs, steps), of standard normal actuals."""
    steps = errors.shape[2]
    months = pl.date_range(date(2000, 1, 1), date(2030, 1, 1), "1mo", eager=True)
    unit, origin, step = (axis.ravel() for axis in np.indices(errors.shape))
    at = origin * steps
    table = {
        "model": ["m/own"] * errors.size,
        "series_id": [f"s{each:02d}" for each in unit],
        "cutoff": months.gather(at),
        "time": months.gather(at + 1 + step),
        "step": (step + 1).astype(np.int32),
        "actual": np.zeros(errors.size),
        "mean": errors.ravel(),
        "q_0.1": errors.ravel() - half,
        "q_0.5": errors.ravel(),
        "q_0.9": errors.ravel() + half,
        "seasonal_naive": np.full(errors.size, float(naive)),
        "scale_abs": np.ones(errors.size),
        "scale_sq": np.ones(errors.size),
        "season": np.ones(errors.size, np.int32),
        "fallback": np.zeros(errors.size, bool),
    }
    return pl.DataFrame(table)


def skill_of(errors):
    return SkillBlocks.of(answers(errors), MASE, LEVELS)


def noise(series=20, cutoffs=12, steps=6, scale=0.1):
    return scale * np.abs(np.random.default_rng(0).normal(size=(series, cutoffs, steps)))


def test_a_healthy_run_has_no_remark():
    skill = skill_of(0.6 + noise(cutoffs=24))
    for remarks in (shock_remarks, break_remarks, few_remarks):
        assert list(remarks(skill)) == []


def test_shocks_that_last_are_said_with_what_cutoffs_are_worth():
    rows = np.random.default_rng(1).normal(size=72)
    for place in range(1, 72):
        rows[place] = 0.9 * rows[place - 1] + 0.4 * rows[place]
    errors = 1.5 + 0.3 * rows.reshape(1, 12, 6) + noise()
    (remark,) = shock_remarks(skill_of(errors))
    assert remark.startswith("Shocks last about ")
    assert "12 cutoffs are worth" in remark


def test_a_break_is_said_with_its_cutoff():
    errors = 0.5 + noise()
    errors[:, 8:] += 0.8
    (remark,) = break_remarks(skill_of(errors))
    assert remark.startswith("The difference breaks at cutoff 2004-01-01: ")
    assert "less error before it" in remark
    assert "more error from then on" in remark


def test_few_that_decide_are_named():
    rng = np.random.default_rng(0)
    errors = 0.988 + 0.05 * rng.normal(size=(20, 1, 1)) + 0.03 * rng.normal(size=(20, 12, 6))
    errors[3] -= 0.1
    assert list(few_remarks(skill_of(errors))) == [
        "Without 1 of 20 series (s12) the difference is not sure."
    ]
    assert list(few_remarks(skill_of(errors - 0.2))) == []
