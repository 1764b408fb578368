"""What is published: one version, placeholders that are listed, a wheel that runs elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from email import message_from_string
from pathlib import Path

import pytest
import yaml

import hwds

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
SOURCES = [
    *ROOT.glob("*.*"),
    *(
        path
        for folder in ("clusters", "conf", "deploy", "docs", "hwds")
        for path in (ROOT / folder).rglob("*.*")
    ),
]
PIP = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]


def test_the_version_stands_in_one_place_and_the_citation_agrees():
    assert "version" in PROJECT["dynamic"]
    assert "version" not in PROJECT
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == hwds.__version__


def test_every_placeholder_is_named_where_one_reads_how_to_publish():
    page = (ROOT / "docs" / "publish.md").read_text()
    listed = dict(re.findall(r"^\| `([^`]+)` \| `([^`]+)`", page, re.M))
    assert listed
    texts = {
        path.relative_to(ROOT).as_posix(): path.read_text(errors="replace")
        for path in SOURCES
        if path.is_file() and path.name != "publish.md"
    }
    for address in set(listed.values()):
        assert {name for name, text in texts.items() if address in text} == set(listed)
    assert set(PROJECT["urls"]) >= {"Documentation", "Source", "Issues", "Changelog"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built as `make wheel` does, without a network."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in (
        "hwds",
        "conf",
        "docs",
        "LICENSE",
        "README.md",
        "pyproject.toml",
        "setup.py",
    ):
        (source / name).symlink_to(ROOT / name)
    built = [*PIP, "wheel", "--no-build-isolation", "--no-deps", "--no-index"]
    subprocess.run([*built, "--wheel-dir", folder, source], check=True)
    (path,) = folder.glob("hwds-*.whl")
    return path


def test_the_wheel_says_what_it_is(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (about,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        text = archive.read(about).decode()
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "hwds").rglob("*.py")}
    options = {f"hwds/{path.relative_to(ROOT)}" for path in (ROOT / "conf").rglob("*.yaml")}
    assert modules | options <= names
    assert {name.split("/")[0] for name in names} == {"hwds", about.split("/")[0]}
    facts = message_from_string(text)
    assert facts["Version"] == hwds.__version__
    assert facts["License-Expression"] == "Apache-2.0"
    assert set(facts.get_all("Provides-Extra")) == set(PROJECT["optional-dependencies"])
    body = facts.get_payload()
    links = re.findall(r'\]\(([^)]+)\)|src(?:set)?="([^"]+)"', body)
    assert len(links) > 20
    assert all("".join(link).startswith(PROJECT["urls"]["Source"]) for link in links)


def test_the_wheel_runs_in_another_folder(wheel, tmp_path):
    venv.create(tmp_path / "venv", with_pip=False)
    installed = [*PIP, "--python", tmp_path / "venv", "install", "--no-deps", "--no-index", wheel]
    subprocess.run(installed, check=True)
    libraries = sysconfig.get_path("purelib")  # without its .pth files, and so without this hwds
    kept = {name: value for name, value in os.environ.items() if name[:5] != "HWDS_"}
    (tmp_path / "desk").mkdir()

    def run(*words):
        return subprocess.run(
            [tmp_path / "venv" / "bin" / words[0], *words[1:]],
            cwd=tmp_path / "desk",
            env=kept | {"PYTHONPATH": libraries},
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    assert str(tmp_path) in run("python", "-c", "import hwds; print(hwds.__file__)")
    assert run("hwds", "--version").startswith(f"hwds {hwds.__version__}, Python 3.")
    said = run("hwds", "+experiment=quickstart", "size=small", "compute=serial")
    assert "forecast/adjusted" in said
    assert "report.html" in run("hwds", "report", "quickstart")
    assert list((tmp_path / "desk").glob("outputs/runs/quickstart/*/report.html"))
