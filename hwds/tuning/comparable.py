"""Checks that trials on other data or under another protocol are scored on the same answers in the same windows."""

from __future__ import annotations

from typing import Any

import polars as pl

from hwds.evaluation.base import TuningSplit
from hwds.frames.panel import Panel
from hwds.frames.roles import SERIES, TARGET, TIME
from hwds.frames.table import Table

INPUTS = ("covariate", "context", "slice", "stratum", "ignore")
"""Roles of a table that no score reads."""


def why_incomparable(own: TuningSplit, other: TuningSplit) -> str:
    """Return why scores on another split cannot be compared with those on the sweep's own; empty where they can.

    Args:
        own: That of the experiment as it stands.
        other: That of a trial with another dataset or protocol.
    """
    windows, others = ([(fold.name, repr(fold.cutoffs), fold.units) for fold in split.folds] for split in (own, other))
    if windows != others:
        names = ", ".join(str(name) for name, _, _ in others)
        return f"it is scored on other windows ({names}) than the other trials, so that no score can be compared"
    if _read(own.frame) != _read(other.frame):
        return "columns that scores read have other roles than in the other trials, so that no score can be compared"
    if not _answers(own.frame).equals(_answers(other.frame)):
        return "what it is scored on differs from that of the other trials, so that no score can be compared"
    return ""


def _read(frame: Any) -> dict[str, tuple[str, ...]]:
    """Return the columns of a table that scores may read, by role; empty for another frame."""
    if not isinstance(frame, Table):
        return {}
    return {role: tuple(names) for role, names in frame.roles.items() if role not in INPUTS}


def _answers(frame: Any) -> pl.DataFrame:
    """Return the part of a frame that is scored, and that names its rows."""
    if isinstance(frame, Panel):
        return frame.table.select(SERIES, TIME, TARGET)
    if isinstance(frame, Table):
        return frame.data.select(*dict.fromkeys(name for names in _read(frame).values() for name in names))
    return pl.DataFrame({"frame": [frame.fingerprint]})
