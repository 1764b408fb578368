"""Composition of overrides into plain data: the one module that calls Hydra."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, lru_cache
from typing import Any, get_args, get_type_hints

import yaml
from hydra import compose as hydra_compose
from hydra import initialize_config_module
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from hwds.config.build import kind
from hwds.config.origin import refuse_left_over
from hwds.config.source import checked_text, read_option, register
from hwds.config.uncapped import changed_label, typed_paths
from hwds.core.errors import ConfigError, nearest
from hwds.core.messages import shown
from hwds.core.recipe import Recipe, Written
from hwds.core.registry import GROUPS, no_option, options, resolve_node
from hwds.core.secrets import given_by_environment
from hwds.core.yaml_text import read_yaml

ROOT = ("name", "tags", "note", "seed", "size", "rivals", "save_model", "decision_pack", "pictures")
UNSHOWN = ("hydra", "name", "recipe")
"""Keys that are not listed in a refusal."""


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turn Hydra's and OmegaConf's errors within the block into refusals of one line."""
    try:
        yield
    except MissingConfigException as error:
        raise _missing(error) from error
    except yaml.YAMLError as error:
        raise ConfigError(" ".join(str(error).split()) + ".") from error
    except OverrideParseException as error:
        said = str(error).split("\n")[0].removeprefix("LexerNoViableAltException: ")
        raise ConfigError(f"'{error.override}': is not path.to.key=value ({said}).") from error
    except (HydraException, OmegaConfBaseException) as error:
        raise _refused(error) from error
    except (ValueError, KeyError, OSError) as error:  # `-m model=null,x`; a YAML that holds one word
        raise ConfigError(f"{' '.join(str(error).split()).strip(chr(39))}.") from error


ELSEWHERE = {
    "hydra/sweeper": "sweep=random, grid, optuna, bohb or asha search, and -m runs every combination of listed values",
    "hydra/launcher": "compute=processes, ray or cluster runs the cells of each run side by side",
}
"""Groups of Hydra whose plugins are not used, with what does the same."""

NOT_BUILT = {
    ("sweep", "pbt"): "it goes on with a fit from the weights of another trial, and no model here can, for every window is"
    " fitted anew from its own history; take sweep=asha or sweep=bohb.",
}
"""Options that are common elsewhere and are not built here, with the reason."""


def refuse_no_option(overrides: list[str]) -> None:
    """Refuse a value of a group that is not the name of an option (`model=null`), for which Hydra would name no path.

    Raises:
        ConfigError: With the options.
    """
    with plain_errors():
        parsed = [_parsed(word) for word in overrides if not word.startswith("-")]
    for override in parsed:
        key = override.key_or_group
        if not key:
            raise ConfigError(f"'{override.input_line}': is not path.to.key=value.")
        if instead := ELSEWHERE.get("/".join(key.split(".")[:2])):
            raise ConfigError(f"{key}: hwds has its own; {instead}.")
        if override.is_interval_sweep():
            raise ConfigError(f"{key}: an interval is searched by sweep=random sweep.space.{key}.uniform=[low,high].")
        if key not in (*GROUPS, "experiment") or override.is_delete() or override.is_sweep_override():
            continue
        if override.is_force_add():
            raise ConfigError(f"{key}: '{override.input_line}' has a '+' too many; a group takes {key}=OPTION.")
        if override.is_add() and key != "experiment":
            raise ConfigError(f"{key}: is there already; drop the '+'.")
        value = override.value()
        if not isinstance(value, str) or not value:
            raise ConfigError(f"{key}: must be an option, got {shown(value)}; options: {', '.join(options(key))}.")
        if ".." in value.split("/") or value.startswith("/"):
            raise no_option(key, key, value)


@lru_cache(maxsize=1024)
def _parsed(word: str) -> Override:
    (parsed,) = OverridesParser.create().parse_overrides([word])
    return parsed


def quoted(word: str) -> str:
    """Return an override whose values with letters beyond ASCII are quoted, which Hydra's grammar wants: `a='Größe'`."""
    key, equals, value = word.partition("=")
    if value.isascii() or any(mark in value for mark in "'\"\\"):
        return word
    return key + equals + re.sub(r"[^\s,:=\[\]{}()]*[^\x00-\x7f][^\s,:=\[\]{}()]*(?!\s*:)", r"'\g<0>'", value)


def _missing(error: MissingConfigException) -> ConfigError:
    group, _, option = (error.missing_cfg_file or "").partition("/")
    if not option:
        return ConfigError(" ".join(str(error).split("Check that")[0].split()))
    if (group, option) in NOT_BUILT:
        return ConfigError(f"{group}: there is no '{option}': {NOT_BUILT[group, option]}")
    return no_option(group, group, option)


def _refused(error: Exception) -> ConfigError:
    cause = error if isinstance(error, OmegaConfBaseException) else error.__cause__
    first = " ".join(str(error).split("\n")[0].split())
    quoted = first.split("'")[1] if first.count("'") > 1 else ""
    if first.startswith("Ambiguous value for argument"):
        path, _, values = quoted.partition("=")
        return ConfigError(f"{path}: '{values}' is several values; -m runs each of them, [{values}] is a list.")
    if first.startswith("Could not append to config. An item is already at"):
        return ConfigError(f"{quoted}: is there already; drop the '+'.")
    if first.startswith("Could not delete from config") and not getattr(cause, "full_key", None):
        where, _, key = quoted.rpartition(".")
        return ConfigError(f"{where}: no key '{key}'.") if where else _no_root(quoted)
    if first.startswith("Could not override '") and "." not in quoted:
        return _no_root(quoted)
    if first.startswith("Could not override '") or getattr(cause, "full_key", None):
        return _no_key(cause, quoted)
    return ConfigError(first or str(cause).split("\n")[0])


def _no_root(key: str) -> ConfigError:
    group = key.split("@", maxsplit=1)[0].split(".", maxsplit=1)[0]
    return ConfigError(f"no key '{key}'{nearest(group, [*GROUPS, *ROOT, 'experiment'])}")


def _no_key(cause: BaseException | None, path: str) -> ConfigError:
    """Return the refusal of a key that its node does not have."""
    full = str(getattr(cause, "full_key", None) or path)
    where, _, key = full.rpartition(".")
    parent = getattr(cause, "parent_node", None)
    known = [str(name) for name in parent if name not in UNSHOWN] if isinstance(parent, DictConfig) else []
    if key in known:
        return ConfigError(f"{full}: {str(cause).split(chr(10))[0].rstrip('.')}.")
    if not where:
        return _no_root(key)
    if full.startswith("sweep.") and str(getattr(parent, "name", "")) == "none":
        return ConfigError(f"{full}: needs a search, such as sweep=random; sweep=none tries nothing.")
    return ConfigError(f"{where}: no key '{key}'{nearest(key, known)}")


def compose(overrides: list[str], typed: Sequence[str] | None = None) -> dict[str, Any]:
    """Return one experiment as plain data, from outside a Hydra application.

    Args:
        overrides: Words such as `model.trees=200`.
        typed: Those of them whose settings `size=small` leaves as they are; all where it is None.

    Raises:
        ConfigError: With the path, the value and the nearest right name.
    """
    register()
    overrides = [quoted(word) for word in overrides]
    refuse_no_option(overrides)
    with plain_errors(), initialize_config_module("hwds", version_base="1.3"):
        config = hydra_compose("config", overrides, return_hydra_config=True)
        HydraConfig.instance().set_config(config)  # for `${hydra:...}`
        choices = dict(config.hydra.runtime.choices)
        OmegaConf.set_struct(config, False)
        config.pop("hydra")
    return plain(config, choices, overrides if typed is None else typed)


def plain_from_application(config: DictConfig) -> dict[str, Any]:
    """Return one experiment as plain data, from inside a Hydra application."""
    hydra = HydraConfig.get()
    return plain(config, dict(hydra.runtime.choices), list(hydra.overrides.task))


def plain(config: DictConfig, choices: Mapping[str, Any], typed: Sequence[str]) -> dict[str, Any]:
    """Return resolved plain data, with rivals and members composed from the options they name.

    A rival that is the model itself is left out; the model takes its place. Under `size=small` the data has `uncapped`, the
    paths of the settings that the words in `typed` set.
    """
    with plain_errors():
        data: dict[str, Any] = OmegaConf.to_container(config, resolve=True, throw_on_missing=False)  # type: ignore[assignment]
    uncapped: dict[str, Any] = {}
    if data.get("size") == "small":  # the YAML of a sweep's best names the paths that were typed then
        uncapped = {"uncapped": sorted({*(data.get("uncapped") or ()), *typed_paths(data, typed)})}
    for group in (*GROUPS, "experiment"):
        options(group)  # a user's option must not hide behind ours: the double is refused
    data = {key: expand(key, key, value) if key in GROUPS and isinstance(value, dict) else value for key, value in data.items()}
    for group in GROUPS:
        if isinstance(data.get(group), dict) and not data[group].get("name"):
            raise ConfigError(f"{group}.name: must be given; it is the label in every table.")
    refuse_left_over(data, choices.get("experiment") or "")
    rivals = data.get("rivals") or []
    if not isinstance(rivals, list):
        raise ConfigError(f"rivals: must be a list of model options, got {shown(rivals)}.")
    composed = [option("model", f"rivals[{i}]", item) for i, item in enumerate(rivals)]
    labels = {f"{group}.name": data[group]["name"] for group in GROUPS if isinstance(data.get(group), dict)}
    labels |= {f"rivals[{i}]": node["name"] for i, node in enumerate(composed)}
    secret = next((path for path, label in labels.items() if given_by_environment(str(label))), None)
    if secret:
        raise ConfigError(f"{secret}: must not hold the value of an environment variable; it is the label in every table.")
    own = data["model"]["name"] if isinstance(data.get("model"), dict) else None
    data["rivals"] = [node for node in composed if node["name"] != own]
    called = run_name(data.pop("name", ""))
    return data | uncapped | {"experiment": called or choices.get("experiment") or "adhoc"}


def run_name(name: Any) -> str:
    """Return what a run is called, empty where it has the name of its experiment.

    Raises:
        ConfigError: It cannot be the name of a folder.
    """
    if name in (None, ""):
        return ""
    if not isinstance(name, str) or not re.fullmatch(r"[^\W\d][\w.-]{0,79}", name):
        raise ConfigError(
            f"name: must be at most 80 letters, digits, '.', '_' and '-', and begin with a letter, got {shown(name)}."
        )
    return name


def expand(group: str, path: str, node: dict[str, Any]) -> dict[str, Any]:
    """Return a node whose recipe-typed fields (a stack's members) are nodes, too."""
    owner: Any = resolve_node(group, path, node)
    inner, single = _members(owner)
    for key in inner - single:
        if node.get(key) not in (None, "???") and not isinstance(node[key], list):
            raise ConfigError(f"{path}.{key}: must be a list of {group} options, got {shown(node[key])}.")
    composed: dict[str, Any] = {
        key: [option(group, f"{path}.{key}[{i}]", item) for i, item in enumerate(node[key])]
        for key in inner
        if isinstance(node.get(key), list)
    }
    composed |= {key: option(group, f"{path}.{key}", node[key]) for key in single if _is_option(group, node.get(key))}
    composed |= {
        key: written_values(source, f"{path}.{key}", node[key])
        for key, source in _written(owner).items()
        if isinstance(node.get(key), str) and node[key] != "???"
    }
    return node | composed


def written_values(group: str, path: str, name: str) -> dict[str, Any]:
    """Return what an option of a group of values says, as plain data.

    Raises:
        ConfigError: There is none of this name, or it is no mapping.
    """
    file = options(group).get(name)
    if file is None:
        raise ConfigError(f"{path}: no option '{name}' of {group}{nearest(name, options(group))}")
    with plain_errors():
        values = read_yaml(checked_text(file), file)
    if not isinstance(values, dict):
        raise ConfigError(f"{group}/{name}.yaml: must be a mapping, got {shown(values)}.")
    return values


@cache
def _written(owner: type) -> dict[str, str]:
    """Return the fields of a recipe whose value may be written in a file, each with the group of the file."""
    marks = {key: getattr(hint, "__metadata__", ()) for key, hint in get_type_hints(owner, include_extras=True).items()}
    return {key: mark.group for key, several in marks.items() for mark in several if isinstance(mark, Written)}


@cache
def _members(owner: type) -> tuple[frozenset[str], frozenset[str]]:
    """Return the fields of a recipe that hold several recipes of its kind, and those that hold one."""
    hints = get_type_hints(owner)
    several = frozenset(key for key, hint in hints.items() if any(_alike(arg, owner) for arg in get_args(hint)))
    return several, frozenset(key for key, hint in hints.items() if _alike(hint, owner))


def _is_option(group: str, value: Any) -> bool:
    """Return whether a value names an option, alone or with its changes."""
    if isinstance(value, str):
        return value != "???"
    return isinstance(value, dict) and len(value) == 1 and next(iter(value)) in options(group)


def _alike(arg: Any, owner: type) -> bool:
    """Return whether a type is of the owner's kind, so that it takes the same options."""
    return isinstance(arg, type) and issubclass(arg, Recipe) and kind(arg) == kind(owner)


def option(group: str, path: str, item: Any) -> dict[str, Any]:
    """Return `forecast/xgboost`, or `{forecast/xgboost: {trees: 500}}`, as a full node; changes become part of its label."""
    if isinstance(item, dict) and len(item) == 1 and isinstance(next(iter(item.values())), dict):
        name, changes = next(iter(item.items()))
    elif isinstance(item, str):
        name, changes = item, {}
    else:
        raise ConfigError(
            f"{path}: must be an option, or one option with its changes ({{NAME: {{key: value}}}}), got {shown(item)}."
        )
    if name not in options(group):
        raise no_option(group, path, str(name))
    with plain_errors():
        node = read_option(group, name, options(group)[name])
        data: dict[str, Any] = OmegaConf.to_container(OmegaConf.merge(node, changes), resolve=True)  # type: ignore[assignment]
    data["name"] = changed_label(data["name"], changes)
    return expand(group, path, data)
