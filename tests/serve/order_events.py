"""Order lines as events, a small model of them, and a scorer that is told of them in a fixed
way.
"""

from dataclasses import replace

import numpy as np
import polars as pl

from hwds.detection.features.entity_risk import EntityRisk
from hwds.detection.features.peers import Peers
from hwds.detection.features.purchases import Purchases
from hwds.detection.models.classify.logistic import Logistic
from hwds.detection.models.classify.xgboost import XGBoost
from hwds.detection.rows import RowContext
from hwds.frames.features.together import Together
from tests.detection.features.purchase_tables import bought

FEATURES = Together(
    parts=(
        Purchases(days=(7, 30), tiers=(3, 5)),
        Peers(columns=("quantity_30d",), by=("channel",), window=9),
        EntityRisk(by=("store", "customer"), days=(14,)),
    )
)
UNKNOWN = ("row_id", "confirmed", "confirmed_at")
EXACT = (
    "quantity_7d",
    "quantity_30d",
    "orders",
    "skus",
    "stores",
    "channels",
    "cross",
    "store_labels",
    "store_confirmed",
)
MODELS = {"xgboost": XGBoost(trees=12, patience=0), "logistic": Logistic(calibration="platt")}


def lines(rows, seed=0, **asked):
    """Order lines in the order of arrival."""
    made = bought(rows, seed, customers=6, **asked)
    data = made.data.sort("available_at", maintain_order=True).with_columns(
        pl.int_range(pl.len()).alias("row_id")
    )
    return replace(
        made, data=data, roles=made.roles | {"covariate": ("channel", "quantity", "promotion")}
    )


def fitted(name="xgboost", features=FEATURES, rows=500):
    table = lines(rows, 99)
    whole = table.with_inputs(features.compute(table))
    whole = replace(whole, data=whole.data.with_columns(pl.col("confirmed").cast(pl.Float64)))
    return MODELS[name].fit(whole, stop=whole, calibrate=whole, context=RowContext(0))


def events(table, arrivals=True):
    """What is known of each line when it arrives; a return that comes later is told later."""
    later = pl.col("returned_at") > pl.col("available_at")
    data = table.data.with_columns(pl.when(~later).then(pl.col("returned_at")).alias("returned_at"))
    gone = (*UNKNOWN, *(() if arrivals else ("available_at",)))
    return [row | {"id": f"line {k}"} for k, row in enumerate(data.drop(gone).to_dicts())]


def told_of(scorer, table, made, begin=0):
    """Each event, one of before again, and the label and the return of an earlier one.

    What was answered.
    """
    for k in range(begin, len(made)):
        yield scorer.score(made[k], reasons=k % 3 == 0)
        if k % 5 == 4:
            scorer.score(made[k // 2])
        if k >= 20:
            tell(scorer, table, k - 20)


def tell(scorer, table, k):
    """What became of a line, unless that was told already."""
    row = table.data.row(k, named=True)
    if k % 4:
        scorer.label(f"line {k}", row["confirmed"], row["confirmed_at"])
    if row["returned_at"] is not None and k % 3 == 0:
        scorer.returned(f"line {k}", row["returned_at"])


def assert_as_batch(answers, scorer, model, features=FEATURES):
    """Features, scores and probabilities of events are those of the table of all of them."""
    table = scorer.history()
    columns = features.compute(table)
    assert len(answers) == len(table.data)
    for name in columns.columns:
        ours = np.array(
            [
                np.nan if answer.features[name] is None else answer.features[name]
                for answer in answers
            ],
            float,
        )
        theirs = columns[name].cast(pl.Float64).fill_null(np.nan).to_numpy()
        exact = name.startswith(EXACT) and "ratio" not in name
        np.testing.assert_allclose(ours, theirs, rtol=0 if exact else 1e-9, atol=0, err_msg=name)
    judged = model.score_rows(table.with_inputs(columns))
    assert [answer.score for answer in answers] == judged.score.tolist()
    assert [answer.probability for answer in answers] == judged.probability.tolist()
