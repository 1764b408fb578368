"""The subject against each rival: effect, interval, p-values, wins, and a verdict."""

from __future__ import annotations

import numpy as np
import polars as pl

from hwds.compare.contrasts import Scale
from hwds.compare.evidence import Evidence
from hwds.compare.families import holm
from hwds.compare.laws import Effect
from hwds.compare.ranks import rounded, wilcoxon_p, win_rate
from hwds.results.comparison import PAIRS


def pairs_of(evidence: Evidence, subject: int, scale: Scale, family: int, margin: float | None, level: float) -> pl.DataFrame:
    """The pairs of the subject, in the order of models; see `hwds.results.comparison.PAIRS`.

    Where the data chose the subject, the family is all pairs; those without the subject are taken to be the larger p-values.

    Args:
        evidence: Of all models.
        subject: Its number.
        scale: Of effects.
        family: How many tests are corrected for together.
        margin: A difference that does not matter; None where nothing was said.
        level: Of intervals and verdicts.
    """
    rivals = [place for place in range(len(evidence.models)) if place != subject]
    effects = evidence.effects([(subject, rival) for rival in rivals], scale)
    p_values = [effect.p_value for effect in effects]
    alike = [None if margin is None else effect.equivalence_p(*scale.bounds(margin)) for effect in effects]
    p_holm, alike_holm = holm(p_values, family), holm(alike, family)
    values = evidence.unit_values()
    shown = None if values is None else rounded(values)
    rows = []
    for place, (rival, effect) in enumerate(zip(rivals, effects, strict=True)):
        held = effect.interval(level)
        ends = (None, None) if held is None else tuple(scale.told(end) for end in held)
        wins = (None,) * 4 if shown is None else _wins(shown[:, subject], shown[:, rival], scale)
        verdict = _verdict(effect, p_holm[place], alike_holm[place], 1 - level)
        rows.append(
            (
                evidence.models[subject],
                evidence.models[rival],
                scale.told(effect.value),
                *ends,
                p_values[place],
                p_holm[place],
                alike[place],
                alike_holm[place],
                *wins,
                effect.method,
                effect.clusters,
                verdict,
            )
        )
    return pl.DataFrame(rows, schema=PAIRS, orient="row").sort("effect", descending=True, maintain_order=True)


def _wins(own: np.ndarray, other: np.ndarray, scale: Scale) -> tuple[float | None, ...]:
    """The share of units won with its interval, and Wilcoxon's p-value."""
    better = other - own if scale.low else own - other
    return *win_rate(better), wilcoxon_p(better)


def _verdict(effect: Effect, p_value: float | None, alike: float | None, alpha: float) -> str:
    sure = p_value is not None and p_value < alpha
    said = ["better" if effect.value > 0 else "worse"] if sure else []
    said += ["alike"] if alike is not None and alike < alpha else []
    return ", ".join(said) or "unsure"
