"""The costs of a decision on alerts: a table of all policies, and its picture."""

from __future__ import annotations

from pathlib import Path

from hwds.detection.decisions.alerts.verdict import AlertVerdict, DailyAmount, PolicyRecord
from hwds.detection.report.alerts.costs_plot import costs_figure, named
from hwds.report.grid import Grid, grid_of
from hwds.report.hooks import TableReport
from hwds.report.pictures.style import save_png
from hwds.results.formatting import column, decimals, fixed

TITLES = (
    ("policy", "policy"),
    ("gray by", "by"),
    ("cost a day", "cost\na day"),
    ("95 %, by day", ""),
    ("95 %, by entity", ""),
    ("the policy saves", "policy\nsaves"),
    ("95 %, by day and by entity", "95 %"),
    ("missed", ""),
    ("wrong blocks", "wrong\nblocks"),
    ("reviews", ""),
    ("rows blocked a day", ""),
    ("rows reviewed a day", ""),
    ("kept of what is at stake, %", "kept\n%"),
    ("honest rows blocked, %", "honest\nblocked %"),
)


def grid(verdict: AlertVerdict) -> Grid:
    """Return every policy against labels and truth: its cost a day, and what the decision's own policy saves."""
    lines = verdict.record
    own = lines[0].policy if lines else ""
    guarded = f"of {', '.join(verdict.guarded)}, %" if verdict.guarded else ""
    titles = [*TITLES, (guarded, "guarded\n%" if guarded else "")]
    numbers = [column([getattr(line, part) for line in lines]) for part in ("missed", "wrong_blocks", "reviews")]
    places = decimals([line.cost.value for line in lines])
    rows = [
        (named(line.policy, verdict), line.against, *_money(line, places), *(cells[i] for cells in numbers), *_rows(line))
        for i, line in enumerate(lines)
    ]
    caption = f"Cost of each policy, {verdict.unit or 'money'} a day over {verdict.days} days:"
    return grid_of(titles, rows, own=own, names=2, caption=caption)


def _money(line: PolicyRecord, places: int) -> tuple[str, ...]:
    cost, saving = line.cost, line.saving
    by_day, by_entity = _ends(cost.day_low, cost.day_high, places), _ends(cost.entity_low, cost.entity_high, places)
    return fixed(cost.value, places), by_day, by_entity, *_saving(saving, places)


def _saving(saving: DailyAmount | None, places: int) -> tuple[str, str]:
    return ("", "") if saving is None else (fixed(saving.value, places), _ends(saving.low, saving.high, places))


def _ends(low: float | None, high: float | None, places: int) -> str:
    return "" if low is None or high is None else f"{fixed(low, places)} to {fixed(high, places)}"


def _rows(line: PolicyRecord) -> tuple[str, ...]:
    shares = (line.caught_share, line.honest_blocked, line.guarded_blocked)
    caught, honest, guarded = (None if share is None else 100 * share for share in shares)
    return fixed(line.blocked, 1), fixed(line.reviewed, 1), fixed(caught, 1), fixed(honest, 3), fixed(guarded, 2)


def draw(verdict: AlertVerdict, path: Path) -> None:
    """Draw the cost of each policy with its parts and intervals; nothing where nothing was back-tested."""
    save_png(costs_figure(verdict), path)


REPORT = TableReport(grid=grid, draw=draw)
