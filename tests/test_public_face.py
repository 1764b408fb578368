"""The public face: what a user's own code imports from hwds, documented and light."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import hwds
from hwds.core.registry import options, resolve

ROOT = Path(__file__).resolve().parents[1]
FACES = {
    **{
        name: name
        for name in (
            "forecast",
            "bandit",
            "ab",
            "ope",
            "elasticity",
            "lifetime",
            "sensors",
            "inspection",
        )
    },
    **dict.fromkeys(("classify", "anomaly"), "detection"),
}
"""The package that has the models of each group of options."""


def recipe_class(group, option):
    import yaml

    return resolve(
        group, (yaml.safe_load(options(group)[option].read_text()) or {}).get("recipe", option)
    )


def test_every_name_of_the_stub_is_there():
    for face in (hwds, *(getattr(hwds, name) for name in ("datasets", *set(FACES.values())))):
        tree = ast.parse((Path(face.__file__).parent / "__init__.pyi").read_text())
        names = {
            alias.asname
            for node in tree.body
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }
        assert names <= set(dir(face))
        assert all(getattr(face, name) is not None for name in names)


@pytest.mark.parametrize("group", ["model", "protocol", "dataset"])
def test_every_option_is_in_the_face_of_its_family(group):
    for option in options(group):
        cls = recipe_class(group, option)
        package = cls.__module__.split(".")[1]
        line = f"from .{cls.__module__.split('.', 2)[2]} import {cls.__name__} as {cls.__name__}"
        face = getattr(hwds, package)
        assert getattr(face, cls.__name__, None) is cls, (
            f"add '{line}' to hwds/{package}/__init__.pyi"
        )


def test_the_page_names_all_that_hwds_has():
    page = (ROOT / "docs" / "python.md").read_text()
    table = page.partition("## What is there")[2]
    named = set(re.findall(r"`(\w+)`", table))
    packages = {"datasets", "foreign", *FACES.values()}
    assert named == {name for name in hwds.__all__ if name not in packages}


def test_an_import_costs_nothing_heavy():
    heavy = (
        "polars",
        "numpy",
        "keras",
        "tensorflow",
        "ray",
        "pydantic",
        "xgboost",
        "scipy",
        "hydra",
    )
    code = (
        f"import sys, hwds, hwds.forecast; print([name for name in {heavy!r} if name in "
        f"sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.strip() == "[]"


def test_the_examples_of_the_page_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(
        r"^```python\n(.*?)^```$", (ROOT / "docs" / "python.md").read_text(), re.S | re.M
    )
    assert len(blocks) >= 8
    exec(compile("\n".join(blocks), "docs/python.md", "exec"), {})
