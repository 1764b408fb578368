"""Hydra's source of the YAML files: an option is merged over its recipe's defaults, so that every field can be overridden."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache, lru_cache
from io import StringIO
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra._internal.core_plugins.importlib_resources_config_source import ImportlibResourcesConfigSource
from hydra.conf import HydraConf
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.config_store import ConfigNode, ConfigStore
from hydra.core.object_type import ObjectType
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigResult
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import DictConfig, OmegaConf
from omegaconf.resolvers import oc

from hwds.core.errors import ConfigError, nearest
from hwds.core.registry import GROUPS, conf_dirs, options, resolve_node
from hwds.core.secrets import remember
from hwds.core.yaml_text import check_yaml, text_of


class OptionSource(FileConfigSource):
    """The source `hwds://DIR`: the files of DIR, each option merged over the defaults of its recipe."""

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
        content = deepcopy(_parsed(text))  # Hydra takes the defaults list out of it
        result = ConfigResult(self.provider, f"{self.scheme()}://{self.path}", content, self._get_header_dict(text))
        if group == "experiment":
            refuse_hydra(config_path, result)
        return result

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        """Return the options, nested folders included, for `model=glob(forecast/*)` and completion."""
        if results_filter is not ObjectType.CONFIG or config_path not in GROUPS:
            return list(super().list(config_path, results_filter))
        folder = Path(self.path, config_path)
        return sorted(file.relative_to(folder).with_suffix("").as_posix() for file in folder.rglob("*.yaml"))


@lru_cache(maxsize=256)
def _parsed(text: str) -> Any:
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
        entries[:] = [entry for entry in entries if entry.provider != "main"]  # the package itself holds no options
        for entry in entries:
            if entry.provider == "hydra":
                entry.path = f"{HydraSource.scheme()}://hydra.conf"
        for folder in conf_dirs():
            search_path.append("hwds", f"hwds://{folder}")


def of_environment(name: str, *default: Any) -> Any:
    """Return what `${oc.env:NAME}` is; the value is a secret from then on, unless it names an option."""
    value = oc.env(name, *default)
    if not any(value in options(group) for group in (*GROUPS, "experiment")):
        remember(name)
    return value


def register(*, application: bool = False) -> None:
    """Register these with Hydra, and the resolver of secrets.

    Args:
        application: Whether a Hydra application composes. It alone reads Hydra's launcher, sweeper, logging and help, and
            composing without them takes a third less.
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
    """Return the node of an option: its file over the defaults of the recipe that it names, or that has its name.

    A text is parsed once. The node is shared: merge it, and do not change it.

    Raises:
        ConfigError: The file is no mapping of the recipe's fields, or its anchors make it too large.
    """
    text = checked_text(file)
    recipe: Any = resolve_node(group, group, _content(group, option, file, text))
    return _filled(group, option, file, text, recipe)


@lru_cache(maxsize=1024)
def _content(group: str, option: str, file: Path, text: str) -> dict[str, Any]:
    """Return what an option's file says, as it stood, with its name and its recipe."""
    plain = OmegaConf.to_container(OmegaConf.load(StringIO(text)) or OmegaConf.create({}))
    if not isinstance(plain, dict):
        raise ConfigError(f"{group}/{option}.yaml: must be a mapping, got {plain!r}.")
    if "defaults" in plain:
        raise ConfigError(
            f"{group}/{option}.yaml: an option has no defaults list; name a class with 'recipe:' and change its fields."
        )
    return {"name": option, "recipe": option} | {str(key): value for key, value in plain.items()}


@lru_cache(maxsize=1024)
def _filled(group: str, option: str, file: Path, text: str, recipe: type) -> DictConfig:
    """Return the node over the defaults of its recipe."""
    node, known = _content(group, option, file, text), defaults(recipe)
    unknown = next((key for key in node if key not in known and key != "recipe"), None)
    if unknown is not None:
        raise ConfigError(f"{group}/{option}.yaml: no key '{unknown}'{nearest(unknown, known)}")
    config = OmegaConf.create(known)
    config.merge_with(node)
    return config


def checked_text(file: Path) -> str:
    """Return the text of a file, refused where it is no YAML, or too large once its anchors are followed.

    Raises:
        ConfigError: It is refused.
    """
    try:
        text = text_of(file)
        check_yaml(text, file)
    except ValueError as error:
        raise ConfigError(f"{error}.") from error
    return text


def refuse_hydra(path: str, file: ConfigResult) -> None:
    """Refuse an experiment that changes Hydra itself: its callbacks are functions that run before any check.

    Raises:
        ConfigError: It has a node `hydra`, is packaged as one, or overrides one of its groups.
    """
    package = str((file.header or {}).get("package") or "").partition(".")[0]
    content: Any = OmegaConf.to_container(file.config, resolve=False)
    entries = content.get("defaults") or [] if isinstance(content, dict) else []
    keys = [str(key) for entry in entries if isinstance(entry, dict) for key in entry]
    groups = [key.removeprefix("override ").lstrip("/").partition("/")[0] for key in keys]
    if "hydra" in (package, *groups, *content):
        raise ConfigError(f"{path}: an experiment may not change 'hydra'; say it in the command (hydra.KEY=...).")


def defaults(cls: type) -> dict[str, Any]:
    """Return the defaults of a recipe as plain data; `???` where a value must be given; mappings accept new keys."""
    return {field.name: _plain(field) for field in fields(cls)}


def _plain(field: Field[Any]) -> Any:
    value = field.default_factory() if field.default_factory is not MISSING else field.default
    if value is MISSING:
        return "???"
    if is_dataclass(value) and not isinstance(value, type):
        return defaults(type(value))
    if isinstance(value, dict):
        return DictConfig(value, flags={"struct": False})
    return list(value) if isinstance(value, tuple) else value
