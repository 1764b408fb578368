"""Resellers found without labels, and the worth of a hundred reviewed ones: `python -m
bench.review_queue [5]`.

`python -m bench.review_queue labels 12` compares listed, drawn and random rows alone, on twelve
other markets, paired.

Simulated gray markets of eight months, each seed a market of its own: who buys on the last 28 days
is ranked, and the true resellers among the first 100 and 200 cases are counted. The supervised
model has all labels that investigations had found by then (some 250 positive ones). Then a hundred
rows of the twelve weeks before are reviewed, in four rounds: those that `decision=review_cases`
lists, the highest alone, or random ones; what a model makes of these labels ranks the same 28 days.
"""

from __future__ import annotations

import os
import sys
from collections import defaultdict
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl

from hwds.core.seeds import stream
from hwds.datasets.fraud_handbook import FraudHandbook
from hwds.datasets.simulated.gray_market import GrayMarket
from hwds.detection.cases import ScoreOf
from hwds.detection.decisions.review_cases import ReviewCases
from hwds.detection.features.arbitrage import Arbitrage
from hwds.detection.features.entity_risk import EntityRisk
from hwds.detection.features.handbook_plus import HandbookPlus
from hwds.detection.features.lowest import Lowest
from hwds.detection.features.network import Network
from hwds.detection.features.peers import Peers
from hwds.detection.features.purchases import Purchases
from hwds.detection.metrics import flag_top_entities
from hwds.detection.models.anomaly.isolation_forest import IsolationForest
from hwds.detection.models.anomaly.robust_z import RobustZ
from hwds.detection.models.anomaly.tails import Tails
from hwds.detection.models.base import Classifier
from hwds.detection.models.classify.few_labels import FewLabels
from hwds.detection.models.classify.xgboost import XGBoost
from hwds.detection.predictions import row_predictions
from hwds.detection.protocols.prequential import Prequential
from hwds.detection.protocols.review_queue import ranked_entities
from hwds.detection.rows import RowContext, distinct_codes
from hwds.evaluation.row_folds import as_known, last_midnight, row_arrivals
from hwds.frames.features.together import Together
from hwds.frames.table import Table
from hwds.results.tables import Tables
from hwds.stats.effects import student_critical

FEATURES = Together(parts=(Purchases(), Peers(), Arbitrage(), EntityRisk(), Network(), Lowest()))
HIGH = (
    "loss_at_stake",
    "spread_share",
    "best_pair_share",
    "quantity_30d_z",
    "stores_90d",
    "network_degree",
)
LEAST = ("quantity_least_90d", "spread_share_least_90d")
GRAY = Tails(high=(*HIGH, *LEAST), low=("tenure_days",), most=3.0)
"""`anomaly/tails_gray`."""

BUDGETS = (100, 200)
ROUNDS, EACH = 4, 25
EXPLORE = {"listed": 0.5, "highest": 0.0, "drawn": 1.0}
"""The share of cases that is drawn, by how rows are chosen; `random` draws of all rows."""

FIRST_SEED = 11
"""The inputs and directions of `tails_gray`, their bound and how rows are chosen were settled on
the truth of seeds 1 to 3.
"""

LABELS_SEED = 21

OWN = ("usual_ratio", "highest_ratio")
"""The amount, and the highest of two weeks, over what the card has paid on average."""

KINDS = {1: "high amounts", 2: "at compromised terminals", 3: "of compromised cards"}
"""The scenarios of the handbook."""

CONTEXT = RowContext(0, features=FEATURES)


class Market:
    """One market: its rows with inputs, with labels as far as they were known, and without any.

    Args:
        seed: Of the market.
    """

    def __init__(self, seed: int) -> None:
        self.frame = GrayMarket(seed=seed, days=240, customers=6000, rings=28).load()
        self.cutoff = last_midnight(self.frame) - timedelta(days=28)
        known = as_known(self.frame, row_arrivals(self.frame).max(), 7)
        label, when = known.name("label"), known.name("label_time")
        none = [pl.lit(None, pl.Float64).alias(label), pl.lit(None, pl.Datetime("us")).alias(when)]
        bare = replace(known, data=known.data.with_columns(none))
        self.bare = bare.with_inputs(FEATURES.compute(bare))
        seen = pl.when(pl.col(when) <= self.cutoff).then(pl.col(label)).alias(label)
        wide = known.with_inputs(FEATURES.compute(known))
        self.labelled = replace(wide, data=wide.data.with_columns(seen))

    def parts(self, rows: Table, days: int = 0) -> tuple[Table, Table]:
        """Return the rows before the cutoff (of so many days, 0 for all), and those after it."""
        times = row_arrivals(rows)
        since = self.cutoff - timedelta(days=days or 10_000)
        return rows.filter((times >= since) & (times < self.cutoff)), rows.filter(
            times >= self.cutoff
        )

    def found(self, model: Classifier, train: Table, test: Table, score_of: ScoreOf) -> list[int]:
        """Return the true resellers among the first cases of each budget, and all there are."""
        fitted = model.fit(train, context=CONTEXT)
        rows = row_predictions(fitted, test, self.frame, "test", 0)
        truth = ranked_entities(rows, score_of)["truth"]
        return [*(int(truth.head(budget).sum()) for budget in BUDGETS), int(truth.sum())]


def without_labels(market: Market) -> dict[str, list[int]]:
    """Return what each model finds."""
    train, test = market.parts(market.labelled)
    bare = market.parts(market.bare)
    boosted = XGBoost(trees=400, patience=0)
    named: dict[str, tuple[Classifier, ScoreOf]] = {
        "anomaly/tails_gray, mean of rows": (GRAY, "mean"),
        "  without its bound": (replace(GRAY, most=None), "mean"),
        "  without the lowest and the new": (Tails(high=HIGH), "mean"),
        "anomaly/tails (both ends), mean": (Tails(), "mean"),
        "anomaly/isolation_forest, highest": (IsolationForest(), "highest"),
        "anomaly/robust_z, highest": (RobustZ(), "highest"),
    }
    supervised = [market.found(boosted, train, test, score_of) for score_of in ("highest", "mean")]  # type: ignore[arg-type]
    found = {"classify/xgboost, all labels": max(supervised, key=lambda each: each[0])}
    return found | {
        name: market.found(model, *bare, score_of) for name, (model, score_of) in named.items()
    }


def reviewed(market: Market, how: str, seed: int) -> tuple[list[int], int]:
    """Return what is found by a hundred labels, and how many of them are 1."""
    train, test = market.parts(market.bare, 84)
    truth = dict(market.frame.data.select("row_id", pl.col("gray").cast(pl.Float64)).iter_rows())
    model, labels = FewLabels(member=GRAY), {}
    label = train.name("label")

    def with_labels() -> Table:
        given = (
            pl.col("row_id")
            .replace_strict(labels, default=None, return_dtype=pl.Float64)
            .alias(label)
        )
        return replace(train, data=train.data.with_columns(given)) if labels else train

    for turn in range(ROUNDS):
        learned = with_labels()
        open_rows = learned.filter(learned.column("label").is_null())
        if how == "random":
            ids = open_rows.data["row_id"].to_numpy()
            chosen = stream(seed, "random reviews", turn).choice(ids, EACH, replace=False).tolist()
        else:
            rows = row_predictions(
                model.fit(learned, context=CONTEXT), open_rows, market.frame, "test", 0
            )
            rows = rows.with_columns(
                label=pl.lit(None, pl.Float64), fold=pl.lit(turn), model=pl.lit("own")
            )
            tables = Tables(pl.DataFrame({"seed": [seed]}), rows, pl.DataFrame())
            share = EXPLORE[how]
            decision = ReviewCases(
                name="review_cases", capacity=EACH, explore=share, score_of="mean"
            )
            verdict = decision.decide(tables, market.frame, "own", None)  # type: ignore[arg-type]
            assert verdict is not None
            chosen = verdict.to_review["row_id"].to_list()
        labels |= {row: truth[row] for row in chosen}
    return market.found(model, with_labels(), test, "mean"), int(sum(labels.values()))


def handbook() -> None:
    """Print how many cards with frauds a hundred cards a day hold in the week that the handbook
    publishes.
    """
    frame = FraudHandbook().load()
    protocol = Prequential(windows=1, train_days=7, stop_days=0, calibrate_days=0)
    cutoff = protocol.split(frame)[0].cutoffs[0].at
    parts = protocol.parts(
        frame, cutoff, RowContext(0, features=HandbookPlus(terminal="terminal_id"))
    )
    risky = [name for name in frame.inputs if "risk" in name]
    plain = tuple(name for name in frame.inputs if name not in risky)
    high = tuple(name for name in plain if "amount" in name and "avg" not in name)
    kinds = scenarios()
    models: dict[str, tuple[Classifier, tuple[str, ...]]] = {
        "classify/xgboost, all labels": (
            XGBoost(trees=100, depth=3, rate=0.1, patience=0, start=0.5),
            frame.inputs,
        ),
        "anomaly/isolation_forest, no input made of labels": (IsolationForest(), plain),
        "anomaly/tails, high amounts": (Tails(high=high), plain),
        "anomaly/tails, high amounts beside the card's own": (
            Tails(high=("tx_amount", *OWN)),
            ("tx_amount", *OWN),
        ),
        "anomaly/isolation_forest, a terminal's frauds among its inputs": (
            IsolationForest(),
            frame.inputs,
        ),
        "anomaly/tails, high amounts and terminals' frauds": (
            Tails(high=(*high, *risky)),
            frame.inputs,
        ),
    }
    for name, (model, inputs) in models.items():
        given = {
            part: replace(rows, roles=rows.roles | {"covariate": inputs})
            for part, rows in parts.items()
        }
        fitted = model.fit(given["train"], context=RowContext(0))
        rows = row_predictions(fitted, given["test"], frame, "test", 0)
        day = distinct_codes(rows["time"].dt.date())
        mask = flag_top_entities(rows["score"].to_numpy(), distinct_codes(rows["entity"]), day, 100)
        cards = rows.with_columns(pl.Series("day", day), pl.Series("flag", mask)).filter(
            pl.col("label") == 1
        )
        both = (
            cards.join(kinds, on="row_id")
            .group_by("day", "entity")
            .agg(pl.col("flag").any(), pl.col("scenario").max())
        )
        found = [int(both.filter(scenario=kind)["flag"].sum()) for kind in KINDS]
        every = [both.filter(scenario=kind).height for kind in KINDS]
        apart = ", ".join(
            f"{mine} of {there} {kind}"
            for mine, there, kind in zip(found, every, KINDS.values(), strict=True)
        )
        sys.stdout.write(f"  {name:<64}{sum(found):>5} of {len(both)} cards: {apart}\n")


def scenarios() -> pl.DataFrame:
    """Return which of the handbook's three kinds of fraud each payment is, 0 for none, in the order
    of the dataset.
    """
    file = Path(os.environ["HWDS_DATA"]) / "fraud_handbook" / "transactions.parquet"
    rows = pl.read_parquet(file).sort("tx_datetime", maintain_order=True)
    return rows.select(
        pl.int_range(pl.len()).alias("row_id"), pl.col("tx_fraud_scenario").alias("scenario")
    )


def main(markets: int) -> int:
    """Print the tables."""
    found: dict[str, list[list[int]]] = defaultdict(list)
    worth: dict[str, list[tuple[list[int], int]]] = defaultdict(list)
    for seed in range(FIRST_SEED, FIRST_SEED + markets):
        market = Market(seed)
        for name, numbers in without_labels(market).items():
            found[name].append(numbers)
        for how in ("listed", "highest", "random"):
            worth[how].append(reviewed(market, how, seed))
    sys.stdout.write(f"resellers among the first cases of 28 days, {markets} markets\n")
    best = np.array(found["classify/xgboost, all labels"], float)
    _line(
        "",
        [
            *(f"of {budget}" for budget in BUDGETS),
            "all",
            *(f"share @{budget}" for budget in BUDGETS),
        ],
    )
    for name, each in found.items():
        mine = np.array(each, float)
        shares = [f"{100 * mine[:, k].sum() / best[:, k].sum():.0f} %" for k in range(len(BUDGETS))]
        _line(name, [*(f"{value:.1f}" for value in mine.mean(axis=0)), *shares])
    sys.stdout.write(f"\nafter {ROUNDS * EACH} reviewed rows (classify/few_labels_gray)\n")
    for how, pairs in worth.items():
        mine = np.array([numbers for numbers, _ in pairs], float)
        shares = [f"{100 * mine[:, k].sum() / best[:, k].sum():.0f} %" for k in range(len(BUDGETS))]
        positive = np.mean([count for _, count in pairs])
        _line(
            f"{how} ({positive:.0f} of them 1)",
            [*(f"{value:.1f}" for value in mine.mean(axis=0)), *shares],
        )
    ahead = [a[0][0] - b[0][0] for a, b in zip(worth["listed"], worth["random"], strict=True)]
    sys.stdout.write(f"listed less random, of the first {BUDGETS[0]}: {ahead}\n")
    folder = os.environ.get("HWDS_DATA", "")
    file = Path(folder) / "fraud_handbook" / "transactions.parquet"
    if folder and file.is_file():
        sys.stdout.write("\nFraud Detection Handbook, 8 to 14 August, a hundred cards a day\n")
        handbook()
    return 0


def labels(markets: int) -> int:
    """Print how many resellers chosen labels find more than random ones, with paired intervals of
    Student's t.
    """
    found: dict[str, list[list[int]]] = defaultdict(list)
    for seed in range(LABELS_SEED, LABELS_SEED + markets):
        market = Market(seed)
        found["none"].append(market.found(GRAY, *market.parts(market.bare), "mean"))
        for how in ("listed", "drawn", "random"):
            found[how].append(reviewed(market, how, seed)[0])
    sys.stdout.write(
        f"after {ROUNDS * EACH} reviewed rows, {markets} markets from seed {LABELS_SEED} on\n"
    )
    for how in ("listed", "drawn"):
        for other in ("random", "none"):
            for place, budget in enumerate(BUDGETS):
                more = np.array(
                    [a[place] - b[place] for a, b in zip(found[how], found[other], strict=True)]
                )
                half = (
                    student_critical(markets - 1, 0.95) * float(more.std(ddof=1)) / np.sqrt(markets)
                )
                ends = (
                    f"{more.mean():+.1f} ({more.mean() - half:+.1f} to {more.mean() + half:+.1f})"
                )
                sys.stdout.write(
                    f"  {how} less {other}, of the first {budget}: {ends}; {more.tolist()}\n"
                )
    return 0


def _line(name: str, cells: list[str]) -> None:
    sys.stdout.write(f"  {name:<36}{''.join(f'{cell:>12}' for cell in cells)}\n")


if __name__ == "__main__":
    numbers = [int(word) for word in sys.argv[1:] if word.isdigit()]
    sys.exit((labels if "labels" in sys.argv else main)(*(numbers or [5])))
