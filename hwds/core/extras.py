"""Packages that come with extras: the extra of each, and the refusal where one is missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from typing import NamedTuple

from hwds.core.errors import ConfigError


class Package(NamedTuple):
    """A package that is not installed with hwds alone.

    Attributes:
        name: Its name in a package index.
        extra: The extra of hwds that installs it.
    """

    name: str
    extra: str


NOT_INSTALLED = "not installed"
"""The words of a remark on packages that a model does without."""

PACKAGES = {
    "boto3": Package("boto3", "aws"),
    "cryptography": Package("cryptography", "bundle"),
    "flatbuffers": Package("flatbuffers", "serve"),
    "grpc": Package("grpcio", "ray"),
    "holidays": Package("holidays", "holidays"),
    "httptools": Package("httptools", "serve"),
    "kafka": Package("kafka-python", "stream"),
    "keras": Package("keras", "networks"),
    "lifelines": Package("lifelines", "survival"),
    "mlflow": Package("mlflow", "mlflow"),
    "mlforecast": Package("mlforecast", "foreign"),
    "numpyro": Package("numpyro", "bayes"),
    "onnx": Package("onnx", "bundle"),
    "onnxruntime": Package("onnxruntime", "serve"),
    "opentelemetry.exporter.otlp.proto.http": Package(
        "opentelemetry-exporter-otlp-proto-http", "trace"
    ),
    "opentelemetry.sdk.trace": Package("opentelemetry-sdk", "trace"),
    "optuna": Package("optuna", "optuna"),
    "paho.mqtt": Package("paho-mqtt", "stream"),
    "pmdarima": Package("pmdarima", "classical"),
    "prometheus_client": Package("prometheus-client", "serve"),
    "ray": Package("ray", "ray"),
    "sklearn": Package("scikit-learn", "boosting"),
    "starlette": Package("starlette", "ui"),
    "statsforecast": Package("statsforecast", "classical"),
    "statsmodels": Package("statsmodels", "classical"),
    "tensorflow": Package("tensorflow", "networks"),
    "uvicorn": Package("uvicorn", "ui"),
    "wandb": Package("wandb", "wandb"),
    "xgboost": Package("xgboost", "boosting"),
    "xlsxwriter": Package("XlsxWriter", "xlsx"),
}
"""The packages of the extras, by the module that is imported."""


def missing_modules(modules: Iterable[str]) -> tuple[str, ...]:
    """Return the modules that are not installed, without importing one."""
    return tuple(name for name in modules if not _is_installed(name))


def require_installed(needs: Mapping[str, Iterable[str]]) -> None:
    """Refuse what needs modules that are not installed.

    Args:
        needs: The modules by what needs them, as the user said it: `model.recipe:
            'forecast/xgboost'`.

    Raises:
        ConfigError: Some are missing, with the command that installs all of them.
    """
    missing: list[str] = []
    needed: list[str] = []
    for place, modules in needs.items():
        if new := [name for name in missing_modules(modules) if name not in missing]:
            missing += new
            needed.append(f"{place} needs {package_names(new)}")
    if missing:
        raise ConfigError(f"{'; '.join(needed)}: {install_command(missing)}.")


def install_command(modules: Iterable[str]) -> str:
    """Return `pip install 'hwds[boosting,networks]'`; a module that no extra has is a package of
    its name.
    """
    modules = list(modules)
    extras = [f"'hwds[{','.join(extras_of(modules))}]'"] if extras_of(modules) else []
    return " ".join(["pip install", *extras, *(name for name in modules if name not in PACKAGES)])


def extras_of(modules: Iterable[str]) -> tuple[str, ...]:
    """Return the extras that have the packages of modules, sorted, each once."""
    return tuple(sorted({PACKAGES[name].extra for name in modules if name in PACKAGES}))


def package_names(modules: Iterable[str]) -> str:
    """Return the packages of modules as a list in words."""
    *most, last = (PACKAGES[name].name if name in PACKAGES else name for name in modules)
    return f"{', '.join(most)} and {last}" if most else last


def _is_installed(module: str) -> bool:
    """Return whether a module can be imported; a mere folder of its name is none, as W&B leaves one
    in the current folder.
    """
    try:
        spec = find_spec(module)
    except ModuleNotFoundError:  # a package around it is not there
        return False
    return spec is not None and spec.origin is not None
