"""The command line: the first bare word is a command, everything else is an experiment's."""

from __future__ import annotations

import ast
import atexit
import gc
import math
import os
import platform
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Any

import click
from click.shell_completion import (
    CompletionItem,
    ShellComplete,
    add_completion_class,
    get_completion_class,
)

from hwds import __version__
from hwds.cli.words import HELP, experiment
from hwds.core.errors import ConfigError, HwdsError, nearest
from hwds.core.extras import PACKAGES, extras_of, install_command, missing_modules
from hwds.core.registry import GROUPS

COMMANDS = Path(__file__).resolve().parent / "commands"

GARBAGE = (100_000, 2, 2)
"""After how many new objects Python looks for cycles: at its own 700 a tenth of a short command is
that search.
"""

SAME_PRESS = 10.0
"""Seconds in which a second interrupt is the first once more, and a third one is not: a launcher
passes on to its program what the terminal has sent to both, on a busy machine late.
"""

UNWINDING = (KeyboardInterrupt, GeneratorExit)
"""What is being handled where a library has raised the interrupt itself: Polars does, and Python
tells of the same signal later, while generators close.
"""

atexit.register(gc.freeze)  # what is there at the end goes with the process


def main() -> int:
    """Run one command line; the exit code is 0 ok, 1 failed, 2 a wrong config or data, 3 some cells
    failed within the limit.
    """
    gc.set_threshold(*GARBAGE)
    drop_unwanted_colours()
    words = sys.argv[1:]
    verbose = "-v" in words
    words = [word for word in words if word != "-v"]
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())  # as `python -m hwds` has it
    from hwds.core.secrets import filter_secrets

    with filter_secrets(), interrupted_once():
        return _answer(words, verbose)


def drop_unwanted_colours() -> None:
    """Let no library print a control sequence where `NO_COLOR` asks for none: to rich a bold letter
    is no colour.
    """
    if not os.environ.get("NO_COLOR"):
        return
    if sys.stdout.isatty():  # of a dumb terminal rich does not ask the size
        size = os.get_terminal_size(sys.stdout.fileno())
        os.environ.setdefault("COLUMNS", str(size.columns))
        os.environ.setdefault("LINES", str(size.lines))
    os.environ["TERM"] = "dumb"


@contextmanager
def interrupted_once() -> Iterator[None]:
    """Answer one press of Ctrl-C once: what cleans up after the first is not interrupted by it."""
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler:  # ignored behind `nohup`, or a host's own
        yield
        return
    pressed, first = -math.inf, True

    def answer(number: int, frame: FrameType | None) -> None:
        nonlocal pressed, first
        answered = first and isinstance(sys.exception(), UNWINDING)
        repeated = time.monotonic() - pressed < SAME_PRESS
        pressed, first = -math.inf if repeated else time.monotonic(), False
        if not (repeated or answered):
            signal.default_int_handler(number, frame)

    signal.signal(signal.SIGINT, answer)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _answer(words: list[str], verbose: bool) -> int:
    """Return the exit code of the words; an error is printed in a line."""
    try:
        return dispatch(words)
    except HwdsError as error:
        if verbose:
            raise
        print(f"hwds: {error}", file=sys.stderr)
        return error.exit_code
    except ModuleNotFoundError as error:  # of a stored model, which says no needs
        missing = [module for module in PACKAGES if module.partition(".")[0] == error.name]
        if verbose or not missing:
            raise
        print(f"hwds: {error}: {install_command(missing[:1])}.", file=sys.stderr)
        return ConfigError.exit_code
    except KeyboardInterrupt:
        print(
            "\nhwds: stopped. Every finished cell is kept; the same command continues.",
            file=sys.stderr,
        )
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def dispatch(words: list[str]) -> int:
    """Run the command that the words name, or the experiment that they compose."""
    shell = words[:1] in (["-sc"], ["--shell-completion"])
    if shell or os.environ.get("_HWDS_COMPLETE"):
        return (
            answer_shell(PROGRAM, words[1:])
            if shell
            else complete_line(PROGRAM, os.environ["_HWDS_COMPLETE"])
        )
    if not words or words[0] in HELP:
        print(usage())
        return 0
    if words[:1] == ["--version"]:
        print(describe_version())
        return 0
    try:
        with PROGRAM.make_context("hwds", words) as ctx:
            code: int = PROGRAM.invoke(ctx)
            return code
    except click.exceptions.Exit as end:  # after `--help`
        return end.exit_code


class Program(click.Group):
    """The commands, each imported when it is named; any other words are those of an experiment."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands: one module each."""
        return [name.replace("_", "-") for name in commands()]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command of the first word.

        Raises:
            ConfigError: It is neither a command nor an override.
        """
        word = args[0]
        if word.startswith(("-", "~")) or "=" in word:
            return "", experiment, args
        name = word.replace("_", "-")
        if name in self.list_commands(ctx):
            command: click.Command = import_module(module_of(name)).main
            return name, command, args[1:]
        if ctx.resilient_parsing:
            return None, None, []
        raise no_command(word)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the commands that begin so, and what an experiment may begin with."""
        matches = [
            CompletionItem(name, help=command_sentence(name))
            for name in self.list_commands(ctx)
            if name.startswith(incomplete)
        ]
        with experiment.make_context("", [], parent=ctx, resilient_parsing=True) as context:
            words = experiment if incomplete.startswith("-") else experiment.params[0]
            return [*matches, *words.shell_complete(context, incomplete)]


PROGRAM = Program(
    "hwds",
    add_help_option=False,
    context_settings={"ignore_unknown_options": True, "max_content_width": 120},
)


def commands() -> list[str]:
    """Return the names of the commands' modules."""
    return sorted(command_files())


@cache
def command_files() -> dict[str, Path]:
    """Return the module of each command, by its name with underscores.

    Those of one job lie in a folder.
    """
    paths = (*COMMANDS.glob("*.py"), *COMMANDS.glob("[!_]*/*.py"))
    return {path.stem: path for path in paths if not path.stem.startswith("_")}


def module_of(command: str) -> str:
    """Return the name of a command's module."""
    path = command_files()[command.replace("-", "_")].relative_to(COMMANDS).with_suffix("")
    return ".".join(("hwds.cli.commands", *path.parts))


def no_command(word: str) -> ConfigError:
    """Return the refusal of a first word that is neither a command nor an override."""
    if "." in word or word.lstrip("+") in (*GROUPS, "experiment", "seed", "size", "rivals"):
        return ConfigError(f"'{word}': must be given a value, {word}=VALUE.")
    return ConfigError(
        f"no command '{word}'{nearest(word, [known.replace('_', '-') for known in commands()])}"
    )


def command_sentence(command: str) -> str:
    """Return the first line of a command's module, read without importing it."""
    tree = ast.parse(command_files()[command.replace("-", "_")].read_text())
    return " ".join((ast.get_docstring(tree) or "").partition("\n\n")[0].split())


def usage() -> str:
    """Return what `hwds --help` prints."""
    lines = [f"  {name.replace('_', '-'):<15}{command_sentence(name)}" for name in commands()]
    return (
        "usage: hwds [COMMAND] [group=option] [path.to.key=value] ...\n\n"
        "  hwds +experiment=quickstart                           run an experiment in ten seconds\n"
        "  hwds +experiment=lstm_forecast                        compare a network with trees\n"
        "  hwds +experiment=lstm_forecast model=forecast/naive   the same with another model\n"
        "  hwds -m +experiment=lstm_forecast seed=1,2,3          several, one after the other\n\n"
        "commands:\n" + "\n".join(lines) + "\n\n"
        "`hwds COMMAND --help` explains a command.\n"
        "Groups are dataset, features, model, protocol, compute, decision, sweep and tracker; "
        "`hwds list`\nshows their options.\n"
        "--json prints results as data, --quiet prints nothing, -v shows the traceback of a "
        "refusal,\n--version shows what is installed. --cfg job and --info are Hydra's; "
        "-sc install=bash\n(zsh, fish) completes."
    )


def describe_version() -> str:
    """Return what `hwds --version` prints: the versions, and which extras are installed."""
    missing = extras_of(missing_modules(PACKAGES))
    extras = [name for name in extras_of(PACKAGES) if name not in missing]
    lines = [
        f"hwds {__version__}, Python {platform.python_version()}",
        f"extras: {', '.join(extras) or 'none'}",
        f"missing: {', '.join(missing)}; add one by pip install 'hwds[NAME]'",
    ]
    return "\n".join(lines[: 3 if missing else 2])


# Completion in the shell: click knows the commands and their words, Hydra the overrides.

VARIABLE = "_HWDS_COMPLETE"
"""The variable in which click's own scripts, those for zsh and fish, pass their instruction."""

_BASH = r"""_hwds_completion() {
    COMPREPLY=()
    local line="${COMP_LINE:0:COMP_POINT}" choice choices words
    read -ra words <<< "$line"
    local run=("${words[0]}") word="${line##*[[:space:]]}"
    if [[ ${run[0]##*/} == python* ]]; then
        [[ "${words[1]} ${words[2]}" == "-m hwds" ]] || return
        run+=(-m hwds)
    fi
    # bash replaces only what stands behind the last of its own word breaks
    local kept="${word%%"${word##*["$COMP_WORDBREAKS"]}"}"
    read -r -d '' -a choices < <(COMP_LINE="$line" "${run[@]}" -sc query=bash 2> /dev/null)
    for choice in "${choices[@]}"; do
        [[ $choice == *[=./] ]] || choice+=" "
        [[ $choice == "$word"* && $choice != "$word" ]] && COMPREPLY+=("${choice#"$kept"}")
    done
}
complete -o nospace -o default -F _hwds_completion %(prog_name)s
"""


@add_completion_class
class Bash(ShellComplete):
    """Completion in bash, of `python -m hwds` too, and of words with `=`, which click's own script
    leaves alone.
    """

    name = "bash"
    source_template = _BASH

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the words after `hwds` or `python -m hwds`, and the last one, empty where a new
        word begins.
        """
        line = os.environ.get("COMP_LINE", "")
        words = line.split() + [""] * line.endswith(" ")
        *before, last = words[3 if words[1:3] == ["-m", "hwds"] else 1 :] or [""]
        return [word for word in before if word != "-v"], last

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem]:
        """Return whole words: after `--to=` click gives the value alone."""
        flag, equals, _ = incomplete.partition("=")
        before = f"{flag}=" if equals and flag.startswith("--") else ""
        return [
            CompletionItem(f"{before}{item.value}")
            for item in super().get_completions(args, incomplete)
        ]

    def format_completion(self, item: CompletionItem) -> str:
        """Return the word alone."""
        return str(item.value)


def answer_shell(program: click.Command, words: list[str]) -> int:
    """Answer `-sc`: print what a shell is to evaluate (`install=bash`), or what may end the line
    (`query=bash`).

    Raises:
        ConfigError: The word asks for something else, or for a shell that is not known.
    """
    verb, _, shell = (words or [""])[0].partition("=")
    if verb not in ("install", "uninstall", "query") or get_completion_class(shell) is None:
        raise ConfigError(
            f"-sc: must be followed by install=, uninstall= or query= and a shell, got "
            f"'{' '.join(words)}'."
        )
    name = "python python3" if sys.argv[0].endswith(".py") else os.path.basename(sys.argv[0])
    if verb == "uninstall":
        print(f"complete -r {name}")
        return 0
    return complete_line(program, f"{shell}_{'source' if verb == 'install' else 'complete'}", name)


def complete_line(program: click.Command, instruction: str, name: str = "hwds") -> int:
    """Do what a shell's script asks for: `zsh_source` prints the script, `zsh_complete` completes a
    line.
    """
    shell, _, verb = instruction.partition("_")
    kind = get_completion_class(shell)
    if kind is None:
        return 1
    completion: Any = kind(program, {}, name, VARIABLE)
    text = completion.source() if verb == "source" else completion.complete()
    if text:
        print(text)
    return 0
