"""The streams below the outputs folder as their own files say: how each stands, its machines, and its last alerts."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from hwds.core.checksums.files import read_json
from hwds.core.errors import HwdsError
from hwds.results.streams import ALERTS, FOLDER, PROGRESS

SILENT = 10.0
"""Seconds without a word after which a stream that has not ended is no longer on: it writes once a second."""

MESSAGES = 50
"""The last messages of alerts that are shown."""

TAIL = 1 << 16
"""Bytes at the end of the file of alerts that are read."""

SUMMARY = ("at", "lines_a_second", "lines", "readings", "refused", "anomalous", "alerts", "machines", "open")
"""Facts of every stream."""


def streams_data(root: Path, name: str) -> dict[str, Any]:
    """Return all streams, those with the latest word first, and one of them in detail.

    Args:
        root: The outputs folder.
        name: The folder of the stream to show below `streams`; the first one where there is none of that name.

    Returns:
        `streams` with a name, a standing (`running`, `ended`, `silent`, `damaged`) and facts each; `shown` with all that the
        file of progress holds and the last messages of alerts, the newest first; None where there is no stream.
    """
    folders = sorted(path.parent for path in (root / FOLDER).rglob(PROGRESS))
    known = {path.relative_to(root / FOLDER).as_posix(): _progress(path) for path in folders}
    order = sorted(known, key=lambda each: -known[each].get("at", 0.0))
    streams = [{"name": each, **{key: known[each].get(key) for key in ("standing", *SUMMARY)}} for each in order]
    chosen = name if name in known else next(iter(order), None)
    if chosen is None:
        return {"streams": streams, "shown": None}
    messages = _messages(root / FOLDER / chosen / ALERTS)
    return {"streams": streams, "shown": {"name": chosen, **known[chosen], "messages": messages}}


def _progress(folder: Path) -> dict[str, Any]:
    """Return what a stream says of itself, and how it stands."""
    try:
        content = dict(read_json(folder / PROGRESS))
        running, silence = content["running"], time.time() - content["at"]
    except (OSError, ValueError, TypeError, KeyError):
        return {"standing": "damaged"}
    if not running:
        return {"standing": "ended", **content}
    return {"standing": "running" if silence < SILENT else "silent", **content}


def _messages(path: Path) -> list[dict[str, Any]]:
    """Return the last messages of alerts, the newest first; a line that is being written is left out.

    Raises:
        HwdsError: A line is damaged.
    """
    if not path.is_file():
        return []
    with path.open("rb") as file:
        begin = max(0, os.fstat(file.fileno()).st_size - TAIL)
        file.seek(begin)
        lines = file.read().split(b"\n")[1 if begin else 0 : -1]
    try:
        return [json.loads(line) for line in lines[: -MESSAGES - 1 : -1]]
    except ValueError as error:
        raise HwdsError(f"{path}: a line is damaged.") from error
