"""Runs to comparison: what is refused, what is matched, what is said."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from hwds.core.checksums import read_json
from hwds.core.errors import ConfigError, DataError
from hwds.report.comparison import (
    coefficients_figure,
    comparison_sentence,
    comparison_title,
    specification_grid,
)
from hwds.report.pages import comparison_page
from hwds.results.comparison import Comparison
from hwds.results.tables import SCORES, Measure, metrics_table
from hwds.stats.compare import compare, compare_table
from hwds.stats.sources import distinct_labels, model_labels
from tests.support.finished_runs import REGRET, forecasts, score, source


@pytest.fixture
def three():
    """Three forecasters: the second is far worse than the first, the third almost the same."""
    return source(forecasts({"forecast/good": 1.0, "forecast/bad": 2.0, "forecast/twin": 1.001}))


def test_the_own_model_is_held_against_its_rivals(three):
    found = compare([three], margin=0.2, resamples=400)
    assert (found.subject, found.chosen, found.family, found.units) == (
        "forecast/good",
        "own",
        2,
        "series",
    )
    pairs = {row["rival"]: row for row in found.pairs.to_dicts()}
    assert pairs["forecast/bad"]["verdict"] == "better"
    assert (
        0.4
        < pairs["forecast/bad"]["low"]
        < pairs["forecast/bad"]["effect"]
        < pairs["forecast/bad"]["high"]
        < 0.6
    )
    assert pairs["forecast/twin"]["verdict"] == "alike"
    assert found.leaderboard["model"].to_list()[-1] == "forecast/bad"
    assert found.leaderboard["seconds"].to_list() == [2.0, 2.0, 2.0]
    assert found.leaderboard.filter(pl.col("model") == "forecast/bad")["set_p"][0] < 0.05


def test_an_effect_is_the_share_of_the_means(three):
    found = compare([three], resamples=400)
    means = dict(found.leaderboard.select("model", "mean").iter_rows())
    for row in found.pairs.to_dicts():
        assert row["effect"] == pytest.approx(1 - means["forecast/good"] / means[row["rival"]])


def test_a_run_and_itself_are_one(three):
    twice = [three, replace(three, title="trial/r2")]
    assert compare(twice, resamples=400).pairs.equals(compare([three], resamples=400).pairs)


def test_the_best_is_chosen_where_runs_have_other_models_of_their_own():
    runs = [
        source(forecasts({name: size}), run=name[-1])
        for name, size in (("m/a", 2.0), ("m/b", 1.0), ("m/c", 3.0))
    ]
    found = compare(runs, resamples=400)
    assert (found.subject, found.chosen, found.family) == ("m/b", "best", 3)
    asked = compare(runs, model="c", resamples=400)
    assert (asked.subject, asked.chosen, asked.family) == ("m/c", "asked", 2)
    assert set(asked.pairs["verdict"]) == {"worse"}
    with pytest.raises(ConfigError, match="--model: no model 'd' here"):
        compare(runs, model="d")


def test_seeds_are_matched_and_those_that_some_lack_are_left_out():
    sizes = {"m/a": 1.0, "m/b": 1.5}
    runs = [source(forecasts(sizes, seed=seed), run=f"r{seed}", seed=seed) for seed in range(3)]
    found = compare(runs, resamples=400)
    assert found.seeds == (0, 1, 2)
    assert found.pairs["method"].to_list() == ["t over series and seeds and 6 origins"]
    alone = source(forecasts({"m/c": 2.0}), run="c", seed=0)
    assert (
        "Seeds left out, for not every model was run with them: 1, 2."
        in compare([*runs, alone], resamples=400).notes
    )


def test_rows_that_some_model_lacks_count_for_none(three):
    rows = three.tables.predictions
    lacking = rows.filter(~((pl.col("model") == "forecast/bad") & (pl.col("series_id") < "s02")))
    found = compare([source(lacking)], resamples=400)
    assert found.leaderboard["n"].to_list() == [22, 22, 22]
    assert "72 rows left out: not answered by every model." in found.notes
    whole = compare([source(rows.filter(pl.col("series_id") >= "s02"))], resamples=400)
    assert whole.leaderboard.equals(found.leaderboard)


def test_a_model_that_was_not_asked_of_every_dataset_is_left_out():
    runs = [
        source(forecasts({"m/a": 1.0, "m/b": 1.5, "m/c": 1.2})),
        source(
            forecasts({"m/a": 1.0, "m/b": 1.5}), run="r2", dataset={"name": "other"}, data="e" * 16
        ),
    ]
    found = compare(runs, resamples=400)
    assert found.datasets == ("toys", "other")
    assert found.leaderboard["model"].to_list() == ["m/a", "m/b"]
    assert found.leaderboard["n"].to_list() == [48, 48]
    assert "Not asked of every dataset, and left out: m/c." in found.notes


REFUSALS = [
    ({"data": "x" * 16}, "both of dataset 'toys', but its data differ: trial/r1 has toys "
                         ".fingerprint dddddddd.; trial/r2 has toys .fingerprint xxxxxxxx"),
    ({"protocol": {"name": "holdout", "headline": "mase", "horizon": 9}}, "protocol.horizon is "
                                                                          "null in run trial/r1 "
                                                                          "and 9 in"),
    ({"protocol": {"name": "walk_forward", "headline": "mase"}}, "is of protocol 'holdout' and "
                                                                 "trial/r2 of 'walk_forward'"),
    ({"metric": "mase[m=4]"}, r"'mase' is mase\[m=12\] in run trial/r1 and mase\[m=4\] in "
                              r"trial/r2"),
    ({"task": "bandit"}, "run trial/r1 is of task 'forecast' and trial/r2 of 'bandit'"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "said"), REFUSALS)
def test_what_was_not_asked_the_same_is_refused_in_words(three, changes, said):
    with pytest.raises(DataError, match=said):
        compare([three, source(three.tables.predictions, run="r2", **changes)])


PLAN = {"name": "ab_plan", "recipe": "ab_plan", "headline": "size"}


def test_what_cannot_be_compared_is_refused(three):
    with pytest.raises(ConfigError, match="has no metric 'mape2'"):
        compare([three], metric="mape2")
    with pytest.raises(DataError, match="there must be two models to compare, got m/a"):
        compare([source(forecasts({"m/a": 1.0}))])
    with pytest.raises(ConfigError, match="runs of task 'ab_plan' have no comparison"):
        compare([source(three.tables.predictions, task="ab_plan", protocol=PLAN)])
    with pytest.raises(ConfigError, match="--margin: must be above 0 and below 1, got 1"):
        compare([three], margin=1.0)
    other = source(
        three.tables.predictions,
        run="r2",
        protocol={"name": "holdout", "recipe": "holdout", "headline": "wape"},
    )
    with pytest.raises(
        ConfigError, match="--metric: must be given, the runs have several headlines: mase, wape"
    ):
        compare([three, other])


def test_labels_say_what_differs(three):
    assert distinct_labels(
        [("a", {"x": 1, "y": {"z": 2}}), ("a", {"x": 1, "y": {"z": 3}}), ("b", {"x": 9})]
    ) == [
        "a(y.z=2)",
        "a(y.z=3)",
        "b",
    ]
    rows = forecasts({"m/a": 1.0})
    node = {"name": "m/a", "recipe": "m/a", "trees": 5}
    assert model_labels(
        [source(rows, model=node), source(rows, run="r2", model=node | {"trees": 7})]
    ) == [
        {"m/a": "m/a(trees=5)"},
        {"m/a": "m/a(trees=7)"},
    ]
    changed = rows.with_columns(pl.col("mean") + 1)
    by_code = model_labels([source(rows), source(changed, run="r2", code="b" * 16)])
    assert by_code == [{"m/a": "m/a[code=cccccc]"}, {"m/a": "m/a[code=bbbbbb]"}]
    by_features = model_labels([source(rows), source(changed, run="r2", features={"name": "lags"})])
    assert by_features == [{"m/a": "m/a[features=none]"}, {"m/a": "m/a[features=lags]"}]
    assert (
        model_labels([source(rows), source(rows, run="r2", code="b" * 16)]) == [{"m/a": "m/a"}] * 2
    )


def test_policies_are_paired_by_their_customers():
    rng = np.random.default_rng(1)
    crowd = rng.normal(100, 30, 200)
    rows = [
        pl.DataFrame(
            {"replication": np.arange(200), "pseudo_regret": crowd + extra + rng.normal(0, 1, 200)}
        ).select(
            pl.lit(model).alias("model"),
            pl.lit(0, pl.Int32).alias("fold"),
            "replication",
            "pseudo_regret",
        )
        for model, extra in (("bandit/a", 0.0), ("bandit/b", 2.0))
    ]
    protocol = {"name": "bandit_simulation", "headline": "pseudo_regret"}
    run = source(
        pl.concat(rows), task="bandit", metric="pseudo_regret", measures=[REGRET], protocol=protocol
    )
    found = compare(
        [run, replace(run, title="trial/r2", config=run.config | {"seed": 1})], resamples=400
    )
    row = found.pairs.row(0, named=True)
    assert row["clusters"] == 400  # another seed has replications of its own
    assert row["verdict"] == "better"
    assert row["high"] - row["low"] < 0.005  # unpaired it would be 0.08


def test_one_series_is_judged_along_its_origins():
    found = compare(
        [source(forecasts({"m/a": 1.0, "m/b": 2.0}, series=1, origins=30, stride=2))], resamples=400
    )
    row = found.pairs.row(0, named=True)
    assert row["method"] == "t over 30 origins"
    assert row["clusters"] == 30
    test = found.along.row(0, named=True)
    assert test["horizon"] == 3
    assert test["p_holm"] == test["p_steady"]
    assert row["verdict"] == "better"
    few = compare([source(forecasts({"m/a": 1.0, "m/b": 2.0}, series=1, origins=5))], resamples=400)
    assert few.along.is_empty()
    assert few.pairs["method"].to_list() == ["t over 5 origins"]
    one = compare([source(forecasts({"m/a": 1.0, "m/b": 2.0}, series=1, origins=1))], resamples=400)
    assert (one.pairs["p_value"][0], one.pairs["verdict"][0]) == (None, "unsure")


def test_one_origin_cannot_tell_however_many_series_there_are():
    one = compare(
        [source(forecasts({"m/a": 1.0, "m/b": 2.0}, series=200, origins=1))], resamples=400
    )
    assert (one.pairs["low"][0], one.pairs["verdict"][0]) == (None, "unsure")
    assert (
        comparison_sentence(one) == "NOT SURE: m/a cannot be told from m/b: one cutoff cannot tell."
    )
    short = forecasts({"m/a": 1.0, "m/b": 2.0}, series=50, origins=3, stride=1, horizon=1)
    few = compare([source(short)], resamples=400)
    assert few.pairs["method"].to_list() == ["3 cutoffs in 25 % of a season cannot tell"]


def test_models_that_differ_by_nothing_are_not_told_apart_where_series_share_shocks():
    """Forty panels of 40 series, 3 windows of horizon 3.

    By series alone 17 of 30 were called sure.
    """
    sure, rows = 0, forecasts({"m/a": 1.0, "m/b": 1.0}, series=40, origins=3, stride=3, horizon=3)
    for seed in range(40):
        found = compare([source(shaken(rows, 0.3, seed))], resamples=100)
        sure += found.pairs["verdict"][0] != "unsure"
    assert sure <= 2


def shaken(rows, share, seed):
    """The forecasts, of both models alike but for noise: of each series, of each cell, and a share
    that all series have.
    """
    rng = np.random.default_rng([int(10 * share), seed])

    def noise(size, *keys):
        of = rows.select("model", *keys).unique(maintain_order=True)
        return of.with_columns(pl.Series(f"noise of {keys}", rng.normal(0, size**0.5, len(of))))

    joined = rows
    for keys, size in {
        ("series_id",): (1 - share) / 2,
        ("series_id", "cutoff"): (1 - share) / 2,
        ("cutoff",): share,
    }.items():
        joined = joined.join(noise(size, *keys), on=["model", *keys])
    error = 5 + pl.sum_horizontal(pl.col("^noise of .*$"))
    return (
        joined.with_columns(mean=100 + error)
        .with_columns(pl.col("mean").alias("q_0.5"))
        .select(rows.columns)
    )


def test_series_with_origins_enough_are_tested_one_by_one():
    found = compare(
        [source(forecasts({"m/a": 1.0, "m/b": 1.6}, series=3, origins=40))], resamples=400
    )
    assert found.along["series_id"].to_list() == ["s00", "s01", "s02"]
    assert found.along["horizon"].unique().to_list() == [1]
    assert (found.along["statistic"] < 0).all()
    assert (found.along["p_holm"] >= found.along["p_steady"]).all()


def test_a_table_of_ones_own_is_compared_too():
    rng = np.random.default_rng(2)
    rows = [
        (model, "d", 0, f"u{u}", extra + rng.normal(5, 1))
        for u in range(40)
        for model, extra in (("a", 0), ("b", 3), ("c", 0))
    ]
    table = pl.DataFrame(rows, schema=["model", "dataset", "seed", "unit", "value"], orient="row")
    found = compare_table(table, Measure("points", better="high"), resamples=400)
    assert found.subject == "b"
    assert found.ranks.ranks["b"] == min(found.ranks.ranks.values())
    assert set(found.pairs["verdict"]) == {"better"}
    with pytest.raises(ConfigError, match="of 'points' neither a low nor a high value is good"):
        compare_table(table, Measure("points", better="none"))


def test_the_same_numbers_come_of_the_same_runs_in_any_order(three):
    first = compare([three], resamples=400)
    shuffled = source(
        three.tables.predictions.sample(fraction=1.0, shuffle=True, seed=3),
        model=three.config["model"],
    )
    again = compare([shuffled], model="good", resamples=400)
    assert again.pairs.sort("rival").equals(first.pairs.sort("rival"))


GOOD, BAD = "forecast/good", "forecast/bad"


def looked(tmp_path, monkeypatch, *, origins, **changes):
    """The comparison of two models that is a look, kept below the test's folder."""
    monkeypatch.chdir(tmp_path)
    run = source(forecasts({GOOD: 1.0, BAD: 1.3}, origins=origins), **changes)
    return compare([run], resamples=400, remember=True)


def test_the_second_look_holds_at_all_looks_and_the_same_one_is_none(tmp_path, monkeypatch):
    first = looked(tmp_path, monkeypatch, origins=8)
    assert first.pairs.equals(compare([two_like(8)], resamples=400).pairs)
    second = looked(tmp_path, monkeypatch, origins=10)
    (row,), (once,) = (
        each.pairs.to_dicts() for each in (second, compare([two_like(10)], resamples=400))
    )
    assert (row["fixed_low"], row["fixed_high"]) == (once["low"], once["high"])
    assert row["low"] < once["low"] < once["high"] < row["high"]
    assert row["p_holm"] > once["p_holm"]
    assert second.notes[0].startswith("Look 2 at these models and data")
    assert looked(tmp_path, monkeypatch, origins=10).pairs.equals(second.pairs)
    assert looked(tmp_path, monkeypatch, origins=8).pairs.equals(first.pairs)
    (file,) = (tmp_path / "outputs" / "looks").glob("*.json")
    assert [counts for _, *counts in read_json(file)["looks"]] == [[24, 8], [24, 10]]


def two_like(origins):
    return source(forecasts({GOOD: 1.0, BAD: 1.3}, origins=origins))


@pytest.mark.parametrize(
    ("changes", "looks"),
    [
        ({"dataset": {"name": "toys", "recipe": "toys", "path": "s_2024-03.csv"}}, 2),
        ({"seed": 7}, 2),
        ({"dataset": {"name": "toys", "recipe": "toys", "path": "other.csv"}}, 1),
        ({"features": {"name": "lags"}}, 1),
        ({"model": {"name": GOOD, "recipe": GOOD, "trees": 5}}, 1),
    ],
)
def test_a_look_is_at_the_same_data_and_the_same_models(tmp_path, monkeypatch, changes, looks):
    dated = {"dataset": {"name": "toys", "recipe": "toys", "path": "s_20240201.csv"}}
    looked(tmp_path, monkeypatch, origins=8, **dated)
    found = looked(tmp_path, monkeypatch, origins=10, **{**dated, **changes})
    assert any("Look 2" in note for note in found.notes) == (looks == 2)


def test_the_best_of_many_is_less_sure(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows, widths = forecasts({GOOD: 1.0, BAD: 1.3}, origins=8), []
    some = (pl.col("model") == BAD) & (pl.col("series_id") < "s12")
    wrong = [
        pl.when(some).then(2 * pl.col(name) - 100).otherwise(name).alias(name)
        for name in ("mean", "q_0.5")
    ]
    rows = rows.with_columns(wrong)
    for choices in (1, 30):
        found = compare([source(rows)], resamples=400, remember=True, choices=choices)
        (row,) = found.pairs.to_dicts()
        widths.append(row["high"] - row["low"])
    assert widths[1] > widths[0]
    assert any("best of 30" in note for note in found.notes)


def test_data_that_differ_are_named_by_what_differs():
    extents = [
        {"rows": 96, "first": "2020-01", "last": "2021-12"},
        {"rows": 96, "first": "2019-01", "last": "2020-12"},
    ]
    rows = forecasts({"m/a": 1.0, "m/b": 1.5})
    runs = [
        replace(source(rows, run=f"r{place}", data=str(place) * 16), extent=extent)
        for place, extent in enumerate(extents)
    ]
    with pytest.raises(DataError, match="its data differ in period: trial/r0 has 96 rows of toys"):
        compare(runs)
    other = replace(runs[1], config={**runs[1].config, "dataset": {"name": "other"}})
    assert compare([runs[0], other], resamples=400).notes[0] == (
        "The data differ in dataset and period: trial/r0 has 96 rows of toys from 2020-01 to "
        "2021-12; trial/r1 has 96 rows of other from 2019-01 to 2020-12. Models of one label are "
        "averaged over them."
    )


OPE = {"name": "off_policy", "recipe": "off_policy", "headline": "policy_value"}


def estimators(values, run="r1", **changes):
    """A run of off-policy estimators: value, error and ends by name."""
    rows = pl.DataFrame({"model": [*values], "reward": 1.0})
    made = source(rows, run=run, task="ope", protocol=OPE, **changes)
    scores = [
        score(name, "policy_value", "ope", value=value, stderr=stderr, ci_low=low, ci_high=high)
        for name, (value, stderr, low, high) in values.items()
    ]
    sizes = [score(name, "effective_sample_size", "ope", value=90.0) for name in values]
    table = pl.DataFrame([*scores, *sizes], schema=SCORES)
    measures = metrics_table([Measure("policy_value", meaning="mean reward", subject="click")])
    return replace(made, tables=replace(made.tables, scores=table, metrics=measures))


LOW, HIGH = (1.0, 0.1, 0.8, 1.2), (2.0, 0.2, 1.6, 2.4)


def test_models_that_are_no_rivals_stand_in_columns_and_the_same_one_once(tmp_path):
    runs = [
        estimators({"ope/dr": LOW, "ope/ipw": HIGH}),
        estimators({"ope/dm": (1.5, 0.1, 1.3, 1.7), "ope/dr": LOW}, run="r2", code="e" * 16),
    ]
    found = compare(runs)
    assert not found.ranked
    grid = specification_grid(found)
    assert [column.title for column in grid.columns] == ["estimate", "ope/dr", "ope/ipw", "ope/dm"]
    assert grid.columns[0].cells == ("policy value, click", "effective sample size")
    assert grid.columns[2].cells == ("2.000 ± 0.200", "90.00")
    assert comparison_title(found) == "3 specifications on toys"
    assert comparison_sentence(found) == (
        "policy value, click lies between 1 (ope/dr) and 2 (ope/ipw) in 3 specifications.\n"
        "The 95 % intervals of ope/dr and ope/ipw do not meet: these specifications disagree."
    )
    found.write(tmp_path, "said", "hwds compare")
    read, _ = Comparison.read(tmp_path)
    assert read.specifications.equals(found.specifications)
    assert read.as_dict()["specifications"][0]["specification"] == "ope/dr"
    page = comparison_page(read, "hwds compare").markdown()
    assert page == page.replace("Leaderboard", "")
    assert "| policy value, click |" in page
    assert "coefficients.png" in page
    figure = coefficients_figure(read)
    assert [len(axes.lines) for axes in figure.axes] == [7]  # no difference, and 3 with their ends


def test_models_on_other_data_and_by_other_protocols_stand_apart_with_what_differs():
    other = {**OPE, "levels": 3}
    runs = [
        replace(estimators({"ope/dr": LOW}), extent={"rows": 90}),
        replace(estimators({"ope/dr": HIGH}, run="r2", data="e" * 16), extent={"rows": 80}),
    ]
    runs[0] = replace(runs[0], config={**runs[0].config, "protocol": {**OPE, "levels": 2}})
    runs[1] = replace(runs[1], config={**runs[1].config, "protocol": other})
    found = compare(runs)
    assert found.specifications["specification"].unique(maintain_order=True).to_list() == [
        "ope/dr, toys[data=dddddd]",
        "ope/dr, toys[data=eeeeee]",
    ]
    assert found.notes == (
        "The data differ in rows: trial/r1 has 90 rows of toys; trial/r2 has 80 rows of toys.",
        "Protocols differ: protocol.levels is 2 in run trial/r1 and 3 in trial/r2.",
    )
    with pytest.raises(ConfigError, match="--metric: must be left out"):
        compare(runs, metric="policy_value")


def test_columns_of_other_models_make_no_model_another():
    rows = forecasts({"m/a": 1.0, "m/b": 1.5})
    noted = rows.with_columns(fit_f=pl.when(pl.col("model") == "m/b").then(9.0))
    alone = [source(noted), source(rows.filter(model="m/a"), run="r2", code="e" * 16)]
    assert model_labels(alone) == [{"m/a": "m/a", "m/b": "m/b"}, {"m/a": "m/a"}]
    moved = [source(rows.with_columns(fit_f=9.0)), source(rows, run="r2", code="e" * 16)]
    assert model_labels(moved)[1] == {name: f"{name}[code=eeeeee]" for name in ("m/a", "m/b")}


def test_decisions_of_runs_are_told_next_to_each_other(three):
    twin = source(three.tables.predictions, run="r2", seed=1)
    runs = [replace(three, advice="CHANGE"), replace(twin, advice="HOLD (few_cells)")]
    notes = compare(runs, resamples=400).notes
    assert "Decisions: trial/r1 says CHANGE; trial/r2 says HOLD (few_cells)." in notes
