"""Run every benchmark of this folder, or those named: `python -m bench [lag_features sarima=200 ...]`."""

from __future__ import annotations

import os

for threads in ("OMP", "OPENBLAS", "MKL", "NUMBA"):
    os.environ[f"{threads}_NUM_THREADS"] = "1"
os.environ["POLARS_MAX_THREADS"] = "1"  # read when polars is imported, so all of this comes first

import sys  # noqa: E402
from collections.abc import Iterator  # noqa: E402
from importlib import import_module  # noqa: E402
from pkgutil import iter_modules  # noqa: E402

import bench  # noqa: E402
from bench.rows import Row  # noqa: E402

LINE = "{:<44} {:>9} {:<34} {:>9} {:>7}  {}\n"


def main(wanted: list[str]) -> int:
    """Print the table; 1 where a rival's values are not equal or a name is unknown."""
    names = [module.name for module in iter_modules(bench.__path__)]
    modules = {name: module for name in names if hasattr(module := import_module(f"bench.{name}"), "measure")}
    sizes = dict(word.partition("=")[::2] for word in wanted or modules)
    unknown = [name for name in sizes if name not in modules]
    if unknown:
        sys.stderr.write(f"bench: no benchmark '{unknown[0]}'; known: {', '.join(modules)}.\n")
        return 2
    unsized = [name for name, size in sizes.items() if size and not (size.isdigit() and hasattr(modules[name], "SIZE"))]
    if unsized:
        sys.stderr.write(f"bench: '{unsized[0]}' takes no size '{sizes[unsized[0]]}'.\n")
        return 2
    sys.stdout.write(LINE.format("one thread", "hwds", "rival", "", "ratio", "values"))
    measured = ((modules[name], [int(size)] if size else []) for name, size in sizes.items())
    rows = [row for module, size in measured for row in _shown(module.NAME, module.measure(*size))]
    return 0 if all(row.equal for row in rows) else 1


def _shown(name: str, rows: list[Row]) -> Iterator[Row]:
    sys.stdout.write(f"{name}\n")
    for row in rows:
        seconds, rival = (f"{1e3 * s:.1f} ms" for s in (row.ours_s, row.rival_s))
        equal = "equal" if row.equal else "NOT EQUAL"
        sys.stdout.write(LINE.format(f"  {row.what}", seconds, row.rival, rival, f"{row.ratio:.2f}", equal))
        if row.note:
            sys.stdout.write(f"    {row.note}\n")
        sys.stdout.flush()
        yield row


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
