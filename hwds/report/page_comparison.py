"""The report of a comparison."""

from __future__ import annotations

from dataclasses import replace

from hwds.report.comparison import grids, legend
from hwds.report.comparison_plot import critical_difference_figure
from hwds.report.comparison_words import rank_sentence, sentence, title
from hwds.report.page import Code, Listing, Page, Part, Section, Table, Text
from hwds.report.page_picture import Picture
from hwds.results.comparison import Comparison

ALT = "Mean ranks of the models on a line; bars join those that cannot be told apart"


def comparison_page(found: Comparison, command: str) -> Page:
    """The page of a comparison.

    Args:
        found: What it came to.
        command: The one that makes it again.
    """
    board, pairs, *along = grids(found)
    first: tuple[Part, ...] = (*(Text(note, note=True) for note in found.notes), Table(replace(board, caption="")))
    sections = [
        Section("Leaderboard", first),
        Section("Effects", (Table(pairs), *map(Table, along))),
        Section("Ranks", _ranks(found)),
        Section("What the columns mean", (Listing(tuple(legend(found))),)),
        Section("How to have it again", (Code(command), Listing(tuple(f"run `{source}`" for source in found.sources)))),
    ]
    runs = len(found.sources)
    below = f"Compared on the rows that all models answered, of {runs} run{'s' * (runs != 1)}; effect, interval, then p."
    return Page(title(found), sentence(found), below, tuple(sections))


def _ranks(found: Comparison) -> tuple[Part, ...]:
    figure = critical_difference_figure(found)
    if figure is None:
        return ()
    return (Text(rank_sentence(found)), Picture.of_figure(figure, ALT, "critical_difference.png"))
