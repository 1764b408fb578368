"""The report of a study: its answer, every contrast, the plan as it was written down before, and how to have it again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hwds.report.comparison import VERDICTS, board_grid
from hwds.report.comparison_words import amount_in
from hwds.report.grid import Grid, grid_of
from hwds.report.page import Listing, Page, Part, Section, Table, Text
from hwds.report.page_picture import Picture
from hwds.report.study_plot import contrasts_figure
from hwds.results.comparison import Comparison
from hwds.results.study import StudyFound
from hwds.results.wording import chance, counted

ALT = "The effect of each contrast with its interval; the band is the margin within which a difference does not matter"


def study_page(found: StudyFound, each: Mapping[str, Comparison]) -> Page:
    """The page of a study.

    Args:
        found: What it came to.
        each: The comparison of each of its experiments.
    """
    plan = found.plan
    first: list[Part] = [Text(f"The plan was changed after results were known: {said}.", note=True) for said in found.amended]
    first += [Text(note, note=True) for note in found.notes]
    first += [Table(contrasts_grid(found))]
    figure = contrasts_figure(found)
    first += [Picture.of_figure(figure, ALT, "contrasts.png")] if figure else []
    sections = (
        Section("What was found", tuple(first)),
        Section("The experiments", tuple(Table(_named(name, board_grid(one))) for name, one in each.items())),
        Section("What was decided before", tuple(_plan(found))),
        Section("What the columns mean", (Listing(tuple(_legend(found, each))),)),
        Section("How to have it again", tuple(_repeat(found))),
    )
    runs = found.scores["run"].n_unique()
    below = (
        f"Study {found.name}: {counted(len(plan['experiments']), 'experiments')} x {counted(len(plan['seeds']), 'seeds')},"
        f" {counted(runs, 'runs')}; the answer follows from the contrasts by the rule that was written down before."
    )
    return Page(plan["question"], found.verdict, below, sections)


def contrasts_grid(found: StudyFound) -> Grid:
    """Every contrast: effect first, then interval, then p."""
    several = len(found.plan["rivals"]) > 1
    rows = []
    for row in found.contrasts.to_dicts():
        value, interval = amount_in(row, relative=row["relative"], unit=found.unit, sign=True)
        verdict = VERDICTS.get(row["verdict"], row["verdict"])
        names = [row["experiment"], *([row["rival"]] if several else [])]
        corrected, *p_values = [_p(row[key]) for key in ("p_holm", "p_value", "alike_holm")]
        rows.append([*names, value, interval, corrected, verdict, *p_values, row["method"], f"{row['clusters']:,}"])
    titles = [("experiment", "experiment"), *([("rival", "rival")] if several else []), ("better by", "better by")]
    titles += [("95 % interval", "95 % interval"), ("p, Holm", "p\nHolm"), ("verdict", "verdict"), ("p, alone", "")]
    titles += [("p of a difference that matters, Holm", "" if several else "p of one\nthat matters")]
    titles += [("interval by", ""), ("of", "")]
    model, rivals = found.plan["model"], found.plan["rivals"]
    against = "each rival" if several else rivals[0]
    caption = f"{model} against {against} by {found.plan['metric']} (above 0: it is better):"
    return grid_of(titles, rows, names=2 if several else 1, caption=caption)


def _named(name: str, grid: Grid) -> Grid:
    return Grid(grid.columns, grid.own, grid.truth, grid.names, f"{name}: {grid.caption}")


def _plan(found: StudyFound) -> Iterator[Part]:
    plan = found.plan
    yield Listing(
        (
            f"`{plan['model']}` against {', '.join(f'`{rival}`' for rival in plan['rivals'])} by `{plan['metric']}`",
            f"a difference of less than {margin_said(found)} does not matter",
            f"seeds {', '.join(map(str, plan['seeds']))}",
            *(f"{name}: `{' '.join([*plan.get('words', ()), *words])}`" for name, words in plan["experiments"].items()),
        )
    )
    yield Text("The first line of the rule that holds is the answer:")
    yield Listing(tuple(_clause(clause) for clause in plan["rule"]))


def _clause(clause: Mapping[str, Any]) -> str:
    asked = [f"{key} {' or '.join(clause[key])}" for key in ("all", "some", "none") if key in clause]
    return f"{' and '.join(asked) or 'else'}: {clause['then']}"


def margin_said(found: StudyFound) -> str:
    """The margin as people read it."""
    margin = found.plan["margin"]
    return f"{100 * margin:g} %" if bool(found.contrasts["relative"].all()) else f"{margin:g} {found.unit}".strip()


def _legend(found: StudyFound, each: Mapping[str, Comparison]) -> Iterator[str]:
    first = next(iter(each.values()))
    if first.measure.explained:
        yield f"`{first.measure.name}`: {first.measure.explained}."
    shares = bool(found.contrasts["relative"].all())
    by = "the share by which the model's mean is better than the rival's" if shares else "the difference of the means"
    yield f"better by: {by}."
    yield "interval: 95 %, of one contrast; `of` counts what it was averaged over."
    yield f"p, Holm: of no difference, corrected for {counted(len(found.contrasts), 'contrasts')} together."
    yield f"p of a difference that matters: of one of {margin_said(found)} or more (two one-sided tests), corrected too."
    yield "verdict: alike where the difference is surely within the margin, else better or worse where it is sure."
    if any(one.units == "worlds" for one in each.values()):
        yield "worlds: each seed has simulated data of its own; intervals speak of other worlds, the training's luck included."


def _repeat(found: StudyFound) -> Iterator[Part]:
    origin = found.origin
    code = f"code {', '.join(f'`{each}`' for each in origin.get('code', ()))}"
    yield Listing(
        (
            f"`python -m hwds study {found.name}` computes it again beside the frozen tables, and says whether they agree",
            f"plan `{found.plan_hash}`, {code}",
            ", ".join(f"{name} {version}" for name, version in origin.get("versions", {}).items() if version),
        )
    )


def _p(value: float | None) -> str:
    return "" if value is None else chance(value)
