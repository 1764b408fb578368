"""Run every benchmark of this folder, or those named: `python -m bench [lag_features sarima=200
...]`.
"""

from __future__ import annotations

import os

for threads in ("OMP", "OPENBLAS", "MKL", "NUMBA"):
    os.environ[f"{threads}_NUM_THREADS"] = "1"
os.environ["POLARS_MAX_THREADS"] = "1"  # read when polars is imported, so all of this comes first

import sys  # noqa: E402
from collections.abc import Iterator, Sequence  # noqa: E402
from importlib import import_module  # noqa: E402
from pathlib import Path  # noqa: E402
from pkgutil import iter_modules  # noqa: E402
from types import ModuleType  # noqa: E402

import bench  # noqa: E402
from bench.rows import Row  # noqa: E402

LINE = "{:<44} {:>9} {:<34} {:>9} {:>7}  {}\n"


def main(wanted: list[str]) -> int:
    """Print the table, and a line for each benchmark whose data is not here.

    Returns:
        1 where a rival's values are not equal, 2 where a name or a size is wrong.
    """
    known = benchmarks()
    sizes = dict(word.partition("=")[::2] for word in wanted or known)
    wrong = next(
        (said for name, size in sizes.items() if (said := _refused(known, name, size))), ""
    )
    if wrong:
        sys.stderr.write(f"bench: {wrong}\n")
        return 2
    sys.stdout.write(LINE.format("one thread", "hwds", "rival", "", "ratio", "values"))
    rows = [
        row
        for name, size in sizes.items()
        for row in _measured(name, _module(name), [int(size)] if size else [])
    ]
    return 0 if all(row.equal for row in rows) else 1


def benchmarks() -> list[str]:
    """Return the names of the modules that measure.

    None is imported for it, as each brings its rivals.
    """
    files = (
        (module.name, Path(__file__).with_name(f"{module.name}.py"))
        for module in iter_modules(bench.__path__)
    )
    return [name for name, file in files if "\ndef measure(" in file.read_text(encoding="utf-8")]


def _module(name: str) -> ModuleType:
    return import_module(f"bench.{name}")


def _refused(known: Sequence[str], name: str, size: str) -> str:
    if name not in known:
        return f"no benchmark '{name}'; known: {', '.join(known)}."
    if size and not (size.isdigit() and hasattr(_module(name), "SIZE")):
        return f"'{name}' takes no size '{size}'."
    return ""


def _measured(name: str, module: ModuleType, size: list[int]) -> Iterator[Row]:
    missing = _missing(getattr(module, "DATA", ""))
    if missing:
        sys.stdout.write(
            f"{name} is left out: it needs {module.DATA} of the public data, and {missing}.\n"
        )
        return
    yield from _shown(module.NAME, module.measure(*size))


def _missing(file: str) -> str:
    """Return why a file below $HWDS_DATA is not here.

    Empty where it is, or where none is needed.
    """
    folder = os.environ.get("HWDS_DATA", "")
    if not file:
        return ""
    if not folder:
        return "HWDS_DATA is not set"
    return (
        ""
        if (Path(folder).expanduser() / file).is_file()
        else f"HWDS_DATA={folder} has no such file"
    )


def _shown(name: str, rows: list[Row]) -> Iterator[Row]:
    sys.stdout.write(f"{name}\n")
    for row in rows:
        seconds, rival = (f"{1e3 * s:.1f} ms" for s in (row.ours_s, row.rival_s))
        equal = "equal" if row.equal else "NOT EQUAL"
        sys.stdout.write(
            LINE.format(f"  {row.what}", seconds, row.rival, rival, f"{row.ratio:.2f}", equal)
        )
        if row.note:
            sys.stdout.write(f"    {row.note}\n")
        sys.stdout.flush()
        yield row


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
