"""Models and features of a user's own, tried on two toy cells before anything is computed."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import nullcontext
from functools import partial
from typing import Any

from hwds.core.errors import ConfigError, HwdsError
from hwds.core.inputs import noted_inputs
from hwds.core.recipe import Recipe, uses_features
from hwds.evaluation.abilities import Trying, WrongAnswerError
from hwds.evaluation.context import RunContext
from hwds.execution.compute_cell import TOY, message_of
from hwds.execution.job import Job
from hwds.splitting.fold import Fold


def check_own_code(job: Job, frame: Any, fold: Fold, labels: Collection[str]) -> None:
    """Refuse code of a user's own that fails on toys, or returns what it must not.

    Args:
        job: The models, the features and the protocol.
        frame: The data, of which toys are made.
        fold: The first one.
        labels: The models that have something to compute.

    Raises:
        ConfigError: In one line, with the input, the output, and the required output.
    """
    protocol = job.protocol
    if not isinstance(protocol, Trying):
        return
    context = RunContext(job.seed, TOY, job.cpus, job.device, job.features)
    models = {label: model for label, model in job.models.items() if label in labels}
    with nullcontext() if job.inputs is None else noted_inputs():  # files that are read once, and then kept in memory
        if is_tried(job.features) and any(map(uses_features, models.values())):
            _tried(f"features: '{job.features.name}'", partial(protocol.try_features, job.features, frame))
        for label, model in models.items():
            if is_tried(model):
                _tried(f"model: '{model.name or label}'", partial(protocol.try_model, model, frame, fold, context))


def is_tried(recipe: Recipe) -> bool:
    """Return whether a recipe is of a user's own, and its class does not say that toys are too little for it."""
    return type(recipe).__module__.partition(".")[0] != "hwds" and recipe.toys


def _tried(what: str, ask: Callable[[], None]) -> None:
    try:
        ask()
    except HwdsError:
        raise
    except WrongAnswerError as error:
        raise ConfigError(f"{what}: {error}.") from error
    except Exception as error:  # a user's own code may fail in any way
        raise ConfigError(
            f"{what} fails on two toy cells: {message_of(error)} (-v shows where; toys = False in its class leaves them out)."
        ) from error
