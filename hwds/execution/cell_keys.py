"""The keys of cells, and the digest of the code of a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hwds.core.code_digest import code_digest
from hwds.core.decoding import class_path
from hwds.core.recipe import canonical, uses_features
from hwds.evaluation.keys import Conditions, key_of
from hwds.execution.job import Job
from hwds.splitting.fold import Fold

COMPUTES = "hwds.execution.compute_cell"
"""The module that computes rows, whatever the recipes are."""

SCORES = "hwds.execution.run"
"""The module that makes a run's tables of them."""


def fold_key(job: Job, fingerprint: str, label: str, fold: Fold) -> str:
    """Return the key of a model's cells of a fold; `cell_key` adds which units one has.

    The features count only for a model that uses them. The label of a model, the number of a fold and of its units, and what
    of the protocol is read after the cells (`fields_not_in_key`) do not count.
    """
    model = job.models[label]
    protocol = {key: value for key, value in canonical(job.protocol).items() if key not in job.protocol.fields_not_in_key}
    return key_of(
        "cells",
        [fingerprint, fold.name, repr(fold.cutoffs), job.protocol.fold_settings(fold)],
        {
            "model": model,
            "features": job.features if uses_features(model) else None,
            "protocol": protocol,
            "frame": class_path(job.frame_class),
        },
        Conditions(job.seed, job.cpus, job.device, job.machine),
        COMPUTES,
    )


def run_code(recipes: Sequence[Any], *modules: str) -> str:
    """Return the digest of the code of a run: what its rows and scores come from, its data too.

    Args:
        recipes: Dataset, protocol, features and models.
        modules: What else decides them.
    """
    return code_digest(list(recipes), COMPUTES, SCORES, *modules)
