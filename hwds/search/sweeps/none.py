"""No sweep."""

from __future__ import annotations

from hwds.experiment.spec import Sweep


class None_(Sweep):
    """Search nothing: the experiment runs with its own settings."""
