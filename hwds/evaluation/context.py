"""RunContext: the seed, the threads and the cache that models of every family are given besides the data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np

from hwds.core.cache import Cache
from hwds.core.seeds import stream, stream_key
from hwds.evaluation.keys import Conditions

Device = Literal["auto", "cpu", "gpu"]


@dataclass(frozen=True, slots=True)
class RunContext:
    """The settings that a protocol is given with the data; a family's own context is made of it.

    No stream is named by the model, so rivals meet the same random numbers.

    Attributes:
        seed: The experiment's seed.
        fold: The name of the fold: what it may know (`2023-12-01`), so that adding folds changes no stream.
        cpus: Threads that the model may use.
        device: Where Keras and XGBoost compute.
        features: The experiment's feature set, for models that use one.
        cache: Where models keep what they ask of each other; None outside of a run.
    """

    seed: int
    fold: str = ""
    cpus: int = 1
    device: Device = "cpu"
    features: Any = None
    cache: Cache | None = None

    def shared(self) -> Mapping[str, Any]:
        """Return the fields that every context has, for the context of a family."""
        return {field.name: getattr(self, field.name) for field in fields(RunContext)}

    @property
    def conditions(self) -> Conditions:
        """The rest of what numbers depend on besides data and recipes, for the key of a result."""
        return Conditions(self.seed, self.cpus, self.device)

    def stream(self, *purpose: str | int) -> np.random.Generator:
        """Return the generator of one purpose in this fold."""
        return stream(self.seed, self.fold, *purpose)

    def seed_for(self, *purpose: str | int) -> int:
        """Return a seed below 2**31 for a library that wants a number."""
        return stream_key(self.seed, self.fold, *purpose) % 2**31
