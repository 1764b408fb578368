"""Overrides in, plain data out: the one place that talks to Hydra."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, get_args, get_type_hints

import yaml
from hydra import compose as hydra_compose
from hydra import initialize
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, MissingConfigException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from hwds.config.source import filled, register
from hwds.errors import ConfigError, nearest
from hwds.recipe import Recipe
from hwds.registry import PACKAGES, options, resolve

ROOT = ("seed", "size", "rivals", "save_model")


@contextmanager
def plain_errors() -> Iterator[None]:
    """Hydra's and OmegaConf's refusals in the house's one-line shape."""
    try:
        yield
    except MissingConfigException as error:
        raise _missing(error) from error
    except yaml.YAMLError as error:
        raise ConfigError(" ".join(str(error).split())) from error
    except (HydraException, OmegaConfBaseException) as error:
        raise _refused(error) from error
    except (ValueError, KeyError) as error:  # `model=null`, `~features`
        raise ConfigError(f"{str(error).strip(chr(39))}: an option must be chosen.") from error


def _missing(error: MissingConfigException) -> ConfigError:
    group, _, option = (error.missing_cfg_file or "").partition("/")
    if not option:
        return ConfigError(" ".join(str(error).split()))
    return ConfigError(f"{group}: no option '{option}'{nearest(option, options(group))}")


def _refused(error: Exception) -> ConfigError:
    cause = error if isinstance(error, OmegaConfBaseException) else error.__cause__
    first = " ".join(str(error).split("\n")[0].split())
    if first.startswith("In '") and "Could not find" in first:
        return ConfigError(f"{first}.")
    if "An item is already at" in first:
        return ConfigError(f"{first.split(chr(39))[1]}: is there already; drop the '+'.")
    if first.startswith("Could not override '"):
        path = first.split("'")[1]
        group = path.split("@")[0]
        return ConfigError(f"no key '{path}'{nearest(group.split('.')[0], [*PACKAGES, *ROOT, 'experiment'])}") if "." not in path else _no_key(cause, path)
    return _no_key(cause, "") if getattr(cause, "full_key", None) else ConfigError(first or str(cause).split("\n")[0])


def _no_key(cause: BaseException | None, path: str) -> ConfigError:
    """The refusal of a key that its node does not have."""
    full = str(getattr(cause, "full_key", None) or path)
    where, _, key = full.rpartition(".")
    parent = getattr(cause, "parent_node", None)
    known = [str(name) for name in parent if name != "hydra"] if isinstance(parent, DictConfig) else []
    if key in known:
        return ConfigError(f"{full}: {str(cause).split(chr(10))[0]}.")
    return ConfigError(f"{where + ': ' if where else ''}no key '{key}'{nearest(key, known)}")


def compose(overrides: list[str]) -> dict[str, Any]:
    """One experiment as plain data, from outside a Hydra application.

    Raises:
        ConfigError: With the path, the value and the nearest right name.
    """
    register()
    with plain_errors(), initialize(version_base="1.3", config_path=None):
        config = hydra_compose("config", overrides, return_hydra_config=True)
        choices = dict(config.hydra.runtime.choices)
        OmegaConf.set_struct(config, False)
        config.pop("hydra")
    return plain(config, choices)


def plain_from_application(config: DictConfig) -> dict[str, Any]:
    """The same from inside one."""
    return plain(config, dict(HydraConfig.get().runtime.choices))


def plain(config: DictConfig, choices: Mapping[str, Any]) -> dict[str, Any]:
    """Resolved plain data, with rivals and members composed from the options they name.

    A rival that is the model itself is left out; the model takes its place.
    """
    with plain_errors():
        data: dict[str, Any] = OmegaConf.to_container(config, resolve=True, throw_on_missing=False)  # type: ignore[assignment]
    for group in PACKAGES:
        options(group)  # a user's option must not hide behind ours: the double is refused
    data = {key: expand(key, key, value) if key in PACKAGES and isinstance(value, dict) else value for key, value in data.items()}
    rivals = data.get("rivals") or []
    if not isinstance(rivals, list):
        raise ConfigError(f"rivals: must be a list of model options, got {rivals!r}.")
    composed = [option("model", f"rivals[{i}]", item) for i, item in enumerate(rivals)]
    own = data["model"]["name"] if isinstance(data.get("model"), dict) else None
    data["rivals"] = [node for node in composed if node["name"] != own]
    return data | {"experiment": choices.get("experiment") or "adhoc"}


def expand(group: str, path: str, node: dict[str, Any]) -> dict[str, Any]:
    """A node whose recipe-typed fields (a stack's members) are nodes too."""
    hints = get_type_hints(resolve(group, node["recipe"]))
    inner = {key for key, hint in hints.items() if any(isinstance(arg, type) and issubclass(arg, Recipe) for arg in get_args(hint))}
    composed = {key: [option(group, f"{path}.{key}[{i}]", item) for i, item in enumerate(node[key])] for key in inner if node.get(key)}
    return node | composed


def option(group: str, path: str, item: Any) -> dict[str, Any]:
    """`forecast/xgboost`, or `{forecast/xgboost: {trees: 500}}`, as a full node; changes become part of its label."""
    if isinstance(item, dict) and len(item) == 1 and isinstance(next(iter(item.values())), dict):
        name, changes = next(iter(item.items()))
    elif isinstance(item, str):
        name, changes = item, {}
    else:
        raise ConfigError(f"{path}: must be an option, or one option with its changes ({{NAME: {{key: value}}}}), got {item!r}.")
    if name not in options(group):
        raise ConfigError(f"{path}: no option '{name}'{nearest(str(name), options(group))}")
    with plain_errors():
        node = filled(group, name, OmegaConf.load(options(group)[name]) or OmegaConf.create({}))  # type: ignore[arg-type]
        data: dict[str, Any] = OmegaConf.to_container(OmegaConf.merge(node, changes), resolve=True)  # type: ignore[assignment]
    if changes:
        data["name"] += "(" + ",".join(f"{key}={value}" for key, value in sorted(changes.items())) + ")"
    return expand(group, path, data)
