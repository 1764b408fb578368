"""The conclusion of a review queue in words, and its pictures."""

from __future__ import annotations

from pathlib import Path

from hwds.detection.report.cases import cases_figure
from hwds.detection.report.scored_rows import number
from hwds.frames.table import Table
from hwds.report.hooks import TaskReport
from hwds.report.pictures.style import save_png
from hwds.results.formatting import counted, percent
from hwds.results.tables import Tables

STEADY = 0.7
"""The share of the first cases that has to stay under another seed, or on the other half of the rows."""


def sentence(table: Table, tables: Tables, model: str) -> str:
    """Return how far the ranking of the experiment's own model can be trusted."""
    names = {str(name).partition("@")[0]: str(name) for name in tables.metrics["metric"]}
    seeds, halves = (number(tables, names.get(f"{name}_overlap", ""), model) for name in ("seed", "half"))
    injected = number(tables, names.get("injected_recall", ""), model)
    budget = names.get("seed_overlap", "").partition("@")[2]
    if seeds is not None and budget and (seeds.n or 0) < int(budget):
        cases = counted(seeds.n or 0, "cases")
        return f"All {cases} fit into the budget of {budget}: no order, steady or not, leaves one out of them."
    parts = []
    for each, under in ((seeds, "under other seeds"), (halves, "on the two halves of the rows")):
        if each is not None:
            steady = "" if each.value >= STEADY else ", which is not steady"
            parts.append(f"{percent(each.value)} of the first cases of {model} are the same {under}{steady}.")
    if injected is not None:
        parts.append(f"Of anomalies that were injected {percent(injected.value)} score as high as the last case of the budget.")
    true = number(tables, names.get("true_recall", ""), model)
    if true is not None:
        parts.append(f"In truth {percent(true.value)} of all gray cases are among the first.")
    return " ".join(parts)


def draw(table: Table, tables: Tables, model: str, folder: Path) -> None:
    """Draw the pictures: `cases.png`: the highest scores and their reasons."""
    save_png(cases_figure(tables, model, table.unit), folder / "cases.png")


REPORT = TaskReport(sentence=sentence, draw=draw, ranks=False)
