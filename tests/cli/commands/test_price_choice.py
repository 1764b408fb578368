"""`decision=price_choice` on the three kinds of evidence, from the command line."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest

SMALL = "size=small compute=serial rivals=[]"
BANDIT = f"+experiment=price_bandit {SMALL} protocol.replications=30 decision=price_choice"
TEST = (
    f"+experiment=ab_price_test model=ab/revenue {SMALL} protocol.replications=0 "
    f"decision=price_choice"
)
LOG = (
    f"model=ope/snipw dataset=price_log protocol=off_policy protocol.each_arm=true {SMALL} "
    f"decision=price_choice"
)


def decided(folder):
    latest = max(
        folder.glob("outputs/runs/*/*/decision.json"), key=lambda path: path.stat().st_mtime_ns
    )
    return json.loads(latest.read_text())


def test_a_bandits_first_replication_and_the_rules_record(hwds, tmp_path):
    said = hwds(f"{BANDIT} decision.current='\"20\"' decision.customers=1000")
    assert said.code == 0, said.err
    found = decided(tmp_path)
    assert (found["action"], found["current"], found["arm"], found["price"]) == (
        "HOLD",
        "20",
        "20",
        20.0,
    )
    assert (found["unit"], found["certainty"], found["decision"]) == (
        "USD",
        "adaptive",
        "price_choice",
    )
    record = found["record"]
    assert record["replications"] == 30
    assert record["right"] == 0
    assert record["best_is_current"]
    assert record["right"] + record["hold"] + record["wrong"] == pytest.approx(1)
    assert f"\n{found['action']:<10}" in said.out
    assert "Files  " in said.out
    first = pl.read_parquet(next(tmp_path.glob("outputs/runs/*/*/predictions.parquet"))).row(
        0, named=True
    )
    shown = {standing["arm"]: standing["customers"] for standing in found["standings"]}
    assert shown == {arm: first[f"pulls[{arm}]"] for arm in ("10", "20", "30", "40", "50")}
    mean = 20 * (1 + first["wins[20]"]) / (2 + first["pulls[20]"])
    assert found["standings"][1]["mean"] == pytest.approx(mean)


def test_counts_pooled_over_segments_are_said_to_be(hwds, tmp_path):
    assert (
        hwds(f"{BANDIT} dataset=price_demand dataset.horizon=500 decision.margin_floor=.2").code
        == 0
    )
    found = decided(tmp_path)
    assert "Counts are pooled over 12 segments" in found["sentence"]
    assert found["action"] == "HOLD"


def test_another_decision_computes_nothing_and_changes_no_number(hwds, tmp_path):
    assert hwds(f"{BANDIT} decision.current=20").code == 0
    (run,) = tmp_path.glob("outputs/runs/price_bandit/*")
    before = {name: (run / name).read_bytes() for name in ("scores.parquet", "predictions.parquet")}
    assert hwds(f"{BANDIT} decision.current=10 decision.largest_step=.5").code == 0
    assert [path.name for path in tmp_path.glob("outputs/runs/price_bandit/*")] == [run.name]
    assert {name: (run / name).read_bytes() for name in before} == before
    assert pl.read_parquet(run / "timings.parquet")["cached"].all()
    found = decided(tmp_path)
    assert (found["rule"], found["arm"]) == ("largest_step", "10")
    said = " ".join(hwds(f"show {run.name}").out.split())
    assert found["sentence"].partition("\n")[0] in said
    assert found["sentence"] in (run / "leaderboard.md").read_text()
    assert "nothing is left to compute" in hwds(f"plan {BANDIT} decision.current=30").out
    assert hwds(BANDIT.replace("decision=price_choice", "decision=none")).code == 0
    assert not (run / "decision.json").exists()


def test_a_test_of_two_prices(hwds, tmp_path):
    asked = f"{TEST} decision.current=control decision.cost=100 decision.margin_floor=.3"
    assert hwds(asked).code == 0
    computed = decided(
        tmp_path
    )  # the test knows no cost, so that the margins are compared by an always-valid rule here
    assert (computed["certainty"], computed["action"]) == ("test", "CHANGE")
    assert "always-valid 95 %" in computed["sentence"]
    assert hwds(f"{asked} decision.certainty=posterior").code == 0
    found = decided(tmp_path)
    assert (found["action"], found["arm"], found["price"]) == ("CHANGE", "price_199", 199.0)
    assert (found["certainty"], found["record"]) == ("posterior", None)
    held = hwds(f"{TEST} decision.current=control decision.ladder=[149,159]")
    assert held.code == 0
    assert "HOLD      at control: no other arm is left to charge (ladder: price_199)." in held.out


def effect_on_revenue(folder):
    """The effect by the rule that the model decides by, with its ends."""
    (scores,) = folder.glob("outputs/runs/*/*/scores.parquet")
    rows = pl.read_parquet(scores).filter(
        (pl.col("metric") == "effect[revenue]") & (pl.col("ci_method") == "always_valid")
    )
    return rows.select("value", "ci_low", "ci_high").row(0)


def test_the_verdict_on_a_test_is_the_tests_own(hwds, tmp_path):
    asked = f"{TEST.replace('ab/revenue', 'ab/cuped')} decision.current"
    said = hwds(f"{asked}=control")
    assert said.code == 0, said.err
    found = decided(tmp_path)
    assert (found["gain"], found["gain_low"], found["gain_high"]) == effect_on_revenue(tmp_path)
    assert (found["action"], found["rule"], found["probability_gain"]) == ("HOLD", "not_sure", None)
    assert (
        "price_199: no difference in revenue per unit is shown (+26 %, +1.65 USD; always-valid 95 "
        "%: -19 to +94 %, -1.35" in " ".join(said.out.split())
    )
    assert (
        "+1.65 USD per customer (always-valid 95 %: -1.35 to +4.65 USD); its risk is 1.000"
        in found["sentence"]
    )
    assert hwds(f"{asked}=price_199").code == 0
    back = decided(tmp_path)
    assert back["gain"] == -found["gain"]
    assert (back["action"], back["candidate"], back["rule"]) == ("HOLD", "control", "none")
    assert "no arm that is allowed seems to earn more (best: control, -1.65 USD" in back["sentence"]


def test_what_the_test_shows_is_changed_to(hwds, tmp_path):
    said = hwds(
        f"{TEST} decision.current=control protocol.alpha=.6 decision.confidence=.4 "
        f"protocol.correction=none"
    )
    assert said.code == 0, said.err
    found = decided(tmp_path)
    assert effect_on_revenue(tmp_path)[1] > 0
    assert (found["action"], found["arm"], found["certainty"]) == ("CHANGE", "price_199", "test")


def test_each_arm_of_a_log(hwds, tmp_path):
    assert hwds(f"{LOG} decision.current=79 dataset.exploration=1").code == 0
    found = decided(tmp_path)
    scores = pl.read_parquet(next(tmp_path.glob("outputs/runs/*/*/scores.parquet")))
    of_arms = scores.filter((pl.col("metric") == "policy_value") & (pl.col("segment_by") == "arm"))
    own = of_arms.filter(pl.col("model") == "ope/snipw")
    assert {s["arm"]: s["mean"] for s in found["standings"]} == dict(
        own.select("segment", "value").iter_rows()
    )
    assert (found["action"], found["arm"]) in {("CHANGE", found["candidate"]), ("HOLD", "79")}
    assert found["gain_low"] < found["gain"] < found["gain_high"]
    margins = hwds(f"{LOG} decision.current=79 dataset.exploration=1 decision.cost=40")
    assert margins.code == 0
    scaled = {s["arm"]: s["mean"] for s in decided(tmp_path)["standings"]}
    first = found["standings"][0]
    assert scaled["79"] == pytest.approx(first["mean"] * (79 - 40) / 79)


@pytest.fixture
def units(tmp_path):
    rng, n = np.random.default_rng(0), 4000
    group = rng.choice(["A", "B"], n)
    bought = (rng.random(n) < np.where(group == "A", 0.2, 0.3)).astype(int)
    spent = bought * np.where(group == "A", rng.normal(50, 5, n), rng.normal(60, 5, n))
    data = pl.DataFrame(
        {
            "group": group,
            "bought": bought,
            "spent": spent,
            "price": np.where(rng.random(n) < 0.5, 40, 60),
        }
    )
    data.write_parquet(tmp_path / "units.parquet")
    return data


USERS = (
    f"+experiment=ab_price_test dataset=table dataset.path=units.parquet dataset.roles.arm=group "
    f"dataset.roles.outcome=bought"
    f" {SMALL} model=ab/welch protocol.control=A protocol.replications=0 decision=price_choice "
    f"decision.current=A"
)


def test_a_users_table_without_prices_is_decided_by_what_it_has(hwds, units, tmp_path):
    def means(words):
        said = hwds(f"{USERS} {words}")
        assert said.code == 0, said.err
        return [standing["mean"] for standing in decided(tmp_path)["standings"]]

    shares = [units.filter(pl.col("group") == arm)["bought"].mean() for arm in "AB"]
    spent = [units.filter(pl.col("group") == arm)["spent"].mean() for arm in "AB"]
    refused = hwds(USERS)
    assert refused.code == 2
    assert "decision.prices: must name the price of arm 'A'" in refused.line
    assert means("decision.prices.A=50 decision.prices.B=60") == pytest.approx(
        [50 * shares[0], 60 * shares[1]], rel=0.01
    )
    assert means("dataset.roles.amount=spent") == pytest.approx(spent)
    assert means("dataset.roles.outcome=spent") == pytest.approx(spent)


def test_running_sums_of_conversions_are_counts(hwds, tmp_path):
    n, shares = [4000, 4000], [0.2, 0.3]
    sums = {
        "arm": ["A", "B"],
        "count": n,
        "mean": shares,
        "variance": [q * (1 - q) * 4000 / 3999 for q in shares],
    }
    pl.DataFrame(sums).write_parquet(tmp_path / "sums.parquet")
    roles = " ".join(f"dataset.roles.{role}={role}" for role in sums)
    line = f"+experiment=ab_price_test dataset=table dataset.path=sums.parquet {roles} {SMALL}"
    words = (
        "model=ab/welch protocol.control=A protocol.replications=0 decision=price_choice "
        "decision.current=A"
    )
    said = hwds(
        f"{line} {words} decision.certainty=always_valid decision.prices.A=1 decision.prices.B=1"
    )
    assert said.code == 0, said.err
    found = decided(tmp_path)
    assert (found["action"], found["arm"], found["certainty"]) == ("CHANGE", "B", "always_valid")
    assert [standing["mean"] for standing in found["standings"]] == pytest.approx(
        [801 / 4002, 1201 / 4002]
    )


def test_a_test_whose_sample_ratio_is_wrong_tells_nothing(hwds, tmp_path):
    said = hwds(
        f"{TEST} decision.current=control 'protocol.allocation={{control: 3, price_199: 1}}'"
    )
    assert said.code == 0, said.err
    found = decided(tmp_path)
    assert (found["action"], found["rule"], found["arm"]) == ("HOLD", "no_estimate", "control")
    assert [standing["mean"] for standing in found["standings"]] == [None, None]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (f"{BANDIT} decision.current=21", "decision.current: no arm '21'; known: 10, 20, 30, 40, "
                                          "50."),
        (f"{TEST} decision.current=price_198", "decision.current: no arm 'price_198'; did you "
                                               "mean 'price_199'?"),
        (f"{BANDIT} decision.confidence=1.5", "decision.confidence: must be < 1.0, got 1.5."),
        (f"{BANDIT} decision.confidence=0", "decision.confidence: must be > 0.0, got 0."),
        (f"{BANDIT} decision.ladder=[10,10]", "decision.ladder: must not repeat 10.0, got [10, "
                                              "10]."),
        (f"{BANDIT} decision.margin_floor=1", "decision.margin_floor: must be < 1.0, got 1."),
        (f"{BANDIT} decision.curent=20", "decision: no key 'curent'; did you mean 'current'?"),
        (f"{BANDIT} decision.current=true", "decision.current"),
        (f"{BANDIT} decision.largest_step=.2", "decision.current: must be given, for "
                                               "decision.largest_step is a share of it."),
        (f"{BANDIT} decision.prices.10=5", "decision.prices: the data has the price of arm '10'."),
        (f"{BANDIT} dataset=bernoulli_arms decision.ladder=[1]", "decision.ladder: needs the "
                                                                 "price of every arm, and arm"),
        (f"{TEST} decision.confidence=.9", "decision.confidence: must be 1 - protocol.alpha "
                                           "(0.95), for the test decides, got"),
        (f"{BANDIT} decision.certainty=test", "decision.certainty: test is for protocol ab_test, "
                                              "which compares arms"),
        (f"{TEST} decision.margin_floor=.2", "decision.margin_floor: needs decision.cost, for the "
                                             "data has no cost"),
        (f"{LOG} protocol.each_arm=false", "protocol.each_arm: must be true for decision "
                                           "'price_choice', got false."),
        (f"{LOG} decision.certainty=always_valid", "decision.certainty: must be 'posterior' for "
                                                   "an off-policy estimate"),
        ("decision=price_choice", "a task of arms that may be charged; protocol 'walk_forward' is "
                                  "of forecast."),
        ("decision=price_chioce", "decision: no option 'price_chioce'; did you mean "
                                  "'price_choice'?"),
        ("decision=null", "decision: must be an option, got null; options: alert_policy, "
                          "arbitrage_thresholds, "),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_before_any_work(hwds, tmp_path, line, said):
    refused = hwds(line)
    assert refused.code == 2
    assert said in refused.line
    assert not list(tmp_path.glob("outputs/cache/cells/*"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            "dataset.roles.price=price decision.ladder=[40]",
            "and arm 'A' has no price of its own.",
        ),
        ("decision.prices.C=5", "decision.prices: no arm 'C'; known: A, B."),
        ("decision.prices.A=5", "decision.prices: has no price for arm 'B'."),
        (
            "dataset.roles.outcome=spent decision.certainty=always_valid",
            "always_valid needs outcomes of 0 and 1",
        ),
    ],
)
def test_a_users_table_is_refused_in_words(hwds, units, words, said):
    assert said in hwds(f"{USERS} {words}").line
