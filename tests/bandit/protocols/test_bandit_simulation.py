"""A simulation against the exact expected regret, and what must not change its numbers."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from scipy import stats

from hwds.bandit.models.base import Policy
from hwds.bandit.models.epsilon_greedy import EpsilonGreedy
from hwds.bandit.models.exp3 import Exp3
from hwds.bandit.models.kernels.base import BatchKernel, Visit, register_kernel
from hwds.bandit.models.kernels.draws import GOLDEN, seed_stream
from hwds.bandit.models.price_thompson import PriceThompson
from hwds.bandit.models.thompson import Thompson
from hwds.bandit.models.ucb1 import UCB1
from hwds.bandit.models.uniform_play import UniformPlay
from hwds.bandit.protocols.bandit_simulation import (
    BanditSimulation,
    log_spaced_steps,
    world_arms,
    world_key,
)
from hwds.bandit.simulation.play import (
    CUSTOMER_KEYS,
    Game,
    customers_of,
    play_compiled,
    policy_streams,
    word_keys,
)
from hwds.bandit.simulation.scores import score_replications
from hwds.core.compiling import compiled
from hwds.core.compose import compose
from hwds.core.errors import ConfigError
from hwds.datasets.simulated.price_arms import PriceArms
from hwds.datasets.simulated.price_demand import PriceDemand
from hwds.evaluation.leak_check import check_leaks
from hwds.evaluation.protocol import Cell, RunContext
from hwds.experiment.spec import check
from tests.contract.leaks.recomputes_the_customers import Model as Recomputes
from tests.support.leaks import WORD, Bisects, InTurn, unmixed
from tests.support.two_armed_regret import expected_regret

LARGE = 60_000


def rows_of(protocol, model, world, seed=0, cell=None):
    fold = protocol.split(world)[0]
    return protocol.evaluate_cell(
        model, world, cell or Cell("m", fold, 0, fold.units), RunContext(seed, fold.name)
    )


def scored(protocol, model, world, **kwargs):
    scores = protocol.score(rows_of(protocol, model, world, **kwargs))
    return {(s.metric, s.aggregate, s.step): s for s in scores if s.segment is None}


@pytest.mark.parametrize(
    ("policy", "law", "conversions", "prices", "horizon"),
    [
        (Thompson(), "thompson", (0.5, 0.4), None, 50),
        (Thompson(), "thompson", (0.05, 0.03), None, 50),
        (Thompson(), "thompson", (0.9, 0.8), None, 20),
        (PriceThompson(), "thompson", (0.3, 0.1), (10.0, 20.0), 12),
        (PriceThompson(), "thompson", (0.3, 0.2), (10.0, 20.0), 12),
        (UCB1(), "ucb1", (0.5, 0.4), None, 50),
        (UCB1(), "ucb1", (0.2, 0.1), None, 50),
        (UCB1(), "ucb1", (0.3, 0.1), (10.0, 20.0), 50),
    ],
)
def test_a_kernel_has_the_exact_expected_regret(policy, law, conversions, prices, horizon):
    dataset = (
        PriceArms(means=conversions)
        if prices is None
        else PriceArms(conversion=conversions, prices=prices)
    )
    found = scored(
        BanditSimulation(horizon=horizon, replications=LARGE, checkpoints=3), policy, dataset.load()
    )
    exact = expected_regret(
        law, np.array(conversions), horizon, None if prices is None else np.array(prices)
    )
    for step in log_spaced_steps(horizon, 3)[1:]:
        score = found["pseudo_regret", "mean", step]
        assert abs(score.value - exact[step - 1]) < 4 * score.stderr + 1e-12, step


@pytest.mark.parametrize(("policy", "law"), [(Thompson(), "thompson"), (UCB1(), "ucb1")])
def test_the_chance_of_the_best_arm_is_exact(policy, law):
    """What is lost in a step is the gap times the chance of the other arm."""
    conversions = np.array([0.5, 0.4])
    world = PriceArms(means=tuple(conversions)).load()
    rows = rows_of(BanditSimulation(horizon=50, replications=LARGE, checkpoints=3), policy, world)
    found = {(s.metric, s.segment, s.step): s for s in score_replications(rows)}
    lost = np.diff(expected_regret(law, conversions, 50), prepend=0.0)
    for step in log_spaced_steps(50, 3):
        score, exact = found["best_probability", None, step], 1 - lost[step - 1] / 0.1
        assert abs(score.value - exact) < 4 * score.stderr, step
        shares = [found["propensity", arm, step] for arm in world.arms]
        assert shares[0].value == score.value
        assert sum(share.value for share in shares) == pytest.approx(1)
        assert shares[0].n == LARGE
    assert found["best_probability", None, None] == replace(
        found["best_probability", None, 50], step=None
    )


@pytest.mark.parametrize("policy", [PriceThompson(), Exp3(), EpsilonGreedy()])
def test_the_share_of_choices_is_the_mean_of_the_policys_own_chances(policy):
    world, steps = PriceArms(means=(0.5, 0.3, 0.2)).load(), 30
    rows = rows_of(
        BanditSimulation(horizon=steps, replications=20_000, checkpoints=6), policy, world
    )
    found = {(s.metric, s.segment, s.step): s for s in score_replications(rows)}
    game = Game(steps, 1, (steps,))
    chances = np.array([_chances(policy, world, game, number) for number in range(400)])
    for place, arm in enumerate(world.arms):
        score = found["propensity", arm, steps]
        error = np.hypot(score.stderr, chances[:, place].std(ddof=1) / 20)
        assert abs(score.value - chances[:, place].mean()) < 4 * error + 1e-9, arm


def _chances(policy, world, game, number):
    """The chances by formula at the last step of one play."""
    kernel = register_kernel(policy.kernel(world_arms(world, game)))
    state, stream = np.zeros(kernel.size), np.zeros(4, np.uint64)
    rng = np.random.default_rng(number)
    run = {
        name: compiled(getattr(kernel, name), *kernel.functions)
        for name in ("init", "select", "update", "propensity")
    }
    compiled(seed_stream)(stream, np.uint64(number))
    run["init"](kernel.settings, state)
    active, chances = np.ones(len(world.arms), bool), np.zeros(len(world.arms))
    for step in range(game.horizon - 1):
        visit = Visit(step, 0, world.contexts[0], active)
        arm = run["select"](kernel.settings, state, visit, stream)
        outcome = float(rng.random() < world.conversions[0, 0, arm])
        run["update"](kernel.settings, state, visit, arm, outcome)
    run["propensity"](
        kernel.settings, state, Visit(game.horizon - 1, 0, world.contexts[0], active), chances
    )
    return chances


def test_the_best_arm_is_that_of_the_moment_and_of_the_customer():
    still = rows_of(
        BanditSimulation(horizon=100, replications=400), UniformPlay(), PriceDemand().load()
    )
    score = {s.step: s for s in score_replications(still) if s.metric == "best_probability"}[100]
    assert abs(score.value - 1 / len(PriceDemand().load().arms)) < 4 * score.stderr
    shifted = PriceArms(means=(0.9, 0.1), shift_at=500, horizon=1000).load()
    found = rows_of(BanditSimulation(replications=300), Thompson(), shifted)
    scores = {(s.metric, s.segment, s.step): s.value for s in score_replications(found)}
    steps = log_spaced_steps(1000, 6)
    before, after = (
        max(step for step in steps if step <= 500),
        min(step for step in steps if step > 500),
    )
    assert scores["best_probability", None, before] > 0.95
    assert scores["best_probability", None, after] == pytest.approx(
        scores["propensity", "arm-2", after]
    )


def test_uniform_play_loses_what_was_expected_and_realised_regret_agrees():
    world = PriceDemand().load()
    rows = rows_of(BanditSimulation(horizon=500, replications=2000), UniformPlay(), world)
    lost, realised = (
        rows["pseudo_regret"].to_numpy()[:, -1],
        rows["realised_regret"].to_numpy()[:, -1],
    )
    assert abs(lost.mean() - rows["uniform"][0]) < 4 * lost.std() / 2000**0.5
    assert abs(realised.mean() - lost.mean()) < 4 * realised.std() / 2000**0.5
    assert realised.std() > 3 * lost.std()


def test_replications_depend_on_nothing_but_their_number():
    protocol, world = BanditSimulation(horizon=300, replications=40), PriceDemand().load()
    fold = protocol.split(world)[0]
    whole = rows_of(protocol, PriceThompson(), world)
    part = rows_of(protocol, PriceThompson(), world, cell=Cell("m", fold, 10, 25))
    assert whole[10:25].equals(part)
    threads = protocol.evaluate_cell(
        PriceThompson(), world, Cell("m", fold, 0, 40), RunContext(0, fold.name, cpus=2)
    )
    assert whole.equals(threads)
    assert not whole.equals(rows_of(protocol, PriceThompson(), world, seed=1))


def test_all_policies_meet_the_same_customers():
    world, game = PriceDemand().load(), Game(400, 1, (400,))
    arms = world_arms(world, game)
    one, two = (
        play_compiled(policy.kernel(arms), world, game, 7, 0, 20) for policy in (Thompson(), UCB1())
    )
    assert np.array_equal(one.visits, two.visits)
    assert not np.array_equal(one.pulls, two.pulls)
    assert not np.array_equal(
        one.visits, play_compiled(Thompson().kernel(arms), world, game, 8, 0, 20).visits
    )


def test_regret_under_drift_is_against_the_best_arm_of_each_moment():
    world = PriceArms(means=(0.6, 0.4), shift_at=500, horizon=1000).load()
    found = scored(BanditSimulation(replications=500), Thompson(), world)
    assert found["pseudo_regret", "mean", None].value > 30
    best = [
        found["pseudo_regret[fixed]", "mean", None].value,
        found["pseudo_regret", "mean", None].value - 100,
    ]
    assert best[0] == pytest.approx(best[1], abs=1e-9)  # the best fixed arm loses .2 x 500 itself


def test_batches_and_delays_make_policies_learn_later():
    quick = PriceArms(means=(0.2, 0.1), horizon=2000)
    losses = []
    for dataset, batch in (
        (quick, 1),
        (quick, 500),
        (PriceArms(means=(0.2, 0.1), horizon=2000, delay=100, window=400), 1),
    ):
        found = scored(BanditSimulation(replications=1000, batch=batch), Thompson(), dataset.load())
        losses.append(found["pseudo_regret", "mean", None].value)
    assert losses[0] + 3 < losses[1]
    assert losses[0] + 3 < losses[2]


def test_a_window_of_nothing_seen_late_is_the_same_as_none():
    """With a delay far below the window every conversion is seen, only later: the counts at the end
    are the same in law.
    """
    world = PriceArms(means=(0.5, 0.5), horizon=400, delay=1, window=60).load()
    rows = rows_of(BanditSimulation(replications=300), UniformPlay(), world)
    wins = sum(rows["wins"].struct.field(arm).to_numpy() for arm in world.arms)
    assert abs(wins.mean() - 200) < 4 * 10 / 300**0.5


class FirstArms(Policy):
    """Takes the arms in turn, by batches: the compiled round robin's twin."""

    def kernel(self, arms):
        def select(state, step, segments, contexts, active, generator):
            return (step + np.arange(len(segments))) % arms.count

        return BatchKernel(lambda seed: None, select, lambda state, *seen: state)


def test_a_policy_by_batches_meets_the_same_customers():
    protocol, world = (
        BanditSimulation(horizon=120, replications=20, batch=30),
        PriceDemand(delay=5, window=40).load(),
    )
    batched = rows_of(protocol, FirstArms(), world)
    compiled = rows_of(protocol, UniformPlay(), world)
    for name in world.arms:
        assert batched["pulls"].struct.field(name).to_numpy()[:, -1].sum() > 0
    assert batched["steps"].equals(compiled["steps"])
    assert batched["segment_regret"].struct.fields == compiled["segment_regret"].struct.fields


def test_no_policy_learns_from_what_it_cannot_know():
    protocol, world = BanditSimulation(horizon=200, replications=20), PriceArms().load()
    for policy in (Thompson(), PriceThompson(), UCB1()):
        found = list(check_leaks(protocol, "m", policy, world, RunContext(0)))
        assert len(found) == 2
        assert not any(found)
    poisoned = protocol.corrupt_after(
        world, protocol.split(world)[0].cutoffs[0], np.random.default_rng(0)
    )
    assert not rows_of(protocol, Thompson(), world).equals(rows_of(protocol, Thompson(), poisoned))


def test_a_run_says_of_a_policy_that_it_knows_its_customers():
    protocol, world = BanditSimulation(horizon=60, replications=12), PriceArms().load()
    rows = [
        protocol.rows_to_keep(rows_of(protocol, policy, world)).with_columns(model=pl.lit(name))
        for name, policy in (("honest", InTurn()), ("cheat", Recomputes()))
    ]
    (told,) = protocol.warnings_after(protocol.split(world), pl.concat(rows))
    assert told.startswith("cheat: a realised regret of -")
    assert told.endswith("the policy knows what its customers are about to do.")


class Guesses(Bisects):
    """Bisects conversions, by the key of the customers from the seed of the run."""

    def kernel(self, arms):
        object.__setattr__(self, "games", iter(range(12)))
        return super().kernel(arms)

    def key(self, generator):
        customers = customers_of(world_key(RunContext(0, "replications")))
        return word_keys(customers, next(self.games))


def test_a_run_says_of_a_policy_that_it_knows_its_market():
    protocol, world = BanditSimulation(horizon=1000, replications=12), PriceArms().load()
    rows = {
        name: protocol.rows_to_keep(rows_of(protocol, policy, world)).with_columns(
            model=pl.lit(name)
        )
        for name, policy in (("honest", Thompson()), ("cheat", Guesses()))
    }
    told = protocol.warnings_by_truth(world, pl.concat(rows.values()))
    assert protocol.warnings_after(protocol.split(world), pl.concat(rows.values())) == []
    lost = rows["cheat"]["pseudo_regret"].mean()
    assert told == [
        f"cheat: a pseudo regret of {lost:.4g} lies below 106.7, the least of a policy that would "
        "find another arm if it were the best (asymptotically 7556, by Lai and Robbins): it knows "
        "the market, or likes the arm that is the best here."
    ]
    moves = PriceArms(shift_at=500).load()
    assert protocol.warnings_by_truth(moves, rows["cheat"]) == []


def test_a_policy_is_not_told_the_customers():
    """Its own random numbers are no more alike, and the customers' key cannot be unmixed."""
    streams = policy_streams(7, 0, 50)
    assert np.array_equal(policy_streams(7, 20, 30), streams[20:30])
    assert len(np.unique(np.vstack([streams, policy_streams(8, 0, 50)]))) == 400
    customers = {int(word_keys(customers_of(7), row)) for row in range(50)}
    unmixed_words = {
        (unmixed(int(word)) - int(GOLDEN) * place) % WORD
        for word in streams.ravel()
        for place in range(5)
    }
    assert not customers & unmixed_words
    assert policy_streams(7 + CUSTOMER_KEYS, 0, 1).tolist() != streams[:1].tolist()
    assert customers_of(7 + CUSTOMER_KEYS) == customers_of(7)


def test_paired_differences_are_sharper_than_unpaired():
    protocol, world = (
        BanditSimulation(horizon=1000, replications=300),
        PriceArms(means=(0.3, 0.2)).load(),
    )
    rows = {"a": rows_of(protocol, Thompson(), world), "b": rows_of(protocol, UCB1(), world)}
    found = {label: score for label, score in protocol.contrasts(rows) if score.step is None}
    alone = [protocol.score(part)[-5] for part in rows.values()]
    assert found["a"].value == pytest.approx(-found["b"].value)
    assert found["a"].segment == "b"
    assert found["a"].p_value < 1e-6
    assert all(score.n == 300 for score in found.values())
    assert alone
    eight = {label: part.head(8) for label, part in rows.items()}
    few = next(
        score for label, score in protocol.contrasts(eight) if label == "a" and score.step is None
    )
    ended = [part["pseudo_regret"].arr.last().to_numpy() for part in eight.values()]
    test = stats.ttest_rel(*ended)
    assert (few.ci_low, few.ci_high) == pytest.approx(tuple(test.confidence_interval()))
    assert few.p_value == pytest.approx(test.pvalue)
    assert few.ci_method == "t over replications"
    three = {label: part.head(3) for label, part in rows.items()}
    few = next(
        score for label, score in protocol.contrasts(three) if label == "a" and score.step is None
    )
    assert few.ci_low <= 0 <= few.ci_high
    assert few.p_value >= 0.25


def test_a_world_is_what_it_was_after_a_journey_to_disk(tmp_path):
    world = PriceDemand(drift=0.5).load()
    world.write(tmp_path)
    back = type(world).read(tmp_path)
    assert back.fingerprint == world.fingerprint
    assert replace(world, cycle=3).fingerprint != world.fingerprint


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["dataset.conversion=[.5,1.2]"], "dataset.conversion[1]: must be <= 1.0, got 1.2."),
        (["dataset.prices=[1,-2,3,4,5]"], "dataset.prices[1]: must be >= 0.0, got -2"),
        (["dataset.conversion=[.5,.2]"], "dataset.prices: must be one for each of the 2 arms"),
        (["dataset.means=[.5,nan]"], "dataset.means[1]: must be a finite number"),
        (
            ["dataset.delay=3"],
            "dataset.window: must be >= 1 if dataset.delay is above 0, got 0.",
        ),
        (["dataset.arrives=[5,5,5,5,5]"], "dataset.arrives: no arm is there at step 0."),
        (["dataset.arms=[a,b]"], "dataset.arms: must name each of the 5 arms"),
        (["protocol.checkpoints=101"], "protocol.checkpoints: must be <= 100, got 101."),
        (["protocol.headline=regrets"], "protocol.headline: must be pseudo_regret"),
        (
            ["model=forecast/naive"],
            "model: protocol 'bandit_simulation' asks a policy, 'forecast/naive' is a forecaster.",
        ),
        (["dataset=hardware_demand"], "dataset: protocol 'bandit_simulation' cuts a world"),
    ],
)
def test_bad_settings_are_refused_in_words(words, said):
    with pytest.raises(ConfigError) as refused:
        check(compose(["+experiment=price_bandit", *words])).dataset.load()
    assert said in str(refused.value)


def test_what_a_test_has_seen_is_a_policys_prior():
    protocol, world = BanditSimulation(horizon=2000, replications=300), PriceArms().load()
    told = PriceThompson(
        known={10: (60, 40), 20: (400, 600), "30": (250, 750), "40": (150, 850), "50": (80, 920)}
    )
    without, with_counts = (
        scored(protocol, policy, world)["pseudo_regret", "mean", None].value
        for policy in (PriceThompson(), told)
    )
    assert with_counts < 0.6 * without
    with pytest.raises(ConfigError, match=r"model.known: no arm '25'; known: 10, 20"):
        protocol.check_models({"m": PriceThompson(known={25: (1, 2)})}, world)
