"""No sweep."""

from __future__ import annotations

from hwds.experiment.spec import Sweep


class None_(Sweep):
    """Nothing is searched; the experiment runs as it stands."""
