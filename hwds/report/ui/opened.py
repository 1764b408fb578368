"""The files that the local page may open: folders that the index knows, pictures in them, and kept reports."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

from hwds.core.errors import HwdsError
from hwds.results.folder import RunFolder
from hwds.results.runs.index import RunIndex

TITLE_WITHIN = 4096
"""Letters from the beginning of a report among which its title stands."""

LAST = ("leaderboard.png", "segments.png")
"""Pictures that every task has: those of its own come first."""


def folder_of(index: RunIndex, path: str, kind: str = "") -> RunFolder:
    """Return the folder of a run or a sweep that the index knows: no other path is opened.

    Args:
        index: Of all runs.
        path: Relative to its root.
        kind: `runs` or `sweeps`; empty for both.

    Raises:
        HwdsError: It is none.
    """
    if path not in index.paths or not path.startswith(kind):
        raise HwdsError(f"no run '{path}'.")
    return RunFolder(index.root / path)


def pictures_of(folder: Path) -> list[str]:
    """Return the names of the pictures of a run, those of its task first."""
    names = sorted(path.name for path in folder.glob("*.png"))
    return [name for name in names if name not in LAST] + [name for name in LAST if name in names]


def picture(index: RunIndex, path: str, name: str) -> bytes:
    """Return a picture of a run or a sweep.

    Raises:
        HwdsError: There is none of that name.
    """
    folder = folder_of(index, path).path
    if name not in pictures_of(folder):
        raise HwdsError(f"no picture '{name}'.")
    return (folder / name).read_bytes()


def kept_reports(root: Path) -> dict[str, str]:
    """Return the reports that were written for comparisons and studies: their paths below the outputs folder, and titles."""
    files = sorted(path for below in ("comparisons", "studies") for path in (root / below).rglob("report.html"))
    return {path.relative_to(root).as_posix(): _title(path) for path in files}


def _title(path: Path) -> str:
    with path.open(encoding="utf-8", errors="replace") as file:
        title = re.search("<title>(.*?)</title>", file.read(TITLE_WITHIN), flags=re.DOTALL)
    return unescape(title[1]) if title else path.parent.name
