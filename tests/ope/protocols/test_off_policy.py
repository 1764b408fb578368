"""The protocol of logged decisions: coverage against a known truth, cross-fitting, refusals, and
what the scores say.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from hwds.core.compose import compose
from hwds.core.errors import ConfigError, DataError
from hwds.core.registry import options
from hwds.core.seeds import stream
from hwds.datasets.simulated.price_log import PriceLog, contexts
from hwds.evaluation.leak_check import check_leaks
from hwds.evaluation.protocol import Cell, RunContext
from hwds.experiment.spec import check
from hwds.frames.table import Table
from hwds.ope.estimates import bca_interval, bernstein_interval, influence, resample_log
from hwds.ope.inquiry import LogInquiry, parts_of_rows
from hwds.ope.log import TargetPolicy, read_log
from hwds.ope.models.dm import DM
from hwds.ope.models.dr import DR
from hwds.ope.models.ipw import IPW
from hwds.ope.models.kernel import Kernel
from hwds.ope.models.replay import Replay
from hwds.ope.models.snipw import SNIPW
from hwds.ope.models.switch_dr import SwitchDR
from hwds.ope.protocols.off_policy import OffPolicy

TARGET = TargetPolicy(columns="target_")

FEW_DAYS = ", of these days alone: few days have most of the weight and cannot tell"
"""What is said of a log of two days and some minutes."""


@pytest.fixture(scope="module")
def table():
    return PriceLog(rows=3000).load()


def asked(protocol, model, table):
    """The rows of the one cell."""
    (fold,) = protocol.split(table)
    protocol.check_models({model.name: model}, table)
    return protocol.evaluate_cell(
        model, table, Cell(model.name, fold, 0, fold.units), RunContext(0, fold.name)
    )


def scored(protocol, model, table):
    """The scores by metric."""
    return {score.metric: score for score in protocol.score(asked(protocol, model, table))}


def of_metric(contrasts, metric):
    """The contrasts of one metric."""
    return [(label, score) for label, score in contrasts if score.metric == metric]


def edited(table, **columns):
    """The table with other columns."""
    return Table(table.data.with_columns(**columns), table.roles)


def without(table, *roles):
    """The table without some roles."""
    return Table(
        table.data, {role: names for role, names in table.roles.items() if role not in roles}
    )


def at(row, column, value):
    """A column with one value changed."""
    return pl.when(pl.col("row_id") == row).then(value).otherwise(pl.col(column))


def test_intervals_cover_a_known_truth_and_doubly_robust_is_no_worse_than_weighting():
    kinds, n, draws = contexts(), 2000, 200
    dataset = PriceLog(rows=n, exploration=0.5)
    truth = float(
        kinds["share"].to_numpy() @ np.sum(dataset.target(kinds) * dataset.revenue(kinds), axis=1)
    )
    found = {"ipw": [], "dr": []}
    for seed in range(draws):
        log = read_log(replace(dataset, seed=seed).load(), "outcome", (0.0, 199.0))
        known = LogInquiry(log, 5, RunContext(0), 0.1).evidence(TARGET, "ridge")
        for name, model in {"ipw": IPW(), "dr": DR()}.items():
            parts = model.estimate(known)
            values = resample_log(parts, log.reward, None, 300, stream(seed, "bootstrap")).value
            low, high = bca_interval(values, parts.value, influence(parts), 0.95)
            least, most = bernstein_interval(parts, (0.0, 199.0), 0.95)
            found[name].append((low <= truth <= high, least <= truth <= most, parts.value - truth))
    ipw, dr = (np.array(rows, float) for rows in found.values())
    for rows in (ipw, dr):
        assert 0.93 <= rows[:, 0].mean() <= 0.97
        assert rows[:, 1].mean() >= 0.95
        assert abs(rows[:, 2].mean()) < 4 * rows[:, 2].std() / np.sqrt(draws)
    assert np.sqrt(np.mean(dr[:, 2] ** 2)) < np.sqrt(np.mean(ipw[:, 2] ** 2))


@pytest.mark.parametrize(
    ("learner", "most"), [("frequency", 7.5), ("ridge", 3.0), ("logistic", 2.5), ("xgboost", 5.2)]
)
def test_every_reward_model_comes_near_the_truth(learner, most):
    dataset = PriceLog(rows=8000, exploration=1)
    log = read_log(dataset.load(), "outcome", None)
    known = LogInquiry(log, 5, RunContext(0)).evidence(TARGET, learner)
    wrong = known.predicted - dataset.revenue(log.table.data)
    assert np.sqrt(np.mean(wrong**2)) < most  # the mean of all is wrong by 9
    truth = np.mean(np.sum(known.target * dataset.revenue(log.table.data), axis=1))
    assert DR().estimate(known).value == pytest.approx(truth, abs=3.5)


@pytest.mark.parametrize("name", [name for name in options("model") if name.startswith("ope/")])
@pytest.mark.parametrize(
    "policy", ["columns: target_", "softmax: 5", "epsilon_greedy: 0.2, reward_model: frequency"]
)
def test_no_estimator_learns_from_the_rows_it_is_asked_about(name, policy):
    uniform = ["dataset.exploration=1"] if name == "ope/replay" else []
    words = [
        f"model={name}",
        "dataset=price_log",
        "dataset.rows=900",
        "protocol=off_policy",
        *uniform,
    ]
    experiment = check(
        compose([*words, f"protocol.target_policy={{{policy}}}", "protocol.min_effective_size=5"])
    )
    found = list(
        check_leaks(
            experiment.protocol, name, experiment.model, experiment.dataset.load(), RunContext(0)
        )
    )
    assert len(found) == 5
    assert [leak for leak in found if leak] == []


def test_a_reward_model_that_has_seen_the_row_is_caught(table, monkeypatch):
    from hwds.ope import inquiry as off_policy_inquiry
    from hwds.ope import inquiry as rewards

    def careless(learner, lessons, part):
        return rewards.LEARNERS[learner](lessons, lessons)

    monkeypatch.setattr(off_policy_inquiry, "cross_fitted", careless)
    assert [
        leak
        for leak in check_leaks(OffPolicy(target_policy=TARGET), "dr", DR(), table, RunContext(0))
        if leak
    ]


def test_the_scores_of_a_run(table):
    found = scored(OffPolicy(target_policy=TARGET, resamples=200), DR(), table)
    value, gain, logged = (found[name] for name in ("policy_value", "improvement", "logged_value"))
    assert gain.value == pytest.approx(value.value - logged.value)
    assert logged.value == pytest.approx(table.data["revenue"].mean())
    assert gain.stderr != pytest.approx(np.hypot(value.stderr, logged.stderr), rel=1e-3)
    assert value.ci_low < value.value < value.ci_high
    assert (value.ci_method, value.n) == (f"BCa bootstrap{FEW_DAYS}", 3000)
    assert 100 < found["effective_sample_size"].value < 1000
    assert found["overlap"].value == pytest.approx(1)
    assert "parameter" not in found
    assert scored(OffPolicy(target_policy=TARGET), SwitchDR(limit=4), table)["parameter"].value == 4
    assert (
        scored(OffPolicy(target_policy=TARGET), IPW(clip=4), table)["policy_value"].ci_method
        == f"BCa bootstrap{FEW_DAYS}, bias apart"
    )


def test_the_error_of_what_is_learned_is_in_the_interval(table):
    kinds, draws = contexts(), 60
    dataset, protocol = (
        PriceLog(rows=1000, exploration=0.5),
        OffPolicy(target_policy=TARGET, resamples=50),
    )
    truth = float(
        kinds["share"].to_numpy() @ np.sum(dataset.target(kinds) * dataset.revenue(kinds), axis=1)
    )
    found = []
    for seed in range(draws):
        value = scored(protocol, DM(), replace(dataset, seed=seed).load())["policy_value"]
        assert (
            value.ci_method
            == "delete-a-part jackknife, of these days alone: 1 day cannot tell, bias apart"
        )
        found.append((value.ci_low <= truth <= value.ci_high, value.value, value.stderr))
    covered, values, errors = np.array(found, float).T
    assert covered.mean() >= 0.9
    assert errors.mean() == pytest.approx(values.std(), rel=0.25)
    rows = asked(protocol, DM(), table)
    left = rows["base_without_2"].is_null()
    assert np.array_equal(
        left.to_numpy(), parts_of_rows(read_log(table, "outcome", None), 5, 0) == 2
    )
    assert "base_without_2" not in protocol.rows_to_keep(rows).columns
    channel = protocol.labels(table, "channel")["segment"]
    assert {score.metric: score for score in protocol.score(rows.filter(channel == "online"))}[
        "policy_value"
    ].stderr > 0


def shocked(table, days, size, seed=0):
    """The log over so many days, on each of which all earn more or less by a random amount."""
    rng, day = np.random.default_rng(seed), np.arange(len(table.data)) % days
    times = pl.datetime(2024, 1, 1) + pl.duration(days=pl.Series(day))
    earned = pl.col("revenue") + pl.Series(rng.normal(0, size, days)[day])
    return edited(without(table, "available_at"), exposed_at=times, revenue=earned)


def test_days_that_rows_share_widen_the_interval(table):
    protocol = OffPolicy(target_policy=TARGET, resamples=200)
    one = scored(protocol, SNIPW(), without(table, "time", "available_at"))["policy_value"]
    assert one.ci_method == "BCa bootstrap"
    found = scored(protocol, SNIPW(), shocked(table, 10, 30.0))
    value, gain = found["policy_value"], found["improvement"]
    assert value.ci_method == "BCa bootstrap, widened for shared days"
    assert value.stderr == pytest.approx(np.hypot(one.stderr, 30 / np.sqrt(10)), rel=0.4)
    assert value.ci_high - value.ci_low > 1.5 * (one.ci_high - one.ci_low)
    assert gain.stderr < 0.8 * value.stderr  # the day is good or bad for the log's arms, too
    calm = scored(protocol, SNIPW(), shocked(table, 40, 0.0))["policy_value"]
    assert one.stderr <= calm.stderr < 1.35 * one.stderr


def test_what_is_learned_has_its_days_in_the_interval_and_the_error_pairs_them(table):
    protocol = OffPolicy(target_policy=TARGET, resamples=50)
    calm, stormy = (
        scored(protocol, DR(), shocked(table, 10, size))["policy_value"] for size in (0.0, 40.0)
    )
    assert stormy.stderr > 1.5 * calm.stderr
    assert stormy.ci_method.endswith("widened for shared days")
    rows = asked(protocol, SNIPW(), shocked(table, 10, 30.0))
    true = asked(protocol, PriceLog(rows=3000).truth("ope"), shocked(table, 10, 30.0))
    ((_, error),) = of_metric(protocol.contrasts({"ope/snipw": rows, "truth": true}), "error")
    assert error.ci_method == "t, paired by row, widened for shared days"


def test_the_price_of_leaving_out_a_part_is_that_of_the_log_without_it(table):
    protocol = OffPolicy(target_policy=TARGET)
    rows = asked(protocol, SwitchDR(), table)
    stays = rows["top_without_0"].is_not_null()
    log = read_log(table, "outcome", None).rows(stays.to_numpy())
    parts = SwitchDR().estimate(LogInquiry(log, 5, RunContext(0)).evidence(TARGET, "ridge"))
    assert rows.filter(stays)["top_without_0"].to_list() == parts.top.tolist()


def test_bernstein_is_wider_and_says_whether_its_bounds_are_known(table):
    plain = scored(OffPolicy(target_policy=TARGET), IPW(), table)["policy_value"]
    seen = scored(OffPolicy(target_policy=TARGET, intervals="bernstein"), IPW(), table)[
        "policy_value"
    ]
    bounds = {"reward_range": (0.0, 199.0), "least_propensity": 0.06, "intervals": "bernstein"}
    known = scored(OffPolicy(target_policy=TARGET, **bounds), IPW(), table)
    assert seen.ci_method == f"empirical Bernstein, bounds as seen{FEW_DAYS}"
    assert known["policy_value"].ci_method == f"empirical Bernstein{FEW_DAYS}"
    assert known["policy_value"].ci_high > seen.ci_high > plain.ci_high
    assert known["improvement"].ci_low < known["improvement"].value < known["improvement"].ci_high


def test_the_truth_of_the_simulator_and_the_error_of_each_estimate(table):
    dataset, protocol = PriceLog(rows=3000), OffPolicy(target_policy=TARGET)
    rows = {
        "ope/dr": asked(protocol, DR(), table),
        "truth": asked(protocol, dataset.truth("ope"), table),
    }
    expected = np.mean(np.sum(dataset.target(table.data) * dataset.revenue(table.data), axis=1))
    truth = {score.metric: score for score in protocol.score(rows["truth"])}["policy_value"]
    assert truth.value == pytest.approx(expected)
    ((label, error),) = of_metric(protocol.contrasts(rows), "error")
    assert (label, error.metric) == ("ope/dr", "error")
    own = {score.metric: score.value for score in protocol.score(rows["ope/dr"])}["policy_value"]
    assert error.value == pytest.approx(own - expected)
    assert of_metric(protocol.contrasts({"ope/dr": rows["ope/dr"]}), "error") == []


def test_what_each_arm_is_worth(table):
    dataset, protocol = (
        PriceLog(rows=3000),
        OffPolicy(target_policy=TARGET, each_arm=True, resamples=50),
    )
    rows = {"ope/dr": asked(protocol, DR(), table), "ope/dm": asked(protocol, DM(), table)}
    rows["truth"] = asked(protocol, dataset.truth("ope"), table)
    alone = scored(OffPolicy(target_policy=TARGET, resamples=50), DR(), table)
    assert {score.metric: score for score in protocol.score(rows["ope/dr"])} == alone
    assert len(protocol.rows_to_keep(rows["ope/dr"])) == 3000
    found = {
        (label, score.metric, score.segment): score
        for label, score in protocol.contrasts(rows)
        if score.segment_by == "arm"
    }
    assert {segment for _, _, segment in found} == {"79", "99", "119", "149", "199"}
    for place, arm in enumerate(dataset.prices):
        own = scored(
            OffPolicy(target_policy={"arm": arm}, resamples=50, min_effective_size=0), DR(), table
        )
        said = found["ope/dr", "policy_value", f"{arm:g}"]
        assert (said.value, said.ci_low) == (own["policy_value"].value, own["policy_value"].ci_low)
        truth = found["truth", "policy_value", f"{arm:g}"].value
        assert truth == pytest.approx(dataset.revenue(table.data)[:, place].mean())
        assert abs(said.value - truth) < 4 * said.stderr
        assert found["ope/dm", "improvement", f"{arm:g}"].stderr > 0.1
    few = OffPolicy(target_policy=TARGET, each_arm=True, resamples=50, min_effective_size=190)
    shy = {
        (score.metric, score.segment): score
        for _, score in few.contrasts({"ope/dr": rows["ope/dr"]})
    }
    assert (shy["policy_value", "199"].value, shy["policy_value", "199"].n_undefined) == (
        None,
        3000,
    )
    assert shy["effective_sample_size", "199"].value < 190


def test_revenue_is_price_times_outcome(table):
    bought = edited(table, revenue=(pl.col("revenue") > 0))
    protocol = OffPolicy(target_policy=TARGET, reward="revenue")
    assert scored(protocol, SNIPW(), bought)["policy_value"].value == pytest.approx(
        scored(OffPolicy(target_policy=TARGET), SNIPW(), table)["policy_value"].value
    )
    with pytest.raises(
        DataError, match=r"roles.price: must be given, for protocol.reward is revenue"
    ):
        protocol.split(Table(bought.data, {**without(bought, "price").roles, "arm": ("price",)}))


def test_target_policies(table):
    uniform = asked(OffPolicy(target_policy="uniform"), IPW(), table)
    assert uniform["target"].unique().to_list() == [0.2]
    always = asked(OffPolicy(target_policy={"arm": 119}), IPW(), table)
    assert np.array_equal(
        always["target"].to_numpy(), (table.data["price"] == 119).to_numpy().astype(float)
    )
    greedy = (
        asked(OffPolicy(target_policy={"epsilon_greedy": 0.2}), IPW(), table)["target"]
        .unique()
        .sort()
        .to_list()
    )
    assert greedy == pytest.approx([0.04, 0.84])
    soft = asked(OffPolicy(target_policy={"softmax": 3}), IPW(), table)["target"]
    assert 0 < soft.min() < soft.max() < 1


def test_the_words_of_a_command_make_the_target_policy():
    words = ["model=ope/dr", "dataset=price_log", "protocol=off_policy"]
    for given, law in {
        "protocol.target_policy=uniform": "uniform",
        "protocol.target_policy.arm=119": "arm=119",
        "protocol.target_policy={softmax: 3}": "softmax=3.0",
        "protocol.target_policy.columns=target_": "columns=target_",
    }.items():
        assert str(check(compose([*words, given])).protocol.target_policy) == law
    with pytest.raises(ConfigError, match=r"protocol.target_policy.*one of arm and softmax"):
        check(
            compose([*words, "protocol.target_policy.arm=119", "protocol.target_policy.softmax=1"])
        )
    with pytest.raises(ConfigError, match=r"protocol.headline: no metric 'value'"):
        check(compose([*words, "protocol.headline=value"]))


@pytest.mark.parametrize("kind", [pl.String, pl.Categorical, pl.Boolean, pl.Date, pl.Int32])
def test_arms_of_any_kind(kind):
    values = pl.Series("arm", [1, 0, 1, 1, 0, 1]).cast(
        pl.Boolean if kind == pl.Boolean else pl.Int32
    )
    values = (
        values.cast(pl.String).cast(kind)
        if kind in (pl.String, pl.Categorical)
        else values.cast(kind)
    )
    data = pl.DataFrame(
        {
            "arm": values,
            "p": [0.5] * 6,
            "r": [1.0, 2, 3, 4, 5, 6],
            "who": ["a", "b", None, "a", "c", "d"],
        }
    )
    table = Table.build(data, {"arm": ("arm",), "propensity": ("p",), "outcome": ("r",)})
    log = read_log(table, "outcome", None)
    assert log.action.tolist() == [1, 0, 1, 1, 0, 1]
    name = log.arms[1]
    found = asked(OffPolicy(target_policy={"arm": name}, min_effective_size=0), SNIPW(), table)
    assert float(found["top"].sum() / found["bottom"].sum()) == pytest.approx((1 + 3 + 4 + 6) / 4)
    with pytest.raises(DataError, match=r"roles.group: row 3 has no value in column 'who'"):
        read_log(Table(table.data, {**table.roles, "group": ("who",)}), "outcome", None)


def test_an_arm_that_was_never_logged_counts_against_the_overlap():
    table = PriceLog(rows=2000, prices=(79, 99, 119)).load()
    data = table.data.with_columns(pl.col("^target_.*$") * 0.75, target_89=pl.lit(0.25))
    found = scored(OffPolicy(target_policy=TARGET), DR(), Table(data, table.roles))
    assert found["overlap"].value == pytest.approx(0.75)
    assert found["mean_weight"].value == pytest.approx(0.75, abs=0.1)


def test_rows_of_a_group_are_in_one_part_and_widen_the_interval(table):
    doubled = pl.concat([table.data.drop("row_id")] * 3)
    lone = Table.build(doubled, table.roles)
    together = Table.build(
        doubled.with_columns(who=pl.Series(np.tile(np.arange(3000), 3))),
        {**table.roles, "group": ("who",)},
    )
    log = read_log(together, "outcome", None)
    part = parts_of_rows(log, 5, 0).reshape(3, -1)
    assert np.array_equal(part[0], part[1])
    assert set(part[0]) == set(range(5))
    protocol = OffPolicy(target_policy=TARGET, resamples=100)
    wide, narrow = (scored(protocol, SNIPW(), frame)["policy_value"] for frame in (together, lone))
    assert wide.value == pytest.approx(narrow.value)
    assert wide.stderr == pytest.approx(np.sqrt(3) * narrow.stderr, rel=1e-3)
    assert wide.ci_high - wide.ci_low > 1.4 * (narrow.ci_high - narrow.ci_low)
    with pytest.raises(ConfigError, match="bernstein takes rows as independent"):
        OffPolicy(intervals="bernstein").split(together)


def test_blocks_of_a_long_log_give_the_interval_of_its_rows(table, monkeypatch):
    from hwds.ope.protocols import off_policy as off_policy_scores

    rows = asked(OffPolicy(target_policy=TARGET), SNIPW(), table)
    whole = OffPolicy().score(rows)[0]
    monkeypatch.setattr(off_policy_scores, "MOST_DRAWN", 1000)
    blocks = OffPolicy().score(rows)[0]
    assert blocks.stderr == whole.stderr
    assert blocks.ci_low != whole.ci_low
    assert (blocks.ci_low, blocks.ci_high) == pytest.approx(
        (whole.ci_low, whole.ci_high), abs=0.2 * whole.stderr
    )


def test_a_users_own_file(tmp_path, table):
    table.data.drop("row_id").write_csv(tmp_path / "prices.csv")
    roles = {
        "arm": "price",
        "price": "price",
        "propensity": "propensity",
        "outcome": "revenue",
        "context": "[channel,visits]",
    }
    roles |= {"time": "exposed_at", "available_at": "observed_at"}
    words = [f"dataset.roles.{role}={column}" for role, column in roles.items()]
    path = f"dataset.path={tmp_path / 'prices.csv'}"
    experiment = check(
        compose(
            [
                "model=ope/dr",
                "dataset=table",
                path,
                *words,
                "protocol=off_policy",
                "protocol.target_policy.columns=target_",
            ]
        )
    )
    found = scored(experiment.protocol, experiment.model, experiment.dataset.load())
    assert found["policy_value"].value == pytest.approx(
        scored(OffPolicy(target_policy=TARGET), DR(), table)["policy_value"].value
    )


@pytest.mark.parametrize(
    ("fault", "doubt"),
    [
        ("none", ""),
        ("halved", "the weights average 2"),
        ("permuted", "a model of the log refutes its propensities (p"),
    ],
)
def test_propensities_that_are_refuted_are_said_and_decide_nothing(
    command, tmp_path, table, fault, doubt
):
    right = table.data["propensity"]
    wrong = {"none": right, "halved": right / 2, "permuted": right.shuffle(0)}[fault]
    table.data.drop("row_id").with_columns(propensity=wrong).write_csv(tmp_path / "log.csv")
    roles = {
        "arm": "price",
        "price": "price",
        "propensity": "propensity",
        "outcome": "revenue",
        "context": "[channel,visits]",
    }
    words = [f"dataset.roles.{role}={column}" for role, column in roles.items()]
    words += [
        "protocol=off_policy",
        "protocol.target_policy.columns=target_",
        "protocol.each_arm=true",
        "size=small",
    ]
    words += ["decision=price_choice", "decision.current=119", "compute=serial"]
    done = command(
        ["model=ope/snipw", "dataset=table", f"dataset.path={tmp_path / 'log.csv'}", *words]
    )
    assert done.code == 0, done.err
    said = " ".join(done.out.split())
    assert "the mean revenue of the policy columns=target_" in said
    assert "HOLD at 119" in said
    assert ("do not trust what follows: " in said, "No estimate counts: " in said) == (
        bool(doubt),
        bool(doubt),
    )
    assert doubt in said
    if fault == "halved":  # the number stands nowhere
        assert (
            "every model: refuted: the mean weight says that the log's propensities are wrong"
            in said
        )
        assert "ope/snipw refuted" in said


def test_scores_by_segment(table):
    protocol = OffPolicy(target_policy=TARGET, segments=("channel",), resamples=50)
    rows = asked(protocol, SNIPW(), table)
    labels = protocol.labels(table, "channel")
    assert labels.columns == ["row_id", "segment"]
    retail = rows.filter(labels["segment"] == "retail")
    value = {score.metric: score for score in protocol.score(retail)}["policy_value"]
    assert value.value == pytest.approx(float(retail["top"].sum() / retail["bottom"].sum()))
    with pytest.raises(ConfigError, match=r"segments: no column 'chanel'; did you mean 'channel'"):
        protocol.labels(table, "chanel")


def test_the_kernel_on_continuous_prices():
    dataset = PriceLog(rows=20_000, continuous=True)
    table = dataset.load()
    protocol = OffPolicy(target_policy={"price_column": "target_price"}, resamples=50)
    found = scored(protocol, Kernel(), table)
    truth = scored(protocol, dataset.truth("ope"), table)["policy_value"].value
    assert found["policy_value"].value == pytest.approx(truth, abs=3 * found["policy_value"].stderr)
    with pytest.raises(
        ConfigError, match=r"'ope/dr' asks for arms, not prices; take model=ope/kernel"
    ):
        asked(protocol, DR(name="ope/dr"), table)
    with pytest.raises(ConfigError, match=r"20,000 arms in 20,000 rows"):
        OffPolicy().split(table)


REFUSED = {
    "propensity 0": (
        {"propensity": at(4, "propensity", 0.0)},
        IPW(),
        r"roles.propensity: row 5 has 0.0",
    ),
    "propensity over 1": (
        {"propensity": at(4, "propensity", 1.5)},
        IPW(),
        r"roles.propensity: row 5 has 1.5, which is no prob",
    ),
    "propensity null": (
        {"propensity": at(4, "propensity", None)},
        DR(),
        r"roles.propensity: row 5 has None",
    ),
    "reward NaN": (
        {"revenue": at(7, "revenue", float("nan"))},
        DM(),
        r"roles.outcome: row 8 has no finite value in column 'rev",
    ),
    "reward text": (
        {"revenue": pl.lit("none")},
        DM(),
        r"roles.outcome: column 'revenue' holds String, not numbers",
    ),
    "arm null": ({"price": at(2, "price", None)}, DM(), r"roles.price: row 3 has no finite value"),
    "no distribution": (
        {"target_79": pl.lit(0.9)},
        IPW(),
        r"target_policy.columns: row \d+ of 'target_...' holds no prob",
    ),
    "a log that is not uniform": (
        {},
        Replay(name="ope/replay"),
        r"'ope/replay' is right for a log that chose uniformly",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_logs_are_refused_in_a_line(case, table):
    columns, model, said = REFUSED[case]
    with pytest.raises(DataError, match=said) as caught:
        asked(OffPolicy(target_policy=TARGET), model, edited(table, **columns))
    assert "\n" not in str(caught.value)


def test_other_refusals(table):
    with pytest.raises(
        DataError, match=r"roles.propensity: must be given, for 'ope/ipw' weighs by it"
    ):
        asked(OffPolicy(), IPW(name="ope/ipw"), without(table, "propensity"))
    with pytest.raises(
        DataError, match=r"reward_range: row \d+ has a reward of \d+, outside of 0 to 50"
    ):
        OffPolicy(reward_range=(0, 50)).split(table)
    with pytest.raises(
        DataError, match=r"row \d+ has 0.06, which is below protocol.least_propensity=0.1"
    ):
        asked(OffPolicy(least_propensity=0.1), IPW(), table)
    with pytest.raises(
        ConfigError, match=r"target_policy.arm: the log has no arm '191'; did you mean '199'"
    ):
        OffPolicy(target_policy={"arm": 191}).split(table)
    with pytest.raises(
        ConfigError, match=r"target_policy.columns: no column 'taget_79'; did you mean 'target_79'"
    ):
        OffPolicy(target_policy={"columns": "taget_"}).split(table)
    with pytest.raises(
        DataError, match=r"min_effective_size: [\d.]+ of 3,000 rows count, 2000 must"
    ):
        asked(
            OffPolicy(target_policy=TARGET, min_effective_size=2000), SNIPW(name="ope/snipw"), table
        )
    with pytest.raises(DataError, match=r"roles.arm: must be given, or dataset"):
        OffPolicy().split(without(table, "arm", "price"))
    with pytest.raises(DataError, match=r"folds: 5 parts of 3 rows"):
        OffPolicy().split(Table(table.data.head(3), table.roles))
    assert asked(OffPolicy(), DM(), without(table, "propensity"))["weight"].null_count() == 3000


def test_propensities_are_not_needed_by_replay_and_the_direct_method():
    table = without(PriceLog(rows=2000, exploration=1).load(), "propensity")
    found = scored(OffPolicy(target_policy=TARGET, resamples=50), Replay(), table)
    again = scored(
        OffPolicy(target_policy=TARGET, resamples=50),
        SNIPW(),
        PriceLog(rows=2000, exploration=1).load(),
    )
    assert found["policy_value"].value == pytest.approx(again["policy_value"].value)
    assert found["policy_value"].ci_low == pytest.approx(again["policy_value"].ci_low)


def test_the_error_of_what_is_learned_is_in_the_interval_of_the_difference_from_the_truth():
    dataset, protocol, covered = (
        PriceLog(rows=1000, exploration=0.5),
        OffPolicy(target_policy=TARGET),
        [],
    )
    for seed in range(30):
        one = replace(dataset, seed=seed)
        rows = {
            "dm": asked(protocol, DM(), one.load()),
            "truth": asked(protocol, one.truth("ope"), one.load()),
        }
        ((_, error),) = of_metric(protocol.contrasts(rows), "error")
        assert error.ci_method == "delete-a-part jackknife"
        covered.append(error.ci_low <= 0 <= error.ci_high)
    assert np.mean(covered) >= 0.85


def test_an_arm_is_not_blanked_by_weights_that_are_not_used(table):
    protocol = OffPolicy(target_policy=TARGET, each_arm=True, resamples=50, min_effective_size=2000)
    rows = asked(protocol, DM(), table)
    assert rows["weight"].null_count() == len(rows)
    values = [
        score for _, score in protocol.contrasts({"dm": rows}) if score.metric == "policy_value"
    ]
    assert len(values) == 5
    assert all(score.value is not None for score in values)


@pytest.mark.parametrize("kind", [pl.Float64, pl.Float32])
def test_prices_of_many_digits_are_arms_of_their_own(kind):
    price = pl.Series("p", [14999000.0, 14999010.0, 99.0, 79.5, 0.1], dtype=kind)
    table = Table.build(
        pl.DataFrame({"p": price, "r": [1.0] * 5}), {"price": ("p",), "outcome": ("r",)}
    )
    assert read_log(table, "outcome", None).arms == ("0.1", "79.5", "99", "14999000", "14999010")


def test_the_seed_names_the_parts_and_the_bootstrap(table):
    protocol = OffPolicy(target_policy=TARGET, resamples=100)
    (fold,) = protocol.split(table)
    found = []
    for seed in (0, 0, 1):
        rows = [
            protocol.evaluate_cell(model, table, Cell("m", fold, 0, fold.units), RunContext(seed))
            for model in (DR(), SNIPW())
        ]
        found.append(
            [
                next(score for score in protocol.score(each) if score.metric == "policy_value")
                for each in rows
            ]
        )
        assert "seed" not in protocol.rows_to_keep(rows[0]).columns
    assert found[0] == found[1]
    assert found[0][0].value != found[2][0].value
    assert (found[0][1].value, found[0][1].stderr) == (found[2][1].value, found[2][1].stderr)
    assert found[0][1].ci_low != found[2][1].ci_low
    assert list(check_leaks(protocol, "dr", DR(), table, RunContext(7))) == [None] * 5
