"""How long a sweep will take, or took beside what was foreseen, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hwds.results.wording import counted, duration


def core_time(seconds: float, low: float, high: float) -> str:
    """`about 0.21 core-hours (0.1 to 0.42)`; of less than a minute in seconds."""
    if high < 100:
        return f"about {duration(seconds)} of one core ({duration(low)} to {duration(high)})"
    return f"about {hours(seconds)} core-hours ({hours(low)} to {hours(high)})"


def hours(seconds: float) -> str:
    """Seconds as hours with two digits."""
    return f"{seconds / 3600:,.0f}" if seconds >= 360_000 else f"{seconds / 3600:.2g}"


def time_sentence(told: Mapping[str, Any]) -> str:
    """What the trials took, and how good the estimate was; empty where nothing is known."""
    took, foreseen = told.get("took"), told.get("foreseen")
    if not took:
        return ""
    cells, core, clock = counted(took["cells"], "cells"), duration(took["core_seconds"]), duration(took["seconds"])
    said = f"The {cells} took {core} of one core, {clock} by the clock"
    if not foreseen:
        return f"{said}; nothing was foreseen, for a model here had never been timed on this dataset."
    span = core_time(*(foreseen[name] for name in ("core_seconds", "low", "high")))
    ratio = took["core_seconds"] / foreseen["core_seconds"] if foreseen["core_seconds"] else float("inf")
    inside = "within" if foreseen["low"] <= took["core_seconds"] <= foreseen["high"] else "outside of"
    return f"{said}; foreseen were {span}: {ratio:.2f} times the estimate, {inside} its range."
