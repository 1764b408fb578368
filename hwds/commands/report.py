"""Write a report that can be sent: `hwds report RUN` or `hwds report COMPARISON` makes one report.html, and report.md."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hwds.errors import ConfigError, HwdsError, nearest

if TYPE_CHECKING:
    from hwds.report.page import Page


def main(words: list[str]) -> int:
    """Write the report of one run or of one comparison into its folder; the file needs no network."""
    flag = next((word for word in words if word.startswith("-")), None)
    if flag or len(words) != 1:
        raise ConfigError(f"report: must be followed by one run or comparison, got {flag or len(words)}.")
    from hwds.report.page_run import run_page, written
    from hwds.results.folder import RunFolder

    comparison = comparison_folder(words[0])
    folder = comparison or RunFolder.find(words[0]).path
    page = comparison_report(comparison) if comparison else run_page(RunFolder(folder))
    html, markdown = written(page, folder)
    print(page.lead)
    print(f"Report: {html} ({html.stat().st_size / 1024:,.0f} KB) and {markdown.name}")
    return 0


def choices() -> list[str]:
    """The runs and comparisons that there are, for completion."""
    from hwds.results.folder import RunFolder

    return [*RunFolder.names(), *(path.name for path in comparisons())]


def comparisons() -> list[Path]:
    """The folders of all comparisons below the current folder."""
    from hwds.results.folder import OUTPUTS

    return sorted(path.parent for path in (OUTPUTS / "comparisons").glob("*/comparison.json"))


def comparison_folder(name: str) -> Path | None:
    """The folder of a comparison by its path, its id or the beginning of it; None where no comparison is called so.

    Raises:
        HwdsError: Several begin so.
    """
    if (Path(name) / "comparison.json").is_file():
        return Path(name).resolve()
    found = [path for path in comparisons() if path.name.startswith(name)]
    if len(found) > 1:
        raise HwdsError(f"comparison '{name}': {len(found)} begin so{nearest(name, [path.name for path in found])}")
    return found[0].resolve() if found else None


def comparison_report(folder: Path) -> Page:
    """The page of a comparison that was kept."""
    from hwds.report.page_comparison import comparison_page
    from hwds.results.comparison import Comparison

    found, command = Comparison.read(folder)
    return comparison_page(found, command)
