"""The report of elasticities: what is said, drawn and tabled."""

from __future__ import annotations

import re
from dataclasses import asdict, replace
from math import inf

import polars as pl
import pytest

from hwds.datasets.simulated.price_sales import PriceSales
from hwds.elasticity.models.iv import IV
from hwds.elasticity.models.loglog_ols import LoglogOLS
from hwds.elasticity.models.pooled import Pooled
from hwds.elasticity.protocols.elasticity_recovery import ElasticityRecovery
from hwds.elasticity.protocols.placebo import Placebo
from hwds.elasticity.protocols.price_change import PriceChange
from hwds.elasticity.report import (
    anderson_rubin_words,
    cells_grid,
    coverage_lines,
    elasticity_sentence,
    forest_figure,
    notes_grid,
    placebo_sentence,
    scatter_figure,
    status_grid,
)
from hwds.elasticity.rows import note_meaning
from hwds.evaluation.protocol import Cell, RunContext, Score
from hwds.report.page_parts import GridTable
from hwds.report.standings import standings
from hwds.results.tables import SCORES, TIMINGS, TRUTH, Tables, metrics_table
from hwds.stats.compare import compare
from tests.support.finished_runs import source

DATASET = PriceSales(skus=10, channels=5, weeks=60)


def tables(protocol, models, panel):
    """The tables of a run."""
    (fold,) = protocol.split(panel)
    rows = {
        label: protocol.evaluate_cell(
            model, panel, Cell(label, fold, 0, fold.units), RunContext(0, fold.name)
        )
        for label, model in models.items()
    }
    lines = [(label, score) for label, own in rows.items() for score in protocol.score(own)]
    lines += list(protocol.contrasts(rows)) if hasattr(protocol, "contrasts") else []
    blank = {
        "experiment": "trial",
        "dataset": "sales",
        "task": protocol.task,
        "seed": 0,
        "n_failed": 0,
    }
    scores = pl.DataFrame(
        [asdict(score) | blank | {"model": label} for label, score in lines], schema=SCORES
    )
    named = pl.concat(
        [own.select(pl.lit(label).alias("model"), pl.all()) for label, own in rows.items()],
        how="diagonal",
    )
    return Tables(
        scores, named, pl.DataFrame(schema=TIMINGS), metrics_table(protocol.measures(panel))
    )


@pytest.fixture(scope="module")
def panel():
    return DATASET.load()


@pytest.fixture(scope="module")
def recovery(panel):
    models = {"pooled": Pooled(), "textbook": LoglogOLS(), TRUTH: DATASET.truth("elasticity")}
    return tables(ElasticityRecovery(draws=100), models, panel)


def test_the_sentence_says_how_many_are_known_and_how_far_from_the_truth(recovery):
    said = elasticity_sentence(None, recovery, "pooled")
    assert said.startswith("ESTIMATE: pooled puts the mean elasticity at -")
    assert "All 50 cells have an answer" in said
    assert "none above 0" in said
    assert "Against the truth its error is" in said
    assert re.search(
        r"Own prices identify the elasticity of \d+ cells?(, of \d+ weakly)?(, of \d+ not at "
        r"all)?(;|\.)",
        said,
    )
    silent = elasticity_sentence(None, recovery, "textbook")
    assert " of 50 cells have an answer" in silent
    assert elasticity_sentence(None, recovery, "none") == (
        "NOT SURE: none says nothing of any cell."
    )


def test_instruments_are_in_the_sentence_and_on_the_page_at_the_level_that_was_asked(panel):
    run = tables(
        ElasticityRecovery(draws=100, confidence=0.9),
        {"iv": IV(), TRUTH: DATASET.truth("elasticity")},
        panel,
    )
    said = elasticity_sentence(None, run, "iv")
    strength = run.predictions["fit_first_stage_f"][0]
    assert (
        f"The first stage of its instruments has an F of {strength:,.1f}.\n"
        "Prices are not seen to answer demand (t = " in said
    )
    assert (
        "By Anderson and Rubin's test, which weak instruments do not mislead, the common "
        "elasticity is " in said
    )
    assert " (90 %: -" in said
    assert "of its 90 % intervals hold" in said
    assert "95 %" not in said + cells_grid(run, "iv").markdown()
    facts = notes_grid(run, "iv").markdown()
    assert f"| first stage, F | {strength:,.4g} | F of the instruments" in facts
    assert "| Anderson-Rubin, lower end |" in facts
    assert facts.splitlines()[1] == "| :-- | --: | :-- |"
    assert GridTable(notes_grid(run, "iv")).kinds == ["", "number", "words"]
    row = run.headline("mean_elasticity", "iv")
    assert 1.4 < (row["ci_high"] - row["ci_low"]) / (2 * row["stderr"]) < 1.9


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (None, None, "no common elasticity is compatible with the data"),
        (-inf, inf, "nothing is known of the common elasticity"),
        (-inf, -0.5, "the common elasticity is below -0.50"),
        (-2.5, inf, "the common elasticity is above -2.50"),
        (-2.5, -1.5, "the common elasticity is between -2.50 and -1.50"),
    ],
)
def test_an_open_or_empty_interval_of_weak_instruments_is_said(low, high, said):
    assert anderson_rubin_words({"anderson_rubin_low": low, "anderson_rubin_high": high}) == said


def test_every_fact_about_a_fit_has_a_meaning(recovery):
    names = [name for name in recovery.predictions.columns if name.startswith("fit_")]
    assert "fit_sd_sku" in names
    assert all(note_meaning(name.removeprefix("fit_")) for name in names)
    assert "| sd sku |" in notes_grid(recovery, "pooled").markdown()
    assert not len(notes_grid(recovery, "textbook"))


def test_every_cell_is_in_the_table_with_what_its_prices_identify(recovery):
    grid = cells_grid(recovery, "pooled").markdown()
    assert grid.count("\n") == 51
    assert "phone-1.retail" in grid
    statuses = status_grid(recovery, "pooled").markdown()
    assert sum(int(line.split("|")[2]) for line in statuses.splitlines()[2:]) == 50
    assert "own data would give a standard error" in grid


def test_the_forest_has_intervals_weights_and_the_truth(recovery):
    figure = forest_figure(recovery, "pooled")
    (axes,) = figure.axes
    assert len(axes.get_yticklabels()) == 40
    texts = [text.get_text() for text in axes.texts]
    assert all(text.endswith(" %") for text in texts)
    labels = axes.get_legend_handles_labels()[1]
    assert "truth" in labels
    assert any(label.startswith("mean of all cells") for label in labels)
    assert forest_figure(recovery, "none") is None


def test_moves_are_drawn_against_what_came_of_them(panel):
    moved = tables(PriceChange(horizon=10), {"pooled": Pooled()}, panel)
    figure = scatter_figure(moved, "pooled")
    (axes,) = figure.axes
    assert axes.texts[0].get_text().startswith("RMSE ")
    assert len(axes.lines[3].get_xdata()) == len(
        moved.predictions.filter(pl.col("move")).drop_nulls(["predicted", "actual"])
    )
    assert scatter_figure(moved, "none") is None
    assert (
        cells_grid(moved, "pooled").markdown().count("\n")
        == 1 + moved.predictions["series_id"].n_unique()
    )


def test_a_placebo_holds_or_fails_in_words(panel):
    held = tables(Placebo(ahead=1), {"pooled": Pooled()}, panel)
    assert placebo_sentence(None, held, "pooled").startswith("PASS: pooled puts the elasticity")
    line = asdict(Score("placebo_effect", "mean", 1.0, 0.2, 0.6, 1.4, "normal", 0.0001, n=10))
    wrong = pl.DataFrame([line | {"model": "pooled", "task": "placebo", "seed": 0}], schema=SCORES)
    failed = Tables(wrong, held.predictions, held.timings, held.metrics)
    assert placebo_sentence(None, failed, "pooled").startswith(
        "FAIL: pooled puts the elasticity to prices still to come at"
    )


def test_intervals_off_their_level_are_said_with_the_cure(recovery):
    def said(value, low, high):
        own = pl.col("metric") == "elasticity_coverage"
        numbers = {"value": value, "ci_low": low, "ci_high": high}
        scores = recovery.scores.with_columns(
            pl.when(own).then(pl.lit(number)).otherwise(name).alias(name)
            for name, number in numbers.items()
        )
        board = standings(replace(recovery, scores=scores), "elasticity_rmse", model="pooled")
        return list(coverage_lines(replace(recovery, scores=scores), board))

    (told,) = said(0.5, 0.4, 0.6)
    assert told.startswith("Its 95 % intervals cover 50 % (95 %: 40 to 60): too narrow. If prices ")
    assert "model=elasticity/iv" in told
    assert said(0.93, 0.85, 0.97) == []


def test_a_comparison_shows_coefficients_before_fit(recovery):
    run = source(recovery.predictions, task="elasticity", protocol=RECOVERY)
    found = compare([replace(run, tables=recovery)], resamples=100)
    rows = found.specifications.filter(specification="pooled")
    assert rows["row"].to_list()[:4] == [
        "mean elasticity",
        "lagged price",
        "cross elasticity",
        "mean elasticity of the fit",
    ]
    fit = rows.filter("is_fit")["row"].to_list()
    assert fit[:2] == ["answered", "identified"]
    assert "overdispersion of the fit" in fit
    shrunk = recovery.predictions.filter(model="pooled")["fit_mean_stderr"][0]
    assert rows.filter(row="mean elasticity of the fit")["stderr"].item() == shrunk
    assert (
        "mean elasticity of the fit"
        not in found.specifications.filter(specification="textbook")["row"].to_list()
    )


RECOVERY = {
    "name": "elasticity_recovery",
    "recipe": "elasticity_recovery",
    "headline": "elasticity_rmse",
}
