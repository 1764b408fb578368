"""Packages for setuptools; conf/ of a checkout becomes hwds/conf of the wheel. All else is in
pyproject.toml.
"""

from setuptools import find_namespace_packages, setup

setup(
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
