"""Write a skeleton of your own model, metric, dataset or experiment, with a test.

A model comes with its module, its YAML and its test. KIND is model (a forecaster), classifier,
policy, metric, features (of series), row_features, dataset, decision (from forecasts),
price_decision (from elasticities) or experiment. Words behind the name of an experiment become the
experiment: `hwds new experiment shop dataset=file dataset.path=sales.csv`.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Sequence
from pathlib import Path

import click

from hwds.cli.words import OVERRIDES, OneOf, command
from hwds.core.errors import ConfigError
from hwds.core.secrets import without_secrets

GROUPS = {
    "model": "model",
    "classifier": "model",
    "policy": "model",
    "metric": "",
    "features": "features",
    "row_features": "features",
    "dataset": "dataset",
    "decision": "decision",
    "price_decision": "decision",
    "experiment": "experiment",
}
"""The group of each kind's YAML; a metric has none."""

RUN_ONLY = ("compute", "sweep", "tracker", "name", "tags", "note")
"""Words that belong to one run, and not to the experiment that it is of."""

METRIC = (
    "python -m hwds dataset=classics model=forecast/theta "
    "protocol.metrics=[{package}.{name}:{name}]"
)
"""The first command of a metric; those of other kinds are the first in their YAML."""


@command(help=__doc__)
@click.argument("kind", type=OneOf(*GROUPS))
@click.argument("name")
@OVERRIDES
@click.option(
    "--package",
    default="mine",
    metavar="NAME",
    help="The package that the module joins; 'mine' is usual.",
)
def main(kind: str, name: str, overrides: tuple[str, ...], package: str) -> int:
    """Write the files, and print them and the first command; nothing is overwritten."""
    for what, word in (("NAME", name), ("--package", package)):
        if not re.fullmatch(r"[a-z][a-z0-9_]*", word) or keyword.iskeyword(word):
            raise ConfigError(
                f"new: {what} must be small letters, digits and underscores, as of a module, got "
                f"'{word}'."
            )
    if overrides and kind != "experiment":
        raise ConfigError(
            f"new: words of a run, as '{overrides[0]}', become an experiment, not a {kind}."
        )
    files = (
        {Path("conf", "experiment", f"{name}.yaml"): experiment_text(name, overrides)}
        if overrides
        else skeleton_files(kind, name, package)
    )
    if class_of(name) in public_names():
        raise ConfigError(
            f"new: '{class_of(name)}' is a name of hwds, which the skeleton uses; choose another "
            f"than '{name}'."
        )
    taken = next((path for path in files if path.exists()), None)
    if taken is not None:
        raise ConfigError(f"new: {taken} is there; edit or delete it, or choose another name.")
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(path)
    yaml = next(
        (text for path, text in files.items() if path.suffix == ".yaml"),
        f"# {METRIC.format(package=package, name=name)}",
    )
    first = next(
        line.removeprefix("# python -m ")
        for line in yaml.splitlines()
        if line.startswith("# python -m hwds")
    )
    leaks = (
        ""
        if kind in ("metric", "dataset", "decision", "price_decision", "experiment")
        else f", and look for leaks by `hwds check-leakage{first[4:]}`"
    )
    print(f"Run it by `{first}`{leaks}.")
    tests = [path for path in files if path.parts[0] == "tests"]
    print(
        *(f"Test it by `python -m pytest {path}`." for path in tests),
        sep="\n",
        end="\n" if tests else "",
    )
    return 0


def experiment_text(name: str, words: Sequence[str]) -> str:
    """Return the text of the experiment that the words of a run say.

    Raises:
        ConfigError: They compose to no experiment.
    """
    from hwds.core.compose import as_experiment, compose
    from hwds.experiment.spec import check

    data = compose(list(words))
    check(data)
    if left := [
        word for word in words if word.lstrip("+").partition("=")[0].partition(".")[0] in RUN_ONLY
    ]:
        print(f"No part of an experiment, to be given when it runs: {' '.join(left)}.")
    return without_secrets(as_experiment(data, f"python -m hwds +experiment={name}"))


def class_of(name: str) -> str:
    """Return the name of a skeleton's class: `ShopTrend` of `shop_trend`."""
    return "".join(part.capitalize() for part in name.split("_"))


def public_names() -> set[str]:
    """Return the names that hwds and its families have."""
    import hwds

    return {
        name for face in (hwds, hwds.forecast, hwds.detection, hwds.bandit) for name in face.__all__
    }


def skeleton_files(kind: str, name: str, package: str) -> dict[Path, str]:
    """Return the content of each file of a skeleton."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parents[1] / "skeletons"),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    words = {"name": name, "package": package, "cls": class_of(name)}
    folder = Path("conf", GROUPS[kind])
    places = {
        f"{kind}.py.j2": Path(package, f"{name}.py"),
        f"{kind}.yaml.j2": (folder if kind == "experiment" else folder / package) / f"{name}.yaml",
        f"{kind}_test.py.j2": Path("tests", f"test_{name}.py"),
    }
    there = set(environment.list_templates())
    return {
        place: environment.get_template(file).render(words)
        for file, place in places.items()
        if file in there
    }
