"""SensorContext: what a model of sensors is given besides the runs."""

from __future__ import annotations

from dataclasses import dataclass

from hwds.evaluation.context import RunContext
from hwds.features.base import RunFeatures
from hwds.features.signal_windows import SignalWindows

WINDOWS = SignalWindows(windows=(10,), components=0, statistics=("mean", "sd"), ewma=(), last=False, age=False)
"""The inputs of models where the experiment has no features: means and standard deviations of each sensor's last rows."""

SIGNALS = SignalWindows(windows=(1,), components=0, statistics=("mean",), ewma=(), last=False, age=False)
"""The scaled sensors themselves."""


@dataclass(frozen=True, slots=True)
class SensorContext(RunContext):
    """The settings of a run, and what a protocol asks of a model beside its own settings.

    Attributes:
        first: The rows at the beginning of each run that are learned from.
        false_alarms: The share of normal rows that may be called anomalous.
    """

    first: int = 400
    false_alarms: float = 0.05

    def run_features(self) -> RunFeatures:
        """Return the experiment's features of runs; the windows that models take by themselves where it has none."""
        return self.features if isinstance(self.features, RunFeatures) else WINDOWS
