"""Replay: unbiased on logs with known propensities, causal, and refused without them."""

from typing import NamedTuple

import numpy as np
import polars as pl
import pytest
from scipy import stats

from hwds.bandit.models.base import Policy
from hwds.bandit.models.epsilon_greedy import EpsilonGreedy
from hwds.bandit.models.kernels.base import Kernel
from hwds.bandit.models.kernels.indices import begin_with_zeros as init
from hwds.bandit.models.thompson import Thompson
from hwds.bandit.models.uniform_play import UniformPlay, update
from hwds.bandit.protocols.replay import Replay, logged_arms
from hwds.core.errors import DataError
from hwds.evaluation.leak_check import check_leaks
from hwds.evaluation.protocol import Cell, RunContext
from hwds.frames.table import Table

ROLES = {"arm": ("arm",), "propensity": ("propensity",), "outcome": ("bought",)}
CHANCES = np.array([0.6, 0.3, 0.1])
CONVERSION = np.array([0.1, 0.3, 0.5])


class LastSettings(NamedTuple):
    arms: int


def take_last(settings, state, visit, stream):
    return settings.arms - 1


class Last(Policy):
    """Always the last arm."""

    def kernel(self, arms):
        return Kernel(LastSettings(arms.count), 1, init, take_last, update)


def log_of(n=6000, chances=CHANCES, seed=0, **columns):
    rng = np.random.default_rng(seed)
    arm = rng.choice(3, n, p=chances)
    bought = (rng.random(n) < CONVERSION[arm]).astype(float)
    data = {
        "arm": np.array(["a", "b", "c"])[arm],
        "propensity": chances[arm],
        "bought": bought,
    } | columns
    return Table.build(
        pl.DataFrame(data),
        ROLES | {name: (name,) for name in columns if name in ("price", "context")},
    )


def scored(policy, table, **more):
    protocol = Replay(**{"replications": 20} | more)
    fold = protocol.split(table)[0]
    rows = protocol.evaluate_cell(
        policy, table, Cell("m", fold, 0, fold.units), RunContext(0, fold.name)
    )
    return {score.metric: score for score in protocol.score(rows)}, rows


def test_uniform_play_earns_what_a_uniform_log_would_have():
    found, rows = scored(UniformPlay(), log_of(n=20_000))
    assert abs(found["mean_reward"].value - CONVERSION.mean()) < 4 * found["mean_reward"].stderr
    assert abs(rows["uniform_reward"][0] - CONVERSION.mean()) < 0.02
    assert found["log_reward"].value == pytest.approx(CHANCES @ CONVERSION, abs=0.02)
    assert found["counted_share"].value == pytest.approx(
        0.1, abs=0.01
    )  # K x least propensity, over K


def test_a_policy_that_learns_earns_more_and_its_rows_are_its_own():
    found, rows = scored(Thompson(), log_of(n=20_000))
    assert found["mean_reward"].value > 0.4
    assert found["gain_over_uniform"].ci_low > 0
    assert rows["counted"].n_unique() > 1
    assert rows.equals(scored(Thompson(), log_of(n=20_000))[1])


def test_the_interval_covers_what_the_policy_earns():
    """A fixed arm's replay is a plain mean, so that its coverage can be known."""
    inside = 0
    for seed in range(200):
        found, _ = scored(Last(), log_of(n=600, chances=np.ones(3) / 3, seed=seed), replications=1)
        inside += found["mean_reward"].ci_low <= CONVERSION[2] <= found["mean_reward"].ci_high
    assert 180 <= inside <= 198


def test_what_happens_later_changes_no_earlier_choice():
    for policy in (Thompson(), EpsilonGreedy(epsilon=0.0)):
        found = list(check_leaks(Replay(replications=3), "m", policy, log_of(n=800), RunContext(0)))
        assert found == [None]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (
            lambda: Table(
                log_of().data, {key: value for key, value in ROLES.items() if key != "propensity"}
            ),
            "propensity: must",
        ),
        (
            lambda: Table(log_of().data.with_columns(propensity=pl.lit(0.0)), ROLES),
            "has a propensity above 0",
        ),
        (
            lambda: Table(log_of().data.with_columns(bought=pl.col("row_id") % 3), ROLES),
            "replay needs 0 or one amount above 0",
        ),
        (
            lambda: Table(log_of().data.with_columns(bought=pl.lit(-1.0)), ROLES),
            "replay needs 0 or one amount above 0",
        ),
        (
            lambda: Table(log_of().data.with_columns(bought=pl.lit(None, pl.Float64)), ROLES),
            "has no finite value",
        ),
    ],
)
def test_a_log_that_cannot_be_replayed_is_refused(table, said):
    with pytest.raises(DataError, match=said):
        Replay().check_models({"m": Thompson()}, table())


def timed(**shift):
    n = 4000
    minutes = np.arange(n)
    table = log_of(n=n)
    when = {name: pl.Series(minutes + shift.get(name, 0)) for name in ("exposed", "observed")}
    roles = ROLES | {"time": ("exposed",), "available_at": ("observed",)}
    return Table.build(table.data.drop("row_id").with_columns(**when), roles)


def test_an_outcome_is_learned_once_it_was_observed():
    at_once, never = (
        scored(Thompson(), timed(observed=late), replications=5)[0]["mean_reward"]
        for late in (1, 10_000)
    )
    assert never.value < at_once.value - 0.08
    assert abs(never.value - CONVERSION.mean()) < 4 * never.stderr


def test_rows_are_played_in_the_order_of_time():
    there = timed(observed=1)
    back = Table.build(there.data.drop("row_id").reverse(), there.roles)
    assert (
        scored(UniformPlay(), there)[1]["kept"].to_list()
        != scored(UniformPlay(), back)[1]["kept"].to_list()
    )
    found = list(check_leaks(Replay(replications=3), "m", Thompson(), back, RunContext(0)))
    assert found == [None]
    with pytest.raises(DataError, match=r"dataset.roles.time: must be given"):
        scored(
            Thompson(),
            Table(there.data, {key: names for key, names in there.roles.items() if key != "time"}),
        )


def test_an_arm_that_never_sold_is_worth_what_the_others_are():
    table = log_of(n=3000, price=np.full(3000, 999.0))
    data = table.data.with_columns(
        bought=pl.when(pl.col("arm") == "c").then(0.0).otherwise(pl.col("bought"))
    )
    protocol = Replay()
    values = logged_arms(protocol.log(Table(data, table.roles)))[0].values
    assert values.tolist() == [1.0, 1.0, 1.0]


def test_few_rows_that_count_are_sure_of_nothing():
    rows = pl.DataFrame(
        {"counted": [3], "rows": [30], "uniform_reward": [0.3], "log_reward": [0.3]}
    )
    three = rows.with_columns(mean_reward=pl.lit(0.9), variance=pl.lit(0.01))
    mean, *_, gain = Replay().score(three)
    assert (mean.ci_low, mean.ci_high) == pytest.approx(
        stats.t.interval(0.95, 2, 0.9, (0.01 / 3) ** 0.5)
    )
    assert gain.ci_low == 0 < gain.ci_high
    *_, alike = Replay().score(rows.with_columns(mean_reward=pl.lit(1.0), variance=pl.lit(0.0)))
    assert (alike.value, alike.stderr, alike.ci_low) == (0.7, None, None)
