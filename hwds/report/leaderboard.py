"""The leaderboard and the scores by segment, as tables and as pictures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from polars import DataFrame, col

from hwds.core.secrets import visible
from hwds.report.grid import Grid, GridColumn, grid_of
from hwds.report.pictures import (
    FLOOR_COLOUR,
    GREY,
    LIGHT,
    NAIVE_COLOUR,
    OWN_COLOUR,
    RIVAL_COLOURS,
    drawable,
    headline,
    legend_below,
    name_axes,
    name_rows,
    new_figure,
    note_row,
    plain_numbers,
    tidy,
)
from hwds.report.standings import ModelStanding, ScoreValue, Standings, run_conclusion
from hwds.report.words import say, say_lines
from hwds.results.formatting import (
    WIDTH,
    brief,
    column_texts,
    decimals,
    duration,
    fixed,
    percent,
    percent_cell,
    with_errors,
)
from hwds.results.tables import BY_FALLBACK, Measure, Tables

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from rich.console import Console


# The headline and other metrics by segment: a table for each column of segments.

MOST_SEGMENTS = 30
"""The most rows of a table, those with the most units; the others are in the scores."""


def segment_grids(tables: Tables, board: Standings) -> Iterator[tuple[Grid, int]]:
    """Yield a table for each column: segments in rows, models in columns, best first, in each cell
    mean ± s.e.

    Args:
        tables: The tables of one run.
        board: Its standings, which give the metric and the order of the models.

    Returns:
        Each with the number of smaller segments that it leaves out.
    """
    metrics = [
        board.headline,
        *(measure.name for measure in board.beside if measure.beside == "segments"),
    ]
    for metric in metrics:
        for column, rows in scores_by_column(tables, metric).items():
            shown = largest_segments(rows, MOST_SEGMENTS)
            yield (
                _segment_grid(rows, shown, board, f"{metric} by {column}"),
                rows["segment"].n_unique() - len(shown),
            )


def scores_by_column(tables: Tables, metric: str) -> dict[str, DataFrame]:
    """Return the scores of a metric over all folds and steps by segment, for each column of
    segments.
    """
    whole = col("fold").is_null() & col("step").is_null() & (col("aggregate") == "mean")
    scores = tables.scores.filter(whole & col("segment_by").is_not_null(), metric=metric)
    return {
        str(column): rows
        for (column,), rows in scores.partition_by(
            "segment_by", as_dict=True, maintain_order=True
        ).items()
    }


def largest_segments(rows: DataFrame, most: int) -> dict[str, int]:
    """Return the segments with the most units, in the order of the scores, and their numbers of
    units.
    """
    counts = rows.group_by("segment", maintain_order=True).agg(col("n").max())
    largest_segments = set(
        counts.sort("n", descending=True, maintain_order=True).head(most)["segment"]
    )
    return {segment: n for segment, n in counts.iter_rows() if segment in largest_segments}


def _segment_grid(rows: DataFrame, shown: dict[str, int], board: Standings, caption: str) -> Grid:
    """Return the table of one column, the segments in the order of the scores."""
    row_of: dict[tuple[str, str], Any] = {
        (row["model"], row["segment"]): row for row in rows.iter_rows(named=True)
    }
    models = [line.model for line in board.all]
    cells = {
        (model, segment): row_of.get((model, segment), {}) for segment in shown for model in models
    }
    places = decimals([cell.get("value") for cell in cells.values()])
    titles = ["segment", board.units, *(board.display_name(line) for line in board.all)]
    lines = [
        [segment, f"{n:,}", *(_segment_cell(cells[model, segment], places) for model in models)]
        for segment, n in shown.items()
    ]
    return grid_of(titles, lines, caption=caption)


def _segment_cell(row: dict[str, Any], places: int) -> str:
    if row.get("value") is None:
        return "none"
    return fixed(row["value"], places) + (
        "" if row["stderr"] is None else f" ± {fixed(row['stderr'], places)}"
    )


# The leaderboard, as Markdown and for the terminal.


def leaderboard_markdown(
    tables: Tables, board: Standings, sentence: str = "", more: Iterable[Grid] = ()
) -> str:
    """Return the leaderboard as a Markdown page: title, conclusion, table, legend.

    Then the headline by segments.

    Args:
        tables: The tables of one run.
        board: Its standings.
        sentence: The conclusion; where empty it is made from the standings.
        more: Further tables of the task.
    """
    legend = "\n".join(f"- {line}" for line in leaderboard_legend(board))
    sections = "".join(
        f"\n## {each.caption}\n\n{each.markdown()}\n{_omitted(left)}"
        for each, left in segment_grids(tables, board)
    )
    below = "".join(f"\n{each.caption}\n\n{each.markdown()}\n" for each in more)
    conclusion, table = sentence or run_conclusion(board), leaderboard_grid(board).markdown()
    return f"# {board.title}\n\n{conclusion}\n\n{table}\n\n{legend}\n{sections}{below}"


def _omitted(left: int) -> str:
    return f"\n{left} smaller segments are in `scores.parquet`.\n" if left else ""


def print_grids(
    grids: Iterable[Grid], noted: Iterable[str], sentence: str, console: Console | None = None
) -> None:
    """Print tables, notes and the conclusion."""
    from rich.text import Text

    console = console or terminal()
    for place, each in enumerate(grids):
        if place:
            console.print()
        if each.caption:
            console.print(Text(visible(each.caption)))
        console.print(each.rich(console.width))
    for note in noted:
        console.print(Text(visible(note), style="yellow"))
    console.print(Text(visible(sentence)))


def terminal() -> Console:
    """Return the terminal, of `WIDTH` letters where its width is not known."""
    from rich.console import Console

    return Console(width=None if Console().is_terminal else WIDTH, highlight=False)


MOST_BESIDE = 4
"""The most other metrics in the table that is read first."""


def standing_grid(board: Standings) -> Grid:
    """Return the table that is read first: at most eight columns with plain heads, best first."""
    lines = board.all
    side = "" if board.better == "none" else f" ({board.better}er is better)"
    scores = [line.headline for line in lines]
    columns = [
        ("model", tuple(board.plain_name(line) for line in lines)),
        (
            f"{board.measure.heading}{side}",
            with_errors([each.value for each in scores], [each.stderr for each in scores]),
        ),
        (f"vs {board.rival.removeprefix('the ')}", tuple(_against(board, each) for each in lines)),
        *(
            (each.heading, _measured(each, [line.beside.get(each.name) for line in lines]))
            for each in [one for one in board.beside if one.beside == "always"][:MOST_BESIDE]
        ),
        ("compute", tuple(duration(line.seconds) for line in lines)),
    ]
    return _marked(board, tuple(GridColumn(head, head, cells) for head, cells in columns))


def _against(board: Standings, line: ModelStanding) -> str:
    """Return how much better a model is than the reference, `26 % better`."""
    if board.is_reference(line) or line.skill.value is None:
        return "-" if board.is_reference(line) else ""
    return f"{percent(abs(line.skill.value))} {'better' if line.skill.value >= 0 else 'worse'}"


def _measured(measure: Measure, scores: Sequence[ScoreValue | None]) -> tuple[str, ...]:
    """Return the cells of a metric, in percent where its head says so."""
    values = [score.value if score else None for score in scores]
    if measure.head.endswith("%"):
        return tuple(percent_cell(value) for value in values)
    return column_texts(values)


def _marked(board: Standings, columns: tuple[GridColumn, ...]) -> Grid:
    own, truth = (
        frozenset(i for i, line in enumerate(board.all) if line is which)
        for which in (board.own, board.truth)
    )
    return Grid(columns, own, truth)


def leaderboard_grid(board: Standings) -> Grid:
    """Return the leaderboard with all its columns."""
    return _marked(board, tuple(_leaderboard_columns(board)))


def _leaderboard_columns(board: Standings) -> Iterator[GridColumn]:
    def column(title: str, cells: Iterable[str]) -> GridColumn:
        return GridColumn(title, title, tuple(cells))

    lines = board.all
    yield column("model", (board.display_name(line) for line in lines))
    scores = [line.headline for line in lines]
    errors = [each.stderr for each in scores]
    yield column(
        f"{board.called_in}, mean ± s.e.", with_errors([each.value for each in scores], errors)
    )
    yield column("median", column_texts([line.median.value for line in lines]))
    yield column("pooled", column_texts([line.pooled.value for line in lines]))
    for measure in board.beside:
        values = [line.beside.get(measure.name, ScoreValue()).value for line in lines]
        yield column(measure.with_unit, column_texts(values))
    yield column(f"skill against {board.rival}, %", (_percent(line.skill) for line in lines))
    yield column(f"way from {board.rival} to the floor, %", (_share(board, line) for line in lines))
    for title, count in {
        board.units: "n",
        "undefined": "n_undefined",
        "failed": "n_failed",
        "fallback": "n_fallback",
    }.items():
        yield column(title, (f"{getattr(line, count):,}" for line in lines))
    yield column("compute", (duration(line.seconds) for line in lines))


def _percent(number: ScoreValue) -> str:
    if not number.value:
        return "" if number.value is None else "0"
    return f"{100 * number.value:+.1f}" + (
        "" if number.stderr is None else f" ± {100 * number.stderr:.1f}"
    )


def _share(board: Standings, line: ModelStanding) -> str:
    if line is board.truth:
        return "100" if any(other.to_floor is not None for other in board.lines) else ""
    return "" if line.to_floor is None else f"{100 * line.to_floor + 0.0:.0f}"


LEGEND = """
{%- macro meaning(measure) %}
{%- if measure.explained %}`{{ measure.name }}`: {{ measure.explained }}.

{% endif %}
{%- endmacro %}
{{ meaning(measure) }}{% for each in beside %}{{ meaning(each) }}{% endfor %}

{% if has_median %}mean and median are over {{ units }}, each counting once; pooled is the ratio of
sums over all rows.{% endif %}

{% if methods %}± is one standard error (
{%- for name, made in methods.items() %}{{ name }}: {{ made | join(" or ") }}
{%- if not loop.last %}; {% endif %}{% endfor %}); sentences quote
{{ (100 * measure.confidence) | written("g") }} % intervals, those of `scores.parquet`.{% endif %}

{% if has_skill %}skill: {{ measure.as_skill().meaning }}; above 0 is better than it.{% endif %}

{% if truth and better != "none" %}{{ display_name(truth) }}: the score of the simulator's true
distribution given what was known; no model beats it but by chance.{% endif %}

undefined: {{ units }} without a value; failed: answers lost to an error; fallback: {{ units }} that
something simpler than the model answered for."""

LOST = """
{%- if n_undefined %}{{ n_undefined | counted(units) }} without a value, {% endif %}
{%- if n_failed %}{{ n_failed | counted("answers") }} failed ({{ error }}), {% endif %}
{%- if n_fallback and not told %}{{ n_fallback | counted(units) }} by a fallback, {% endif %}
{%- if error and not n_failed %}{{ error }}{% endif %}"""
"""What is missing of a model's predictions; empty where nothing is."""


def leaderboard_legend(board: Standings) -> list[str]:
    """Return the meaning of the columns and the method of the standard errors."""
    return say_lines(
        LEGEND,
        board,
        has_median=any(line.median.value is not None for line in board.all),
        has_skill=any(line.skill.value is not None for line in board.all),
    )


def leaderboard_notes(board: Standings, remarks: Iterable[str] = ()) -> Iterator[str]:
    """Yield the counts of undefined, failed and replaced predictions, where there are any.

    Replaced ones are left out where remarks tell of them.
    """
    told = any(BY_FALLBACK in remark for remark in remarks)
    models: dict[str, list[str]] = {}
    for line in board.all:
        counts = say(LOST, line, units=board.units, told=told).rstrip(",")
        models.setdefault(counts, []).append(board.display_name(line))
    for counts, names in models.items():
        if counts:
            yield f"{'every model' if len(names) == len(board.all) else ', '.join(names)}: {counts}"


# leaderboard.png: each model's headline with its 95 % interval, the floor and the reference.

LOG_FROM = 20
"""The ratio of the worst to the best score from which the axis is logarithmic."""


LEAST_SPAN = 0.1
"""The least width of the axis, as a share of its largest value."""


def leaderboard_figure(board: Standings) -> Figure | None:
    """Draw the leaderboard; None where no model has a score."""
    scored = [line for line in board.lines if line.headline.value is not None]
    if not scored:
        return None
    figure = new_figure(9, 1.7 + 0.42 * len(board.lines))
    axes = figure.subplots()
    _scale_axis(axes, board.all)
    headlines = [line.headline for line in board.lines]
    texts = with_errors(
        [number.value for number in headlines], [number.stderr for number in headlines]
    )
    for place, (line, text) in enumerate(zip(board.lines, texts, strict=True)):
        _draw_standing(axes, board, line, place, text)
    _draw_references(axes, board)
    _label_axis(axes, board, scored)
    legend_below(figure, axes)
    headline(figure, board.title)
    return figure


def _draw_standing(
    axes: Axes, board: Standings, line: ModelStanding, place: int, text: str
) -> None:
    colour = OWN_COLOUR if line is board.own else NAIVE_COLOUR if board.is_reference(line) else GREY
    score = line.headline
    if score.value is None:
        text = f"no score ({line.n_failed:,} failed)" if line.n_failed else "no score"
    else:
        if score.low is not None and score.high is not None:
            axes.plot(
                [score.low, score.high],
                [place, place],
                color=colour,
                linewidth=2.4,
                solid_capstyle="round",
                alpha=0.55,
            )
        axes.plot([score.value], [place], color=colour, marker="o", markersize=8, zorder=4)
    note_row(axes, place, text, colour, bold=line is board.own)


def _draw_references(axes: Axes, board: Standings) -> None:
    """Draw the floor, with its interval as a shade, and the reference, as lines through all
    models.
    """
    if board.reference is not None:
        label = (
            f"{board.rival.removeprefix('the ')} "
            f"{brief(board.reference, None, board.measure.measured_in)}"
        )
        axes.axvline(
            board.reference, color=NAIVE_COLOUR, linewidth=1.4, linestyle=":", zorder=1, label=label
        )
    if board.truth is None or board.truth.headline.value is None:
        return
    floor, value = board.truth.headline, board.truth.headline.value
    label = f"{board.display_name(board.truth)} {brief(value, None, board.measure.measured_in)}"
    axes.axvline(value, color=FLOOR_COLOUR, linewidth=1.4, linestyle="--", zorder=1, label=label)
    if floor.low is not None and floor.high is not None:
        axes.axvspan(floor.low, floor.high, color=FLOOR_COLOUR, alpha=0.10, linewidth=0, zorder=0)


def _scale_axis(axes: Axes, lines: Sequence[ModelStanding]) -> None:
    values = [line.headline.value for line in lines if line.headline.value is not None]
    if min(values) > 0 and max(values) > LOG_FROM * min(values):
        axes.set_xscale("log")


def _widen_axis(axes: Axes) -> None:
    """Let a linear axis span a tenth of its largest value at least, so that alike scores look
    alike.
    """
    low, high = axes.get_xlim()
    least = LEAST_SPAN * max(abs(low), abs(high))
    if axes.get_xscale() == "linear" and high - low < least:
        axes.set_xlim((low + high - least) / 2, (low + high + least) / 2)


def _label_axis(axes: Axes, board: Standings, scored: Sequence[ModelStanding]) -> None:
    tidy(axes, grid="x")
    names = [drawable(line.model, 44) for line in board.lines]
    axes.set_yticks(range(len(names)), names, parse_math=False)
    for tick, line in zip(axes.get_yticklabels(), board.lines, strict=True):
        tick.set_fontweight("bold" if line is board.own else "normal")
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0, labelsize=10)
    axes.spines["left"].set_color(LIGHT)
    axes.margins(x=0.08)
    _widen_axis(axes)
    plain_numbers(axes.xaxis)
    log = ", log scale" if axes.get_xscale() == "log" else ""
    counts = sorted({line.n for line in scored})
    n = f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"
    level = f"{100 * board.measure.confidence:g} %"
    bars = (
        f"; bars: {level} interval" if any(line.headline.low is not None for line in scored) else ""
    )
    good = "" if board.better == "none" else f"; {board.better}er is better"
    text = f"{board.called_in}, mean over {n} {board.units}{log}{good}{bars}"
    name_axes(axes, x=text)


# segments.png: the headline by segment, a panel for each column of segments, a dot for each
# model.

MOST_IN_PANEL = 12
"""The most segments of a panel, those with the most units."""

MOST_MODELS = 8
"""The most models that are drawn: the best ones, and always the experiment's."""

SPREAD = 0.62
"""The width of a segment's models, as a share of the distance to the next segment."""


def segments_figure(tables: Tables, board: Standings) -> Figure | None:
    """Draw the headline by segment; None where no segment, or no model, has a score."""
    scored = {
        column: rows.filter(col("value").is_not_null())
        for column, rows in scores_by_column(tables, board.headline).items()
    }
    panels = {column: rows for column, rows in scored.items() if len(rows)}
    paints = board_colours(board)
    if not panels or not paints:
        return None
    segments = {
        column: list(largest_segments(rows, MOST_IN_PANEL)) for column, rows in panels.items()
    }
    heights = [0.7 + (0.22 + 0.1 * len(paints)) * len(names) for names in segments.values()]
    figure = new_figure(10, 1.0 + sum(heights))
    grid = figure.subplots(
        len(panels), squeeze=False, gridspec_kw={"height_ratios": heights}, sharex=True
    )[:, 0]
    for axes, (column, rows) in zip(grid, panels.items(), strict=True):
        _draw_segments(axes, rows, segments[column], paints, board)
        name_axes(axes, title=drawable(f"by {column}"))
    side = "" if board.better == "none" else f"; {board.better}er is better"
    text = drawable(
        f"{board.called_in}{side}; bars: {100 * board.measure.confidence:g} % interval", 110
    )
    name_axes(grid[-1], x=text)
    legend_below(figure, grid[0])
    headline(figure, f"{board.headline} by segment")
    return figure


def board_colours(board: Standings) -> dict[str, str]:
    """Return the colour of each model that is drawn, by its label, in the order of the board."""
    lines = [line for line in board.all if line.headline.value is not None]
    drawn = [
        line
        for place, line in enumerate(lines)
        if place < MOST_MODELS or line is board.own or line is board.truth
    ]
    others = iter(RIVAL_COLOURS[1:] * len(drawn))
    fixed = {id(board.own): OWN_COLOUR, id(board.truth): FLOOR_COLOUR}
    return {
        line.model: fixed.get(id(line))
        or (NAIVE_COLOUR if board.is_reference(line) else next(others))
        for line in drawn
    }


def _draw_segments(
    axes: Axes, rows: DataFrame, segments: list[str], paints: dict[str, str], board: Standings
) -> None:
    shifts = np.linspace(-SPREAD / 2, SPREAD / 2, len(paints)) if len(paints) > 1 else np.zeros(1)
    called = {line.model: board.display_name(line) for line in board.all}
    for shift, (model, colour) in zip(shifts, paints.items(), strict=True):
        scores = rows.filter(col("segment").is_in(segments), model=model)
        places = np.array([segments.index(segment) for segment in scores["segment"]]) + shift
        low, high = (
            scores[end].fill_null(scores["value"]).to_numpy() for end in ("ci_low", "ci_high")
        )
        value = scores["value"].to_numpy()
        bars = np.maximum(np.stack([value - low, high - value]), 0.0)
        label = drawable(called[model], 40)
        axes.errorbar(
            value,
            places,
            xerr=bars,
            fmt="o",
            color=colour,
            markersize=5,
            elinewidth=1.6,
            label=label,
        )
    name_rows(axes, range(len(segments)), segments, 36)
    axes.set_ylim(len(segments) - 0.5, -0.5)
    for place in range(1, len(segments)):
        axes.axhline(place - 0.5, color=LIGHT, linewidth=0.8, zorder=0)
    tidy(axes, grid="x")
    axes.tick_params(axis="y", length=0)
    plain_numbers(axes.xaxis)
