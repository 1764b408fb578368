"""The command line: the first bare word is a command, everything else is Hydra's."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from hwds.errors import ConfigError, HwdsError, nearest

COMMANDS = Path(__file__).resolve().parent / "commands"
INFORMATION = {"--cfg", "-c", "--info", "-i", "--shell-completion", "-sc", "--hydra-help", "--version"}
WITH_VALUE = {"--cfg", "-c", "--info", "-i", "--package", "-p", "--config-dir", "-cd", "--shell-completion", "-sc"}


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
    if not words[0].startswith("-") and "=" not in words[0] and not words[0].startswith("~"):
        name = words[0].replace("-", "_")
        if name not in commands():
            raise ConfigError(f"no command '{words[0]}'{nearest(words[0], [known.replace('_', '-') for known in commands()])}")
        from importlib import import_module

        code: int = import_module(f"hwds.commands.{name}").main(with_config_dir(words[1:]))
        return code
    return experiment(words)


def commands() -> list[str]:
    """The names of the commands: one module each."""
    return sorted(path.stem for path in COMMANDS.glob("*.py") if not path.stem.startswith("_"))


def usage() -> str:
    """What `hwds --help` prints: each command with the first sentence of its module."""
    import ast

    lines = []
    for name in commands():
        said = ast.get_docstring(ast.parse((COMMANDS / f"{name}.py").read_text())) or ""
        lines.append(f"  {name.replace('_', '-'):<15}{said.splitlines()[0]}")
    return (
        "usage: hwds [COMMAND] [group=option] [path.to.key=value] ...\n\n"
        "  hwds +experiment=lstm_forecast                        run an experiment\n"
        "  hwds +experiment=lstm_forecast model=forecast/naive   the same with another model\n"
        "  hwds -m +experiment=lstm_forecast seed=1,2,3          several, one after the other\n\n"
        "commands:\n" + "\n".join(lines) + "\n\n"
        "Groups are dataset, features, model, protocol and compute; `hwds list` shows their options.\n"
        "-v shows the traceback of a refusal; --cfg job, --info and -sc install=bash are Hydra's."
    )


def experiment(words: list[str]) -> int:
    """Hydra's own application: `-m`, `--cfg`, `--info` and completion come with it."""
    words = with_config_dir(words)
    os.environ["HYDRA_FULL_ERROR"] = "1"  # its exceptions reach us, unprinted
    sys.argv[1:] = tidy(words)
    import hydra

    from hwds.config.compose import plain_errors, plain_from_application
    from hwds.config.source import register

    codes: list[int] = []
    failures: list[BaseException] = []

    @hydra.main(version_base="1.3", config_path=None, config_name="config")  # type: ignore[misc]
    def job(config: object) -> None:
        from hwds import app

        if failures:
            return
        try:
            codes.append(app.main(plain_from_application(config)))  # type: ignore[arg-type]
        except (Exception, KeyboardInterrupt) as error:  # raised here, Hydra would print its own line first
            failures.append(error)

    register()
    with plain_errors():
        job()
    if failures:
        raise failures[0]
    if not codes and not set(words) & INFORMATION:
        raise ConfigError("nothing to run: a glob or range in the overrides matched no option.")
    return max(codes, default=0)


def tidy(words: list[str]) -> list[str]:
    """Flags with their values first (argparse stops at an override between two), and `experiment=` as Hydra wants it."""
    flags: list[str] = []
    overrides: list[str] = []
    rest = iter(words)
    for word in rest:
        if not word.startswith("-"):
            overrides.append("+" + word if word.startswith("experiment=") else word)
            continue
        flags.append(word)
        if word in WITH_VALUE:
            flags += [value for value in [next(rest, None)] if value is not None]
    return flags + overrides


def with_config_dir(words: list[str]) -> list[str]:
    """Take `--config-dir DIR` as the user's own conf folder."""
    for flag in ("--config-dir", "-cd"):
        if flag in words:
            at = words.index(flag)
            if at + 1 == len(words):
                raise ConfigError(f"{flag}: must be followed by a folder.")
            os.environ["HWDS_CONF"] = words[at + 1]
            return words[:at] + words[at + 2 :]
        given = next((word for word in words if word.startswith(f"{flag}=")), None)
        if given:
            os.environ["HWDS_CONF"] = given.partition("=")[2]
            return [word for word in words if word != given]
    return words
