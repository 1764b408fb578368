"""The pictures, tables and sentences of runs about inspection."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from polars import DataFrame

from hwds.frames.images import IMAGE, Images
from hwds.inspection.judged import (
    SALIENCY,
    judged_images,
    kinds_of,
    map_from_text,
    names_kinds,
    rightness,
)
from hwds.inspection.metrics import CHANCE, falling_order, kind_chances, risk_coverage
from hwds.report.grid import Grid, declared_grid
from hwds.report.hooks import TaskReport
from hwds.report.pictures import (
    FLOOR_COLOUR,
    GREY,
    INK,
    OWN_COLOUR,
    drawable,
    headline,
    model_colours,
    name_rows,
    new_figure,
    save_png,
    tidy,
)
from hwds.report.words import say_lines, scores_of
from hwds.results.tables import TRUTH, Column, Declared, Tables

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


# confusion.png: which kind is taken for which.


def confusion_counts(rows: DataFrame) -> np.ndarray:
    """Return how many images of each kind are taken for each, shape (kinds, kinds)."""
    kinds = kinds_of(rows)
    places = {kind: place for place, kind in enumerate(kinds)}
    actual, named = (
        rows[name].replace_strict(places, return_dtype=pl.Int64).to_numpy()
        for name in ("actual", "predicted")
    )
    counts = np.zeros((len(kinds), len(kinds)), int)
    np.add.at(counts, (actual, named), 1)
    return counts


def confusion_figure(tables: Tables, model: str) -> Figure | None:
    """Draw the share of each kind that is taken for each; None of a model that names no kinds."""
    from matplotlib.colors import LinearSegmentedColormap

    rows = judged_images(tables, model)
    if not names_kinds(rows):
        return None
    kinds, counts = kinds_of(rows), confusion_counts(rows)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = 1.6 + 0.62 * len(kinds)
    figure = new_figure(side + 1.6, side)
    axes = figure.subplots()
    axes.pcolormesh(
        share[::-1],
        cmap=LinearSegmentedColormap.from_list("share", ["#ffffff", OWN_COLOUR]),
        vmin=0,
        vmax=1,
    )
    for (row, column), count in np.ndenumerate(counts):
        if count:
            colour = "#ffffff" if share[row, column] > 0.5 else INK
            at = (column + 0.5, len(kinds) - row - 0.5)
            axes.text(*at, f"{count:,}", ha="center", va="center", fontsize=9, color=colour)
    centres = np.arange(len(kinds)) + 0.5
    names = [drawable(kind, 14) for kind in kinds]
    axes.set_xticks(centres, names, rotation=35, ha="right", parse_math=False)
    name_rows(axes, centres, kinds[::-1], 14)
    tidy(axes, x="taken for", y="shows")
    axes.grid(visible=False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    title = f"{drawable(model, 40)}: kinds of {len(rows):,} images"
    headline(figure, title, 12)
    return figure


# A table of kinds: how often each is flagged and named rightly, and what it is taken for.


KINDS = Declared.of(
    Column("kind", "text", "", "kind", "kind"),
    Column("images", "count", "", "images", "n"),
    Column(
        "recall",
        "share",
        "",
        "flagged at the budget",
        "recall",
        "{% if recall is not none %}{{ recall | share }} %{% endif %}",
    ),
    Column("low", "share", "", "95 %", "95 %", to="high"),
    Column(
        "right",
        "share",
        "",
        "named rightly",
        "right",
        "{% if right is not none %}{{ right | share }} %{% endif %}",
    ),
    Column(
        "other",
        "text",
        "",
        "else mostly taken for",
        "else",
        "{% if taken %}{{ other }} ({{ taken | share }} %){% endif %}",
    ),
)


def by_kind_grid(tables: Tables, model: str) -> Grid:
    """Return a row for each kind of images that were judged."""
    rows = judged_images(tables, model)
    kinds = kinds_of(rows)
    counts = confusion_counts(rows) if names_kinds(rows) else None
    cells = []
    for place, kind in enumerate(kinds):
        images = int((rows["actual"] == kind).sum())
        if images:
            score = tables.headline(f"recall_of_{kind}", model) if place else {}
            cells.append(
                {
                    "kind": kind,
                    "images": images,
                    "recall": score.get("value"),
                    "low": score.get("ci_low"),
                    "high": score.get("ci_high"),
                    **_naming(counts, kinds, place),
                }
            )
    return declared_grid(KINDS, DataFrame(cells, infer_schema_length=None), words=1)


def _naming(counts: np.ndarray | None, kinds: list[str], place: int) -> dict[str, Any]:
    """Return the share of a kind that is named rightly, and what else it is mostly taken for."""
    if counts is None:
        return {"right": None, "other": "", "taken": None}
    shares = counts[place] / counts[place].sum()
    right, shares[place] = shares[place], 0
    other = int(shares.argmax())
    return {"right": right, "other": kinds[other], "taken": shares[other]}


# patches.png: of each kind the image that is judged best, a typical one and the worst, and
# where they look suspicious.

PATCH_TITLES = ("best judged", "typical", "worst judged")
MOST_KINDS = 10
"""Kinds that are drawn."""

STRONGEST_OPACITY = 0.6
"""The opacity of the most suspicious cell."""


def patches_figure(images: Images, tables: Tables, model: str) -> Figure | None:
    """Draw three images of each kind, each beside its map; None where the model makes no maps."""
    rows = judged_images(tables, model)
    rows = rows.filter(pl.col(SALIENCY).is_not_null()) if SALIENCY in rows.columns else rows.clear()
    if rows.is_empty() or images is None:
        return None
    kinds = [kind for kind in kinds_of(rows) if (rows["actual"] == kind).any()][:MOST_KINDS]
    figure = new_figure(10.5, 0.9 + 1.72 * len(kinds))
    grid = figure.subplots(len(kinds), 2 * len(PATCH_TITLES), squeeze=False)
    for down, kind in enumerate(kinds):
        for across, row in enumerate(three_images(rows.filter(actual=kind), kinds_of(rows)[0])):
            _draw_patch(grid[down, 2 * across], grid[down, 2 * across + 1], images, row)
        grid[down, 0].set_ylabel(drawable(kind, 16), fontsize=10, color=INK, parse_math=False)
    for across, title in enumerate(PATCH_TITLES):
        first = grid[0, 2 * across]
        first.set_title(
            f"{title}\n{first.get_title(loc='left')}",
            fontsize=8.5,
            color=INK,
            loc="left",
            parse_math=False,
        )
    title = f"{drawable(model, 40)}: images, and where a defect is seen in them"
    headline(figure, title, 12)
    return figure


def three_images(rows: DataFrame, good: str) -> list[dict[str, Any]]:
    """Return the best judged image of a kind, the median and the worst."""
    order = np.argsort(-rightness(rows, good), kind="stable")
    return [
        rows.row(int(order[place]), named=True) for place in (0, len(order) // 2, len(order) - 1)
    ]


def _draw_patch(plain: Axes, mapped: Axes, images: Images, row: dict[str, Any]) -> None:
    place = images.names.index_of(row[IMAGE])
    assert place is not None
    pixels = images.store[images.places[place]]
    flat = np.broadcast_to(pixels, (*pixels.shape[:2], 3))
    cells = map_from_text(row[SALIENCY])
    height, width = flat.shape[:2]
    for axes in (plain, mapped):
        axes.imshow(flat, extent=(0, width, height, 0), interpolation="nearest")
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_color(GREY)
    heat = np.zeros((*cells.shape, 4))
    heat[..., 0], heat[..., 1], heat[..., 3] = 0.85, 0.2, STRONGEST_OPACITY * cells
    mapped.imshow(heat, extent=(0, width, height, 0), interpolation="bilinear")
    plain.set_title(_prediction_words(row), fontsize=8.5, color=INK, loc="left", parse_math=False)


def _prediction_words(row: dict[str, Any]) -> str:
    """Return the prediction of an image in words: the likeliest kind and its probability, or its
    distance and the threshold.
    """
    named = row["predicted"]
    if named is None:
        return f"{row['score']:.3g} (limit {row['threshold']:.3g})"
    return f"{drawable(named, 14)} {100 * row[f'{CHANCE}{named}']:.0f} %"


# reject_curve.png: how many kinds are wrong where the least certain images go to a person; and
# recall by false alarms.

MOST_FLAGGED = 0.3
"""The share of good images flagged up to which recall is drawn."""


def reject_figure(tables: Tables, model: str) -> Figure | None:
    """Draw both curves of all models; None where nothing was judged."""
    labels = (
        tables.predictions["model"].unique(maintain_order=True).to_list()
        if "actual" in tables.predictions.columns
        else []
    )
    if model not in labels:
        return None
    colours = model_colours([label for label in labels if label != TRUTH], model) | {
        TRUTH: FLOOR_COLOUR
    }
    figure = new_figure(11, 4.6)
    left, right = figure.subplots(1, 2)
    for label in labels:
        rows = judged_images(tables, label)
        style = {
            "color": colours[label],
            "linewidth": 2.0 if label == model else 1.3,
            "label": drawable(label, 34),
        }
        if label == TRUTH:
            style["linestyle"] = "--"
        if names_kinds(rows):
            _draw_kept(left, rows, style)
        _draw_recall(right, rows, style)
    _finish_axes(left, "share that is not sent to a person", "share of wrong kinds among them")
    _finish_axes(
        right, "share of good images that are flagged", "share of defects that are flagged"
    )
    right.set_xlim(0, MOST_FLAGGED)
    title = "What certainty is worth, and what flagging finds"
    headline(figure, title, 12.5)
    return figure


def _draw_kept(axes: Axes, rows: DataFrame, style: dict[str, object]) -> None:
    chance = kind_chances(rows)
    assert chance is not None
    wrong = (rows["predicted"] != rows["actual"]).to_numpy().astype(float)
    kept, risk = risk_coverage(chance.max(axis=1), wrong)
    shown = kept >= 0.02
    axes.plot(kept[shown], risk[shown], **style)  # type: ignore[arg-type]


def _draw_recall(axes: Axes, rows: DataFrame, style: dict[str, object]) -> None:
    defect = (rows["actual"] != kinds_of(rows)[0]).to_numpy()
    order, last = falling_order(rows["score"].to_numpy())
    hits, alarms = (np.cumsum(each[order])[last] / max(each.sum(), 1) for each in (defect, ~defect))
    axes.plot(np.append(0.0, alarms), np.append(0.0, hits), **style)  # type: ignore[arg-type]


def _finish_axes(axes: Axes, across: str, up: str) -> None:
    tidy(axes, x=across, y=up)
    axes.legend(frameon=False, fontsize=8.5)


# The conclusion of a run on inspection, in a few sentences.


CONCLUSION = """
{%- macro share(score) %}{{ score.value | quoted_share(score.ci_low, score.ci_high) }}
{%- endmacro %}
{%- set own, right, error = of("recall"), of("accuracy"), of("ece") %}
{%- set held, alarms, cost = of("recall_held"), of("false_alarms_held"), of("cost") -%}
{{ model }} flags {{ share(own) }} of defects if it may flag {{ budget | percent }} of good images
({{ images | count }} images of {{ boards | count }} unseen boards).

{% if cost.value is not none and of("cost_passing_all").value is not none -%}
A board costs {{ cost.value | written(".3g") }}; passing all costs
{{ of("cost_passing_all").value | written(".3g") }}, rejecting all
{{ of("cost_rejecting_all").value | written(".3g") }}.
{%- endif %}

{% if hardest %}The hardest kind is '{{ hardest }}': {{ share(of("recall_of_" ~ hardest)) }}.
{%- endif %}

{% if held.value is not none and alarms.value is not none -%}
Its threshold was chosen on other boards: it flags {{ held.value | percent }} of defects and
{{ alarms.value | percent }} of good images.
{%- endif %}

{% if right.value is none %}It names no kinds.
{%- else -%}
It names {{ share(right) }} of kinds rightly; its probabilities are off by
{{ error.value | percent }} on average.
{%- endif %}
"""


def inspection_sentence(images: Images, tables: Tables, model: str) -> str:
    """Return the shares that are flagged and named, the hardest kind, and the cost of a board: a
    line each.

    Args:
        images: The data of the run.
        tables: The tables of the run.
        model: The experiment's model.
    """
    rows, of = judged_images(tables, model), scores_of(tables, model)
    if rows.is_empty() or of("recall")["value"] is None:
        return ""
    found = {kind: of(f"recall_of_{kind}")["value"] for kind in kinds_of(rows)[1:]}
    known = {kind: share for kind, share in found.items() if share is not None}
    lines = say_lines(
        CONCLUSION,
        model=model,
        of=of,
        budget=float(of("recall")["metric"].partition("far=")[2].rstrip("]")),
        images=len(rows),
        boards=rows["board"].n_unique(),
        hardest=min(known, key=lambda kind: known[kind]) if len(known) > 1 else "",
    )
    return "\n".join(lines)


# The pictures, tables and sentences of runs about inspection.


def draw_inspection(images: Images, tables: Tables, model: str, folder: Path) -> None:
    """Draw the judgements.

    `reject_curve.png`: wrong kinds by the share that is not sent to a person, and defects found by
    false alarms; `confusion.png`: which kind is taken for which; `patches.png`: of each kind the
    best judged image, a typical one and the worst, and where a defect is seen in them.
    """
    save_png(reject_figure(tables, model), folder / "reject_curve.png")
    save_png(confusion_figure(tables, model), folder / "confusion.png")
    save_png(patches_figure(images, tables, model), folder / "patches.png")


REPORT = TaskReport(
    compared=True,
    sentence=inspection_sentence,
    page_grids=lambda tables, model: [by_kind_grid(tables, model)],
    draw=draw_inspection,
    captions={
        "reject_curve.png": "Wrong kinds by the share that is not sent to a person, and defects "
        "found by false alarms",
        "confusion.png": "Which kind is taken for which",
        "patches.png": "Of each kind the best judged image, a typical one and the worst, and "
        "where a defect is seen in them",
    },
)
