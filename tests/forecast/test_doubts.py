"""Remarks on a sure difference: shocks that last, a break, few that decide, wrong coverage."""

from datetime import date

import numpy as np
import polars as pl

from hwds.evaluation.cells import lay_frame
from hwds.forecast.metrics import forecast_measures, point_metrics
from hwds.forecast.report import REPORT
from hwds.forecast.rows import (
    SkillBlocks,
    break_remarks,
    few_remarks,
    shock_remarks,
)
from hwds.frames.panel import Panel
from hwds.report.comparison import comparison_markdown
from hwds.report.pages import comparison_page
from hwds.report.standings import standings
from hwds.stats.compare import compare
from hwds.stats.contrasts import Matrix, Scale
from hwds.stats.evidence import UnitEvidence
from tests.support.finished_runs import source

MASE = point_metrics(1)[3]
NAIVE = "forecast/seasonal_naive"
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


def hung(series=20):
    """Errors of a model that is better than the naive one by one series alone."""
    rng = np.random.default_rng(0)
    errors = 0.988 + 0.05 * rng.normal(size=(20, 1, 1)) + 0.03 * rng.normal(size=(20, 12, 6))
    errors[3] -= 0.1
    return errors[:series]


def run_of(errors):
    """A run of a model with these errors against the seasonal naive, whose errors are 1."""
    own, naive = answers(errors), answers(np.ones(errors.shape))
    rows = pl.concat([own, naive.with_columns(model=pl.lit(NAIVE))])
    rows = rows.with_columns(fold=pl.lit(0, pl.Int32))
    measures = forecast_measures(1, LEVELS)
    return source(rows, metric="mase[m=1]", measures=measures)


def test_a_difference_that_hangs_on_one_series_is_told_alike_everywhere(tmp_path):
    run = run_of(hung())
    (told,) = few_remarks(SkillBlocks.of(run.tables.predictions, MASE, LEVELS))
    assert told == "Without 1 of 20 series (s12) the difference is not sure."
    found = compare([run])
    assert found.pairs["verdict"].to_list() == ["better"]
    same = told.replace("difference", f"difference from {NAIVE}")
    assert same in found.notes
    assert f"_{same}_" in comparison_markdown(found, "hwds compare")
    assert same in comparison_page(found, "hwds compare").markdown()
    # the conclusion of the run, which its page and its trackers show
    board = standings(run.tables, "mase", model="m/own")
    lines = REPORT.conclusion(None, run.tables, board, "m/own", doubts=[told]).split("\n")
    assert told in lines


def test_three_series_are_sure_nowhere_and_hang_on_none():
    run = run_of(hung(3) - 0.3)
    skill = SkillBlocks.of(run.tables.predictions, MASE, LEVELS)
    assert list(few_remarks(skill)) == []
    found = compare([run])
    assert found.pairs["verdict"].to_list() == ["unsure"]
    assert not any("is not sure" in note for note in found.notes)


def test_units_without_periods_that_decide_are_named():
    rng = np.random.default_rng(0)
    values = 0.988 + 0.025 * rng.normal(size=20)
    found = {}
    for name, shift in (("hangs", 0.0), ("stands", -0.2)):
        rows = (("m/a", values + shift), ("m/b", np.ones(20)))
        table = pl.DataFrame(
            [
                {"model": model, "dataset": "toys", "seed": 0, "unit": f"u{unit:02d}", "value": one}
                for model, row in rows
                for unit, one in enumerate(row.tolist())
            ]
        )
        evidence = UnitEvidence(Matrix.of(table), "machines", 400)
        found[name] = list(evidence.doubts((0, 1), Scale.of(evidence.means, "low"), sure=True))
    assert found["stands"] == []
    assert found["hangs"] == [
        "Without 5 of 20 machines (u12, u09, u14, u15, u08) the difference from m/b is not sure."
    ]


def test_a_break_is_told_by_a_comparison_too():
    errors = 0.5 + noise()
    errors[:, 8:] += 0.3
    notes = compare([run_of(errors)]).notes
    (told,) = (note for note in notes if "breaks at cutoff" in note)
    assert told.startswith(
        f"The difference from {NAIVE} breaks at cutoff 2004-01-01: 41 % better before it, "
    )


def test_a_family_is_told_by_a_comparison_while_the_data_are_kept(tmp_path, monkeypatch):
    errors = 0.5 + noise() + 0.1 * (np.arange(20) % 4)[:, None, None]
    run = run_of(errors)
    assert not any("Series of one" in note for note in compare([run]).notes)
    days = pl.date_range(date(2000, 1, 1), date(2000, 2, 1), "1mo", eager=True)
    rows = [
        {"series": f"s{each:02d}", "family": f"f{each % 4}", "time": day, "units": 1.0}
        for each in range(20)
        for day in days
    ]
    keys = {"series": "series", "time": "time", "target": "units", "season": 1, "horizon": 1}
    panel = Panel.of(pl.DataFrame(rows), frequency="1mo", static=("family",), **keys)
    monkeypatch.setattr("hwds.forecast.compare.OUTPUTS", tmp_path)
    lay_frame(panel, tmp_path / "cache" / "frames" / run.data)
    (told,) = (note for note in compare([run]).notes if "Series of one" in note)
    assert told.startswith(
        "Series of one family differ in the same way: with protocol.cluster=[family] they count as "
        "4, and the 95 % interval is "
    )
    assert told.endswith(" % better.")
