"""The pictures, tables and sentences of runs about inspection."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hwds.frames.images import Images
from hwds.inspection.report.by_kind import by_kind_grid
from hwds.inspection.report.confusion import confusion_figure
from hwds.inspection.report.patches import patches_figure
from hwds.inspection.report.reject_curve import reject_figure
from hwds.inspection.report.sentence import conclusion
from hwds.report.grid import Grid
from hwds.report.hooks import TaskReport
from hwds.report.pictures.style import save_png
from hwds.results.tables import Tables


def draw(images: Images, tables: Tables, model: str, folder: Path) -> None:
    """Draw the judgements.

    `reject_curve.png`: wrong kinds by the share that is not sent to a person, and defects found by false alarms;
    `confusion.png`: which kind is taken for which; `patches.png`: of each kind the best judged image, a typical one and the
    worst, and where a defect is seen in them.
    """
    save_png(reject_figure(tables, model), folder / "reject_curve.png")
    save_png(confusion_figure(tables, model), folder / "confusion.png")
    save_png(patches_figure(images, tables, model), folder / "patches.png")


def sentence(images: Images, tables: Tables, model: str) -> str:
    """Return what the run says of inspection."""
    return conclusion(tables, model)


def page_grids(tables: Tables, model: str) -> Iterator[Grid]:
    """Yield the kinds."""
    yield by_kind_grid(tables, model)


REPORT = TaskReport(sentence=sentence, page_grids=page_grids, draw=draw)
