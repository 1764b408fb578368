"""Packages for setuptools, and README as the wheel's description; all else is in pyproject.toml.

conf/ of a checkout becomes hwds/conf of the wheel.
"""

import re
import tomllib
from pathlib import Path

from setuptools import find_namespace_packages, setup

ROOT = Path(__file__).parent
URLS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]


def description() -> str:
    """Return README with links that work on any page."""
    text = (ROOT / "README.md").read_text()
    text = re.sub(r'(src|srcset)="(?=docs/)', rf'\1="{URLS["Source"]}/raw/main/', text)
    return re.sub(r"\]\((?!https?://|#)", f"]({URLS['Source']}/blob/main/", text)


setup(
    long_description=description(),
    long_description_content_type="text/markdown",
    packages=[*find_namespace_packages(include=["hwds", "hwds.*"]), "hwds.conf"],
    package_dir={"hwds.conf": "conf"},
    package_data={
        "hwds": [
            "**/*.yaml",
            "**/*.j2",
            "**/*.css",
            "**/*.js",
            "**/*.pyi",
            "**/*.typed",
            "**/*.md",
            "**/*.txt",
        ],
        "hwds.conf": ["**/*.yaml"],
    },
)
