"""The subject against each rival: effect, interval, p-values, wins, and a verdict."""

from __future__ import annotations

import numpy as np
import polars as pl

from hwds.compare.contrasts import Scale
from hwds.compare.evidence import Evidence
from hwds.results.comparison import PAIRS
from hwds.statistics.multiple_testing import holm
from hwds.statistics.ranks import rounded, wilcoxon_p, win_rate
from hwds.statistics.reference_distribution import Effect


def pairs_of(evidence: Evidence, subject: int, scale: Scale, family: int, margin: float | None, level: float) -> pl.DataFrame:
    """Return the pairs of the subject, in the order of models; see `hwds.results.comparison.PAIRS`.

    Where the data chose the subject, the family is all pairs; those without the subject are taken to be the larger p-values.

    Args:
        evidence: Of all models.
        subject: Its number.
        scale: Of effects.
        family: How many tests are corrected for together.
        margin: A difference that does not matter; None where none was given.
        level: Of intervals and verdicts.
    """
    rivals = [place for place in range(len(evidence.models)) if place != subject]
    effects = evidence.effects([(subject, rival) for rival in rivals], scale)
    p_values = [effect.p_value for effect in effects]
    alike = [None if margin is None else effect.equivalence_p(*scale.bounds(margin)) for effect in effects]
    p_holm, alike_holm = holm(p_values, family), holm(alike, family)
    values = evidence.unit_values()
    rounded_values = None if values is None else rounded(values)
    rows = []
    for place, (rival, effect) in enumerate(zip(rivals, effects, strict=True)):
        interval = effect.interval(level)
        ends = (None, None) if interval is None else tuple(scale.as_share(end) for end in interval)
        wins = (
            (None,) * 4
            if rounded_values is None
            else _wins(rounded_values[:, subject], rounded_values[:, rival], scale, evidence.independent_units)
        )
        verdict = _verdict(effect, p_holm[place], alike_holm[place], 1 - level)
        rows.append(
            (
                evidence.models[subject],
                evidence.models[rival],
                scale.as_share(effect.value),
                *ends,
                p_values[place],
                p_holm[place],
                alike[place],
                alike_holm[place],
                *wins,
                effect.method,
                effect.clusters,
                effect.independent,
                verdict,
            )
        )
    return pl.DataFrame(rows, schema=PAIRS, orient="row").sort("effect", descending=True, maintain_order=True)


def _wins(own: np.ndarray, other: np.ndarray, scale: Scale, independent: bool) -> tuple[float | None, ...]:
    """Return the share of units won, and where units are independent its interval and Wilcoxon's p-value."""
    better = other - own if scale.low else own - other
    share, low, high = win_rate(better)
    return (share, low, high, wilcoxon_p(better)) if independent else (share, None, None, None)


def _verdict(effect: Effect, p_value: float | None, alike: float | None, alpha: float) -> str:
    sure = p_value is not None and p_value < alpha
    verdicts = ["better" if effect.value > 0 else "worse"] if sure else []
    verdicts += ["alike"] if alike is not None and alike < alpha else []
    return ", ".join(verdicts) or "unsure"
