"""Remarks on a panel before the first fit: which cells will have no answer of their own, and why."""

from __future__ import annotations

from hwds.elasticity.design.identification import identify
from hwds.elasticity.design.rows import Design
from hwds.elasticity.models.base import ElasticityModel
from hwds.frames.panel import Panel
from hwds.results.formatting import counted

NAMED = 5
"""Cells that a remark names."""


def remarks_on(panel: Panel, model: ElasticityModel) -> list[str]:
    """Return how many cells prices identify, and which do not: one sentence each.

    Args:
        panel: Of the data.
        model: Of the experiment; its columns and effects are taken.
    """
    design = Design.of(panel, model.terms)
    known = identify(design, by_period=model.by_period)
    sure = int((known["status"] == "identified").sum())
    weak = int((known["status"] == "weak").sum())
    sentences = [f"Of {counted(len(known), 'cells')} prices identify {sure:,} by themselves and {weak:,} weakly."]
    if design.left_out:
        names = ", ".join(f"'{name}'" for name in design.left_out)
        sentences.append(f"The model leaves out {names}: nothing is left of it beside the price, other columns and effects.")
    for status, words in (
        ("no_variation", "Prices say nothing of the elasticity of"),
        ("endogenous?", "Prices may answer demand in"),
    ):
        cells = known.filter(known["status"] == status)
        if len(cells):
            named = "; ".join(f"{row['series_id']}: {row['reason']}" for row in cells.head(NAMED).to_dicts())
            sentences.append(f"{words} {counted(len(cells), 'cells')} ({named}{'; ...' if len(cells) > NAMED else ''}).")
    return sentences
