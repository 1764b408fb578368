"""Keys: the name of a cell in the cache, made of all that it depends on. It may miss too often; it must never lie."""

from __future__ import annotations

import platform
from functools import cache
from importlib.metadata import distributions
from pathlib import Path

from hwds.execution.job import Job
from hwds.hashing import digest
from hwds.protocols.base import Fold
from hwds.recipe import canonical, code_digest, uses_features


def fold_key(job: Job, fingerprint: str, label: str, fold: Fold) -> str:
    """The digest of the data, the part of the config that a model's cells of a fold depend on, the code, and the machine.

    The features count only for a model that uses them; the label of a model and the number of a fold do not count, nor does
    the number of units: `cache.key_of` adds which of them a cell has.
    """
    model = job.models[label]
    protocol = {key: value for key, value in canonical(job.protocol).items() if key not in job.protocol.outside_cells}
    features = canonical(job.features) if uses_features(model) else None
    return digest(
        {
            "data": fingerprint,
            "model": canonical(model),
            "protocol": protocol,
            "features": features,
            "fold": [fold.name, repr(fold.cutoffs), fold.inner],
            "seed": job.seed,
            "code": code_digest([model, job.protocol, *([job.features] if features else [])]),
            "threads": job.cpus,
            "device": job.device,
            "machine": job.machine or machine(),
            "libraries": libraries(),
        }
    )


@cache
def machine() -> str:
    """The class of CPU: two machines of one class compute the same bits."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    told = sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))})
    return digest([platform.system(), platform.machine(), platform.processor(), told])


@cache
def libraries() -> str:
    """The digest of Python's version and of every installed distribution."""
    return digest([platform.python_version(), sorted(f"{name}=={version}" for name, version in installed().items())])


def installed() -> dict[str, str]:
    """The version of every distribution; those that Ray carries inside itself, and adds when it is imported, are part of it."""
    own = (item for item in distributions() if "thirdparty_files" not in str(item.locate_file("")))
    return {item.metadata["Name"]: item.version for item in own}
