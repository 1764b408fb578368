"""Ray on this machine, for as long as a run or a sweep takes."""

from __future__ import annotations

from typing import Any

from hwds.core.recipe import ZeroWorkers
from hwds.evaluation.compute.processes import usable_cores
from hwds.evaluation.ray.executor import OnRay
from hwds.evaluation.ray.head import ray_home


class Ray(OnRay):
    """Compute cells by Ray on this machine, and sweeps by Ray Tune, which stops trials without
    waiting for others.

    Attributes:
        workers: CPUs that it may use; 0 takes all that this process may use.
    """

    imports = ("grpc", "ray")
    workers: ZeroWorkers = 0

    @property
    def cpus(self) -> int:
        """The CPUs of the cluster that is started here."""
        return max(self.workers or usable_cores(), self.cpus_per_cell)

    def terms(self) -> dict[str, Any]:
        """Return the arguments of a cluster of its own, whatever `RAY_ADDRESS` says."""
        return {
            "address": "local",
            "num_cpus": self.cpus,
            "include_dashboard": False,
            "_temp_dir": str(ray_home()),
        }
