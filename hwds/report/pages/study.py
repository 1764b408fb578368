"""The report of a study: its answer, every contrast, the plan that was fixed before, and the command to repeat it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from hwds.report.comparison.sentence import amount_in
from hwds.report.comparison.tables import VERDICTS, board_grid
from hwds.report.grid import Grid, grid_of
from hwds.report.pages.base import GridTable, Listing, Page, Part, Section, Text
from hwds.report.pages.picture import Picture
from hwds.report.pictures.contrasts import contrasts_figure
from hwds.results.comparison import Comparison
from hwds.results.formatting import chance, counted
from hwds.results.study import StudyResult

ALT = "The effect of each contrast with its interval; the band is the margin within which a difference does not matter"


def study_page(study: StudyResult, each: Mapping[str, Comparison]) -> Page:
    """Return the page of a study.

    Args:
        study: The result of the study.
        each: The comparison of each of its experiments.
    """
    plan = study.plan
    changes = [f"The plan was changed after results were known: {change}." for change in study.amended]
    first: list[Part] = [Text(change, note=True) for change in changes]
    first += [Text(note, note=True) for note in study.notes]
    first += [GridTable(contrasts_grid(study))]
    figure = contrasts_figure(study)
    first += [Picture.of_figure(figure, ALT, "contrasts.png")] if figure else []
    sections = (
        Section("What was found", tuple(first)),
        Section("The experiments", tuple(GridTable(_named(name, board_grid(one))) for name, one in each.items())),
        Section("What was decided before", tuple(_plan(study))),
        Section("What the columns mean", (Listing(tuple(_legend(study, each))),)),
        Section("How to have it again", tuple(_repeat(study))),
    )
    runs = study.scores["run"].n_unique()
    below = (
        f"Study {study.name}: {counted(len(plan['experiments']), 'experiments')} x {counted(len(plan['seeds']), 'seeds')},"
        f" {counted(runs, 'runs')}; the answer follows from the contrasts by the rule that was written down before."
    )
    return Page(plan["question"], study.verdict, below, sections)


def contrasts_grid(study: StudyResult) -> Grid:
    """Return the table of contrasts: effect first, then interval, then p."""
    several = len(study.plan["rivals"]) > 1
    rows = []
    for row in study.contrasts.to_dicts():
        value, interval = amount_in(row, relative=row["relative"], unit=study.unit, sign=True)
        verdict = VERDICTS.get(row["verdict"], row["verdict"])
        names = [row["experiment"], *([row["rival"]] if several else [])]
        corrected, *p_values = [_p(row[key]) for key in ("p_holm", "p_value", "alike_holm")]
        rows.append([*names, value, interval, corrected, verdict, *p_values, row["method"], f"{row['clusters']:,}"])
    titles = [("experiment", "experiment"), *([("rival", "rival")] if several else []), ("better by", "better by")]
    titles += [("95 % interval", "95 % interval"), ("p, Holm", "p\nHolm"), ("verdict", "verdict"), ("p, alone", "")]
    titles += [("p of a difference that matters, Holm", "" if several else "p of one\nthat matters")]
    titles += [("interval by", ""), ("of", "")]
    model, rivals = study.plan["model"], study.plan["rivals"]
    against = "each rival" if several else rivals[0]
    caption = f"{model} against {against} by {study.plan['metric']} (above 0: it is better):"
    return grid_of(titles, rows, names=2 if several else 1, caption=caption)


def _named(name: str, grid: Grid) -> Grid:
    return replace(grid, caption=f"{name}: {grid.caption}")


def _plan(study: StudyResult) -> Iterator[Part]:
    plan = study.plan
    yield Listing(
        (
            f"`{plan['model']}` against {', '.join(f'`{rival}`' for rival in plan['rivals'])} by `{plan['metric']}`",
            f"a difference of less than {margin_said(study)} does not matter",
            f"seeds {', '.join(map(str, plan['seeds']))}",
            *(f"{name}: `{' '.join([*plan.get('words', ()), *words])}`" for name, words in plan["experiments"].items()),
        )
    )
    yield Text("The first line of the rule that holds is the answer:")
    yield Listing(tuple(_clause(clause) for clause in plan["rule"]))


def _clause(clause: Mapping[str, Any]) -> str:
    conditions = [f"{key} {' or '.join(clause[key])}" for key in ("all", "some", "none") if key in clause]
    return f"{' and '.join(conditions) or 'else'}: {clause['then']}"


def margin_said(study: StudyResult) -> str:
    """Return the margin for readers."""
    margin = study.plan["margin"]
    return f"{100 * margin:g} %" if bool(study.contrasts["relative"].all()) else f"{margin:g} {study.unit}".strip()


def _legend(study: StudyResult, each: Mapping[str, Comparison]) -> Iterator[str]:
    first = next(iter(each.values()))
    if first.measure.explained:
        yield f"`{first.measure.name}`: {first.measure.explained}."
    shares = bool(study.contrasts["relative"].all())
    by = "the share by which the model's mean is better than the rival's" if shares else "the difference of the means"
    yield f"better by: {by}."
    yield "interval: 95 %, of one contrast; `of` counts what it was averaged over."
    yield f"p, Holm: of no difference, corrected for {counted(len(study.contrasts), 'contrasts')} together."
    yield f"p of a difference that matters: of one of {margin_said(study)} or more (two one-sided tests), corrected too."
    yield "verdict: alike where the difference is surely within the margin, else better or worse where it is sure."
    if any(one.units == "worlds" for one in each.values()):
        yield "worlds: each seed has simulated data of its own; intervals are of other worlds and trainings."


def _repeat(study: StudyResult) -> Iterator[Part]:
    origin = study.origin
    code = f"code {', '.join(f'`{each}`' for each in origin.get('code', ()))}"
    yield Listing(
        (
            f"`python -m hwds study {study.name}` computes it again beside the frozen tables, and says whether they agree",
            f"plan `{study.plan_hash}`, {code}",
            ", ".join(f"{name} {version}" for name, version in origin.get("versions", {}).items() if version),
        )
    )


def _p(value: float | None) -> str:
    return "" if value is None else chance(value)
