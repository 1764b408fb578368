"""Write a report that can be sent: `hwds report RUN | SWEEP | STUDY | COMPARISON` makes one report.html, and report.md.

It stands alone: one file without a network, light and dark, readable without JavaScript. Its folder is printed.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hwds.errors import ConfigError, nearest

if TYPE_CHECKING:
    from hwds.report.page import Page


def main(words: list[str]) -> int:
    """Write the report of one run, sweep, study or comparison into its folder; the file needs no network."""
    flag = next((word for word in words if word.startswith("-")), None)
    if flag or len(words) != 1:
        raise ConfigError(f"report: must be followed by one run, sweep, study or comparison, got {flag or len(words)}.")
    from hwds.config.study import is_study

    if is_study(words[0]):
        from hwds.commands.study import main as study

        return study([words[0], "--read"])
    from hwds.report.page_run import written

    page, folder = page_of(words[0])
    html, markdown = written(page, folder)
    print(page.lead)
    print(f"Report: {html} ({html.stat().st_size / 1024:,.0f} KB) and {markdown.name}")
    return 0


def page_of(name: str) -> tuple[Page, Path]:
    """The page of what is called so, and the folder that it belongs to.

    Raises:
        ConfigError: Nothing is called so, or several things begin so.
        HwdsError: It is not finished.
    """
    from hwds.report.page_run import kept_frame, run_page
    from hwds.report.page_sweep import sweep_page
    from hwds.results.comparison import comparison_folder
    from hwds.results.folder import RunFolder
    from hwds.results.run_config import CONFIG
    from hwds.results.sweep_folder import SweepFolder

    if comparison := comparison_folder(name):
        return comparison_report(comparison), comparison
    if sweep := SweepFolder.named(name):
        return sweep_page(sweep), sweep.path
    known = choices()
    if not (Path(name) / CONFIG).is_file() and not any(each.startswith(name) for each in known):
        raise ConfigError(f"report: no run, sweep, study or comparison '{name}'{nearest(name, known)}")
    run = RunFolder.find(name)
    return run_page(run, kept_frame(run)), run.path


def choices() -> list[str]:
    """The runs, sweeps, studies and comparisons that there are, for completion."""
    from hwds.config.study import studies
    from hwds.results.comparison import comparison_folders
    from hwds.results.folder import RunFolder
    from hwds.results.sweep_folder import SweepFolder

    return [*RunFolder.names(), *SweepFolder.names(), *studies(), *comparison_folders()]


def comparison_report(folder: Path) -> Page:
    """The page of a comparison that was kept."""
    from hwds.report.page_comparison import comparison_page
    from hwds.results.comparison import Comparison
    from hwds.results.folder import OUTPUTS, RunFolder

    found, command = Comparison.read(folder)
    runs = {source: RunFolder((OUTPUTS / "runs" / source).resolve()) for source in found.sources}
    origins = {source: run.read_provenance() for source, run in runs.items() if (run.path / "provenance.json").is_file()}
    return comparison_page(found, command, origins)
