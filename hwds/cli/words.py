"""The words after a command: refusals in one line, and the types of values with their completions in a shell."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import pairwise, takewhile
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from hwds.core.errors import ConfigError, nearest

HELP = ("-h", "--help")

COMMON = ("--config-dir", "--help")
"""Flags of every command."""

NUMBERS = ("no", "one", "two")


class Command(click.Command):
    """A command that refuses in one line, with the nearest right name; `--config-dir` goes with each."""

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
            raise ConfigError(f"{beginning(ctx, error.option_name)} takes no value.") from error
        except click.MissingParameter as error:
            missing = next(param for param in self.params if param is error.param)
            raise ConfigError(f"{beginning(ctx, flag_of(missing))} must be given: {wanted(missing)}.") from error
        except click.UsageError as error:
            _, rest, _ = self.make_parser(ctx).parse_args(words)
            raise ConfigError(f"{name_of(ctx)}: takes no words, got '{rest[0]}'.") from error

    def get_help_option_names(self, ctx: click.Context) -> list[str]:
        """Return -h and --help under any context: click keeps the option of the first context that asks for it."""
        return list(HELP)

    def _refuse_without_value(self, ctx: click.Context, words: Sequence[str]) -> None:
        """Refuse `--store --key id` and `--store=`: click would take `--key`, or nothing, for the value."""
        options = [param for param in self.params if isinstance(param, click.Option) and not param.is_flag]
        valued = {name: param for param in options for name in param.opts}
        for word, following in pairwise([*takewhile(lambda word: word != "--", words), "--"]):
            flag = word.removesuffix("=")
            if flag in valued and (word != flag or following.startswith("--")):
                raise ConfigError(f"{beginning(ctx, flag)} must be followed by {wanted(valued[flag])}.")

    def _no_flag(self, ctx: click.Context, flag: str) -> ConfigError:
        known = [name for param in self.get_params(ctx) for name in param.opts if name.startswith("--")]
        if set(known) <= set(COMMON):
            return ConfigError(f"{name_of(ctx)}: takes no flag, got '{flag}'.")
        command = f"{name_of(ctx)}: " if name_of(ctx) else ""
        return ConfigError(f"{command}no flag '{flag}'{nearest(flag, known)}")


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
            message = f"{name_of(ctx)}: must be followed by {', '.join(some)} or {last}"
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
    """Return whether a word is the path of a folder; no file system takes a name of a thousand letters, or with a null."""
    try:
        return Path(path).is_dir()
    except (OSError, ValueError):
        return False


def name_of(ctx: click.Context) -> str:
    """Return the name of a command after `hwds`: `prune runs`; empty for an experiment."""
    return ctx.command_path.partition(" ")[2].strip()


def flag_of(param: click.Parameter | None) -> str:
    """Return the long name of a flag."""
    return max(param.opts, key=len) if param else ""


def beginning(ctx: click.Context, flag: str) -> str:
    """Return the beginning of a refusal of a flag: `compare: --metric`, or `--cfg:` for an experiment's."""
    name = name_of(ctx)
    return f"{name}: {flag}" if name else f"{flag}:"


def wanted(param: click.Parameter) -> str:
    """Return the kind of value that a flag is followed by, in words."""
    kind = param.type
    if isinstance(kind, OneOf):
        return kind.name
    return "a value" if kind is click.STRING else "a folder" if isinstance(kind, click.Path) else f"a {kind.name}"


def exactly(number: int, what: str) -> Callable[[click.Context, click.Parameter, tuple[str, ...]], Any]:
    """Return the check that a command is followed by so many names; one alone is handed on as itself."""

    def check(ctx: click.Context, _: click.Parameter, names: tuple[str, ...]) -> Any:
        if len(names) != number:
            raise ConfigError(f"{name_of(ctx)}: must be followed by {NUMBERS[number]} {what}, got {len(names)}.")
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

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
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
            near = near if near.startswith("; did") else "."  # the message lists all of them already
            raise ConfigError(f"{flag_of(param)}: must be one of {self.name}, got '{value}'{near}")
        return value


class Read(click.ParamType[Any, str]):
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


class Whole(Read):
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


class Within(Read):
    """A number between two bounds, both allowed.

    Args:
        least: The smallest that is allowed.
        most: The largest.
    """

    def __init__(self, least: float, most: float) -> None:
        super().__init__("number", float)
        self.least, self.most = least, most

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number.

        Raises:
            ConfigError: It is none, or outside the bounds.
        """
        number = float(super().convert(value, param, ctx))
        if not self.least <= number <= self.most:
            raise ConfigError(f"{flag_of(param)}: must be from {self.least:,.10g} to {self.most:,.10g}, got {number:g}.")
        return number


def run_names() -> list[str]:
    """Return all names of the runs below the current folder."""
    from hwds.results.folder import RunFolder

    return RunFolder.names()


def run_and_sweep_names() -> list[str]:
    """Return all names of the runs and sweeps below the current folder."""
    from hwds.results.sweep_folder import SweepFolder

    return [*run_names(), *SweepFolder.names()]


RUN = KnownWord("run", run_names)
RUN_OR_SWEEP = KnownWord("run", run_and_sweep_names)
FILE = Read("file", str)
NUMBER = Read("number", float)

ONE_RUN = click.argument("run", nargs=-1, type=RUN, callback=exactly(1, "run"), metavar="RUN")
"""The run that a command is about."""

ONE_RUN_OR_SWEEP = click.argument("run", nargs=-1, type=RUN_OR_SWEEP, callback=exactly(1, "run"), metavar="RUN")
"""The run or sweep that a command is about."""

AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print data.")
