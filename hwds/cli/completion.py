"""Completion in the shell: click knows the commands and their words, Hydra the overrides."""

from __future__ import annotations

import os
import sys
from typing import Any

import click
from click.shell_completion import CompletionItem, ShellComplete, add_completion_class, get_completion_class

from hwds.core.errors import ConfigError

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
    """Completion in bash, of `python -m hwds` too, and of words with `=`, which click's own script leaves alone."""

    name = "bash"
    source_template = _BASH

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the words after `hwds` or `python -m hwds`, and the last one, empty where a new word begins."""
        line = os.environ.get("COMP_LINE", "")
        words = line.split() + [""] * line.endswith(" ")
        *before, last = words[3 if words[1:3] == ["-m", "hwds"] else 1 :] or [""]
        return [word for word in before if word != "-v"], last

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem]:
        """Return whole words: after `--to=` click gives the value alone."""
        flag, equals, _ = incomplete.partition("=")
        before = f"{flag}=" if equals and flag.startswith("--") else ""
        return [CompletionItem(f"{before}{item.value}") for item in super().get_completions(args, incomplete)]

    def format_completion(self, item: CompletionItem) -> str:
        """Return the word alone."""
        return str(item.value)


def answer(program: click.Command, words: list[str]) -> int:
    """Answer `-sc`: print what a shell is to evaluate (`install=bash`), or what may end the line (`query=bash`).

    Raises:
        ConfigError: The word asks for something else, or for a shell that is not known.
    """
    verb, _, shell = (words or [""])[0].partition("=")
    if verb not in ("install", "uninstall", "query") or get_completion_class(shell) is None:
        raise ConfigError(f"-sc: must be followed by install=, uninstall= or query= and a shell, got '{' '.join(words)}'.")
    name = "python python3" if sys.argv[0].endswith(".py") else os.path.basename(sys.argv[0])
    if verb == "uninstall":
        print(f"complete -r {name}")
        return 0
    return complete(program, f"{shell}_{'source' if verb == 'install' else 'complete'}", name)


def complete(program: click.Command, instruction: str, name: str = "hwds") -> int:
    """Do what a shell's script asks for: `zsh_source` prints the script, `zsh_complete` completes a line."""
    shell, _, verb = instruction.partition("_")
    kind = get_completion_class(shell)
    if kind is None:
        return 1
    completion: Any = kind(program, {}, name, VARIABLE)
    text = completion.source() if verb == "source" else completion.complete()
    if text:
        print(text)
    return 0
