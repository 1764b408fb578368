"""The changes that a click in the local page makes: labels of a run, and a comparison that is kept. Commands make them, too."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hwds.core.errors import ConfigError, HwdsError
from hwds.core.secrets import without_secrets
from hwds.report.ui.opened import folder_of
from hwds.results.folder import RunFolder
from hwds.results.labels import Labels
from hwds.results.runs.index import RunIndex

LONGEST = 600
"""Seconds that a comparison may take."""

MOST = 40
"""Runs that one comparison takes."""


def set_labels(index: RunIndex, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Set name, tags and note of a run or a sweep, and return them.

    Raises:
        ConfigError: A tag is not a single word, or a value is no text.
        HwdsError: There is no such run.
    """
    path, name, tags, note = (asked.get(key, "") for key in ("path", "name", "tags", "note"))
    if not all(isinstance(value, str) for value in (path, name, tags, note)):
        raise ConfigError("labels: path, name, tags and note must be texts.")
    folder = folder_of(index, path).path
    labels = Labels().tagged(tuple(tags.split())).noted(note).named(name)
    labels.write(folder)
    return {"name": labels.name, "tags": " ".join(labels.tags), "note": labels.note}


def compare(index: RunIndex, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Compare runs by `hwds compare`, keep its report, and return where that is.

    Raises:
        HwdsError: The runs cannot be compared; the command's own words say why.
    """
    paths = asked.get("runs")
    if not isinstance(paths, list) or not 2 <= len(paths) <= MOST:
        raise ConfigError(f"compare: must be given from 2 to {MOST} runs.")
    folders = [str(folder_of(index, str(path), "runs").path) for path in paths]
    said = _command("compare", *folders).stdout
    folder = re.search(r"^Comparison: (.+)$", said, flags=re.MULTILINE)
    if folder is None:
        raise HwdsError("compare: nothing was kept.")
    _command("report", folder[1])
    report = (Path(folder[1]).resolve() / "report.html").relative_to(index.root)
    return {"report": report.as_posix(), "said": said.splitlines()[0] if said else ""}


def draw(folder: RunFolder) -> str:
    """Draw the pictures of a run by `hwds report`, in a process of its own: it loads the data of the run.

    Returns:
        The line that says why they cannot be drawn; empty where they are.
    """
    try:
        said = _command("report", str(folder.path)).stderr
    except HwdsError as error:  # the outputs may be for reading alone
        return str(error)
    return next((line for line in said.splitlines() if line.startswith("hwds: no pictures: ")), "")


def _command(*words: str) -> subprocess.CompletedProcess[str]:
    """Run a command of hwds, and return it with what it printed.

    Raises:
        HwdsError: It refuses, or takes too long.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-m", "hwds", *words], capture_output=True, text=True, timeout=LONGEST, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise HwdsError(f"{words[0]}: took more than {LONGEST} s.") from error
    if done.returncode:
        lines = [line for line in without_secrets(done.stderr).splitlines() if line.strip()]
        raise HwdsError(lines[-1] if lines else f"{words[0]}: ended with code {done.returncode}.")
    return done
