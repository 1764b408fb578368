"""Write report.html and report.md of a run, sweep, study or comparison.

It is one file that you can send: without a network, light and dark, readable without JavaScript.
Its folder is printed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hwds.cli.words import KnownWord, command, exactly, run_and_sweep_names
from hwds.core.errors import ConfigError, nearest

if TYPE_CHECKING:
    from hwds.report.page_parts import Page
    from hwds.results.folder import RunFolder


def reportable_names() -> list[str]:
    """Return the runs, sweeps, studies and comparisons below the current folder."""
    from hwds.core.study import studies
    from hwds.results.comparison import comparison_folders

    return [*run_and_sweep_names(), *studies(), *comparison_folders()]


@command(help=__doc__)
@click.argument(
    "name",
    nargs=-1,
    type=KnownWord("name", reportable_names),
    callback=exactly(1, "run, sweep, study or comparison"),
    metavar="NAME",
)
def main(name: str) -> int:
    """Write the report of one run, sweep, study or comparison into its folder.

    The file needs no network.
    """
    from hwds.core.study import is_study

    if is_study(name):
        from hwds.cli.commands.study import answer_study

        return answer_study(name, (), read=True)
    from hwds.report.pages import write_page

    page, folder = page_of(name)
    html, markdown = write_page(page, folder)
    print(page.lead)
    print(f"Report: {html} ({html.stat().st_size / 1024:,.0f} KB) and {markdown.name}")
    return 0


@contextmanager
def showing_progress(run: RunFolder) -> Iterator[None]:
    """Show on a terminal how many pictures of a run are drawn, and the time left."""
    from hwds.report.hooks import stored_report
    from hwds.report.progress import Heartbeat, ProgressLine, rewrites

    if not (rewrites() and run.finished and run.undrawn):
        yield
        return
    line, began = ProgressLine("pictures"), time.time()
    line.begin(1 + len(stored_report(run.read_config(), run.read_tables()).captions), 0)

    def count() -> None:
        drawn = sum(path.stat().st_mtime >= began for path in run.path.glob("*.svg"))
        while line.done < min(drawn, line.cells):
            line.finish_cell("")

    beat = Heartbeat(count, 0.2)
    beat.start()
    try:
        yield
    finally:
        beat.stop()
        line.end()


def page_of(name: str) -> tuple[Page, Path]:
    """The page of what is called so, and the folder that it belongs to.

    Raises:
        ConfigError: Nothing is called so, or several things begin so.
        HwdsError: It is not finished.
    """
    from hwds.report.pages import kept_frame, run_page, sweep_page
    from hwds.results.comparison import comparison_folder
    from hwds.results.files import holds_file
    from hwds.results.folder import CONFIG, RunFolder
    from hwds.results.sweep_folder import SweepFolder

    if comparison := comparison_folder(name):
        return comparison_report(comparison), comparison
    if sweep := SweepFolder.find_unless_run(name):
        return sweep_page(sweep), sweep.path
    names = reportable_names()
    if not holds_file(name, CONFIG) and not any(each.startswith(name) for each in names):
        raise ConfigError(
            f"report: no run, sweep, study or comparison '{name}'{nearest(name, names)}"
        )
    from hwds.cli.run import drawn_run

    with showing_progress(RunFolder.find(name)):
        run = drawn_run(name)
    return run_page(run, kept_frame(run)), run.path


def comparison_report(folder: Path) -> Page:
    """The page of a comparison that was kept."""
    from hwds.report.pages import comparison_page
    from hwds.results.folder import RunFolder
    from hwds.stats.compare import stored_comparison

    comparison, command = stored_comparison(folder)
    runs = {source: RunFolder.of_title(source) for source in comparison.sources}
    origins = {
        source: run.read_provenance()
        for source, run in runs.items()
        if (run.path / "provenance.json").is_file()
    }
    return comparison_page(comparison, command, origins)
