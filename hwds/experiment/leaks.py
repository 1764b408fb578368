"""The leak check of an experiment: its code runs behind walls, and is judged by a process that has
never imported it.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import chain
from multiprocessing.connection import Connection
from typing import Any

from hwds.core.cache import opened_files
from hwds.core.compiling import cache_root
from hwds.core.compose import compose
from hwds.core.errors import ConfigError, HwdsError
from hwds.core.recipe import Recipe, canonical, inner_recipes, rebuild
from hwds.core.registry import conf_dirs
from hwds.core.sealed import ForkServer, given_code
from hwds.evaluation.leak_check import (
    check_leaks,
    check_row_features,
    check_run_features,
    check_series_features,
)
from hwds.evaluation.leak_questions import AskSealed, FileWatch, MemoryCache
from hwds.evaluation.protocol import Leak, RunContext
from hwds.evaluation.workers import thread_variables
from hwds.experiment.prepare import load_frame
from hwds.experiment.spec import Experiment, check, check_asked
from hwds.frames.panel import Panel
from hwds.frames.runs import Runs
from hwds.frames.table import Table

Found = list[Leak | None]


@dataclass(frozen=True)
class SealedExperiment:
    """An experiment whose models and features this process does not import.

    Attributes:
        settings: Its plain settings, as `plain_settings` returns them.
        dataset: The dataset.
        protocol: The protocol.
        frame: The data.
        truths: The model of the dataset's truth by its label, where it knows one.
        here: Asks from the data as it is.
        elsewhere: Asks from all other data.
        lacking: The walls that this kernel does not give.
    """

    settings: dict[str, Any]
    dataset: Any
    protocol: Any
    frame: Any
    truths: dict[str, Recipe]
    here: AskSealed
    elsewhere: AskSealed
    lacking: tuple[str, ...]

    def checks(self) -> Iterator[tuple[str, Found]]:
        """Yield by name what is found in each model on the protocol's cutoffs, and in the
        features.
        """
        for label in self.settings["models"] | self.truths:
            yield label, self.check_model(label)
        features, frame = self.settings["features"], self.frame
        name = f"features {features['name']}"
        kind = self.settings["kind"]
        if kind == "Panel" and isinstance(frame, Panel):
            yield name, self._ask(check_series_features, name, features, frame, frame.horizon)
        elif kind == "Table" and isinstance(frame, Table):
            delay = getattr(self.protocol, "delay_days", 0)
            yield name, self._ask(check_row_features, name, features, frame, delay)
        elif kind == "Runs" and isinstance(frame, Runs):
            yield name, self._ask(check_run_features, name, features, frame.learnable)

    def check_model(self, label: str) -> Found:
        """Return what is found in the model of a label."""
        compute = rebuild(self.settings["compute"])
        context = RunContext(
            self.settings["seed"],
            cpus=compute.cpus_per_cell,
            device=compute.found_device(),
            features=self.settings["features"],
            cache=MemoryCache.empty(),
        )
        model = (self.settings["models"] | self.truths)[label]
        return self._ask(check_leaks, self.protocol, label, model, self.frame, context)

    def _ask(self, check: Callable[..., Iterator[Leak | None]], *data: Any) -> Found:
        return list(check(*data, here=self.here, elsewhere=self.elsewhere))


@contextmanager
def sealed_experiment(config: list[str] | dict[str, Any]) -> Iterator[SealedExperiment]:
    """Yield the experiment of a command's words, or of a run's config.

    Words are composed behind walls, for that imports the classes which they name.

    Args:
        config: Words; or the config of a run, of which the packages of rivals, compute and tracker
            do not matter.

    Raises:
        ConfigError: The config is refused, as by `check`.
        DataError: The dataset is absent, or wrong.
    """
    with ExitStack() as stack:  # what asks must begin before any data is loaded
        cache_root().mkdir(parents=True, exist_ok=True)
        compiled = {"NUMBA_CACHE_DIR": str(cache_root())}
        server = stack.enter_context(ForkServer([__name__], thread_variables(1) | compiled))
        settings, lacking = _sealed_settings(server, config)
        cpus = settings["compute"]["cpus_per_cell"]
        if cpus != 1:  # the number of threads is read when a library is loaded
            server = stack.enter_context(ForkServer([__name__], thread_variables(cpus) | compiled))
        for name in settings["imports"]:
            server.load(name)
        dataset, protocol = rebuild(settings["dataset"]), rebuild(settings["protocol"])
        with opened_files() as opened:
            frame, truths = load_frame(dataset, protocol)
        read = (path for path in opened.data_read() if not path.endswith((".py", ".yaml")))
        watch = FileWatch(frozenset(read))
        here = stack.enter_context(AskSealed(server, watch, kept=True))
        elsewhere = stack.enter_context(AskSealed(server, watch))
        yield SealedExperiment(settings, dataset, protocol, frame, truths, here, elsewhere, lacking)


# Settings without their code: a sealed process builds them and says in plain data what they are,
# so that whoever judges a user's code need not import it.


def plain_settings(experiment: Experiment) -> dict[str, Any]:
    """Return the plain settings of an experiment, as `rebuild` takes them.

    Returns:
        `dataset`, `protocol`, `compute`, `features`; `models` by label; `seed`; `kind`, what the
        features are computed for, empty where there are none; `imports`, what the code of hwds
        among them imports.

    Raises:
        ConfigError: A model's answers may differ when it is asked again.
    """
    for recipe in experiment.models.values():
        if why := recipe.why_unrepeatable():
            raise ConfigError(f"model.{why}: the leak test compares answers to the bit.")
    features = experiment.features
    parts = ("dataset", "protocol", "compute", "features")
    code = (experiment.dataset, experiment.protocol, features, *experiment.models.values())
    imports = chain.from_iterable(map(_own_imports, code))
    return {
        **{part: _named(getattr(experiment, part)) for part in parts},
        "models": {label: _named(model) for label, model in experiment.models.items()},
        "seed": experiment.seed,
        "kind": "" if features.name == "none" else features.of.__name__,
        "imports": [*dict.fromkeys(imports)],
    }


def _named(recipe: Recipe) -> dict[str, Any]:
    return {**canonical(recipe), "name": recipe.name}


def _own_imports(recipe: Recipe) -> Iterator[str]:
    """Yield the module of a recipe of hwds, and what it imports when it is used; of its members,
    too.
    """
    module = type(recipe).__module__
    if module.startswith("hwds."):
        yield module
        yield from chain.from_iterable(recipe.needed_imports().values())
    for _, inner in inner_recipes(recipe):
        yield from _own_imports(inner)


def answer_settings(pipe: Connection) -> None:
    """Answer a config with its settings, or why it is refused, in a sealed process."""
    config = json.loads(pipe.recv_bytes())
    try:
        composed = isinstance(config, list)
        experiment = check(compose(config)) if composed else check_asked(config)
        answer: dict[str, Any] = {"settings": plain_settings(experiment)}
    except HwdsError as error:
        answer = {"refused": str(error)}
    pipe.send_bytes(json.dumps(answer, default=str).encode())


MODULE, VARIABLE = re.compile(r"([\w.]+):\w"), re.compile(r"oc\.env:(\w+)")
"""How a config names a module, and a variable of the environment."""


def _sealed_settings(
    server: ForkServer, config: list[str] | dict[str, Any]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return `plain_settings` a config from a sealed process, and the walls that this one lacks."""
    _, *own = folders = conf_dirs()
    asked = json.dumps(config, default=str)
    texts = [asked, *(file.read_text() for folder in own for file in folder.rglob("*.yaml"))]
    modules = {f"{name}:" for text in texts for name in MODULE.findall(text)}
    named = {name for text in texts for name in VARIABLE.findall(text)}
    variables = {
        name: value
        for name, value in os.environ.items()
        if name in named or name.startswith("HWDS_")
    }
    given = replace(
        given_code([{"recipe": name} for name in modules], folders), variables=variables
    )
    with server.start(f"{__name__}:answer_settings", given) as process:
        process.pipe.send_bytes(asked.encode())
        try:
            answer = json.loads(process.pipe.recv_bytes())
        except EOFError as error:
            raise ConfigError(
                "check-leakage: the code that the config names ends its process when it is "
                "imported; its output is above."
            ) from error
    if "refused" in answer:
        raise ConfigError(answer["refused"])
    return answer["settings"], process.lacking
