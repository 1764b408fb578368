"""The paths that a version of hwds can store: `python -m tests.support.stored_paths > FILE`.

Run it at a release, and keep what it prints as `tests/core/paths_<commit>.txt`.
"""

import sys
from importlib import import_module
from pkgutil import walk_packages

import hwds
from hwds.core.recipe import Recipe
from hwds.core.serialization import Serializable, class_path

NAMED = ("hwds.experiment.mlflow_pyfunc:_load_pyfunc",)
"""Also stored by its path: the loader that MLflow calls. Metrics in settings are a user's own."""


def classes_in(owner, module):
    """All classes that a module has made, those inside other classes too."""
    for value in list(vars(owner).values()):
        if isinstance(value, type) and value.__module__ == module and value is not owner:
            yield value
            yield from classes_in(value, module)


def paths():
    """The path of every class that the codec or a config may name."""
    modules = [each.name for each in walk_packages(hwds.__path__, "hwds.")]
    classes = {each for name in modules for each in classes_in(import_module(name), name)}
    stored = (each for each in classes if issubclass(each, (Serializable, Recipe)))
    return sorted({*NAMED, *map(class_path, stored)})


if __name__ == "__main__":
    sys.stdout.write("".join(f"{path}\n" for path in paths()))
