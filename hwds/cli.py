"""The command line: the first bare word is a command, everything else is Hydra's."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwds.errors import ConfigError, HwdsError, nearest
from hwds.flags import as_override
from hwds.registry import PACKAGES

if TYPE_CHECKING:
    from omegaconf import DictConfig

COMMANDS = Path(__file__).resolve().parent / "commands"
INFORMATION = {"--cfg", "-c", "--info", "-i", "--hydra-help", "--version", "--help", "-h", "--shell-completion", "-sc"}
WITH_VALUE = {
    "--cfg": ("job", "hydra", "all"),
    "-c": ("job", "hydra", "all"),
    "--info": ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath"),
    "-i": ("all", "config", "defaults", "defaults-tree", "plugins", "searchpath"),
    "--package": (),
    "-p": (),
}
"""Hydra's flags that are followed by a value, and which values: none listed means any."""
FLAGS = INFORMATION | set(WITH_VALUE) | {"--multirun", "-m", "--resolve", "--run", "-r"}


def main() -> int:
    """Run one command line; the exit code is 0 ok, 1 failed, 2 a wrong config or data, 3 some cells failed within the limit."""
    words = sys.argv[1:]
    verbose = "-v" in words
    words = [word for word in words if word != "-v"]
    try:
        return dispatch(words)
    except HwdsError as error:
        if verbose:
            raise
        print(f"hwds: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("\nhwds: stopped. Every finished cell is kept; the same command goes on from there.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def dispatch(words: list[str]) -> int:
    """The command that the words name, or the experiment that they compose."""
    if not words or words[0] in ("-h", "--help"):
        print(usage())
        return 0
    if words[0] in ("-sc", "--shell-completion"):
        from hwds import completion

        return completion.main(words[1:])
    if not words[0].startswith("-") and "=" not in words[0] and not words[0].startswith("~"):
        name = words[0].replace("-", "_")
        if name not in commands():
            raise no_command(words[0])
        if {"-h", "--help"} & set(words[1:]):
            print(said_of(name))
            return 0
        from importlib import import_module

        code: int = import_module(f"hwds.commands.{name}").main(with_config_dir(words[1:]))
        return code
    return experiment(words)


def commands() -> list[str]:
    """The names of the commands: one module each."""
    return sorted(path.stem for path in COMMANDS.glob("*.py") if not path.stem.startswith("_"))


def no_command(word: str) -> ConfigError:
    """The refusal of a first word that is neither a command nor an override."""
    if "." in word or word.lstrip("+") in (*PACKAGES, "experiment", "seed", "size", "rivals"):
        return ConfigError(f"'{word}': must be given a value, {word}=VALUE.")
    return ConfigError(f"no command '{word}'{nearest(word, [known.replace('_', '-') for known in commands()])}")


def usage() -> str:
    """What `hwds --help` prints: each command with the first sentence of its module."""
    lines = [f"  {name.replace('_', '-'):<15}{said_of(name).splitlines()[0]}" for name in commands()]
    return (
        "usage: hwds [COMMAND] [group=option] [path.to.key=value] ...\n\n"
        "  hwds +experiment=lstm_forecast                        run an experiment\n"
        "  hwds +experiment=lstm_forecast model=forecast/naive   the same with another model\n"
        "  hwds -m +experiment=lstm_forecast seed=1,2,3          several, one after the other\n\n"
        "commands:\n" + "\n".join(lines) + "\n\n"
        "`hwds COMMAND --help` tells all of one.\n"
        "Groups are dataset, features, model, protocol, compute, decision, sweep and tracker; `hwds list` shows options.\n"
        "-v shows the traceback of a refusal; --cfg job, --info and -sc install=bash are Hydra's."
    )


def said_of(command: str) -> str:
    """What a command's module says of it, which `hwds COMMAND --help` prints; read without importing it."""
    import ast

    return ast.get_docstring(ast.parse((COMMANDS / f"{command}.py").read_text())) or ""


def experiment(words: list[str]) -> int:
    """Hydra's own application: `-m`, `--cfg`, `--info` and completion come with it.

    Hydra only composes: all jobs of a multirun are checked before the first runs.
    """
    words = tidy(with_config_dir(words))
    composed = compose_all(words)
    if not composed and not any(word.partition("=")[0] in INFORMATION or word[:2] in ("-c", "-i") for word in words):
        raise ConfigError("nothing to run: a glob or range in the overrides matched no option.")
    searching = next((data["sweep"]["name"] for data in composed if data["sweep"]["name"] != "none"), None)
    if searching and {"-m", "--multirun"} & set(words):
        raise ConfigError(f"--multirun: cannot go with sweep={searching}, which tries many configs itself; drop one of them.")
    from hwds.config.check import check

    for data in composed:
        check(data)
    if not composed:
        return 0
    from hwds import app

    return max(app.main(data) for data in composed)


def compose_all(words: list[str]) -> list[dict[str, Any]]:
    """The plain data of each job of a command line; none where a flag only asks for information."""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # its exceptions reach us, unprinted
    sys.argv[1:] = words
    import hydra

    from hwds.config.compose import plain_errors, plain_from_application, refuse_no_option
    from hwds.config.source import register

    composed: list[dict[str, Any]] = []
    failures: list[Exception] = []

    @hydra.main(version_base="1.3", config_path=None, config_name="config")
    def job(config: DictConfig) -> None:
        try:
            composed.append(plain_from_application(config))
        except Exception as error:  # raised here, Hydra would print its own line first
            failures.append(error)

    register()
    if not set(words) & {"-sc", "--shell-completion", "--hydra-help", "--help", "-h"}:
        refuse_no_option(words)
    with plain_errors():
        job()
    if failures:
        raise failures[0]
    return composed


def tidy(words: list[str]) -> list[str]:
    """Flags with their values first (argparse stops at an override between two), and `experiment=` as Hydra wants it.

    Raises:
        ConfigError: A flag is unknown, or its value is.
    """
    flags: list[str] = []
    overrides: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if not word.startswith("-"):
            overrides.append(as_override(word))
            continue
        flag, given, value = word.partition("=")
        if flag not in FLAGS:
            raise ConfigError(f"no flag '{flag}'{nearest(flag, [known for known in FLAGS if known.startswith('--')])}")
        flags.append(word)
        if flag in ("-sc", "--shell-completion"):  # what follows is half a command line
            return [*flags, *rest, *overrides]
        if flag in WITH_VALUE and not given:
            value = _value_of(flag, rest)
            flags[-1] = f"{flag}={value}" if flag.startswith("--") else flag + value
        if value and WITH_VALUE.get(flag) and value not in WITH_VALUE[flag]:
            raise ConfigError(f"{flag}: must be one of {', '.join(WITH_VALUE[flag])}, got '{value}'.")
    return flags + overrides


def _value_of(flag: str, rest: list[str]) -> str:
    """Take the value of a flag from the words after it; only `--info` may go without."""
    optional = flag in ("--info", "-i")
    if rest and not (optional and rest[0] not in WITH_VALUE[flag]):
        return rest.pop(0)
    if optional:
        return "all"
    raise ConfigError(f"{flag}: must be followed by {', '.join(WITH_VALUE[flag]) or 'a value'}.")


def with_config_dir(words: list[str]) -> list[str]:
    """Take `--config-dir DIR` as the user's own conf folder."""
    for flag in ("--config-dir", "-cd"):
        if flag in words:
            at = words.index(flag)
            return _use_conf(flag, words[at + 1] if at + 1 < len(words) else "", words[:at] + words[at + 2 :])
        given = next((word for word in words if word.startswith(f"{flag}=")), None)
        if given:
            return _use_conf(flag, given.partition("=")[2], [word for word in words if word != given])
    return words


def _use_conf(flag: str, folder: str, rest: list[str]) -> list[str]:
    if not Path(folder).is_dir() or not folder:
        raise ConfigError(f"{flag}: must be followed by a folder, got '{folder}'.")
    os.environ["HWDS_CONF"] = folder
    return rest
