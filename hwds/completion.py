"""Completion in the shell: commands, runs and names are ours to complete, overrides are Hydra's."""

from __future__ import annotations

import os
import sys
from importlib import import_module

from hwds.cli import commands, experiment, tidy, with_config_dir

_INSTALL = r"""_hwds_completion() {
    COMPREPLY=()
    local line="${COMP_LINE:0:COMP_POINT}" choice choices words
    read -ra words <<< "$line"
    local run=("${words[0]}") word="${line##*[[:space:]]}"
    if [[ ${run[0]##*/} == python* ]]; then
        [[ "${words[1]} ${words[2]}" == "-m hwds" ]] || return
        run+=(-m hwds)
    fi
    # bash replaces only what stands behind the last of its own word breaks
    local kept="${word%"${word##*["$COMP_WORDBREAKS"]}"}"
    read -r -d '' -a choices < <(COMP_LINE="$line" "${run[@]}" -sc query=bash 2> /dev/null)
    for choice in "${choices[@]}"; do
        [[ $choice == *[=./] ]] || choice+=" "
        [[ $choice == "$word"* && $choice != "$word" ]] && COMPREPLY+=("${choice#"$kept"}")
    done
}
complete -o nospace -o default -F _hwds_completion"""
_UNINSTALL = "unset -f _hwds_completion\ncomplete -r"


def main(words: list[str]) -> int:
    """Answer `-sc`: print what bash is to evaluate (`install=bash`, `uninstall=bash`), or what may end $COMP_LINE (`query`)."""
    scripts = {"install=bash": _INSTALL, "uninstall=bash": _UNINSTALL}
    if words and words[0] in scripts:
        names = "python python3" if sys.argv[0].endswith(".py") else os.path.basename(sys.argv[0])
        print(f"{scripts[words[0]]} {names}")
        return 0
    if not words or not words[0].startswith("query="):
        return experiment(["-sc", *words])
    own, rest = choices(os.environ.get("COMP_LINE", ""))
    if own:
        print("\n".join(own))
    if rest is None:
        return 0
    os.environ["COMP_LINE"] = f"hwds {' '.join(rest)}"
    return experiment(["-sc", *words])


def choices(line: str) -> tuple[list[str], list[str] | None]:
    """What hwds itself knows to complete a line with, and the words whose last Hydra is to complete.

    A command says by a function `choices` what words it takes; without one it takes overrides.
    """
    *before, word = _after_program(line) or [""]
    before = with_config_dir([other for other in before if other != "-v"])
    name = before[0].replace("-", "_") if before else ""
    if name in commands():
        command = import_module(f"hwds.commands.{name}")
        if hasattr(command, "choices"):
            return [choice for choice in command.choices() if choice.startswith(word)], None
        before = before[1:]
    own = [] if name else [known.replace("_", "-") for known in commands()]
    return [choice for choice in own if choice.startswith(word)], [*tidy(before), word]


def _after_program(line: str) -> list[str]:
    """The words after `hwds` or `python -m hwds`; the last is empty where a new word begins."""
    words = line.split() + [""] * line.endswith(" ")
    return words[3 if words[1:3] == ["-m", "hwds"] else 1 :]
