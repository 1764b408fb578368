"""The report of a comparison."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from hwds.report.comparison.sentence import rank_sentence, sentence, title
from hwds.report.comparison.tables import grids, legend
from hwds.report.pages.base import Code, Folded, GridTable, Listing, Page, Part, Section, Text
from hwds.report.pages.picture import Picture
from hwds.report.pages.run import bare, origin_lines
from hwds.report.pictures.critical_difference import critical_difference_figure
from hwds.report.pictures.forest import comparison_figure
from hwds.results.comparison import Comparison

EFFECTS = "By how much the model is better than each rival, with the interval; right of the line it is better"
ALT = "Mean ranks of the models on a line; bars join those that cannot be told apart"


def comparison_page(result: Comparison, command: str, origins: Mapping[str, dict[str, Any]] = MappingProxyType({})) -> Page:
    """Return the page of a comparison.

    Args:
        result: The result of the comparison.
        command: The command that repeats it.
        origins: The provenance of its runs by their titles, of those that still exist.
    """
    board, pairs, *along = grids(result)
    first: tuple[Part, ...] = (*(Text(note, note=True) for note in result.notes), GridTable(bare(replace(board, caption=""))))
    sections = [
        Section("Leaderboard", first),
        Section("Effects", (*_forest(result), GridTable(pairs), *map(GridTable, along))),
        Section("Ranks", _ranks(result)),
        Section("What the columns mean", (Listing(tuple(legend(result))),)),
        Section("How to have it again", tuple(_again(result, command, origins))),
    ]
    runs = len(result.sources)
    below = f"Compared on the rows that all models answered, of {runs} run{'s' * (runs != 1)}; effect, interval, then p."
    return Page(title(result), sentence(result), below, tuple(sections))


def _again(result: Comparison, command: str, origins: Mapping[str, dict[str, Any]]) -> Iterator[Part]:
    """Yield the command, and for each run its command and provenance."""
    yield Code(command)
    for source in result.sources:
        origin = origins.get(source)
        lines = (f"`{origin['command']}`", *origin_lines(origin)) if origin else ("its folder is not at hand any more",)
        yield Folded(f"Run {source}", (Listing(lines),))


def _forest(result: Comparison) -> tuple[Part, ...]:
    figure = comparison_figure(result)
    return () if figure is None else (Picture.of_figure(figure, EFFECTS, "forest.png"),)


def _ranks(result: Comparison) -> tuple[Part, ...]:
    figure = critical_difference_figure(result)
    if figure is None:
        return ()
    return (Text(rank_sentence(result)), Picture.of_figure(figure, ALT, "critical_difference.png"))
