"""How often detections are told apart where rows share customers and days: `python -m
bench.shared_days`, an hour of a core.

Two models that are as good as each other, and one that is better for the power that is left. How
well a model tells positive rows apart varies by row, by customer and by day; `share` is the part of
its variance that all rows of a day share. Beside the method of a comparison stands the wider of two
intervals, by customer alone and by day alone. Then off-policy values of logs whose reward has a
shock of each day, beside intervals that take rows as independent.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
import polars as pl

from hwds.core.seeds import stream
from hwds.detection.protocols.prequential import Prequential
from hwds.detection.scores import (
    BY_DAY,
    BY_ENTITY,
    ResampledMetrics,
    families_of_metric,
    model_difference,
    resample_windows,
    scored_windows,
)
from hwds.ope.estimates import EstimatorTerms, influence, stderr
from hwds.ope.protocols.off_policy import shared_days
from hwds.stats.contrasts import Scale
from hwds.stats.effects import Z95, ReferenceDistribution

TRIALS, POWER = 500, 100
"""The standard error of a rate of 5 % is 1.0 % in the first."""

LOGS = 2000
RESAMPLES, ROWS, POSITIVE = 100, 1000, 0.12
CUSTOMER_SHARE, GAIN = 0.1, 0.5
PROTOCOL = Prequential(card_k=5)
SCALE = Scale(low=False, relative=True)

Law = Callable[[np.random.Generator, np.ndarray, np.ndarray], np.ndarray]
"""From (generator, customer and day of each row) shocks of variance one that rows of a day share,
shape (rows,).
"""


def common(rng: np.random.Generator, who: np.ndarray, day: np.ndarray) -> np.ndarray:
    """One shock of each day, the same for all customers."""
    return rng.normal(size=day.max() + 1)[day]


def factor(rng: np.random.Generator, who: np.ndarray, day: np.ndarray) -> np.ndarray:
    """One shock of each day, to which each customer answers by a loading of mean and deviation
    one.
    """
    return common(rng, who, day) * (1 + rng.normal(size=who.max() + 1)[who]) / 2**0.5


def heavy(rng: np.random.Generator, who: np.ndarray, day: np.ndarray) -> np.ndarray:
    """As `common`; rows are of customers as 1, 1/2, 1/3 ... are, and these differ as much as days
    do.
    """
    return common(rng, who, day)


def lasting(rng: np.random.Generator, who: np.ndarray, day: np.ndarray) -> np.ndarray:
    """Common shocks of which three tenths last to the next day."""
    shocks = rng.normal(size=day.max() + 1)
    for place in range(1, len(shocks)):
        shocks[place] = 0.3 * shocks[place - 1] + (1 - 0.09) ** 0.5 * shocks[place]
    return shocks[day]


LAWS: tuple[tuple[Law, float], ...] = (
    (common, 0.0),
    (common, 0.1),
    (common, 0.3),
    (factor, 0.3),
    (heavy, 0.3),
    (lasting, 0.3),
)
CUSTOMERS, DAYS = (20, 100, 1000), (5, 20, 60)
LINE = "{:<14} {:<12} {:>5} {:>9} {:>4}   {:>8} {:>6} {:>5}   {:>6} {:>5}\n"


def judged(
    rng: np.random.Generator, law: Law, share: float, customers: int, days: int, gain: float
) -> list[pl.DataFrame]:
    """Return what two models say of the same rows.

    The first tells positive rows apart by `gain` more.
    """
    chances = 1 / np.arange(1.0, customers + 1) if law is heavy else np.ones(customers)
    who, day = (
        rng.choice(customers, ROWS, p=chances / chances.sum()),
        np.arange(ROWS) * days // ROWS,
    )
    label = ((rng.random(ROWS) < 0.4) & (rng.random(customers) < POSITIVE / 0.4)[who]).astype(float)
    about = {
        "row_id": np.arange(ROWS),
        "label": label,
        "entity": who.astype(str),
        "day": day.astype(np.int32),
    }
    nothing = {name: pl.lit(None, pl.Float64) for name in ("truth", "amount", "probability")}
    rows = pl.DataFrame(about).with_columns(
        **nothing,
        time=pl.lit(None, pl.Datetime),
        weight=1.0,
        cutoff=pl.lit("2024-01-01"),
        flagged=False,
    )
    of_customers = share if law is heavy else CUSTOMER_SHARE
    told = []
    for better in (gain, 0.0):
        shock = (
            share**0.5 * law(rng, who, day) + of_customers**0.5 * rng.normal(size=customers)[who]
        )
        own = (1 - share - of_customers) ** 0.5 * rng.normal(size=ROWS)
        told.append(rows.with_columns(score=pl.Series(label * (1.5 + better + shock) + own)))
    return told


def calls(
    rng: np.random.Generator, metric: str, tables: list[pl.DataFrame]
) -> tuple[bool, bool, bool]:
    """Return whether a comparison answers, whether it calls the two apart, and whether the wider of
    two ways does.
    """
    family = families_of_metric(PROTOCOL, metric)
    first, second = (
        resample_windows(scored_windows(rows, PROTOCOL), family, RESAMPLES) for rows in tables
    )
    if not min(first.values[metric], second.values[metric]) > 0:
        return False, False, False
    effect = model_difference(metric, first, second, SCALE)
    return (
        effect.stderr is not None,
        (effect.p_value or 1.0) < 0.05,
        abs(effect.value) > _wider(metric, first, second),
    )


def _wider(metric: str, first: ResampledMetrics, second: ResampledMetrics) -> float:
    """Return half of the wider interval by customer alone and by day alone, with Student's t of the
    clusters there are.
    """
    widths = [np.inf]
    for way in (BY_ENTITY, BY_DAY):
        count = first.clusters(metric)[way].number
        with np.errstate(divide="ignore", invalid="ignore"):
            drawn = SCALE.between(first.samples_of(metric)[way], second.samples_of(metric)[way])
        drawn = drawn[np.isfinite(drawn)]
        if count > 1 and len(drawn) > RESAMPLES / 2:
            stretch = (count / (count - 1)) ** 0.5 * ReferenceDistribution(count - 1).critical(0.95)
            widths.append(float(np.std(drawn, ddof=1)) * stretch)
    return max(widths[1:], default=widths[0])


def rates(
    metric: str, law: Law, share: float, customers: int, days: int, trials: int, gain: float
) -> np.ndarray:
    """Return the shares of trials that are answered, called apart by a comparison, and by the wider
    of two ways.
    """
    rng = stream(
        0, "shared_days", metric, law.__name__, str(share), str(customers), str(days), str(gain)
    )
    return np.mean(
        [calls(rng, metric, judged(rng, law, share, customers, days, gain)) for _ in range(trials)],
        axis=0,
    )


def values(share: float, customers: int, days: int, trials: int) -> np.ndarray:
    """Return the shares of answered logs, and of wrong intervals of weighted values, by both ways
    and by customer alone.
    """
    rng = stream(0, "shared_days", "off_policy", str(share), str(customers), str(days))
    wrong = []
    for _ in range(trials):
        who, day = rng.integers(0, customers, ROWS), np.arange(ROWS) * days // ROWS
        own = (1 - share - CUSTOMER_SHARE) ** 0.5 * rng.normal(size=ROWS)
        reward = (
            own
            + share**0.5 * common(rng, who, day)
            + CUSTOMER_SHARE**0.5 * rng.normal(size=customers)[who]
        )
        weight = np.where(
            rng.random(ROWS) < 0.3, 0.5 / 0.3, 0.5 / 0.7
        )  # a log that favours one of two arms
        groups = np.unique(who, return_inverse=True)[1]
        parts = EstimatorTerms(None, weight * reward, weight)
        rows = pl.DataFrame({"day": day})
        effect = shared_days(influence(parts), parts.value, rows, groups)
        alone = Z95 * (stderr(parts, groups) or 0.0)
        wrong.append(
            (effect.stderr is not None, (effect.p_value or 1.0) < 0.05, abs(parts.value) > alone)
        )
    return np.mean(wrong, axis=0)


def detections(metric: str, laws: tuple[tuple[Law, float], ...]) -> bool:
    """Print the lines of a metric of detections; false where one errs too often."""
    held = True
    for law, share in laws:
        for customers in CUSTOMERS:
            for days in DAYS:
                null = rates(metric, law, share, customers, days, TRIALS, 0.0)
                power = rates(metric, law, share, customers, days, POWER, GAIN)
                held &= law is lasting or _held(null, TRIALS)
                _line(metric, f"{law.__name__}", share, customers, days, null, power)
    return held


def _held(null: np.ndarray, trials: int) -> bool:
    """Return whether at most six of 100 answers are wrong, but for the error of the simulation."""
    answered = max(null[0], 1 / trials)
    return bool(null[1] / answered <= 0.06 + 2 * (0.05 * 0.95 / (answered * trials)) ** 0.5)


def _line(
    what: str,
    law: str,
    share: float,
    customers: int,
    days: int,
    null: np.ndarray,
    power: np.ndarray | None,
) -> None:
    errs = null[1] / null[0] if null[0] else np.nan
    shown = [
        null[0],
        errs,
        np.nan if power is None else power[1],
        null[2],
        np.nan if power is None else power[2],
    ]
    numbers = ("" if np.isnan(each) else f"{100 * each:.1f}" for each in shown)
    sys.stdout.write(LINE.format(what, law, f"{share:g}", customers, days, *numbers))
    sys.stdout.flush()


def main() -> int:
    """Print the table; 1 where more than six of 100 answers tell apart what differs in nothing."""
    sys.stdout.write(
        LINE.format(
            "metric",
            "shared",
            "share",
            "customers",
            "days",
            "answered",
            "errs",
            "power",
            "alone",
            "power",
        )
    )
    held = True
    for share in (0.0, 0.1, 0.3):
        for customers in CUSTOMERS:
            for days in DAYS:
                null = values(share, customers, days, LOGS)
                held &= _held(null, LOGS)
                _line("policy_value", "common", share, customers, days, null, None)
    held &= detections("aucpr", LAWS)
    held &= detections("card_precision@5", ((common, 0.3),))
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
