"""Where Hydra reads our YAML: an option is laid over its recipe's defaults, so that every field can be overridden."""

from __future__ import annotations

from dataclasses import MISSING, Field, fields, is_dataclass
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.object_type import ObjectType
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigResult
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import DictConfig, OmegaConf

from hwds.errors import ConfigError
from hwds.registry import PACKAGES, conf_dirs, resolve_node


class OptionSource(FileConfigSource):
    """`hwds://DIR`: the files of DIR, each option laid over the defaults of its recipe."""

    @staticmethod
    def scheme() -> str:
        """The scheme of its paths."""
        return "hwds"

    def load_config(self, config_path: str) -> ConfigResult:
        """A file of DIR; an option's node has every field of its recipe."""
        result = super().load_config(config_path)
        group, _, option = config_path.removesuffix(".yaml").partition("/")
        if group in PACKAGES and option:
            result.config = filled(group, option, result.config)
        return result

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        """Options in nested folders too, so that `model=glob(forecast/*)` and completion see them."""
        if results_filter is not ObjectType.CONFIG or config_path not in PACKAGES:
            return list(super().list(config_path, results_filter))
        folder = Path(self.path, config_path)
        return sorted(file.relative_to(folder).with_suffix("").as_posix() for file in folder.rglob("*.yaml"))


class OptionSearchPath(SearchPathPlugin):
    """The packaged options, then the user's own."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Add every conf folder."""
        entries = search_path.get_path()
        entries[:] = [entry for entry in entries if entry.provider != "main"]  # the package itself holds no options
        for folder in conf_dirs():
            search_path.append("hwds", f"hwds://{folder}")


def register() -> None:
    """Make Hydra know both; doing it twice does no harm."""
    for plugin in (OptionSource, OptionSearchPath):
        Plugins.instance().register(plugin)


def filled(group: str, option: str, delta: Any) -> DictConfig:
    """The node of an option: its delta over the defaults of the recipe that it names, or that bears its name."""
    plain = OmegaConf.to_container(delta)
    if not isinstance(plain, dict):
        raise ConfigError(f"{group}/{option}.yaml: must be a mapping, got {plain!r}.")
    if "defaults" in plain:
        raise ConfigError(
            f"{group}/{option}.yaml: an option has no defaults list; name a class with 'recipe:' and change its fields."
        )
    node = {"name": option, "recipe": option} | {str(key): value for key, value in plain.items()}
    config = OmegaConf.create(defaults(resolve_node(group, group, node)))
    config.merge_with(node)
    return config


def defaults(cls: type) -> dict[str, Any]:
    """The fields of a recipe as plain data; `???` where a value must be given; a mapping stays open for new keys."""
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
