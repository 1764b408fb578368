"""Show the versions, cores, memory, accelerator and folders of this machine."""

from __future__ import annotations

import os
import platform
import tempfile
from pathlib import Path

from hwds.cli.words import AS_JSON, command, print_json


@command(help=__doc__)
@AS_JSON
def main(as_json: bool) -> int:
    """Print one line a finding; 1 where the outputs folder cannot be written."""
    from hwds.core.extras import PACKAGES, extras_of, install_command, missing_modules
    from hwds.core.files import OUTPUTS
    from hwds.evaluation.compute.processes import usable_cores
    from hwds.results.records import LIBRARIES, cpu_name, installed_version

    versions = {name: installed_version(name) for name in LIBRARIES}
    missing = missing_modules(PACKAGES)
    writable = _writable(OUTPUTS)
    lines = {
        "python": platform.python_version(),
        "libraries": ", ".join(f"{name} {each}" for name, each in versions.items() if each),
        "extras": f"missing: {', '.join(extras_of(missing))}; {install_command(missing)}"
        if missing
        else "all installed",
        "cpu": f"{cpu_name()}, {usable_cores()} usable of {os.cpu_count()} cores",
        "memory": _memory(),
        "threads": ", ".join(
            f"{name}={os.environ[name]}"
            for name in ("OMP_NUM_THREADS", "POLARS_MAX_THREADS")
            if name in os.environ
        )
        or "not limited outside; each cell gets compute.cpus_per_cell",
        "accelerator": "an NVIDIA device"
        if Path("/dev/nvidiactl").exists()
        else "none; nothing needs one",
        "outputs": f"{OUTPUTS.resolve()} ({'writable' if writable else 'NOT writable'})",
        "data": _data(),
    }
    if as_json:
        installed = {name: each for name, each in versions.items() if each}
        cores = {"usable": usable_cores(), "all": os.cpu_count()}
        print_json(lines | {"libraries": installed, "cores": cores, "writable": writable})
        return 0 if writable else 1
    for name, value in lines.items():
        print(f"{name:<12}{value}")
    return 0 if writable else 1


def _writable(folder: Path) -> bool:
    parent = next(path for path in (folder.resolve(), *folder.resolve().parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=parent):
            return True
    except OSError:
        return False


def _memory() -> str:
    info = Path("/proc/meminfo")
    if not info.exists():
        return "unknown"
    amounts = dict(line.split(":") for line in info.read_text().splitlines() if ":" in line)
    total, free = (int(amounts[name].split()[0]) / 2**20 for name in ("MemTotal", "MemAvailable"))
    return f"{free:.1f} of {total:.1f} GiB free"


def _data() -> str:
    folder = os.environ.get("HWDS_DATA")
    if not folder:
        return "HWDS_DATA is not set; hwds data says what could lie there"
    return f"{folder} ({'there' if Path(folder).is_dir() else 'NOT there'})"
