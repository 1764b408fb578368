"""Scores of judged rows: windows, weights, the truth, segments, intervals."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import average_precision_score

from hwds.core.compose import compose
from hwds.core.errors import ConfigError
from hwds.detection.metrics import EntityDays, blocking_costs
from hwds.detection.protocols.prequential import Prequential
from hwds.detection.scores import (
    clusters_of_windows,
    detection_measures,
    effect_of,
    resample_windows,
    scored_windows,
)
from hwds.experiment.spec import check
from hwds.results.tables import short

PROTOCOL = Prequential(resamples=50, card_k=5)


def judged(n=400, windows=2, seed=0, **columns):
    """Rows as `judging.judged` makes them: amounts and probabilities, labels and the truth known
    for all.
    """
    rng = np.random.default_rng(seed)
    truth = (rng.random(n) < 0.15).astype(float)
    score = rng.normal(-2, 1, n) + 2 * truth
    day = rng.integers(0, 7, n)
    told = {
        "fold": pl.Series(np.arange(n) % windows, dtype=pl.Int32),
        "row_id": pl.Series(np.arange(n)),
        "part": ["test"] * n,
        "time": [None] * n,
        "entity": [f"c{number}" for number in rng.integers(0, 60, n)],
        "label": truth,
        "truth": truth,
        "weight": np.ones(n),
        "amount": rng.gamma(2, 50, n),
        "score": score,
        "probability": 1 / (1 + np.exp(-score)),
        "day": pl.Series(day, dtype=pl.Int32),
        "cutoff": [f"2024-01-0{1 + number % windows}" for number in range(n)],
    }
    rows = pl.DataFrame(told | columns)
    return PROTOCOL.postprocess(rows.sort("fold", "row_id"))


def scores(rows, protocol=PROTOCOL):
    return {score.metric: score for score in protocol.score(rows.drop("fold"))}


def test_each_metric_is_the_mean_over_windows():
    rows = judged()
    found = scores(rows)
    parts = rows.partition_by("cutoff", maintain_order=True)
    each = [average_precision_score(part["label"], part["score"]) for part in parts]
    assert found["aucpr"].value == pytest.approx(np.mean(each))
    assert found["aucpr"].aggregate == "mean"
    assert found["aucpr"].n == 400
    assert found["aucpr"].cutoff is None
    assert scores(parts[0])["aucpr"].value == pytest.approx(each[0])
    assert scores(parts[0])["aucpr"].cutoff == "2024-01-01"
    assert found["prevalence"].value == pytest.approx(
        np.mean([part["label"].mean() for part in parts])
    )


def test_all_are_what_the_metrics_say():
    (part,) = judged(windows=1).partition_by("cutoff")
    found = scores(part)
    entity = np.unique(part["entity"].to_numpy().astype(str), return_inverse=True)[1]
    label, score, probability, amount, day = (
        part[name].to_numpy() for name in ("label", "score", "probability", "amount", "day")
    )
    assert found["brier"].value == pytest.approx(np.mean((probability - label) ** 2))
    costs = blocking_costs(label, probability, amount, PROTOCOL.wrong_block)
    assert found["expected_cost"].value == pytest.approx(costs.mean())
    days = EntityDays.of(label, score, entity, day)
    precision, caught = days.values(
        np.ones((1, len(label))), 5, np.ones((1, len(days.starts) - 1)), amount
    )
    assert found["card_precision@5"].value == pytest.approx(precision[0])
    assert found["caught_value"].value == pytest.approx(caught[0])
    names = [measure.name for measure in detection_measures(PROTOCOL, "USD")]
    assert set(found) | {"behind_aucpr", "importance", "importance_share"} == set(names)
    assert len(names) == len(set(names))


def test_the_false_positive_rate_is_that_of_the_whole_window_in_every_segment():
    rows = judged()
    flagged = rows["flagged"].to_numpy()
    for (_, _), day in rows.partition_by("fold", "day", as_dict=True).items():
        assert day.filter("flagged")["entity"].n_unique() == 5
    honest = rows.filter(pl.col("label") == 0)
    some = rows.filter(pl.col("entity").is_in(["c1", "c2", "c3", "c4", "c5", "c6", "c7"]))
    own = some.filter(pl.col("label") == 0)
    by_window = [part["flagged"].mean() for part in honest.partition_by("cutoff")]
    assert scores(rows)["false_positive_rate"].value == pytest.approx(np.mean(by_window))
    by_window = [part["flagged"].mean() for part in own.partition_by("cutoff")]
    assert scores(some)["false_positive_rate"].value == pytest.approx(np.mean(by_window))
    assert 0 < flagged.mean() < 1


def test_a_segment_of_one_class_has_a_null_and_no_error():
    rows = judged()
    found = scores(rows.filter(pl.col("label") == 0))
    for metric in (
        "aucpr", "prevalence", "auroc", "caught_value", "calibration_slope", "precision@recall=0.5", "recall@precision=0.9"
    ):  # fmt: skip
        assert found[metric].value is None
        assert (found[metric].n, found[metric].n_undefined) == (
            0,
            rows.filter(pl.col("label") == 0).height,
        )
        assert found[metric].ci_low is None
    assert found["brier"].value is not None
    assert scores(rows.filter(pl.col("label") == 1))["auroc"].value is None


def test_a_window_without_positives_is_left_out_of_the_mean():
    rows = judged()
    bare = rows.with_columns(
        pl.when(pl.col("cutoff") == "2024-01-02")
        .then(0.0)
        .otherwise(pl.col("label"))
        .alias("label")
    )
    alone = scores(rows.filter(pl.col("cutoff") == "2024-01-01"))["aucpr"].value
    assert scores(bare)["aucpr"].value == pytest.approx(alone)
    blind = scores(bare.with_columns(score=pl.lit(0.5)))
    assert blind["aucpr"].value == pytest.approx(
        blind["prevalence"].value
    )  # the average precision of chance


def test_metrics_that_have_nothing_to_say_are_absent():
    found = scores(judged(probability=[None] * 400, amount=[None] * 400, truth=[None] * 400))
    assert {short(name) for name in found} == {
        "aucpr",
        "prevalence",
        "auroc",
        "precision@recall",
        "recall@precision",
        "card_precision",
        "false_positive_rate",
    }
    assert "expected_cost" not in scores(judged(amount=[None] * 400))
    assert "caught_value" not in scores(judged(amount=[None] * 400))
    assert PROTOCOL.score(pl.DataFrame(schema=judged().drop("fold").schema)) == []


def test_labels_of_some_rows_weigh_for_the_others():
    """Half of the honest rows were looked at: with their weights the labels say what the truth
    does.
    """
    rng = np.random.default_rng(1)
    n = 40_000
    rows = judged(n, seed=2)
    looked = (rows["truth"].to_numpy() == 1) | (rng.random(n) < 0.5)
    label = pl.Series("label", np.where(looked, rows["truth"].to_numpy(), np.nan), nan_to_null=True)
    weight = pl.Series("weight", np.where(rows["truth"].to_numpy() == 1, 1.0, 2.0))
    found = scores(rows.with_columns(label, weight), Prequential(resamples=2))
    bare = scores(rows.with_columns(label), Prequential(resamples=2))
    assert found["gap_aucpr"].value == pytest.approx(0, abs=0.01)
    assert found["gap_aucpr"].value == pytest.approx(
        found["aucpr"].value - found["true_aucpr"].value
    )
    assert found["prevalence"].value == pytest.approx(found["true_prevalence"].value, rel=0.03)
    assert bare["gap_aucpr"].value > 0.03  # without weights the labels flatter
    assert found["aucpr"].n == int(looked.sum())
    assert found["aucpr"].n_undefined == n - int(looked.sum())
    assert found["true_aucpr"].n == n


def test_who_was_investigated_on_suspicion_does_not_count():
    rows = judged()
    suspected = pl.col("row_id") % 3 == 0
    rows = rows.with_columns(weight=pl.when(suspected).then(0.0).otherwise(20.0))
    found, left = scores(rows), scores(rows.filter(~suspected))
    assert found["aucpr"].value == pytest.approx(left["aucpr"].value)
    assert found["aucpr"].n == left["aucpr"].n == rows.filter(~suspected).height
    assert found["true_aucpr"].n == len(rows)


def test_intervals_are_of_entities_and_days_and_hold_the_number():
    found = scores(judged(2000))
    for score in found.values():
        assert score.ci_method == "bootstrap by entity and day"
        assert score.ci_low <= score.value <= score.ci_high
        assert score.stderr >= 0
    timeless = scores(judged(2000, day=pl.Series([0] * 2000, dtype=pl.Int32)))
    perfect = {score.value for score in timeless.values() if score.stderr is None}
    assert perfect <= {0.0, 1.0}, "of what no resample changes there is no interval"
    assert {score.ci_method for score in timeless.values() if score.stderr is not None} == {
        "bootstrap by entity"
    }


def test_what_shares_a_day_or_an_entity_is_counted_both_ways():
    """Positives are well told apart on some days and for some entities: either way alone knows but
    a part of the variance.
    """
    rng = np.random.default_rng(3)
    entity, day = rng.integers(0, 60, 4000), rng.integers(0, 10, 4000)
    label = (rng.random(4000) < 0.2).astype(float)
    ease = rng.normal(0, 1, 60)[entity] + rng.normal(0, 0.5, 10)[day]
    told = {
        "day": pl.Series(day, dtype=pl.Int32),
        "cutoff": ["2024-01-01"] * 4000,
        "entity": [f"c{each}" for each in entity],
    }
    rows = judged(
        4000,
        1,
        label=label,
        truth=label,
        score=label * (1.5 + ease) + rng.normal(size=4000),
        **told,
    )
    drawn = resample_windows(scored_windows(rows, PROTOCOL), ["ranks"], 200)
    alone = {way: float(np.std(each["aucpr"])) for way, each in drawn.samples.items()}
    both = effect_of(drawn.values["aucpr"], drawn.samples_of("aucpr"), drawn.clusters("aucpr"))
    assert both.stderr > 1.15 * max(alone["entity"], alone["day"])
    assert both.stderr**2 == pytest.approx(
        alone["entity"] ** 2 + alone["day"] ** 2 - alone["entity and day"] ** 2, rel=0.2
    )


@pytest.mark.parametrize(("days", "said"), [(1, "1 day cannot tell"), (2, "2 days cannot tell")])
def test_too_few_days_are_refused(days, said):
    """Day 5 and 6 of a window, or one of them, have all rows."""
    rows = judged(2000, windows=1, day=pl.Series(5 + np.arange(2000) % days, dtype=pl.Int32))
    for score in scores(rows).values():
        assert (score.stderr, score.ci_low, score.ci_high, score.ci_method) == (
            None,
            None,
            None,
            said,
        )


def test_a_day_that_has_most_positive_rows_is_refused():
    """But for false positives, which are of all other rows."""
    day = np.where(
        judged(2000, 1)["label"].to_numpy() > 0,
        np.where(np.arange(2000) % 10 == 0, 3, 7),
        np.arange(2000) % 8,
    )
    found = scores(judged(2000, windows=1, day=pl.Series(day, dtype=pl.Int32)))
    assert found["aucpr"].ci_method == "2 days cannot tell"
    assert found["false_positive_rate"].ci_low > 0
    day = np.where(np.arange(2000) % 10 == 0, np.arange(2000) % 70 // 10, 7)
    rows = judged(2000, windows=1, day=pl.Series(day, dtype=pl.Int32))
    assert scores(rows)["aucpr"].ci_method == "few days have most of the weight and cannot tell"


def test_windows_of_a_single_day_vary_as_windows_do():
    """Each window is a day: what it shares shows in what differs between windows."""
    rows = judged(3000, windows=1)
    day = np.arange(3000) // 300
    ease = np.random.default_rng(1).normal(0, 1.5, 10)[day]
    shocked = rows.with_columns(
        score=pl.Series(rows["score"].to_numpy() + rows["label"].to_numpy() * ease),
        day=pl.lit(0, pl.Int32),
        time=pl.Series([datetime(2024, 1, 1) + timedelta(days=int(each)) for each in day]),
        cutoff=pl.Series([f"2024-01-{1 + each:02d}" for each in day]),
    )
    drawn = resample_windows(scored_windows(shocked, PROTOCOL), ["ranks"], 200)
    each = [
        average_precision_score(part["label"], part["score"])
        for part in shocked.partition_by("cutoff")
    ]
    assert np.std(drawn.samples["day"]["aucpr"]) == pytest.approx(
        np.std(each) / np.sqrt(10), rel=0.15
    )


def test_folds_of_customers_share_their_days():
    """Folds of grouped cross-validation count no days.

    The times of their rows say that all folds saw the same ones.
    """
    times = [datetime(2024, 1, 1) + timedelta(days=int(each)) for each in np.arange(2000) % 8]
    rows = judged(2000, day=pl.Series([0] * 2000, dtype=pl.Int32), time=times)
    ways = {
        each.way: each.number
        for each in clusters_of_windows([each.rows for each in scored_windows(rows, PROTOCOL)])
    }
    assert ways["day"] == 8


def test_rows_of_one_entity_are_no_new_evidence():
    """Each row ten times, all of one entity: the interval stays as wide as it was.

    As rows of their own it shrinks.
    """
    rows = judged(
        300,
        windows=1,
        entity=[f"c{i}" for i in range(300)],
        day=pl.Series([0] * 300, dtype=pl.Int32),
    )
    often = pl.concat([rows] * 10).with_columns(row_id=pl.Series(range(3000)))
    protocol = Prequential(resamples=200)
    wide, kept = (scores(each, protocol)["brier"].stderr for each in (rows, often))
    assert kept == pytest.approx(wide, rel=0.15)
    alone = often.with_columns(entity=pl.lit(None, pl.String))
    assert scores(alone, protocol)["brier"].stderr == pytest.approx(wide / np.sqrt(10), rel=0.25)


def test_coverage_of_the_interval():
    """Of fresh samples the interval holds the true average precision about as often as it says."""

    def ranked(n, seed, resamples):
        rows = judged(n, windows=1, seed=seed)
        found = resample_windows(scored_windows(rows, PROTOCOL), ["ranks"], resamples)
        return found.values["aucpr"], effect_of(
            found.values["aucpr"], found.samples_of("aucpr"), found.clusters("aucpr")
        )

    truth, held = ranked(60_000, 99, 2)[0], 0
    for seed in range(40):
        low, high = ranked(1500, seed, 60)[1].interval(0.95)
        held += low <= truth <= high
    assert held >= 34


def test_how_far_a_model_is_behind_the_best():
    rows = judged()
    worse = rows.with_columns(
        score=pl.Series(rows["score"].to_numpy() + np.random.default_rng(0).normal(0, 1.5, 400))
    )
    same = rows.with_columns(score=pl.col("score") * 2)
    lines = dict(PROTOCOL.contrasts({"good": rows, "worse": worse, "same": same}))
    best = [label for label in ("good", "same") if label not in lines]
    assert len(best) == 1
    assert lines["worse"].metric == "behind_aucpr"
    assert lines["worse"].value == pytest.approx(
        scores(rows)["aucpr"].value - scores(worse)["aucpr"].value
    )
    assert lines["worse"].ci_low > 0
    other = next(label for label in lines if label != "worse")
    assert (lines[other].value, lines[other].ci_low, lines[other].ci_high) == (0, 0, 0)
    low = dict(
        Prequential(resamples=50, headline="brier").contrasts(
            {"a": rows, "b": rows.with_columns(probability=0.5)}
        )
    )
    assert low["b"].value > 0
    assert dict(PROTOCOL.contrasts({"good": rows})) == {}


def test_shares_are_no_more_than_all_apart():
    rows = judged(
        entity=[f"c{number}" for number in range(400)],
        day=[number // 2 % 40 for number in range(400)],
    )
    few = rows.with_columns(
        label=((pl.col("label") == 1) & (pl.col("row_id") % 4 == 0)).cast(pl.Float64)
    )
    blind = few.with_columns(score=pl.lit(0.5))
    lines = dict(PROTOCOL.contrasts({"good": few, "blind": blind}))
    assert lines["blind"].value < lines["blind"].ci_high <= 1 - scores(blind)["aucpr"].value


def test_a_fold_that_failed_for_one_is_left_out_of_differences():
    rows = judged()
    lines = dict(PROTOCOL.contrasts({"a": rows, "b": rows.filter(pl.col("fold") == 0)}))
    assert [line.value for line in lines.values()] == [0]


@pytest.mark.parametrize(
    "headline",
    ["aucpr", "true_aucpr", "card_precision", "recall@precision", "brier", "true_caught_value"],
)
def test_any_metric_can_be_the_headline(headline):
    check(
        compose(
            [
                "dataset=fraud_handbook",
                "model=classify/logistic",
                "protocol=prequential",
                f"protocol.headline={headline}",
            ]
        )
    )
    protocol = Prequential(headline=headline, resamples=10)
    assert any(short(name) == headline for name in scores(judged(), protocol))
    lines = dict(protocol.contrasts({"a": judged(), "b": judged(seed=3)}))
    assert [short(line.metric.removeprefix("behind_")) for line in lines.values()] == [headline]


@pytest.mark.parametrize(
    ("headline", "said"),
    [
        ("aucprr", "no metric 'aucprr'; did you mean 'aucpr'?"),
        ("card_precision@100", "did you mean 'card_precision'?"),
        ("prevalence", "'prevalence' does not order models"),
        ("behind_aucpr", "no metric 'behind_aucpr'"),
    ],
)
def test_a_headline_that_is_none_is_refused(headline, said):
    with pytest.raises(ConfigError, match=r"^protocol\.headline: ") as refusal:
        Prequential(headline=headline).check_names()
    assert said in str(refusal.value)


def test_names_carry_their_definitions():
    names = [
        measure.name
        for measure in detection_measures(Prequential(card_k=30, precision=0.8, recall=0.25), "EUR")
    ]
    assert {
        "card_precision@30",
        "recall@precision=0.8",
        "precision@recall=0.25",
        "true_card_precision@30",
    } <= set(names)
    assert [
        short(name)
        for name in ("card_precision@30", "recall@precision=0.8", "mase[m=12]", "true_aucpr")
    ] == [
        "card_precision",
        "recall@precision",
        "mase",
        "true_aucpr",
    ]
    cost = next(
        measure
        for measure in detection_measures(Prequential(), "EUR")
        if measure.name == "expected_cost"
    )
    assert cost.measured_in == "EUR"
