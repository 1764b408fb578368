"""`decision=maintenance` on simulated machines: against the dynamic program that knows their wear,
and its refusals.
"""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from hwds.core.errors import ConfigError
from hwds.core.seeds import stream
from hwds.datasets.simulated.engines import INTENSITY, RATE_SHAPE, Engines, WearLaw
from hwds.evaluation.protocol import Cell, RunContext
from hwds.lifetime.decisions.maintenance import Maintenance
from hwds.lifetime.models.mean_life import MeanLife
from hwds.lifetime.protocols.last_window import LastWindow
from hwds.lifetime.protocols.prequential_runs import PrequentialRuns
from hwds.report.verdict import draw_verdict, store_verdict, verdict_markdown
from hwds.results.folder import RunFolder
from hwds.results.tables import TRUTH, Tables
from tests.support.replacement import best_replacement

WORLD = Engines(engines=120, mean_life=60, sensors=1, regimes=1)
PROTOCOL = LastWindow(folds=4, every=3, least=6, resamples=20)
DECISION = Maintenance(name="maintenance", resamples=200, crew=4)


@pytest.fixture(scope="module")
def tables():
    """The answers of the law that is true, as a model's own, and of counted lives."""
    runs, parts = WORLD.load(), []
    for name, model in ((TRUTH, WORLD.truth("remaining_life")), ("mean", MeanLife())):
        for fold in PROTOCOL.split(runs):
            rows = PROTOCOL.evaluate_cell(
                model, runs, Cell("m", fold, 0, fold.units), RunContext(0, fold=fold.name)
            )
            parts.append(rows.with_columns(model=pl.lit(name), fold=pl.lit(fold.index)))
    scores = pl.DataFrame({"seed": [0]})
    return runs, Tables(scores, pl.concat(parts), pl.DataFrame(), ())


@pytest.fixture(scope="module")
def verdict(tables):
    runs, made = tables
    return DECISION.decide(made, runs, TRUTH, PROTOCOL)


def test_the_dynamic_program_costs_what_it_says():
    law = WearLaw(60.0)
    best = best_replacement(law, planned=1100, failure=5500, first=6, every=3)
    rng = stream(0, "test", "replacement")
    rate = rng.gamma(RATE_SHAPE, law.rate_scale, 2000)
    wear = np.cumsum(rng.gamma(INTENSITY, 1 / rate[:, None], (2000, 250)), axis=1)
    life = (wear < 1).sum(axis=1) + 1

    def cost(shift):
        acts = np.stack(
            [
                best.acts(np.full(2000, age), wear[:, age - 1] + shift)
                for age in best.ages
                if age < 250
            ],
            axis=1,
        )
        first = np.where(acts.any(axis=1), best.ages[np.argmax(acts, axis=1)], 10_000)
        planned = first < life
        return np.where(planned, 1100, 5500).sum() / np.where(planned, first, life).sum()

    assert cost(0.0) == pytest.approx(best.rate, rel=0.03)
    assert min(cost(-0.08), cost(0.08)) > cost(0.0)


def test_the_rule_is_near_the_dynamic_program_and_far_below_a_fixed_interval(tables, verdict):
    best = best_replacement(WearLaw(60.0), planned=1100, failure=5500, first=6, every=3)
    own, fixed = verdict.of("renewal[no limits]"), verdict.of("fixed_interval")
    assert own["cost"] <= 1.1 * best.rate
    assert verdict.of("foresight")["cost"] < own["cost"] <= 0.7 * fixed["cost"]
    assert own["cost"] < verdict.of("run_to_failure")["cost"]
    assert verdict.action == "SCHEDULE"
    assert verdict.sentence.startswith("SCHEDULE: the renewal rule costs ")
    assert verdict.of("renewal[true law]")["cost"] == own["cost"]


def test_counting_lives_gains_little_over_a_fixed_interval(tables):
    runs, made = tables
    counted = replace(DECISION, crew=None).decide(made, runs, "mean", PROTOCOL)
    assert counted.rule == "no_gain"
    assert counted.of("renewal")["cost"] > 1.3 * counted.of("renewal[true law]")["cost"]


def test_a_schedule_respects_the_crew_and_is_told(tables, verdict, tmp_path):
    assert verdict.running == int((~tables[0].events).sum())
    used = verdict.schedule.drop_nulls("slot").group_by("slot").len()
    assert used["len"].max() <= 4
    assert verdict.outages["planned"].sum() <= 4 * verdict.slots
    store_verdict(RunFolder(tmp_path), Maintenance, verdict)
    draw_verdict(RunFolder(tmp_path), Maintenance, verdict)
    assert all(
        (tmp_path / f"maintenance_{name}.png").is_file() for name in ("policies", "schedule")
    )
    assert "**renewal rule**" in verdict_markdown(Maintenance, verdict)


def test_the_machines_that_run_now_are_scheduled(tables):
    runs, made = tables
    answers = WORLD.truth("remaining_life").learn(runs, PROTOCOL.context(RunContext(0)))
    coming = PROTOCOL.predict_new(answers, runs, RunContext(0))
    future = replace(DECISION, crew=None).foresee(coming, made, runs, TRUTH, PROTOCOL)
    assert (future.when, future.running) == ("future", int((~runs.events).sum()))
    ages = dict(zip(runs.names, runs.ages.tolist(), strict=True))
    assert all(
        ages[name] == age for name, age in future.schedule.select("machine", "age").iter_rows()
    )


def test_three_new_machines_are_scheduled_by_what_the_run_learned(tables):
    """`hwds predict --data` has machines that the run never saw: the run's own back-test stands."""
    runs, made = tables
    three = Engines(engines=40, mean_life=60, sensors=1, regimes=1, world_seed=9).load()
    keep = np.flatnonzero(~three.events)[:3]
    three = three.take(np.isin(np.arange(three.n), keep))
    new = pl.concat([three.data.with_columns(entity="new-" + pl.col("entity"))])
    ends = three.ends.with_columns(entity="new-" + pl.col("entity"))
    three = replace(three, data=new, ends=ends)
    answers = MeanLife().learn(runs, PROTOCOL.context(RunContext(0)))
    coming = PROTOCOL.predict_new(answers, three, RunContext(0))
    free = replace(DECISION, crew=None)
    future = free.foresee(coming, made, three, TRUTH, PROTOCOL)
    back = free.decide(made, runs, TRUTH, PROTOCOL)
    assert (future.running, future.action, future.failed) == (3, "SCHEDULE", back.failed)
    own = ("renewal", "fixed_interval", "run_to_failure")
    assert [future.of(name)["cost"] for name in own] == pytest.approx(
        [back.of(name)["cost"] for name in own], rel=0.02
    )


def test_a_delay_is_priced_at_what_the_rule_costs(verdict):
    """One slot more costs what failing in it costs beyond a planned replacement, less what running
    in it is worth: the rule's own cost a unit of time.
    """
    terms, row = (
        DECISION.terms(),
        verdict.schedule.drop_nulls("slot").filter(slot=0).row(0, named=True),
    )
    cost = verdict.of("renewal")["cost"]
    fails = row["fails_next"]
    expected = (terms.failure - terms.planned) * fails - cost * verdict.slot * (1 - fails / 2)
    assert row["delay_cost"] == pytest.approx(expected)
    assert cost != pytest.approx(verdict.rate, rel=0.05)


def test_machines_that_are_set_apart_for_a_sweep_are_in_no_back_test(tables):
    runs, made = tables
    protocol = replace(PROTOCOL, apart=0.3)
    rest = runs.take(~protocol.is_apart(runs))
    assert 0 < rest.n < runs.n
    asked = Tables(
        made.scores, made.predictions.filter(pl.col("entity").is_in(rest.names)), pl.DataFrame(), ()
    )
    free = replace(DECISION, crew=None)
    verdict, alone = (
        free.decide(asked, runs, TRUTH, protocol),
        free.decide(asked, rest, TRUTH, PROTOCOL),
    )
    assert (verdict.machines, verdict.failed) == (rest.n, int(rest.events.sum()))
    assert verdict.policies.equals(alone.policies)


def test_without_a_common_clock_the_capacity_counts_in_the_schedule_alone(tables):
    runs, made = tables
    lone = replace(runs, ends=runs.ends.with_columns(pl.lit(None, pl.Float64).alias("start")))
    verdict = DECISION.decide(made, lone, TRUTH, PROTOCOL)
    assert not verdict.within_capacity
    assert verdict.of("renewal[no limits]") is None
    assert "The machines share no clock" in verdict.sentence


@pytest.mark.parametrize(
    ("fields", "protocol", "said"),
    [
        ({}, LastWindow(), "protocol.every: must be at least 1 for decision 'maintenance'"),
        ({}, PrequentialRuns(), "protocol.every: must be at least 1 for decision 'maintenance'"),
        (
            {"failure_cost": 600.0},
            PROTOCOL,
            "decision.failure_cost: must be above the cost of a planned replacement",
        ),
    ],
)
def test_mistakes_are_one_line(fields, protocol, said):
    with pytest.raises(ConfigError) as refusal:
        Maintenance(name="maintenance", **fields).check_protocol(protocol)
    assert str(refusal.value).startswith(said)
    assert "\n" not in str(refusal.value)


def test_a_machine_is_inspected_at_the_same_ages_whatever_it_lasts(tables):
    rows = tables[1].predictions.filter(pl.col("model") == "mean")
    assert set(rows["age"] % 3) == {0.0}
    assert rows["age"].min() == 6
    with pytest.raises(ConfigError, match=r"^protocol\.repeats: must be 1 with every=3, got 2"):
        replace(PROTOCOL, repeats=2).check_names()
