"""What a key is made of: the source of a package, whether it has an `__init__.py` or not."""

import importlib
import sys

import pytest

from hwds.hashing import digest_source, package_of


@pytest.mark.parametrize("init", [True, False])
def test_the_source_of_a_users_package_counts_with_or_without_an_init(tmp_path, monkeypatch, init):
    name = f"users_{'regular' if init else 'namespace'}"
    folder = tmp_path / name
    folder.mkdir()
    (folder / "policy.py").write_text("A = 1\n")
    if init:
        (folder / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    importlib.import_module(f"{name}.policy")
    assert package_of(f"{name}.policy") == folder
    before = digest_source.__wrapped__(folder)
    (folder / "policy.py").write_text("A = 2\n")
    assert digest_source.__wrapped__(folder) != before
    sys.modules.pop(f"{name}.policy")


def test_a_module_that_stands_alone_is_its_own_file(tmp_path, monkeypatch):
    (tmp_path / "users_alone.py").write_text("A = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.import_module("users_alone")
    assert package_of("users_alone") == tmp_path / "users_alone.py"
