"""The tables of a decision on alerts: every alert with its reasons, and the thresholds by what is at stake."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from hwds.detection.decisions.alerts.terms import PASS, RANDOM, TIERS, AlertTerms
from hwds.detection.decisions.alerts.verdict import Chosen
from hwds.detection.reasons.sentences import in_words
from hwds.frames.table import ROW_ID

STAKES = (0.1, 0.5, 0.9, 0.99)
"""The quantiles of what is at stake for which thresholds are reported."""


def alerts_of(test: pl.DataFrame, action: np.ndarray, chosen: Sequence[Chosen], terms: AlertTerms) -> pl.DataFrame:
    """Return one row for each test row that is not passed, by window, day, tier (`block` first) and expected gain.

    `expected_gain` is what the action is expected to save beside passing the row, and `chance` that with which the row came to
    be looked at (role `label_propensity`): 1 but for the random stream. Rows that the protocol did not explain have no reasons.
    """
    probability, loss = (test[name].to_numpy() for name in ("probability", "loss"))
    passed = np.full(len(action), PASS, np.int8)
    gain = terms.cost(passed, probability, loss) - terms.cost(action, probability, loss)
    multiplier = dict(zip((each.cutoff for each in chosen), (each.multiplier for each in chosen), strict=True))
    wide = test.with_columns(
        pl.Series("action", action),
        pl.Series("expected_gain", gain),
        pl.Series("block_from", terms.block_from(loss, test["cutoff"].replace_strict(multiplier).to_numpy())),
        pl.when(pl.Series(action == RANDOM)).then(terms.random_reviews).otherwise(1.0).alias("chance"),
    ).filter(pl.col("action") != PASS)
    ordered = wide.sort(
        ["fold", "day_id", "action", "expected_gain"], descending=[False, False, True, True], maintain_order=True
    )
    return ordered.select(
        "cutoff",
        ROW_ID,
        "id",
        "time",
        "entity",
        pl.col("action").replace_strict(TIERS, return_dtype=pl.String).alias("tier"),
        "score",
        "probability",
        "block_from",
        pl.col("loss").alias("at_stake"),
        "expected_gain",
        "chance",
        pl.Series("reasons", ["; ".join(in_words(reasons or [])) for reasons in ordered["reasons"].to_list()], dtype=pl.String),
    )


def alerted(test: pl.DataFrame, action: np.ndarray) -> pl.DataFrame:
    """Return the rows of the last window that are not passed, with what is at stake and their tier, for cases."""
    names = pl.Series("action", action).replace_strict(TIERS, default=None, return_dtype=pl.String)
    rows = test.with_columns(names.alias("tier"), pl.col("loss").alias("at_stake"))
    return rows.filter((pl.col("fold") == test["fold"].max()) & pl.col("tier").is_not_null())


def thresholds_of(test: pl.DataFrame, chosen: Sequence[Chosen], terms: AlertTerms) -> pl.DataFrame:
    """Return for each test window the probabilities from which rows are blocked and reviewed, by what is at stake.

    `block_from` holds where no review is left, `block_always_from` where one is. `review_from` is null where no review can be
    worth its cost.
    """
    made = []
    for each in chosen:
        rows = test.filter(pl.col("cutoff") == each.cutoff)
        loss = np.array([rows["loss"].quantile(level, "nearest") for level in STAKES], float)
        review = terms.review_from(loss, each.floor)
        made.append(
            pl.DataFrame(
                {
                    "cutoff": [each.cutoff] * len(STAKES),
                    "multiplier": each.multiplier,
                    "floor": each.floor,
                    "stake_quantile": STAKES,
                    "at_stake": loss,
                    "block_from": terms.block_from(loss, each.multiplier),
                    "block_always_from": terms.block_always_from(loss, each.multiplier, each.floor),
                    "review_from": [float(from_) if from_ <= 1 else None for from_ in review],
                },
                schema_overrides={"review_from": pl.Float64},
            )
        )
    return pl.concat(made)
