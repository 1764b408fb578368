"""Keys: the name of a result in the cache, made of all that it depends on. It may miss too often; it must never lie."""

from __future__ import annotations

import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from hwds.core.code_digest import code_digest
from hwds.core.environment import numeric_environment
from hwds.core.hashing import digest
from hwds.core.recipe import canonical


@dataclass(frozen=True, slots=True)
class Conditions:
    """Everything that numbers depend on besides data and recipes.

    Attributes:
        seed: The experiment's; None where nothing is drawn.
        cpus: Threads; None where they change no bit.
        device: `cpu` or `gpu`; None likewise.
        machine: The class of CPU that computes; empty for this one.
    """

    seed: int | None = None
    cpus: int | None = None
    device: str | None = None
    machine: str = ""


def key_of(kind: str, data: Any, settings: Mapping[str, Any], conditions: Conditions, *modules: str) -> str:
    """Return the key of a result. Every key in the cache is made here, so that none lacks a part.

    Args:
        kind: What is kept.
        data: Fingerprints of what it is made from, and of which part of it.
        settings: Recipes and plain data that decide how it is made; the code of what they name counts too.
        conditions: What else changes bits.
        modules: Those that make the result, by their full names; their code counts.
    """
    plain = canonical(dict(settings))
    return digest(
        {
            "kind": kind,
            "data": data,
            "settings": plain,
            "code": code_digest(plain, *modules),
            "seed": conditions.seed,
            "threads": conditions.cpus,
            "device": conditions.device,
            "machine": conditions.machine or machine(),
            "libraries": libraries(),
        }
    )


def machine() -> str:
    """Return the class of CPU, with what the environment says of it: two machines of one class compute the same bits."""
    said = numeric_environment()
    return digest([class_of_cpu(), said]) if said else class_of_cpu()


@cache
def class_of_cpu() -> str:
    """Return the digest of the names and abilities of the CPUs."""
    info = Path("/proc/cpuinfo")
    text = info.read_text().splitlines() if info.exists() else []
    lines = sorted({line for line in text if line.startswith(("model name", "flags", "Features"))})
    return digest([platform.system(), platform.machine(), platform.processor(), lines])


@cache
def libraries() -> str:
    """Return the digest of Python's version and of every installed distribution."""
    return digest([platform.python_version(), sorted(f"{name}=={version}" for name, version in installed().items())])


def installed() -> dict[str, str]:
    """Return the version of every distribution; those that Ray carries inside itself, and adds on import, are part of Ray."""
    separate = [item for item in distributions() if "thirdparty_files" not in str(item.locate_file(""))]
    texts = [item.read_text("METADATA") or item.read_text("PKG-INFO") or "" for item in separate]
    headers = [text.partition("\n\n")[0] for text in texts]  # a description below may have such lines too
    return {_header("Name", lines): _header("Version", lines) for lines in headers}


def _header(name: str, lines: str) -> str:
    """Return the value of a header; empty without one."""
    match = re.search(rf"^{name}:\s*(.*?)\s*$", lines, re.MULTILINE | re.IGNORECASE)
    return match[1] if match else ""
