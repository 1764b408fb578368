"""contrasts.png: the effect of every contrast with its interval, and the margin within which it does not matter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwds.report.pictures.forest import MOST, Effect, forest
from hwds.results.study import StudyResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def contrasts_figure(study: StudyResult) -> Figure | None:
    """Draw the contrasts; None where effects are both shares and amounts."""
    if study.contrasts["relative"].n_unique() != 1:
        return None
    rows = study.contrasts.head(MOST).to_dicts()
    effects = [Effect(*(row[name] for name in ("contrast", "effect", "low", "high", "verdict"))) for row in rows]
    title, margin = f"{study.plan['model']} by {study.plan['metric']}", study.plan["margin"]
    return forest(effects, title, relative=bool(rows[0]["relative"]), unit=study.unit, margin=margin)
