"""What a user is told of columns that are forecasts of other runs."""

from __future__ import annotations

from hwds.frames.panel import Panel


def remarks_on_joined(panel: Panel) -> list[str]:
    """Where each such column comes from, and how much of the past knew one."""
    if not panel.vintages:
        return []
    rows = len(panel.table)
    return [
        f"{name} is {source}: {rows - panel.table[name].null_count()} of {rows} rows had a forecast made before them;"
        " the others are unknown to a model."
        for name, source in panel.vintages.sources.items()
    ]
