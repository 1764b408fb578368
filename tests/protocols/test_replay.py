"""Replay: unbiased on logs with known propensities, causal, and refused without them."""

from typing import NamedTuple

import numpy as np
import polars as pl
import pytest

from hwds.context import Context
from hwds.errors import DataError
from hwds.execution.canary import canary
from hwds.frames.table import Table
from hwds.models.bandit.base import Policy
from hwds.models.bandit.greedy import Greedy
from hwds.models.bandit.kernel import Kernel
from hwds.models.bandit.thompson import Thompson
from hwds.models.bandit.uniform_play import UniformPlay, init, update
from hwds.protocols.base import Cell
from hwds.protocols.replay import Replay

ROLES = {"arm": ("arm",), "propensity": ("propensity",), "outcome": ("bought",)}
CHANCES = np.array([0.6, 0.3, 0.1])
CONVERSION = np.array([0.1, 0.3, 0.5])


class LastSettings(NamedTuple):
    arms: int


def take_last(settings, state, step, segment, context, active, stream):
    return settings.arms - 1


class Last(Policy):
    """Always the last arm."""

    def kernel(self, arms):
        return Kernel(LastSettings(arms.count), 1, init, take_last, update)


def log_of(n=6000, chances=CHANCES, seed=0, **columns):
    luck = np.random.default_rng(seed)
    arm = luck.choice(3, n, p=chances)
    bought = (luck.random(n) < CONVERSION[arm]).astype(float)
    data = {"arm": np.array(["a", "b", "c"])[arm], "propensity": chances[arm], "bought": bought} | columns
    return Table.build(pl.DataFrame(data), ROLES | {name: (name,) for name in columns if name in ("price", "context")})


def scored(policy, table, **more):
    protocol = Replay(**{"replications": 20} | more)
    fold = protocol.split(table)[0]
    rows = protocol.ask(policy, table, Cell("m", fold, 0, fold.units), Context(0, fold.name))
    return {score.metric: score for score in protocol.score(rows)}, rows


def test_uniform_play_earns_what_a_uniform_log_would_have():
    found, rows = scored(UniformPlay(), log_of(n=20_000))
    assert abs(found["mean_reward"].value - CONVERSION.mean()) < 4 * found["mean_reward"].stderr
    assert abs(rows["uniform_reward"][0] - CONVERSION.mean()) < 0.02
    assert found["log_reward"].value == pytest.approx(CHANCES @ CONVERSION, abs=0.02)
    assert found["counted_share"].value == pytest.approx(0.1, abs=0.01)  # K x least propensity, over K


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
    for policy in (Thompson(), Greedy()):
        found = list(canary(Replay(replications=3), "m", policy, log_of(n=800), Context(0)))
        assert found == [None]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (lambda: Table(log_of().data, {key: value for key, value in ROLES.items() if key != "propensity"}), "propensity: must"),
        (lambda: Table(log_of().data.with_columns(propensity=pl.lit(0.0)), ROLES), "had a propensity above 0"),
        (lambda: Table(log_of().data.with_columns(bought=pl.col("row_id") % 3), ROLES), "replay needs 0 or one amount above 0"),
        (lambda: Table(log_of().data.with_columns(bought=pl.lit(-1.0)), ROLES), "replay needs 0 or one amount above 0"),
        (lambda: Table(log_of().data.with_columns(bought=pl.lit(None, pl.Float64)), ROLES), "has no finite value"),
    ],
)
def test_a_log_that_cannot_be_replayed_is_refused(table, said):
    with pytest.raises(DataError, match=said):
        Replay().check_models({"m": Thompson()}, table())
