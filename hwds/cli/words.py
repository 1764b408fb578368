"""The words of a command line: types, completions, refusals in one line, an experiment's words."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import redirect_stdout
from functools import partial
from io import StringIO
from itertools import pairwise, takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from hwds.core.errors import ConfigError, nearest

if TYPE_CHECKING:
    from omegaconf import DictConfig


# The words after a command: refusals in one line, and the types of values with their
# completions in a shell.

HELP = ("-h", "--help")

COMMON = ("--config-dir", "--help")
"""Flags of every command."""

NUMBERS = ("no", "one", "two")


class Command(click.Command):
    """A command that refuses in one line, with the nearest right name; `--config-dir` goes with
    each.
    """

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.params.append(
            click.Option(
                ["--config-dir", "-cd"],
                type=click.Path(),
                metavar="FOLDER",
                callback=use_conf,
                is_eager=True,
                expose_value=False,
                help="Read the options of this conf folder, too.",
            )
        )

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the words.

        Raises:
            ConfigError: One is not what the command takes.
        """
        if not ctx.resilient_parsing:  # half a line is completed, not refused
            self._refuse_without_value(ctx, args)
        words = list(args)
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            raise self._no_flag(ctx, error.option_name) from error
        except click.BadOptionUsage as error:
            raise ConfigError(f"{refusal_start(ctx, error.option_name)} takes no value.") from error
        except click.MissingParameter as error:
            missing = next(param for param in self.params if param is error.param)
            raise ConfigError(
                f"{refusal_start(ctx, flag_of(missing))} must be given: {wanted_value(missing)}."
            ) from error
        except click.UsageError as error:
            _, rest, _ = self.make_parser(ctx).parse_args(words)
            raise ConfigError(f"{command_name(ctx)}: takes no words, got '{rest[0]}'.") from error

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command, without its output if it is silenced."""
        if STDOUT not in ctx.meta:
            return super().invoke(ctx)
        with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
            return super().invoke(ctx)

    def get_help_option_names(self, ctx: click.Context) -> list[str]:
        """Return -h and --help under any context: click keeps the option of the first context that
        asks for it.
        """
        return list(HELP)

    def _refuse_without_value(self, ctx: click.Context, words: Sequence[str]) -> None:
        """Refuse `--store --key id` and `--store=`: click would take `--key`, or nothing, for the
        value.
        """
        options = [
            param for param in self.params if isinstance(param, click.Option) and not param.is_flag
        ]
        valued = {name: param for param in options for name in param.opts}
        for word, following in pairwise([*takewhile(lambda word: word != "--", words), "--"]):
            flag = word.removesuffix("=")
            if flag in valued and (word != flag or following.startswith("--")):
                raise ConfigError(
                    f"{refusal_start(ctx, flag)} must be followed by {wanted_value(valued[flag])}."
                )

    def _no_flag(self, ctx: click.Context, flag: str) -> ConfigError:
        flags = [
            name for param in self.get_params(ctx) for name in param.opts if name.startswith("--")
        ]
        if set(flags) <= set(COMMON):
            return ConfigError(f"{command_name(ctx)}: takes no flag, got '{flag}'.")
        command = f"{command_name(ctx)}: " if command_name(ctx) else ""
        return ConfigError(f"{command}no flag '{flag}'{nearest(flag, flags)}")


class Group(Command, click.Group):
    """A command with subcommands, of which the first word names one."""

    command_class = Command

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Find the command of a word.

        Raises:
            ConfigError: There is none.
        """
        if cmd_name not in self.commands and not ctx.resilient_parsing:
            *some, last = self.commands
            message = f"{command_name(ctx)}: must be followed by {', '.join(some)} or {last}"
            raise ConfigError(f"{message}, got '{cmd_name}'{nearest(cmd_name, self.commands)}")
        return super().get_command(ctx, cmd_name)


command = partial(click.command, cls=Command)
"""Declare a function as a command."""


def use_conf(_: click.Context, param: click.Parameter, folder: str | None) -> None:
    """Take a folder as the user's own conf folder.

    Raises:
        ConfigError: There is none.
    """
    if folder is None:
        return
    if not is_folder(folder):
        raise ConfigError(f"{flag_of(param)}: must be followed by a folder, got '{folder[:80]}'.")
    os.environ["HWDS_CONF"] = folder


def is_folder(path: str) -> bool:
    """Return whether a word is the path of a folder.

    No file system takes a name of a thousand letters, or with a null.
    """
    try:
        return Path(path).is_dir()
    except (OSError, ValueError):
        return False


def command_name(ctx: click.Context) -> str:
    """Return the name of a command after `hwds`: `prune runs`; empty for an experiment."""
    return ctx.command_path.partition(" ")[2].strip()


def flag_of(param: click.Parameter | None) -> str:
    """Return the long name of a flag."""
    return max(param.opts, key=len) if param else ""


def refusal_start(ctx: click.Context, flag: str) -> str:
    """Return the beginning of a refusal of a flag: `compare: --metric`, or `--cfg:` for an
    experiment's.
    """
    name = command_name(ctx)
    return f"{name}: {flag}" if name else f"{flag}:"


def wanted_value(param: click.Parameter) -> str:
    """Return the kind of value that a flag is followed by, in words."""
    kind = param.type
    if isinstance(kind, OneOf):
        return kind.name
    return (
        "a value"
        if kind is click.STRING
        else "a folder"
        if isinstance(kind, click.Path)
        else f"a {kind.name}"
    )


def exactly(
    number: int, what: str
) -> Callable[[click.Context, click.Parameter, tuple[str, ...]], Any]:
    """Return the check that a command is followed by so many names.

    One alone is handed on as itself.
    """

    def check(ctx: click.Context, _: click.Parameter, names: tuple[str, ...]) -> Any:
        if len(names) != number:
            raise ConfigError(
                f"{command_name(ctx)}: must be followed by {NUMBERS[number]} {what}, got "
                f"{len(names)}."
            )
        return names[0] if number == 1 else names

    return check


class KnownWord(click.ParamType[str, str]):
    """A word of a kind; a shell completes the existing ones.

    Args:
        name: The name of the kind: `run`.
        known: Returns all existing words.
    """

    def __init__(self, name: str, known: Callable[[], Iterable[str]]) -> None:
        self.name = name
        self.known = known

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the word; its reader checks that such a thing exists."""
        return value

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Return the words that begin so."""
        return [CompletionItem(word) for word in self.known() if word.startswith(incomplete)]


class OneOf(KnownWord):
    """One of a few words.

    Args:
        words: All of them.
    """

    def __init__(self, *words: str) -> None:
        super().__init__(", ".join(words), lambda: words)

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """Return the name of the word in the help."""
        return "|".join(self.known())

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the word.

        Raises:
            ConfigError: It is none of them.
        """
        words = list(self.known())
        if value not in words:
            near = nearest(value, words)
            near = (
                near if near.startswith("; did") else "."
            )  # the message lists all of them already
            raise ConfigError(f"{flag_of(param)}: must be one of {self.name}, got '{value}'{near}")
        return value


class ReadValue(click.ParamType[Any, str]):
    """A value that a function reads from the word.

    Args:
        name: The name of the type: `number`.
        read: Returns the value of a word; raises ValueError where it has none.
        kind: The type in a refusal; `a number` where empty.
    """

    def __init__(self, name: str, read: Callable[[str], Any], kind: str = "") -> None:
        self.name = name
        self.read = read
        self.kind = kind or f"a {name}"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the value; a default is one already.

        Raises:
            ConfigError: The word is none.
        """
        if not isinstance(value, str):
            return value
        try:
            return self.read(value)
        except ValueError as error:
            raise ConfigError(f"{flag_of(param)}: must be {self.kind}, got '{value}'.") from error


class WholeNumber(ReadValue):
    """A whole number.

    Args:
        least: The smallest that is allowed.
        most: The largest.
    """

    def __init__(self, least: int = 0, most: int | None = None) -> None:
        super().__init__("whole number", int)
        self.least = least
        self.most = most

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number.

        Raises:
            ConfigError: It is none, too small or too large.
        """
        number: int = super().convert(value, param, ctx)
        if number < self.least:
            raise ConfigError(f"{flag_of(param)}: must be at least {self.least}, got {number}.")
        if self.most is not None and number > self.most:
            raise ConfigError(f"{flag_of(param)}: must be at most {self.most}, got {number}.")
        return number


class NumberWithin(ReadValue):
    """A number between two bounds, both allowed.

    Args:
        least: The smallest that is allowed.
        most: The largest.
    """

    def __init__(self, least: float, most: float) -> None:
        super().__init__("number", float)
        self.least, self.most = least, most

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the number.

        Raises:
            ConfigError: It is none, or outside the bounds.
        """
        number = float(super().convert(value, param, ctx))
        if not self.least <= number <= self.most:
            raise ConfigError(
                f"{flag_of(param)}: must be from {self.least:,.10g} to {self.most:,.10g}, got "
                f"{number:g}."
            )
        return number


def run_names() -> list[str]:
    """Return all names of the runs below the current folder."""
    from hwds.results.folder import RunFolder

    return RunFolder.names()


def sweep_names() -> list[str]:
    """Return all names of the sweeps below the current folder."""
    from hwds.results.sweep_folder import SweepFolder

    return SweepFolder.names()


def run_and_sweep_names() -> list[str]:
    """Return all names of the runs and sweeps below the current folder."""
    return [*run_names(), *sweep_names()]


def study_names() -> list[str]:
    """Return the studies below the current folder."""
    from hwds.core.study import studies

    return studies()


RUN = KnownWord("run", run_names)
RUN_OR_SWEEP = KnownWord("run", run_and_sweep_names)
FILE = ReadValue("file", str)
NUMBER = ReadValue("number", float)

ONE_RUN = click.argument("run", nargs=-1, type=RUN, callback=exactly(1, "run"), metavar="RUN")
"""The run that a command is about."""

ONE_RUN_OR_SWEEP = click.argument(
    "run", nargs=-1, type=RUN_OR_SWEEP, callback=exactly(1, "run"), metavar="RUN"
)
"""The run or sweep that a command is about."""

TRUST = click.option(
    "--trust", type=FILE, help="The public keys whose signatures count: a file or a folder."
)
CARD = click.option(
    "--card",
    type=FILE,
    help="What people say of the model: a YAML of owner, approver, intended_use ...",
)


def number_option(
    flag: str,
    kind: ReadValue,
    meaning: str,
    default: float | None = None,
    *,
    metavar: str = "NUMBER",
) -> Callable[..., Any]:
    """Return the option of a number, whose default is shown."""
    return click.option(
        flag, type=kind, default=default, show_default=True, metavar=metavar, help=meaning
    )


AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print data.")

STDOUT = "hwds.stdout"
"""The key under which the context of a silenced command keeps the output."""


def silence(ctx: click.Context, _: click.Parameter, wanted: bool) -> bool:
    """Let a command print nothing but refusals, failures and, by `print_json`, data."""
    if wanted:
        ctx.meta.setdefault(STDOUT, sys.stdout)
    return wanted


QUIET = click.option(
    "--quiet",
    is_flag=True,
    expose_value=False,
    callback=silence,
    help="Print nothing but refusals and failures, and no progress.",
)
JSON_ALONE = click.option(
    "--json", "as_json", is_flag=True, callback=silence, help="Print data, and nothing else."
)
"""`--json` of a command that says more while it works."""


def print_json(data: Any) -> None:
    """Print plain data as JSON, in a silenced command too."""
    from hwds.results.comparison import as_json

    print(as_json(data), file=click.get_current_context().meta.get(STDOUT, sys.stdout))


# An experiment from the words of a command line: Hydra composes, all jobs are checked, then
# each runs.

INFORMATION = ("cfg", "info", "hydra_help")
"""Flags that only ask Hydra for information."""

DETAILS = ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath")


def as_override(word: str) -> str:
    """Return `experiment=x` as `+experiment=x`: the config has no such entry, so that it can be
    added to any.
    """
    return f"+{word}" if word.startswith("experiment=") else word


class Override(click.ParamType[str, str]):
    """A word that changes an experiment, which Hydra reads and completes."""

    name = "override"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the word as Hydra wants it."""
        return as_override(value)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Return what Hydra knows to end the word with, after the words before it."""
        assert param.name is not None
        os.environ["COMP_LINE"] = " ".join(
            ["hwds", *(ctx.params.get(param.name) or ()), as_override(incomplete)]
        )
        with redirect_stdout(StringIO()) as printed:
            compose_all(["-sc", "query=bash"])
        return [CompletionItem(word) for word in printed.getvalue().split()]


OVERRIDES = click.argument(
    "overrides", nargs=-1, type=Override(), metavar="[GROUP=OPTION] [PATH.TO.KEY=VALUE] ..."
)
"""The words of one experiment."""


class ExperimentCommand(Command):
    """The command without a name: its flags are Hydra's."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the words as Hydra does: `-p=model` is `-p model`, and `--info` needs no value."""
        words = [
            part
            for word in args
            for part in (word.split("=", 1) if re.match(r"-\w=", word) else [word])
        ]
        without_detail = (
            word in ("--info", "-i") and following not in DETAILS
            for word, following in pairwise([*words, ""])
        )
        words = [
            "--info=all" if bare else word for word, bare in zip(words, without_detail, strict=True)
        ]
        return super().parse_args(ctx, words)


EXPERIMENT_HELP = """An experiment from the words of a command line.

Hydra composes, all jobs are checked, then each runs.
"""


@click.command("", cls=ExperimentCommand, help=EXPERIMENT_HELP)
@OVERRIDES
@click.option(
    "--multirun", "-m", is_flag=True, help="Run every combination of comma-separated values."
)
@click.option(
    "--cfg",
    "-c",
    type=OneOf("job", "hydra", "all"),
    help="Print the composed config and run nothing.",
)
@click.option("--package", "-p", metavar="PATH", help="Print only this part of the config.")
@click.option("--resolve", is_flag=True, help="Resolve interpolations in what is printed.")
@click.option(
    "--info",
    "-i",
    type=OneOf(*DETAILS),
    help="Print what Hydra knows of the config and run nothing.",
)
@click.option("--run", "-r", is_flag=True, help="Run one experiment, which is what happens anyway.")
@click.option("--hydra-help", is_flag=True, help="Print Hydra's own help.")
@JSON_ALONE
@QUIET
def experiment(overrides: tuple[str, ...], as_json: bool, **flags: Any) -> int:
    """Compose, check and run; all jobs of a multirun are checked before the first runs."""
    given = {name: value for name, value in flags.items() if value}
    words = [
        f"--{name.replace('_', '-')}" + ("" if value is True else f"={value}")
        for name, value in given.items()
    ]
    composed = compose_all([*words, *overrides])
    if not composed and not set(INFORMATION) & set(given):
        raise ConfigError("nothing to run: a glob or range in the overrides matched no option.")
    searching = next(
        (data["sweep"]["name"] for data in composed if data["sweep"]["name"] != "none"), None
    )
    if searching and flags["multirun"]:
        raise ConfigError(
            f"--multirun: cannot go with sweep={searching}, which tries many configs itself; drop "
            f"one of them."
        )
    from hwds.experiment.spec import check

    for data in composed:
        check(data)
    if not composed:
        return 0
    from hwds.cli import experiment as app

    code, folders = app.main(composed)
    if as_json:
        print_json([app.stored_record(folder) for folder in folders])
    return code


def compose_all(words: list[str]) -> list[dict[str, Any]]:
    """Return the plain data of each job of a command line.

    None where a flag only asks for information.
    """
    if any(word.startswith(("-", "hydra")) for word in words):
        return compose_in_application(words)
    from hwds.core.compose import compose

    return [compose(words)]


def compose_in_application(words: list[str]) -> list[dict[str, Any]]:
    """Return the same of words with flags, by a Hydra application, which composes a single job
    twice.
    """
    os.environ["HYDRA_FULL_ERROR"] = "1"  # its exceptions reach us, unprinted
    import hydra

    from hwds.core.compose import (
        plain_errors,
        plain_from_application,
        quote_override,
        refuse_no_option,
        register,
    )

    composed: list[dict[str, Any]] = []
    failures: list[Exception] = []

    @hydra.main(version_base="1.3", config_path=None, config_name="config")
    def job(config: DictConfig) -> None:
        try:
            composed.append(plain_from_application(config))
        except Exception as error:  # raised here, Hydra would print its own line first
            failures.append(error)

    register(application=True)
    words = [word if word.startswith("-") else quote_override(word) for word in words]
    refuse_no_option([word for word in words if not word.startswith("-")])
    typed = {word.partition("=")[0] for word in words}
    silent = ("hydra/hydra_logging=none", "hydra/job_logging=none")
    sys.argv[1:] = [*words, *(word for word in silent if word.partition("=")[0] not in typed)]
    with plain_errors():
        job()
    if failures:
        raise failures[0]
    return composed
