"""An experiment from the words of a command line: Hydra composes, all jobs are checked, then each runs."""

from __future__ import annotations

import os
import re
import sys
from contextlib import redirect_stdout
from io import StringIO
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from hwds.cli.words import Command, OneOf
from hwds.core.errors import ConfigError

if TYPE_CHECKING:
    from omegaconf import DictConfig

INFORMATION = ("cfg", "info", "hydra_help", "version")
"""Flags that only ask Hydra for information."""

DETAILS = ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath")


def as_override(word: str) -> str:
    """Return `experiment=x` as `+experiment=x`: the config has no such entry, so that it can be added to any."""
    return f"+{word}" if word.startswith("experiment=") else word


class Override(click.ParamType[str, str]):
    """A word that changes an experiment, which Hydra reads and completes."""

    name = "override"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the word as Hydra wants it."""
        return as_override(value)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return what Hydra knows to end the word with, after the words before it."""
        assert param.name is not None
        os.environ["COMP_LINE"] = " ".join(["hwds", *(ctx.params.get(param.name) or ()), as_override(incomplete)])
        with redirect_stdout(StringIO()) as printed:
            compose_all(["-sc", "query=bash"])
        return [CompletionItem(word) for word in printed.getvalue().split()]


OVERRIDES = click.argument("overrides", nargs=-1, type=Override(), metavar="[GROUP=OPTION] [PATH.TO.KEY=VALUE] ...")
"""The words of one experiment."""


class Experiment(Command):
    """The command without a name: its flags are Hydra's."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the words as Hydra does: `-p=model` is `-p model`, and `--info` needs no value."""
        words = [part for word in args for part in (word.split("=", 1) if re.match(r"-\w=", word) else [word])]
        alone = (word in ("--info", "-i") and following not in DETAILS for word, following in pairwise([*words, ""]))
        words = ["--info=all" if bare else word for word, bare in zip(words, alone, strict=True)]
        return super().parse_args(ctx, words)


@click.command("", cls=Experiment, help=__doc__)
@OVERRIDES
@click.option("--multirun", "-m", is_flag=True, help="Run every combination of comma-separated values.")
@click.option("--cfg", "-c", type=OneOf("job", "hydra", "all"), help="Print the composed config and run nothing.")
@click.option("--package", "-p", metavar="PATH", help="Print only this part of the config.")
@click.option("--resolve", is_flag=True, help="Resolve interpolations in what is printed.")
@click.option("--info", "-i", type=OneOf(*DETAILS), help="Print what Hydra knows of the config and run nothing.")
@click.option("--run", "-r", is_flag=True, help="Run one experiment, which is what happens anyway.")
@click.option("--hydra-help", is_flag=True, help="Print Hydra's own help.")
@click.option("--version", is_flag=True, help="Print Hydra's version.")
def experiment(overrides: tuple[str, ...], **flags: Any) -> int:
    """Compose, check and run; all jobs of a multirun are checked before the first runs."""
    given = {name: value for name, value in flags.items() if value}
    words = [f"--{name.replace('_', '-')}" + ("" if value is True else f"={value}") for name, value in given.items()]
    composed = compose_all([*words, *overrides])
    if not composed and not set(INFORMATION) & set(given):
        raise ConfigError("nothing to run: a glob or range in the overrides matched no option.")
    searching = next((data["sweep"]["name"] for data in composed if data["sweep"]["name"] != "none"), None)
    if searching and flags["multirun"]:
        raise ConfigError(f"--multirun: cannot go with sweep={searching}, which tries many configs itself; drop one of them.")
    from hwds.experiment.check import check

    for data in composed:
        check(data)
    if not composed:
        return 0
    from hwds.app import experiment as app

    return app.main(composed)


def compose_all(words: list[str]) -> list[dict[str, Any]]:
    """Return the plain data of each job of a command line; none where a flag only asks for information."""
    if any(word.startswith(("-", "hydra")) for word in words):
        return compose_in_application(words)
    from hwds.config.compose import compose

    return [compose(words)]


def compose_in_application(words: list[str]) -> list[dict[str, Any]]:
    """Return the same of words with flags, by a Hydra application, which composes a single job twice."""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # its exceptions reach us, unprinted
    import hydra

    from hwds.config.compose import plain_errors, plain_from_application, quoted, refuse_no_option
    from hwds.config.source import register

    composed: list[dict[str, Any]] = []
    failures: list[Exception] = []

    @hydra.main(version_base="1.3", config_path=None, config_name="config")
    def job(config: DictConfig) -> None:
        try:
            composed.append(plain_from_application(config))
        except Exception as error:  # raised here, Hydra would print its own line first
            failures.append(error)

    register(application=True)
    words = [word if word.startswith("-") else quoted(word) for word in words]
    refuse_no_option([word for word in words if not word.startswith("-")])
    typed = {word.partition("=")[0] for word in words}
    silent = ("hydra/hydra_logging=none", "hydra/job_logging=none")
    sys.argv[1:] = [*words, *(word for word in silent if word.partition("=")[0] not in typed)]
    with plain_errors():
        job()
    if failures:
        raise failures[0]
    return composed
