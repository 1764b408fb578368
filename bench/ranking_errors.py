"""How often two rankings that are as good as each other are told apart, where rows of a customer
and of a day go together.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from hwds.core.seeds import stream
from hwds.detection.protocols.prequential import Prequential
from hwds.detection.scores import model_difference, resample_windows, scored_windows
from hwds.stats.contrasts import Scale

TRIALS = 400
RESAMPLES = 200


def rankings(metric: str, rows: int, customers: int, days: int) -> tuple[float, int]:
    """The bootstraps by customer and by day together, as a comparison of detections takes them."""
    rng, wrong, asked = (
        stream(0, "error_rates", metric, str(rows)),
        0,
        Prequential(),
    )
    families = [family for family, names in asked.families.items() if metric in names]
    for _ in range(TRIALS):
        both = [
            resample_windows(scored_windows(each, asked), families, RESAMPLES)
            for each in _judged(rng, rows, customers, days)
        ]
        effect = model_difference(metric, both[0], both[1], Scale(low=False, relative=True))
        wrong += (effect.p_value or 1.0) < 0.05
    return wrong / TRIALS, TRIALS


def _judged(rng: np.random.Generator, rows: int, customers: int, days: int) -> list[pl.DataFrame]:
    """What two models say of the same rows: each errs by customer, by day and by row."""
    who, day = rng.integers(0, customers, rows), np.arange(rows) * days // rows
    label = ((rng.random(rows) < 0.5) & (rng.random(customers) < 0.15)[who]).astype(float)
    told = {
        "row_id": np.arange(rows),
        "label": label,
        "entity": who.astype(str),
        "day": day.astype(np.int32),
    }
    nothing = {name: pl.lit(None, pl.Float64) for name in ("truth", "amount", "probability")} | {
        "time": pl.lit(None, pl.Datetime)
    }
    about = pl.DataFrame(told).with_columns(
        **nothing, weight=1.0, cutoff=pl.lit("2024-01-01"), flagged=False
    )
    errs = [
        rng.normal(0, 0.8, customers)[who]
        + rng.normal(0, 0.4, days)[day]
        + rng.normal(0, 0.8, rows)
        for _ in "ab"
    ]
    return [about.with_columns(score=1.5 * label + each) for each in errs]
