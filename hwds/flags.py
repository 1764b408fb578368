"""The words after a command: names, flags with or without a value, and what changes an experiment."""

from __future__ import annotations

from collections.abc import Sequence

from hwds.errors import ConfigError, nearest


def parsed(
    command: str, words: Sequence[str], valued: Sequence[str], bare: Sequence[str] = (), *, value: str = "value"
) -> tuple[list[str], dict[str, str]]:
    """The names, and the flags with their values (empty for those of `bare`); `--flag=value` and `--flag value` are one.

    Args:
        command: Whose words they are, for a refusal.
        words: The words.
        valued: Flags that a value follows.
        bare: Flags that stand alone.
        value: What follows a flag, in a refusal.

    Raises:
        ConfigError: An unknown flag, with the nearest right one, or one without its value.
    """
    names: list[str] = []
    flags: dict[str, str] = {}
    rest = iter(words)
    for word in rest:
        flag, _, given = word.partition("=")
        if not word.startswith("-"):
            names.append(word)
        elif flag in bare:
            flags[flag] = ""
        elif flag in valued:
            flags[flag] = given or next(rest, "")
            if not flags[flag] or flags[flag].startswith("--"):
                raise ConfigError(f"{command}: {flag} must be followed by a {value}.")
        else:
            raise ConfigError(f"{command}: no flag '{flag}'{nearest(flag, [*valued, *bare])}")
    return names, flags


def experiment_words(command: str, words: Sequence[str]) -> list[str]:
    """The words of a command that takes those of a run, as Hydra wants them.

    Raises:
        ConfigError: One is a flag.
    """
    flag = next((word for word in words if word.startswith("-")), None)
    if flag:
        raise ConfigError(f"{command}: takes no flag, got '{flag}'; it takes the words of one run.")
    return [as_override(word) for word in words]


def as_override(word: str) -> str:
    """`experiment=` as `+experiment=`: the config has no such entry, so that it can be added to any."""
    return f"+{word}" if word.startswith("experiment=") else word


def one_run(command: str, names: Sequence[str]) -> str:
    """The one run that a command is about.

    Raises:
        ConfigError: None is named, or several.
    """
    if len(names) != 1:
        raise ConfigError(f"{command}: must be followed by one run, got {len(names)}.")
    return names[0]


def whole(flag: str, text: str) -> int:
    """The count that a flag is followed by.

    Raises:
        ConfigError: It is none.
    """
    if not text.isdecimal():
        raise ConfigError(f"{flag}: must be a whole number, got '{text}'.")
    return int(text)
