"""Metrics with roles: ratios, quantiles, the verdict, segments, exposure and novelty."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from hwds.ab.models.bayes import Bayes
from hwds.ab.models.cuped import Cuped
from hwds.ab.models.proportions import Proportions
from hwds.ab.models.welch import Welch
from hwds.ab.protocols.ab_test import AbTest
from hwds.ab.report.sentences import arm_verdicts, verdict_sentence
from hwds.ab.rows import TestMetric, quantile_values
from hwds.core.errors import ConfigError, DataError
from hwds.evaluation.protocol import Cell, RunContext
from hwds.frames.table import Table
from hwds.results.tables import SCORES, TIMINGS, Tables, metrics_table
from tests.ab.protocols.test_ab_test import only, scores

FIXED = Welch(name="ab/welch", rules=("fixed",))


def visitors(n=600):
    """The deterministic table whose figures below are tea-tasting's."""
    i = np.arange(n)
    sessions = 1 + (i * 7) % 4
    spent = (
        np.where((i * 13) % 5 == 0, 10 + ((i * i * 31) % 97) * (1 + 0.1 * (i % 2)), 0.0)
        * sessions
        / 2
    )
    columns = {
        "group": np.where(i % 2, "B", "A"),
        "sessions": sessions,
        "spent": spent,
        "bought": (spent > 0).astype(int),
    }
    return pl.DataFrame(
        columns
        | {"before": (i * 17) % 23 + 0.05 * spent, "site": np.where(i % 3, "x", "y"), "user": i}
    )


def table(data=None, **roles):
    return Table.build(
        visitors() if data is None else data,
        {"arm": ("group",), "outcome": ("spent", "bought")} | roles,
        "EUR",
    )


def effect_of(found, label, metric="effect", arm="B", method="fixed"):
    return only(found, f"{metric}[{label}]", arm, method)


RATIO = {
    "spent": "primary",
    "per_session": {"role": "secondary", "outcome": "spent", "per": "sessions"},
}


def test_a_ratio_is_that_of_tea_tasting():
    found = scores(table(), FIXED, metrics=RATIO)
    ratio, mean = effect_of(found, "per_session"), effect_of(found, "spent")
    assert (ratio.value, ratio.ci_low, ratio.ci_high, ratio.p_value) == pytest.approx(
        (0.6223888888888887, -1.8376878411521589, 3.082465618929936, 0.6194645217178443), rel=1e-6
    )
    assert (mean.value, mean.ci_low, mean.p_value) == pytest.approx(
        (7.676333333333334, 1.3180508870632277, 0.018065951790994923), rel=1e-6
    )


def test_a_ratio_is_that_of_a_regression_clustered_by_unit():
    import statsmodels.api as sm

    data = visitors()
    rows = data[np.repeat(np.arange(len(data)), data["sessions"].to_numpy())].with_columns(
        spent=pl.col("spent") / pl.col("sessions")
    )
    design = sm.add_constant((rows["group"] == "B").cast(pl.Float64).to_numpy())
    fit = sm.OLS(rows["spent"].to_numpy(), design).fit(
        cov_type="cluster", cov_kwds={"groups": rows["user"].to_numpy(), "use_correction": False}
    )
    ours = effect_of(scores(table(), FIXED, metrics=RATIO), "per_session")
    arm = len(data) / 2
    assert ours.value == pytest.approx(fit.params[1], rel=1e-9)
    assert ours.stderr * np.sqrt((arm - 1) / arm) == pytest.approx(fit.bse[1], rel=1e-6)
    by_event = table(rows.with_columns(sessions=1), entity=("user",))
    ratio = {"spent": "primary", "per_session": {"outcome": "spent", "per": "rows"}}
    again = effect_of(scores(by_event, FIXED, metrics=ratio, rows="events"), "per_session")
    assert (again.value, again.stderr) == pytest.approx((ours.value, ours.stderr), rel=1e-9)


def test_a_covariate_narrows_a_ratio_too():
    plain, adjusted = (
        scores(table(covariate=("before",)), model(rules=("fixed",)), metrics=RATIO)
        for model in (Welch, Cuped)
    )
    assert effect_of(adjusted, "per_session").stderr < effect_of(plain, "per_session").stderr


def test_the_error_of_a_quantile_is_that_of_its_density():
    from scipy.stats import expon

    draws = np.random.default_rng(3).exponential(size=(40, 5000))
    for share in (0.5, 0.9):
        values = np.stack([quantile_values(each, share) for each in draws])
        true = np.sqrt(share * (1 - share)) / expon.pdf(expon.ppf(share))
        assert values.mean(axis=1) == pytest.approx(np.quantile(draws, share, axis=1), rel=1e-9)
        assert values.std(axis=1, ddof=1).mean() == pytest.approx(true, rel=0.03)
    with_zeros = quantile_values(np.append(draws[0], np.zeros(5000)), 0.9, of_nonzero=True)
    assert with_zeros.mean() == pytest.approx(np.quantile(draws[0], 0.9), rel=1e-9)
    assert with_zeros.std(ddof=1) / np.sqrt(10_000) == pytest.approx(
        values[0].std(ddof=1) / np.sqrt(5000), rel=1e-3
    )
    assert quantile_values(np.zeros(50), 0.9).std() == 0


def test_p_values_are_corrected_by_role():
    metrics = RATIO | {
        "bought": {"role": "guardrail", "margin": 0.5},
        "p90": {"outcome": "spent", "quantile": 0.9, "of_nonzero": True},
    }
    found = scores(table(), FIXED, metrics=metrics)
    raw = {label: effect_of(found, label).p_value for label in metrics}
    told = {score.metric: score.value for score in found if score.metric.startswith("adjusted")}
    worst, best = sorted((raw["per_session"], raw["p90"]), reverse=True)
    assert told["adjusted_p[holm, spent]"] == raw["spent"]
    assert sorted(told.values()) == pytest.approx(
        sorted((raw["spent"], min(1, 2 * best), max(min(1, 2 * best), worst)))
    )
    lift = effect_of(found, "bought", "lift")
    rail = effect_of(found, "bought", "guardrail")
    assert (rail.value, rail.ci_high) == pytest.approx((lift.ci_low + 0.5, lift.ci_high + 0.5))


def ran(data, model=FIXED, **settings):
    """The tables of a test, as a report reads them."""
    protocol = AbTest(name="ab_test", control="A", replications=0, size=len(data), **settings)
    frame = table(data)
    fold = protocol.split(frame)[0]
    rows = protocol.evaluate_cell(
        model, frame, Cell(model.name, fold, 0, fold.units), RunContext(0, fold.name)
    )
    return tables_of(protocol, model, frame, rows)


def tables_of(protocol, model, frame, rows):
    """The scores and the rows of a test."""
    scored = [
        {name: getattr(score, name) for name in SHOWN} | {"model": model.name}
        for score in protocol.score(rows)
    ]
    timings, measures = pl.DataFrame(schema=TIMINGS), metrics_table(protocol.measures(frame))
    return Tables(
        pl.DataFrame(scored, schema=SCORES),
        rows.with_columns(model=pl.lit(model.name)),
        timings,
        measures,
    )


SHOWN = (
    "metric",
    "value",
    "stderr",
    "ci_low",
    "ci_high",
    "ci_method",
    "p_value",
    "n",
    "segment_by",
    "segment",
    "step",
    "status",
)


@pytest.mark.parametrize(
    ("raised", "harmed", "word", "reason"),
    [
        (1.3, 1.0, "SHIP", "spent is shown to be better, and every guardrail holds"),
        (1.0, 1.0, "HOLD", "spent is not shown to be better"),
        (0.7, 1.0, "STOP", "spent is shown to be worse"),
        (1.3, 0.5, "STOP", "bought is shown to be worse"),
        (1.3, 0.9, "HOLD", "bought may be worse than the margin allows"),
    ],
)
def test_the_verdict_stands_on_the_roles(raised, harmed, word, reason):
    rng, n = np.random.default_rng(2), 8000
    new = np.arange(n) % 2 == 1
    bought = (rng.random(n) < np.where(new, 0.5 * harmed, 0.5)).astype(int)
    spent = rng.normal(10, 5, n) * np.where(new, raised, 1.0)
    data = pl.DataFrame({"group": np.where(new, "B", "A"), "spent": spent, "bought": bought})
    found = ran(data, metrics={"spent": "primary", "bought": {"role": "guardrail", "margin": 0.1}})
    (verdict,) = arm_verdicts(found, "ab/welch")
    assert (verdict.arm, verdict.word, verdict.reason) == ("B", word, reason)


def test_a_price_is_not_changed_to_an_arm_whose_guardrail_is_not_sure():
    from hwds.pricing.decisions.price_choice import PriceChoice

    rng, n = np.random.default_rng(2), 8000
    new = np.arange(n) % 2 == 1
    data = pl.DataFrame(
        {
            "group": np.where(new, "B", "A"),
            "bought": (rng.random(n) < np.where(new, 0.45, 0.5)).astype(int),
        }
    ).with_columns(revenue_=pl.Series(rng.normal(10, 5, n) * np.where(new, 1.3, 1.0)), price=0.0)
    frame = Table.build(
        data, {"arm": ("group",), "outcome": ("bought",), "amount": ("revenue_",)}, "EUR"
    )
    verdicts_by_margin = {}
    for margin in (0.05, 0.5):
        metrics = {"revenue": "primary", "bought": {"role": "guardrail", "margin": margin}}
        protocol = AbTest(name="ab_test", control="A", replications=0, size=n, metrics=metrics)
        fold = protocol.split(frame)[0]
        rows = protocol.evaluate_cell(
            FIXED, frame, Cell(FIXED.name, fold, 0, n), RunContext(0, fold.name)
        )
        found = tables_of(protocol, FIXED, frame, rows)
        verdicts_by_margin[margin] = PriceChoice(current="A").decide(
            found, frame, FIXED.name, protocol
        )
    assert [each.action for each in verdicts_by_margin.values()] == ["HOLD", "CHANGE"]
    assert "a guardrail is not sure to hold" in verdicts_by_margin[0.05].sentence


def test_segments_are_compared_apart_and_corrected():
    found = scores(table(), FIXED, metrics={"spent": "primary"}, by=("site",))
    for site in "xy":
        alone = scores(
            table(visitors().filter(pl.col("site") == site)), FIXED, metrics={"spent": "primary"}
        )
        own, whole = (
            effect_of(found, f"spent|site={site}", "segment_effect"),
            effect_of(alone, "spent"),
        )
        assert (own.value, own.ci_low) == pytest.approx((whole.value, whole.ci_low))
        assert own.p_value >= whole.p_value
    q = effect_of(found, "spent|site", "segment_spread")
    assert (q.n, q.p_value > 0.01) == (600, True)


def test_exposed_units_alone_and_what_that_is_of_all():
    data = visitors().with_columns(saw=(pl.col("user") % 4 == 1) | (pl.col("user") % 4 == 2))
    found = scores(table(data), FIXED, metrics={"spent": "primary"}, exposed="saw")
    own, whole = effect_of(found, "spent"), effect_of(found, "spent", "diluted_effect")
    assert only(found, "sample_ratio[equal]").n == 300
    assert (whole.value, whole.n) == (pytest.approx(own.value / 2), 600)
    expected = np.sqrt(own.stderr**2 / 4 + own.value**2 / 4 / 600)
    assert whole.stderr == pytest.approx(expected)


def test_novelty_is_the_change_of_the_effect_over_days_since_first_exposure():
    rng, users, days = np.random.default_rng(5), 400, 6
    day = np.tile(np.arange(days), users)
    user = np.repeat(np.arange(users), days)
    start = rng.integers(0, 4, users)[user]
    effect = np.where(user % 2, 3.0 * (day < 3), 0.0)
    data = pl.DataFrame(
        {
            "user": user,
            "group": np.where(user % 2, "B", "A"),
            "spent": rng.normal(5, 1, len(user)) + effect,
            "bought": 0,
            "at": [
                datetime(2025, 1, 1, 12) + timedelta(days=int(a + b))
                for a, b in zip(start, day, strict=True)
            ],
        }
    )
    found = scores(
        table(data, entity=("user",), time=("at",)),
        FIXED,
        metrics={"spent": "primary"},
        rows="events",
    )
    by_day = [effect_of_day(found, step) for step in range(1, days)]
    assert [round(value) for value in by_day] == [3, 3, 3, 0, 0]
    change = effect_of(found, "spent", "novelty")
    assert (
        change.ci_low < 0 - 3 * 3 / 4 < change.ci_high
    )  # eight days: 3, 3, 3, 0 less four days without an effect


def events(arm_of, **columns):
    """Five days of 400 users, with an effect of 2 on spending."""
    user = np.repeat(np.arange(400), 5)
    at = [datetime(2025, 1, 1, 12) + timedelta(days=int(day)) for day in np.tile(np.arange(5), 400)]
    new, spent = arm_of(user), np.random.default_rng(5).normal(5, 1, len(user))
    data = {
        "user": user,
        "group": np.where(new, "B", "A"),
        "spent": spent + 2 * new,
        "bought": 0,
        "at": at,
    } | columns
    return table(pl.DataFrame(data), entity=("user",), time=("at",))


def test_no_effect_by_day_is_shown_where_units_are_missing():
    found = scores(
        events(lambda user: user % 4 == 1), FIXED, metrics={"spent": "primary"}, rows="events"
    )
    made = [
        score for score in found if score.metric.startswith(("effect[", "effect_by_age", "novelty"))
    ]
    assert {(score.value, score.status) for score in made} == {(None, "sample_ratio_mismatch")}
    assert any(score.metric.startswith("novelty") for score in made)


def test_effects_by_day_are_those_on_exposed_units_and_segments_are_names_and_not_sums():
    user = np.repeat(np.arange(400), 5)
    frame = events(lambda user: user % 2 == 1, saw=user % 4 < 2, region=1 + user // 200)
    found = scores(
        frame, FIXED, metrics={"spent": "primary"}, rows="events", exposed="saw", by=("region",)
    )
    assert {
        effect_of(found, "spent").n,
        only(found, "effect_by_age[spent]", "B", "fixed", 1).n,
    } == {200}
    parts = [score.metric for score in found if score.metric.startswith("segment_effect")]
    assert parts == ["segment_effect[spent|region=1]", "segment_effect[spent|region=2]"]


def test_a_posterior_neither_ships_nor_stops_and_the_money_of_a_ratio_is_no_sum():
    rng, new = np.random.default_rng(2), np.arange(4000) % 2 == 1
    bought = (rng.random(4000) < np.where(new, 0.2, 0.5)).astype(int)
    spent = rng.normal(10, 5, 4000) * np.where(new, 1.3, 1)
    data = pl.DataFrame(
        {"group": np.where(new, "B", "A"), "spent": spent, "bought": bought, "sessions": 2}
    )
    metrics = {"spent": "primary", "bought": {"role": "guardrail", "margin": 0.1}}
    (verdict,) = arm_verdicts(ran(data, Bayes(name="ab/bayes"), metrics=metrics), "ab/bayes")
    assert (verdict.word, verdict.reason.partition(";")[0]) == (
        "HOLD",
        "a posterior has no stated rate of false verdicts",
    )
    found = ran(
        data, metrics={"per_session": {"role": "primary", "outcome": "spent", "per": "sessions"}}
    )
    (verdict,) = arm_verdicts(found, "ab/welch")
    assert "per_session changes by +1." in verdict_sentence(found, verdict)
    assert "unit" not in verdict_sentence(found, verdict)


def effect_of_day(found, step):
    return only(found, "effect_by_age[spent]", "B", "fixed", step).value


@pytest.mark.parametrize(
    ("metrics", "error", "said"),
    [
        (
            {"spend": "primary"},
            ConfigError,
            r"protocol\.metrics: no outcome 'spend'; did you mean 'spent'\?",
        ),
        ({"spent": "secondary"}, ConfigError, r"protocol\.metrics: must have a primary one"),
        (
            {"spent": "primary", "r": {"outcome": "spend"}},
            ConfigError,
            r"protocol\.metrics\.r\.outcome: no outcome 'spend'",
        ),
        (
            {"spent": "primary", "bought": {"outcome": "spent"}},
            ConfigError,
            "'bought' is an outcome; give the metric of 'spent'",
        ),
        (
            {"r": {"role": "primary", "outcome": "spent", "per": "session"}},
            ConfigError,
            r"metrics\.r\.per: no column 'session'",
        ),
        (
            {"r": {"role": "primary", "outcome": "spent", "per": "none"}},
            DataError,
            "must be >= 0 and sum to more than 0",
        ),
    ],
)
def test_metrics_that_do_not_fit_are_refused(metrics, error, said):
    with pytest.raises(error, match=said):
        scores(table(visitors().with_columns(none=0)), FIXED, metrics=metrics)


@pytest.mark.parametrize(
    "fields",
    [{"role": "guardrail"}, {"margin": 0.1}, {"per": "x", "quantile": 0.5}, {"of_nonzero": True}],
)
def test_fields_of_a_metric_fit_each_other(fields):
    with pytest.raises(ConfigError, match="must have"):
        TestMetric(**fields)


def test_a_comparison_of_conversions_leaves_ratios_to_others():
    with pytest.raises(ConfigError, match=r"compares none of protocol\.metrics"):
        scores(
            table(),
            Proportions(name="ab/proportions"),
            metrics={"r": {"role": "primary", "outcome": "spent", "per": "sessions"}},
        )
