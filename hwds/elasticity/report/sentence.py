"""The conclusion of a run on elasticities, in a sentence or two."""

from __future__ import annotations

from collections.abc import Mapping
from math import isinf
from typing import Any

import polars as pl

from hwds.elasticity.estimation.instruments import WEAK_F
from hwds.elasticity.notes import notes_of
from hwds.elasticity.report.identification import cells_of, level_of
from hwds.results.formatting import counted
from hwds.results.tables import TRUTH, Tables

ANSWERS = 2.0
"""The absolute t of the first stage's residual beyond which prices answer demand."""


def conclusion(tables: Tables, model: str) -> str:
    """Return the mean elasticity, what was answered and identified, and the errors where the truth is known."""
    cells = cells_of(tables, model)
    if cells.is_empty():
        return f"{model} says nothing of any cell."
    known = cells.drop_nulls("elasticity")
    parts = [_mean(tables, model, cells, known), _statuses(cells), _instruments(tables, cells), _against_truth(tables, model)]
    return " ".join(part for part in parts if part)


def _mean(tables: Tables, model: str, cells: pl.DataFrame, known: pl.DataFrame) -> str:
    if known.is_empty():
        return f"{model} has no answer for any of {counted(len(cells), 'cells')}: {cells['reason'][0]}."
    row = tables.headline("mean_elasticity", model)
    interval = "" if row.get("ci_low") is None else f" ({level_of(tables)}: {row['ci_low']:.2f} to {row['ci_high']:.2f})"
    answers = known["elasticity"].to_numpy()
    wrong = int((known["elasticity"] > 0).sum())
    sign = "none above 0" if not wrong else f"{wrong} above 0"
    answered = "all" if len(known) == len(cells) else f"{len(known):,} of"
    return (
        f"{model} puts the mean elasticity at {row['value']:.2f}{interval}; {answered} {len(cells):,} cells have an answer,"
        f" from {answers.min():.2f} to {answers.max():.2f}, {sign}."
    )


def _statuses(cells: pl.DataFrame) -> str:
    counts = {row["status"]: row["len"] for row in cells.group_by("status").len().to_dicts()}
    first = f"Own prices identify the elasticity of {counted(counts.get('identified', 0), 'cells')}"
    rest = [(counts.get("weak", 0), "weakly"), (counts.get("no_variation", 0), "not at all")]
    said = ", ".join([first, *(f"of {count:,} {words}" for count, words in rest if count)])
    answering = counts.get("endogenous?", 0)
    return f"{said}; the prices of {answering:,} may answer demand." if answering else f"{said}."


def _instruments(tables: Tables, cells: pl.DataFrame) -> str:
    """Return how strong instruments are, whether prices answer demand, and what holds for weak ones; empty without any."""
    notes = notes_of(cells)
    strength = notes.get("first_stage_f")
    if strength is None:
        return ""
    weak = f", and below {WEAK_F:g} they are weak" if strength < WEAK_F else ""
    parts = [f"The first stage of its instruments has an F of {strength:,.1f}{weak}"]
    t = notes.get("price_residual_t")
    if t is not None:
        answers = "prices answer demand" if abs(t) > ANSWERS else "prices are not seen to answer demand"
        parts.append(f"{answers} (t = {t:.1f} of what instruments leave of the price)")
    if "anderson_rubin_low" in notes:
        words = f"{anderson_rubin(notes)} ({level_of(tables)})"
        parts.append(f"by Anderson and Rubin's test, which weak instruments do not mislead, {words}")
    return f"{'; '.join(parts)}."


def anderson_rubin(notes: Mapping[str, float | None]) -> str:
    """Return the common elasticities that Anderson and Rubin's test does not reject, in words."""
    low, high = notes["anderson_rubin_low"], notes["anderson_rubin_high"]
    if low is None or high is None:
        return "no common elasticity is compatible with the data"
    if isinf(low) and isinf(high):
        return "nothing is known of the common elasticity"
    if isinf(low) or isinf(high):
        return f"the common elasticity is {f'below {high:.2f}' if isinf(low) else f'above {low:.2f}'}"
    return f"the common elasticity is between {low:.2f} and {high:.2f}"


def _against_truth(tables: Tables, model: str) -> str:
    """Return the errors against the truth; empty where it is not known."""
    rmse, bias = (tables.headline(name, model) for name in ("elasticity_rmse", "elasticity_bias"))
    cover = tables.headline("elasticity_coverage", model)
    if not rmse or rmse.get("value") is None or model == TRUTH:
        return ""
    return (
        f"Against the truth its error is {rmse['value']:.2f} (root mean square), {bias['value']:+.2f} on average, and"
        f" {100 * cover['value']:.0f} % of its {level_of(tables)} intervals hold the true value."
    )


def placebo_conclusion(tables: Tables, model: str) -> str:
    """Return whether prices that are still to come have an effect, which they cannot have."""
    row: dict[str, Any] = tables.headline("placebo_effect", model)
    if not row or row.get("p_value") is None:
        return f"{model} says nothing of prices to come."
    effect = f"{row['value']:+.2f} (95 %: {row['ci_low']:+.2f} to {row['ci_high']:+.2f}, p = {row['p_value']:.2g})"
    if row["p_value"] >= 0.05:
        return f"The placebo holds for {model}: the elasticity to prices still to come is {effect}: no more than chance."
    return (
        f"The placebo fails for {model}: the elasticity to prices still to come is {effect}, where it must be 0. Prices answer"
        " demand, something that moves both is left out, or the model's errors are too small."
    )
