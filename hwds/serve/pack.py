"""Packing the runtime: `python -m hwds.serve.pack FILE` writes the modules that it needs as one
file.
"""

from __future__ import annotations

import ast
import sys
import zipapp
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from hwds.core.errors import HwdsError
from hwds.serve.bundle.manifest import ALERT_RULE

ENTRY = "hwds.serve.runtime"
ENTRIES = (ENTRY, ALERT_RULE.partition(":")[0])
"""The modules that are packed with all that they import: the command line and the handler of a
Lambda function, and the rule of alerts, which bundles name.
"""

PACKAGE = Path(__file__).resolve().parents[1]
ALLOWED = {"cryptography", "numpy", "onnxruntime"}
"""Packages that the runtime may import beside Python's own."""

START = f"""import sys
from importlib.util import find_spec

missing = [name for name in {sorted(ALLOWED)} if find_spec(name) is None]
if missing:
    sys.exit(f"hwds-runtime: needs {{', '.join(missing)}}: pip install {{' '.join(missing)}}")
from {ENTRY} import main

sys.exit(main(sys.argv[1:]))
"""
"""The start of the file: what the runtime may import must be there."""

EARLY = (1980, 1, 1, 0, 0, 0)
"""The time of every file in the archive, so that the same modules give the same bytes."""


def pack(target: Path) -> list[str]:
    """Write the runtime; return the names of its modules.

    Args:
        target: The file, which Python runs.

    Raises:
        HwdsError: A module imports more than it may, or the file cannot be written.
    """
    modules = modules_of(ENTRIES)
    content = {f"{name.replace('.', '/')}.py": file_of(name).read_bytes() for name in modules}
    packages = {
        "/".join(name.split(".")[:depth])
        for name in modules
        for depth in range(1, name.count(".") + 1)
    }
    content |= {f"{package}/__init__.py": b"" for package in packages}
    content["__main__.py"] = START.encode()
    part = target.with_name(f".{target.name}.zip")
    try:
        with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
            for name in sorted(content):
                archive.writestr(zipfile.ZipInfo(name, EARLY), content[name], zipfile.ZIP_DEFLATED)
        zipapp.create_archive(part, target, "/usr/bin/env python3")
        part.unlink()
    except OSError as error:
        raise HwdsError(f"{target}: cannot be written: {error.strerror or error}.") from error
    return modules


def modules_of(entries: Sequence[str]) -> list[str]:
    """Return modules and all of hwds that they import when they are imported, in alphabetical
    order.

    Raises:
        HwdsError: One of them imports another package than `ALLOWED`.
    """
    pending, reached = [*entries], {*entries}
    while pending:
        name = pending.pop()
        for imported in _imports(name):
            top = imported.partition(".")[0]
            if top == "hwds":
                if imported not in reached:
                    reached.add(imported)
                    pending.append(imported)
            elif top not in ALLOWED and top not in sys.stdlib_module_names:
                raise HwdsError(f"{name}: imports {top}, which the runtime has not.")
    return sorted(reached)


def _imports(name: str) -> Iterator[str]:
    for node in ast.parse(file_of(name).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def file_of(name: str) -> Path:
    """Return the file of a module of hwds."""
    return PACKAGE.joinpath(*name.split(".")[1:]).with_suffix(".py")


def main(words: Sequence[str]) -> int:
    """Write the runtime to the file that is named, and say what is in it."""
    if len(words) != 1 or words[0].startswith("-"):
        sys.stderr.write("usage: python -m hwds.serve.pack FILE\n")
        return 2
    try:
        sys.stdout.write("".join(f"{name}\n" for name in pack(Path(words[0]))))
    except HwdsError as error:
        sys.stderr.write(f"pack: {error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
