"""The share of units that are sold on where reselling pays, as a detector of gray sales measured it."""

from __future__ import annotations

from hwds.core.errors import ConfigError
from hwds.results.folder import RunFolder


def leak_of_run(name: str) -> tuple[float, str]:
    """Return the share of gray lines where reselling pays by a run with `decision=arbitrage_thresholds`, and the run's name.

    Args:
        name: The run, as `hwds show` takes it.

    Raises:
        ConfigError: There is no such run, or its decision does not say it.
        HwdsError: The run is damaged.
    """
    folder = RunFolder.find(name)
    above = (folder.read_verdict() or {}).get("above") or {}
    if above.get("share") is None:
        raise ConfigError(
            f"decision.leak_run: run {folder.title} has no share of gray lines; run it with decision=arbitrage_thresholds."
        )
    return float(above["share"]), f"run {folder.title}"
