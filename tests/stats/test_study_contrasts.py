"""Studies: worlds as units, one family of all contrasts, and an error rate that holds where worlds
differ.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl
import pytest

from hwds.core.errors import ConfigError, DataError
from hwds.core.study import Clause
from hwds.results.tables import Measure
from hwds.stats.compare import WORLDS, compare_experiment, compare_table, contrasts_of
from tests.support.finished_runs import forecasts, source

SIZES = {"forecast/good": 1.0, "forecast/bad": 2.0, "forecast/twin": 1.001}


@dataclass(frozen=True)
class Asked:
    metric: str = "mase"
    model: str = "forecast/good"
    rivals: tuple[str, ...] = ("forecast/bad", "forecast/twin")
    margin: float = 0.3


def test_the_contrasts_of_all_experiments_are_one_family():
    from statsmodels.stats.multitest import multipletests

    sources = {
        name: [source(forecasts(SIZES, seed=seed), seed=seed)] for seed, name in enumerate("ab")
    }
    found = {name: compare_experiment(Asked(), own) for name, own in sources.items()}
    table = contrasts_of(Asked(), found)
    assert table["contrast"].to_list() == [
        "a (against bad)",
        "a (against twin)",
        "b (against bad)",
        "b (against twin)",
    ]
    np.testing.assert_allclose(table["p_holm"], multipletests(table["p_value"], method="holm")[1])
    np.testing.assert_allclose(
        table["alike_holm"], multipletests(table["alike_p"], method="holm")[1]
    )
    assert table["verdict"].to_list() == ["better", "alike", "better", "alike"]
    with pytest.raises(ConfigError, match="no model 'bed' in 'a'; did you mean 'forecast/bad'"):
        contrasts_of(Asked(rivals=("bed",)), found)


def test_the_rule_lists_contrasts_by_experiment():
    clause = Clause(some=("better",), then="Pays in {better}; costs in {worse}; alike in {alike}.")
    verdicts = {
        "a (against x)": "better",
        "a (against y)": "better",
        "b (against x)": "worse",
        "b (against y)": "better",
    }
    assert clause.holds(verdicts)
    assert (
        clause.answer(verdicts)
        == "Pays in a (against x and y) and b (against y); costs in b (against x)."
    )
    assert not Clause(some=("better",), none=("worse",), then="x").holds(verdicts)
    assert not Clause(all=("better", "alike"), then="x").holds(verdicts)


def test_seeds_with_data_of_their_own_are_worlds_and_mixtures_are_refused():
    own = [
        source(forecasts(SIZES, seed=seed), f"r{seed}", seed=seed, data=f"{seed}" * 16)
        for seed in range(3)
    ]
    for place, each in enumerate(own):
        scores = each.tables.scores.with_columns(
            value=pl.when(pl.col("model") == "forecast/bad").then(2.0 + 0.01 * place).otherwise(1.0)
        )
        object.__setattr__(each.tables, "scores", scores)
    found = compare_experiment(Asked(), own)
    assert found.units == WORLDS
    assert (found.seeds, found.leaderboard["n"][0]) == ((0, 1, 2), 3)
    bad = next(row for row in found.pairs.to_dicts() if row["rival"] == "forecast/bad")
    assert bad["effect"] == pytest.approx(1 - 1 / 2.01)
    assert (bad["method"], bad["clusters"]) == ("t over worlds", 3)
    with pytest.raises(DataError, match="3 seeds have 2 sets of data"):
        compare_experiment(
            Asked(), [own[0], own[1], source(forecasts(SIZES), "r9", seed=9, data="1" * 16)]
        )


def test_false_findings_stay_at_five_of_a_hundred_where_models_differ_by_world():
    """Models are alike over worlds and differ within each: series taken as units would find
    differences that are none.
    """
    rng, wrong, naive, games = np.random.default_rng(0), 0, 0, 200
    for _ in range(games):
        world = rng.normal(0, 0.1, (8, 1))
        series = rng.normal(0, 0.1, (8, 30))
        rows = [("a", np.ones((8, 30))), ("b", np.exp(world + series))]
        means = [
            pl.DataFrame(
                {
                    "model": model,
                    "dataset": "d",
                    "seed": 0,
                    "unit": list("abcdefgh"),
                    "value": values.mean(axis=1),
                }
            )
            for model, values in rows
        ]
        found = compare_table(
            pl.concat(means), Measure("mase"), units=WORLDS, model="a"
        ).pairs.to_dicts()[0]
        wrong += found["p_value"] < 0.05
        flat = np.log(rows[1][1]).ravel()
        naive += abs(flat.mean() / (flat.std(ddof=1) / len(flat) ** 0.5)) > 1.96
    assert 0.03 <= wrong / games <= 0.08
    assert naive / games > 0.3
