"""Experiments as they are composed from words, each once for all tests of a process: composing
takes a tenth of a second.
"""

from functools import cache
from typing import Any

import yaml

from hwds.core.compose import compose
from hwds.core.registry import options, resolve
from hwds.experiment.spec import Experiment, check


@cache
def composed(*words: str) -> Experiment:
    """The typed experiment of these words."""
    return check(compose(list(words)))


@cache
def recipe_of(group: str, option: str) -> str:
    """What an option's YAML says that it configures; its own name where it says nothing."""
    said = yaml.safe_load(options(group)[option].read_text()) or {}
    return str(said.get("recipe", option))


def class_of(group: str, option: str) -> type[Any]:
    """The class that an option configures, found without composing it."""
    return resolve(group, recipe_of(group, option))
