"""A Ray cluster that runs already, no disk shared; an object store beside the local disk."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator

from hwds.core.cache import NO_INPUTS, Cache, Codec, Value
from hwds.core.errors import ConfigError, HwdsError
from hwds.core.files import OUTPUTS, write_bytes
from hwds.core.registry import PACKAGE, conf_dirs
from hwds.evaluation.cells import CellCache
from hwds.evaluation.protocol import Device
from hwds.evaluation.ray.executor import OnRay, cpu_of_nodes, join_ray, worker_variables
from hwds.evaluation.ray.head import require_reachable, watch_head

# Entries of the cache and result folders in an object store beside the local disk: S3, GCS,
# HDFS or a mounted folder.

BELOW = "cache/cells"
"""The prefix of entries in a store."""


@dataclass(frozen=True)
class MirroredCache(Cache):
    """A cache whose entries lie in an object store too; an entry that is absent or damaged here is
    fetched from there.

    Attributes:
        url: The address of the store, the folder of all outputs.
    """

    url: str

    @cached_property
    def stored(self) -> dict[str, str]:
        """The paths in the store by name, as of the first look, and those that this process has
        stored.
        """
        return {Path(path).name: path for path in files_below(self.url, BELOW)}

    def has(self, key: str, codec: Codec[Value]) -> bool:
        """Return whether an entry is here or in the store."""
        return super().has(key, codec) or self.path(key, codec).name in self.stored

    def keys(self, beginning: str, codec: Codec[Value]) -> list[str]:
        """Return the keys that begin so of entries that are here or in the store."""
        names = (Path(name) for name in self.stored if name.startswith(beginning))
        remote = {path.stem for path in names if path.suffix == f".{codec.suffix}"}
        return sorted({*super().keys(beginning, codec), *remote})

    def load(self, key: str, codec: Codec[Value]) -> Value | None:
        """Return the value of an entry from here, or fetched from the store.

        One that is damaged there counts as absent.
        """
        value, path = super().load(key, codec), self.path(key, codec)
        if value is not None or path.name not in self.stored:
            return value
        write_bytes(path, fetch(self.url, self.stored[path.name]))
        value = super().load(key, codec)
        if value is None:
            del self.stored[path.name]
        return value

    def store(
        self, key: str, codec: Codec[Value], value: Value, inputs: Mapping[str, str] = NO_INPUTS
    ) -> None:
        """Keep a value here, then in the store."""
        super().store(key, codec, value, inputs)
        path = self.path(key, codec)
        self.stored[path.name] = send(
            self.url, f"{BELOW}/{path.parent.name}/{path.name}", path.read_bytes()
        )


def upload(folder: Path, url: str) -> None:
    """Copy a folder of results to the same place below a store's URL, without locks and
    half-written files.
    """
    base = OUTPUTS.resolve()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.name.startswith("."):
            send(url, path.relative_to(base).as_posix(), path.read_bytes())


def files_below(url: str, folder: str) -> list[str]:
    """Return the paths of all files in a folder of a store; none where it is not there."""
    from pyarrow.fs import FileSelector, FileType

    system, base = _open_store(url)
    with _in_one_line(url):
        files = system.get_file_info(
            FileSelector(f"{base}/{folder}", allow_not_found=True, recursive=True)
        )
    return [info.path for info in files if info.type == FileType.File]


def fetch(url: str, path: str) -> bytes:
    """Return the content of a file of a store."""
    system, _ = _open_store(url)
    with _in_one_line(url), system.open_input_stream(path) as stream:
        content: bytes = stream.read()
    return content


def send(url: str, name: str, content: bytes) -> str:
    """Write a file below a store's URL, whole or not at all, and return its path in the store."""
    from pyarrow.fs import LocalFileSystem

    system, base = _open_store(url)
    path = f"{base}/{name}"
    if isinstance(system, LocalFileSystem):  # an object store has no half files, a disk has
        write_bytes(Path(path), content)
        return path
    with _in_one_line(url), system.open_output_stream(path) as stream:
        stream.write(content)
    return path


@cache
def _open_store(url: str) -> tuple[Any, str]:
    """Return the file system of a URL, and the path in it.

    Raises:
        ConfigError: The URL is of no known kind.
    """
    import pyarrow
    from pyarrow.fs import FileSystem

    try:
        system, base = FileSystem.from_uri(url)
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise ConfigError(
            f"compute.storage: must be a URL such as s3://bucket/path, got '{url}': {error}"
        ) from error
    return system, base.rstrip("/")


@contextmanager
def _in_one_line(url: str) -> Iterator[None]:
    """Raise what a store refuses as an error of one line."""
    try:
        yield
    except OSError as error:
        raise HwdsError(f"compute.storage: '{url}': {str(error).splitlines()[0]}") from error


# A Ray cluster that runs already, of any number of nodes; no disk is shared.

EXCLUDED = (
    "data",
    ".git",
    ".venv",
    "venv",
    "__pycache__",
    "experiments/*/results",
    "*.parquet",
    "*.arrow",
)
"""Files of a user's own project that are not sent to the nodes."""


def _address(value: str) -> str:
    host, _, port = value.rpartition(":")
    if "://" in value or (value != "auto" and not (host and port.isdigit() and int(port) < 65536)):
        raise ValueError("must be host:port of the head node, or auto on one of its nodes")
    return value


class Cluster(OnRay):
    """Compute cells on a running Ray cluster, and sweeps by Ray Tune. This process is to run on one
    of its nodes.

    The nodes share no disk: code travels with the job (this package, and the folder of your own
    `conf/`), data through Ray's object store, and this process writes the results.

    Attributes:
        address: `host:port` of the head node; `auto` is the cluster that this node belongs to.
        runtime_env: What Ray is to lay on each node besides (`pip`, `env_vars`, ...); `excludes`
            adds to what is not sent.
        storage: A URL (`s3://bucket/path`, `gs://...`, `file:///...`) where finished cells and
            result folders are kept too, so that another driver, on a new disk, goes on from there.
        mixed: Let nodes with other classes of CPU compute too; the last bits of numbers then depend
            on where a cell was.
    """

    imports = ("grpc", "ray")
    address: Annotated[str, AfterValidator(_address)] = "auto"
    runtime_env: Mapping[str, Any] = field(default_factory=dict)
    storage: str | None = None
    mixed: bool = False

    def terms(self) -> dict[str, Any]:
        """Return the arguments, after a check that a head node answers at the address."""
        return {"address": require_reachable(self.address), "runtime_env": self._environment()}

    def found_device(self) -> Device:
        """Return the device; `auto` is the GPU where cells are given one, for this node may be
        another kind of machine.
        """
        return self.device if self.device != "auto" else "gpu" if self.gpus_per_cell else "cpu"

    def machine(self) -> str:
        """Return the class of CPU of the nodes.

        Raises:
            HwdsError: The cluster cannot be reached.
            ConfigError: Nodes differ from one another, or from this process, in what decides the
                numbers.
        """
        if join_ray(self):
            watch_head()
        return cpu_of_nodes(self.cpus_per_cell, mixed=self.mixed)

    def cells(self, folder: Path) -> CellCache:
        """Return the cache of finished cells, here and in the storage."""
        return CellCache(MirroredCache(folder, self.storage) if self.storage else Cache(folder))

    def done(self, folder: Path) -> None:
        """Copy a complete folder of results to the storage."""
        if self.storage:
            upload(folder, self.storage)

    def _environment(self) -> dict[str, Any]:
        """Return Ray's runtime environment, with this package as it is here, so that keys of cells
        hold.
        """
        given = dict(self.runtime_env)
        project = {"working_dir": str(conf_dirs()[1].parent)} if len(conf_dirs()) > 1 else {}
        outputs = os.path.relpath(OUTPUTS.resolve(), project.get("working_dir", "."))
        return {
            **project,
            **given,
            "py_modules": [str(PACKAGE), *given.get("py_modules", ())],
            "excludes": [
                *EXCLUDED,
                *([] if outputs.startswith("..") else [outputs]),
                *given.get("excludes", ()),
            ],
            "env_vars": worker_variables(self) | dict(given.get("env_vars", {})),
        }
