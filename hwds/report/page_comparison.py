"""The report of a comparison."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from hwds.report.comparison import grids, legend
from hwds.report.comparison_plot import critical_difference_figure
from hwds.report.comparison_words import rank_sentence, sentence, title
from hwds.report.page import Code, Folded, Listing, Page, Part, Section, Table, Text
from hwds.report.page_picture import Picture
from hwds.report.page_run import bare, origin_lines
from hwds.results.comparison import Comparison

ALT = "Mean ranks of the models on a line; bars join those that cannot be told apart"


def comparison_page(found: Comparison, command: str, origins: Mapping[str, dict[str, Any]] = MappingProxyType({})) -> Page:
    """The page of a comparison.

    Args:
        found: What it came to.
        command: The one that makes it again.
        origins: The provenance of its runs by their titles, of those that are still there.
    """
    board, pairs, *along = grids(found)
    first: tuple[Part, ...] = (*(Text(note, note=True) for note in found.notes), Table(bare(replace(board, caption=""))))
    sections = [
        Section("Leaderboard", first),
        Section("Effects", (Table(pairs), *map(Table, along))),
        Section("Ranks", _ranks(found)),
        Section("What the columns mean", (Listing(tuple(legend(found))),)),
        Section("How to have it again", tuple(_again(found, command, origins))),
    ]
    runs = len(found.sources)
    below = f"Compared on the rows that all models answered, of {runs} run{'s' * (runs != 1)}; effect, interval, then p."
    return Page(title(found), sentence(found), below, tuple(sections))


def _again(found: Comparison, command: str, origins: Mapping[str, dict[str, Any]]) -> Iterator[Part]:
    """The command; of each run its own, and where its numbers are from."""
    yield Code(command)
    for source in found.sources:
        told = origins.get(source)
        lines = (f"`{told['command']}`", *origin_lines(told)) if told else ("its folder is not at hand any more",)
        yield Folded(f"Run {source}", (Listing(lines),))


def _ranks(found: Comparison) -> tuple[Part, ...]:
    figure = critical_difference_figure(found)
    if figure is None:
        return ()
    return (Text(rank_sentence(found)), Picture.of_figure(figure, ALT, "critical_difference.png"))
