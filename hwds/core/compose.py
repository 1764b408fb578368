"""YAML and overrides to plain data, and back to YAML: the one module that calls Hydra."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache, lru_cache
from io import StringIO
from pathlib import Path
from typing import Any, get_args, get_type_hints

import yaml
from hydra import compose as hydra_compose
from hydra import initialize_config_module
from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra._internal.core_plugins.importlib_resources_config_source import (
    ImportlibResourcesConfigSource,
)
from hydra.conf import HydraConf
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.config_store import ConfigNode, ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from hydra.plugins.config_source import ConfigResult
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from omegaconf.resolvers import oc

from hwds.core.config import changed_label, recipe_kind, refuse_left_over, typed_paths
from hwds.core.errors import ConfigError, nearest
from hwds.core.recipe import Recipe, Written, show_value
from hwds.core.registry import GROUPS, conf_dirs, no_option, options, resolve_node
from hwds.core.secrets import given_by_environment, remember
from hwds.core.settings import check_yaml, read_yaml, utf8_text

GROUPS_OF_OPTIONS = (*GROUPS, "experiment")

# Hydra's source of the YAML files: an option is merged over its recipe's defaults, so that
# every field can be overridden.


class OptionSource(FileConfigSource):
    """The source `hwds://DIR`: the files of DIR, each option merged over the defaults of its
    recipe.
    """

    @staticmethod
    def scheme() -> str:
        """Return the scheme of its paths."""
        return "hwds"

    def load_config(self, config_path: str) -> ConfigResult:
        """Return a file of DIR; an option's node has every field of its recipe."""
        file = Path(self.path, self._normalize_file_name(config_path))
        group, _, option = config_path.removesuffix(".yaml").partition("/")
        if group in GROUPS and option:
            node = read_option(group, option, file)
            header = self._get_header_dict(file.read_text(encoding="utf-8"))
            return ConfigResult(self.provider, f"{self.scheme()}://{self.path}", node, header)
        if not file.is_file():
            return super().load_config(config_path)  # Hydra says so
        text = checked_text(file)
        content = deepcopy(_parse_yaml(text))  # Hydra takes the defaults list out of it
        result = ConfigResult(
            self.provider, f"{self.scheme()}://{self.path}", content, self._get_header_dict(text)
        )
        if group == "experiment":
            refuse_hydra(config_path, result)
        return result

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        """Return the options, nested folders included, for `model=glob(forecast/*)` and
        completion.
        """
        if results_filter is not ObjectType.CONFIG or config_path not in GROUPS:
            return list(super().list(config_path, results_filter))
        folder = Path(self.path, config_path)
        return sorted(
            file.relative_to(folder).with_suffix("").as_posix() for file in folder.rglob("*.yaml")
        )


@lru_cache(maxsize=256)
def _parse_yaml(text: str) -> Any:
    return OmegaConf.load(StringIO(text))


class HydraSource(ImportlibResourcesConfigSource):
    """The source `hydra://hydra.conf`: Hydra's own files, parsed once in a process."""

    @staticmethod
    def scheme() -> str:
        """Return the scheme of its paths."""
        return "hydra"

    def load_config(self, config_path: str) -> ConfigResult:
        """Return a copy of a file of Hydra's."""
        return deepcopy(_own_file(self.provider, self.path, config_path))


@cache
def _own_file(provider: str, package: str, config_path: str) -> ConfigResult:
    return ImportlibResourcesConfigSource(provider, f"pkg://{package}").load_config(config_path)


class OptionSearchPath(SearchPathPlugin):
    """The search path: Hydra's own files, the packaged options, then the user's."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Add every conf folder."""
        entries = search_path.get_path()
        entries[:] = [
            entry for entry in entries if entry.provider != "main"
        ]  # the package itself holds no options
        for entry in entries:
            if entry.provider == "hydra":
                entry.path = f"{HydraSource.scheme()}://hydra.conf"
        for folder in conf_dirs():
            search_path.append("hwds", f"hwds://{folder}")


def of_environment(name: str, *default: Any) -> Any:
    """Return what `${oc.env:NAME}` is.

    The value is a secret from then on, unless it names an option.
    """
    value = oc.env(name, *default)
    if not any(value in options(group) for group in GROUPS_OF_OPTIONS):
        remember(name)
    return value


def register(*, application: bool = False) -> None:
    """Register these with Hydra, and the resolver of secrets.

    Args:
        application: Whether a Hydra application composes. It alone reads Hydra's launcher, sweeper,
            logging and help, and composing without them takes a third less.
    """
    ConfigStore.instance().repo["hydra"]["config.yaml"] = _own_config(application)
    OmegaConf.register_new_resolver("oc.env", of_environment, replace=True)
    for plugin in (OptionSource, HydraSource, OptionSearchPath):
        Plugins.instance().register(plugin)


@cache
def _own_config(application: bool) -> ConfigNode:
    node = OmegaConf.structured(HydraConf() if application else HydraConf(defaults=[]))
    return ConfigNode(name="config.yaml", node=node, group="hydra", package=None, provider="hydra")


def read_option(group: str, option: str, file: Path) -> DictConfig:
    """Return the node of an option: its file over the defaults of the recipe that it names, or that
    has its name.

    A text is parsed once. The node is shared: merge it, and do not change it.

    Raises:
        ConfigError: The file is no mapping of the recipe's fields, or its anchors make it too
            large.
    """
    text = checked_text(file)
    recipe: Any = resolve_node(group, group, _content(group, option, file, text))
    return _fill_defaults(group, option, file, text, recipe)


@lru_cache(maxsize=1024)
def _content(group: str, option: str, file: Path, text: str) -> dict[str, Any]:
    """Return what an option's file says, as it stood, with its name and its recipe."""
    plain = OmegaConf.to_container(OmegaConf.load(StringIO(text)) or OmegaConf.create({}))
    if not isinstance(plain, dict):
        raise ConfigError(f"{group}/{option}.yaml: must be a mapping, got {plain!r}.")
    if "defaults" in plain:
        raise ConfigError(
            f"{group}/{option}.yaml: an option has no defaults list; name a class with 'recipe:' "
            f"and change its fields."
        )
    return {"name": option, "recipe": option} | {str(key): value for key, value in plain.items()}


@lru_cache(maxsize=1024)
def _fill_defaults(group: str, option: str, file: Path, text: str, recipe: type) -> DictConfig:
    """Return the node over the defaults of its recipe."""
    node, usual = _content(group, option, file, text), defaults(recipe)
    unknown = next((key for key in node if key not in usual and key != "recipe"), None)
    if unknown is not None:
        raise ConfigError(f"{group}/{option}.yaml: no key '{unknown}'{nearest(unknown, usual)}")
    config = OmegaConf.create(usual)
    config.merge_with(node)
    return config


def checked_text(file: Path) -> str:
    """Return the text of a file, refused where it is no YAML, or too large once its anchors are
    followed.

    Raises:
        ConfigError: It is refused.
    """
    try:
        text = utf8_text(file)
        check_yaml(text, file)
    except ValueError as error:
        raise ConfigError(f"{error}.") from error
    return text


def refuse_hydra(path: str, file: ConfigResult) -> None:
    """Refuse an experiment that changes Hydra itself: its callbacks are functions that run before
    any check.

    Raises:
        ConfigError: It has a node `hydra`, is packaged as one, or overrides one of its groups.
    """
    package = str((file.header or {}).get("package") or "").partition(".")[0]
    content: Any = OmegaConf.to_container(file.config, resolve=False)
    entries = content.get("defaults") or [] if isinstance(content, dict) else []
    keys = [str(key) for entry in entries if isinstance(entry, dict) for key in entry]
    groups = [key.removeprefix("override ").lstrip("/").partition("/")[0] for key in keys]
    if "hydra" in (package, *groups, *content):
        raise ConfigError(
            f"{path}: an experiment may not change 'hydra'; say it in the command (hydra.KEY=...)."
        )


def defaults(cls: type) -> dict[str, Any]:
    """Return the defaults of a recipe as plain data; `???` where a value must be given.

    Mappings accept new keys.
    """
    return {field.name: _plain_default(field) for field in fields(cls)}


def _plain_default(field: Field[Any]) -> Any:
    value = field.default_factory() if field.default_factory is not MISSING else field.default
    if value is MISSING:
        return "???"
    if is_dataclass(value) and not isinstance(value, type):
        return defaults(type(value))
    if isinstance(value, dict):
        return DictConfig(value, flags={"struct": False})
    return list(value) if isinstance(value, tuple) else value


# Composition of overrides into plain data: the one module that calls Hydra.

ROOT_KEYS = (
    "name",
    "tags",
    "note",
    "seed",
    "size",
    "rivals",
    "inputs",
    "save_model",
    "decision_pack",
    "pictures",
)
UNSHOWN = ("hydra", "name", "recipe")
"""Keys that are not listed in a refusal."""


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turn Hydra's and OmegaConf's errors within the block into refusals of one line."""
    try:
        yield
    except MissingConfigException as error:
        raise _missing_config(error) from error
    except yaml.YAMLError as error:
        raise ConfigError(" ".join(str(error).split()) + ".") from error
    except OverrideParseException as error:
        why = str(error).split("\n")[0].removeprefix("LexerNoViableAltException: ")
        raise ConfigError(f"'{error.override}': is not path.to.key=value ({why}).") from error
    except (HydraException, OmegaConfBaseException) as error:
        raise _hydra_refusal(error) from error
    except (
        ValueError,
        KeyError,
        OSError,
    ) as error:  # `-m model=null,x`; a YAML that holds one word
        raise ConfigError(f"{' '.join(str(error).split()).strip(chr(39))}.") from error


ELSEWHERE = {
    "hydra/sweeper": "sweep=random, grid, optuna, bohb or asha search, and -m runs every "
    "combination of listed values",
    "hydra/launcher": "compute=processes, ray or cluster runs the cells of each run side by side",
}
"""Groups of Hydra whose plugins are not used, with what does the same."""


def refuse_no_option(overrides: list[str]) -> None:
    """Refuse a value of a group that is not the name of an option (`model=null`), for which Hydra
    would name no path.

    Raises:
        ConfigError: With the options.
    """
    with plain_errors():
        parsed = [_parse_override(word) for word in overrides if not word.startswith("-")]
    for override in parsed:
        key = override.key_or_group
        if not key:
            raise ConfigError(f"'{override.input_line}': is not path.to.key=value.")
        if instead := ELSEWHERE.get("/".join(key.split(".")[:2])):
            raise ConfigError(f"{key}: hwds has its own; {instead}.")
        if override.is_interval_sweep():
            raise ConfigError(
                f"{key}: an interval is searched by sweep=random "
                f"sweep.space.{key}.uniform=[low,high]."
            )
        if key not in GROUPS_OF_OPTIONS or override.is_delete() or override.is_sweep_override():
            continue
        if override.is_force_add():
            raise ConfigError(
                f"{key}: '{override.input_line}' has a '+' too many; a group takes {key}=OPTION."
            )
        if override.is_add() and key != "experiment":
            raise ConfigError(f"{key}: is there already; drop the '+'.")
        value = override.value()
        if not isinstance(value, str) or not value:
            raise ConfigError(
                f"{key}: must be an option, got {show_value(value)}; options: "
                f"{', '.join(options(key))}."
            )
        if ".." in value.split("/") or value.startswith("/"):
            raise no_option(key, key, value)


@lru_cache(maxsize=1024)
def _parse_override(word: str) -> Override:
    (parsed,) = OverridesParser.create().parse_overrides([word])
    return parsed


def quote_override(word: str) -> str:
    """Return an override whose values with letters beyond ASCII are quoted, which Hydra's grammar
    wants: `a='Größe'`.
    """
    key, equals, value = word.partition("=")
    if value.isascii() or any(mark in value for mark in "'\"\\"):
        return word
    return (
        key
        + equals
        + re.sub(r"[^\s,:=\[\]{}()]*[^\x00-\x7f][^\s,:=\[\]{}()]*(?!\s*:)", r"'\g<0>'", value)
    )


def _missing_config(error: MissingConfigException) -> ConfigError:
    group, _, option = (error.missing_cfg_file or "").partition("/")
    if not option:
        return ConfigError(" ".join(str(error).split("Check that")[0].split()))
    return no_option(group, group, option)


def _hydra_refusal(error: Exception) -> ConfigError:
    cause = error if isinstance(error, OmegaConfBaseException) else error.__cause__
    first = " ".join(str(error).split("\n")[0].split())
    quoted = first.split("'")[1] if first.count("'") > 1 else ""
    if first.startswith("Ambiguous value for argument"):
        path, _, values = quoted.partition("=")
        return ConfigError(
            f"{path}: '{values}' is several values; -m runs each of them, [{values}] is a list."
        )
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
    return ConfigError(f"no key '{key}'{nearest(group, [*GROUPS, *ROOT_KEYS, 'experiment'])}")


def _no_key(cause: BaseException | None, path: str) -> ConfigError:
    """Return the refusal of a key that its node does not have."""
    full = str(getattr(cause, "full_key", None) or path)
    where, _, key = full.rpartition(".")
    parent = getattr(cause, "parent_node", None)
    names = (
        [str(name) for name in parent if name not in UNSHOWN]
        if isinstance(parent, DictConfig)
        else []
    )
    if key in names:
        return ConfigError(f"{full}: {str(cause).split(chr(10))[0].rstrip('.')}.")
    if not where:
        return _no_root(key)
    if full.startswith("sweep.") and str(getattr(parent, "name", "")) == "none":
        return ConfigError(
            f"{full}: needs a search, such as sweep=random; sweep=none tries nothing."
        )
    return ConfigError(f"{where}: no key '{key}'{nearest(key, names)}")


def compose(overrides: list[str], typed: Sequence[str] | None = None) -> dict[str, Any]:
    """Return one experiment as plain data, from outside a Hydra application.

    Args:
        overrides: Words such as `model.trees=200`.
        typed: The words whose settings `size=small` leaves as they are; all where it is None.

    Raises:
        ConfigError: With the path, the value and the nearest right name.
    """
    register()
    overrides = [quote_override(word) for word in overrides]
    refuse_no_option(overrides)
    with plain_errors(), initialize_config_module("hwds", version_base="1.3"):
        config = hydra_compose("config", overrides, return_hydra_config=True)
        HydraConfig.instance().set_config(config)  # for `${hydra:...}`
        choices = dict(config.hydra.runtime.choices)
        OmegaConf.set_struct(config, False)
        config.pop("hydra")
    return plain_data(config, choices, overrides if typed is None else typed)


def plain_from_application(config: DictConfig) -> dict[str, Any]:
    """Return one experiment as plain data, from inside a Hydra application."""
    hydra = HydraConfig.get()
    return plain_data(config, dict(hydra.runtime.choices), list(hydra.overrides.task))


def plain_data(
    config: DictConfig, choices: Mapping[str, Any], typed: Sequence[str]
) -> dict[str, Any]:
    """Return resolved plain data, with rivals and members composed from the options they name.

    A rival that is the model itself is left out; the model takes its place. Under `size=small` the
    data has `uncapped`, the paths of the settings that the words in `typed` set.
    """
    with plain_errors():
        data: dict[str, Any] = OmegaConf.to_container(config, resolve=True, throw_on_missing=False)  # type: ignore[assignment]
    uncapped: dict[str, Any] = {}
    if (
        data.get("size") == "small"
    ):  # the YAML of a sweep's best names the paths that were typed then
        uncapped = {"uncapped": sorted({*(data.get("uncapped") or ()), *typed_paths(data, typed)})}
    for group in GROUPS_OF_OPTIONS:
        options(group)  # a user's option must not hide behind ours: the double is refused
    nodes = {
        group: expand(group, group, node)
        for group in GROUPS
        if isinstance(node := data.get(group), dict)
    }
    data |= nodes
    for group, node in nodes.items():
        if not node.get("name"):
            raise ConfigError(f"{group}.name: must be given; it is the label in every table.")
    refuse_left_over(data, choices.get("experiment") or "")
    rivals = data.get("rivals") or []
    if not isinstance(rivals, list):
        raise ConfigError(f"rivals: must be a list of model options, got {show_value(rivals)}.")
    composed = [option("model", f"rivals[{i}]", item) for i, item in enumerate(rivals)]
    labels = {f"{group}.name": node["name"] for group, node in nodes.items()}
    labels |= {f"rivals[{i}]": node["name"] for i, node in enumerate(composed)}
    secret = next(
        (path for path, label in labels.items() if given_by_environment(str(label))), None
    )
    if secret:
        raise ConfigError(
            f"{secret}: must not hold the value of an environment variable; it is the label in "
            f"every table."
        )
    model = labels.get("model.name")
    data["rivals"] = [node for node in composed if node["name"] != model]
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
            f"name: must be at most 80 letters, digits, '.', '_' and '-', and begin with a "
            f"letter, got {show_value(name)}."
        )
    return name


def expand(group: str, path: str, node: dict[str, Any]) -> dict[str, Any]:
    """Return a node whose recipe-typed fields (a stack's members) are nodes, too."""
    owner: Any = resolve_node(group, path, node)
    several, single = _members(owner)
    written = _file_groups(owner)
    composed: dict[str, Any] = {}
    for key, value in node.items():
        where = f"{path}.{key}"
        if key in several and isinstance(value, list):
            composed[key] = [option(group, f"{where}[{i}]", item) for i, item in enumerate(value)]
        elif key in several - single and value not in (None, "???"):
            raise ConfigError(
                f"{where}: must be a list of {group} options, got {show_value(value)}."
            )
        elif key in single and _is_option(group, value):
            composed[key] = option(group, where, value)
        elif key in written and isinstance(value, str) and value != "???":
            composed[key] = written_values(written[key], where, value)
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
        raise ConfigError(f"{group}/{name}.yaml: must be a mapping, got {show_value(values)}.")
    return values


@cache
def _file_groups(owner: type) -> dict[str, str]:
    """Return the fields of a recipe whose value may be written in a file, each with the group of
    the file.
    """
    marks = {
        key: getattr(hint, "__metadata__", ())
        for key, hint in get_type_hints(owner, include_extras=True).items()
    }
    return {key: mark.group for key in marks for mark in marks[key] if isinstance(mark, Written)}


@cache
def _members(owner: type) -> tuple[frozenset[str], frozenset[str]]:
    """Return the fields of a recipe that hold several recipes of its kind, and those that hold
    one.
    """
    hints = get_type_hints(owner)
    several = frozenset(
        key
        for key, hint in hints.items()
        if any(_is_same_kind(arg, owner) for arg in get_args(hint))
    )
    return several, frozenset(key for key, hint in hints.items() if _is_same_kind(hint, owner))


def _is_option(group: str, value: Any) -> bool:
    """Return whether a value names an option, alone or with its changes."""
    if isinstance(value, str):
        return value != "???"
    return isinstance(value, dict) and len(value) == 1 and next(iter(value)) in options(group)


def _is_same_kind(arg: Any, owner: type) -> bool:
    """Return whether a type is of the owner's kind, so that it takes the same options."""
    return (
        isinstance(arg, type) and issubclass(arg, Recipe) and recipe_kind(arg) == recipe_kind(owner)
    )


def option(group: str, path: str, item: Any) -> dict[str, Any]:
    """Return `forecast/xgboost`, or `{forecast/xgboost: {trees: 500}}`, as a full node.

    Changes become part of its label.
    """
    if isinstance(item, dict) and len(item) == 1 and isinstance(next(iter(item.values())), dict):
        name, changes = next(iter(item.items()))
    elif isinstance(item, str):
        name, changes = item, {}
    else:
        raise ConfigError(
            f"{path}: must be an option, or one option with its changes ({{NAME: {{key: "
            f"value}}}}), got {show_value(item)}."
        )
    if name not in options(group):
        raise no_option(group, path, str(name))
    with plain_errors():
        node = read_option(group, name, options(group)[name])
        data: dict[str, Any] = OmegaConf.to_container(OmegaConf.merge(node, changes), resolve=True)  # type: ignore[assignment]
    data["name"] = changed_label(data["name"], changes)
    return expand(group, path, data)


# A composed config as the YAML of an experiment: its options, and its differences from them.

CHOSEN = ("dataset", "features", "model", "protocol", "decision")
"""The groups that belong to an experiment; compute, sweep and tracker do not."""

ROOT_DEFAULTS = {
    "seed": 0,
    "size": "full",
    "inputs": [],
    "save_model": "none",
    "decision_pack": "none",
    "pictures": "auto",
    "uncapped": [],
}
"""The root values with their defaults."""


def as_experiment(data: Mapping[str, Any], command: str, *notes: str) -> str:
    """Return the text of an experiment's file that composes to this config.

    Args:
        data: The composed config.
        command: The command that uses the file.
        notes: Further lines of comment.
    """
    comments = ["# @package _global_", f"# {command}", *(f"# {line}" for line in notes)]
    node: dict[str, Any] = {
        "defaults": [{f"override /{group}": option_of(group, data[group])} for group in CHOSEN]
    }
    node |= {
        key: data[key] for key, usual in ROOT_DEFAULTS.items() if data.get(key, usual) != usual
    }
    node |= {
        group: changes for group in CHOSEN if (changes := changes_from_option(group, data[group]))
    }
    if data["rivals"]:
        node["rivals"] = [as_choice("model", rival) for rival in data["rivals"]]
    text = yaml.safe_dump(node, sort_keys=False, allow_unicode=True, width=120)
    return "\n".join(comments) + f"\n{text}"


def option_of(group: str, node: Mapping[str, Any]) -> str:
    """Return the option of a node: `forecast/xgboost` of one labelled
    `forecast/xgboost(trees=500)`.
    """
    name = str(node["name"])
    return name if name in options(group) else name.partition("(")[0]


def changes_from_option(group: str, node: Mapping[str, Any]) -> dict[str, Any]:
    """Return the differences of a node from its option."""
    changed = _changes(group, node, option(group, group, option_of(group, node)))
    changed.pop("name", None)
    return changed


def as_choice(group: str, node: Mapping[str, Any]) -> str | dict[str, Any]:
    """Return a node as an item of a list of rivals or members: the option, or the option with its
    changes.
    """
    name, changes = option_of(group, node), changes_from_option(group, node)
    return {name: changes} if changes else name


def _changes(group: str, node: Mapping[str, Any], usual: Mapping[str, Any]) -> dict[str, Any]:
    found = {}
    for key, value in node.items():
        before = usual.get(key)
        if value == before:
            continue
        if isinstance(value, Mapping) and "recipe" not in value and isinstance(before, Mapping):
            found[key] = _changes(group, value, before)
        else:
            found[key] = _option_names(group, value)
    return found


def _option_names(group: str, value: Any) -> Any:
    """Return a value in which nodes are replaced by their options' names."""
    if isinstance(value, Mapping) and "recipe" in value:
        return as_choice(group, value)
    return (
        [_option_names(group, item) for item in value] if isinstance(value, list | tuple) else value
    )
