"""Keys: the name of a cell in the cache, made of all that it depends on. It may miss too often; it must never lie."""

from __future__ import annotations

import platform
from functools import cache
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import hwds
from hwds.execution.job import Job
from hwds.hashing import digest, digest_source, package_of
from hwds.protocols.base import Fold
from hwds.recipe import Recipe, canonical, uses_features

PACKAGE = Path(hwds.__file__).resolve().parent


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
            "machine": machine(),
            "libraries": libraries(),
        }
    )


def code_digest(recipes: list[Recipe]) -> str:
    """The digest of this package's source and of every package outside it that the recipes come from."""
    return digest([digest_source(PACKAGE), *sorted({digest_source(path) for recipe in recipes for path in _outside(recipe)})])


def _outside(value: Any) -> list[Path]:
    """The packages (or single modules) of recipes that are not ours, members included."""
    if isinstance(value, tuple):
        return [path for item in value for path in _outside(item)]
    if not isinstance(value, Recipe):
        return []
    inner = [path for item in vars(value).values() for path in _outside(item)]
    module = type(value).__module__
    return inner if module.partition(".")[0] == "hwds" else [package_of(module), *inner]


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
    found = sorted(f"{item.metadata['Name']}=={item.version}" for item in distributions())
    return digest([platform.python_version(), found])
