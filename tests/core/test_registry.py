"""Names to files and classes."""

import sys
from importlib.metadata import EntryPoint, EntryPoints

import pytest

from hwds.core import registry
from hwds.core.compose import option
from hwds.core.errors import ConfigError, nearest
from hwds.forecast.models.seasonal_naive import SeasonalNaive
from tests.support.composed import composed


@pytest.fixture
def fresh(monkeypatch, tmp_path):
    """A registry that has read nothing, in an empty folder."""

    def forget():
        for cached in (registry.conf_dirs, registry.options, registry.resolve):
            cached.cache_clear()

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HWDS_CONF", raising=False)
    monkeypatch.setattr(sys, "path", list(sys.path))
    forget()
    yield tmp_path
    forget()


def test_an_option_is_a_file(fresh):
    found = registry.options("model")
    assert found["forecast/seasonal_naive"].name == "seasonal_naive.yaml"
    assert found["forecast/seasonal_naive"].parent.name == "forecast"


def test_a_group_without_options_has_none(fresh):
    assert registry.options("no_such_group") == {}


def test_own_conf_comes_second_and_its_parent_is_importable(fresh):
    (fresh / "conf" / "model").mkdir(parents=True)
    (fresh / "conf" / "model" / "mine.yaml").write_text("")
    assert registry.conf_dirs()[1] == fresh / "conf"
    assert "mine" in registry.options("model")
    assert sys.path[0] == str(fresh)


def test_an_option_taken_for_a_recipe_is_named_with_its_recipe(fresh):
    with pytest.raises(ConfigError) as refused:
        registry.resolve("model", "bandit/greedy")
    assert str(refused.value).startswith(
        "model: no recipe 'bandit/greedy'; the option of this name has 'bandit/epsilon_greedy'"
    )
    assert str(refused.value).endswith("bandit/greedy.yaml")


def test_hwds_conf_comes_before_the_current_folder(fresh, monkeypatch):
    (fresh / "conf").mkdir()
    (fresh / "other").mkdir()
    monkeypatch.setenv("HWDS_CONF", "other")
    assert registry.conf_dirs()[1] == fresh / "other"


def test_an_option_in_two_folders_names_both(fresh):
    file = fresh / "conf" / "protocol" / "holdout.yaml"
    file.parent.mkdir(parents=True)
    file.write_text("")
    with pytest.raises(ConfigError) as refused:
        registry.options("protocol")
    assert str(file) in str(refused.value)
    assert str(registry.conf_dirs()[0] / "protocol" / "holdout.yaml") in str(refused.value)


@pytest.mark.parametrize(
    "recipe", ["forecast/seasonal_naive", "hwds.forecast.models.seasonal_naive:SeasonalNaive"]
)
def test_a_recipe_resolves_by_convention_and_by_path(recipe):
    assert registry.resolve("model", recipe) is SeasonalNaive


def test_a_recipe_resolves_by_entry_point(fresh, monkeypatch):
    point = EntryPoint(
        "theirs/naive", "hwds.forecast.models.seasonal_naive:SeasonalNaive", "hwds.models"
    )
    monkeypatch.setattr(
        "importlib.metadata.entry_points", lambda group: EntryPoints([point]).select(group=group)
    )
    assert registry.resolve("model", "theirs/naive") is SeasonalNaive
    with pytest.raises(ConfigError, match="did you mean 'theirs/naive'"):
        registry.resolve("model", "theirs/nave")


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        ("forecast/seasonal_nave", "did you mean 'forecast/seasonal_naive'"),
        ("no_such.module:Thing", "no recipe 'no_such.module:Thing'"),
        ("hwds.core.errors:ConfigEror", "has no class 'ConfigEror'; did you mean 'ConfigError'"),
        ("hwds.core.errors:ConfigError", "not a class that derives from"),
    ],
)
def test_what_is_not_there_is_refused(recipe, said):
    with pytest.raises(ConfigError, match=said):
        registry.resolve("model", recipe)


def test_a_module_that_lacks_a_library_is_told_from_one_that_is_not_there(fresh, monkeypatch):
    (fresh / "needy_module.py").write_text("import no_such_library_at_all")
    monkeypatch.syspath_prepend(fresh)
    with pytest.raises(ConfigError, match="needs the module 'no_such_library_at_all'"):
        registry.resolve("model", "needy_module:Thing")


@pytest.mark.parametrize(
    ("word", "known", "end"),
    [
        ("unit", ["units", "layers"], "; did you mean 'units'?"),
        ("xgboost", ["forecast/xgboost", "forecast/naive"], "; did you mean 'forecast/xgboost'?"),
        ("xgbost", ["forecast/xgboost", "forecast/naive"], "; did you mean 'forecast/xgboost'?"),
        ("zzz", ["b", "a"], "; known: a, b."),
        ("zzz", [], "."),
        ("zzz", [str(i) for i in range(20)], ", ..."),
    ],
)
def test_nearest(word, known, end):
    assert nearest(word, known).endswith(end)


def test_a_name_too_long_for_a_file_is_no_option():
    with pytest.raises(ConfigError, match=r"model: no option 'x{300}'"):
        option("model", "model", "x" * 300)
    assert registry.module_file("model", "x" * 300) is None


def test_a_module_without_its_yaml_is_named(monkeypatch):
    there, module_file = (
        registry.PACKAGE / "bandit" / "models" / "my_policy.py",
        registry.module_file,
    )
    monkeypatch.setattr(
        registry,
        "module_file",
        lambda group, name: there if name == "bandit/my_policy" else module_file(group, name),
    )
    line = (
        "model: no option 'bandit/my_policy': there is hwds/bandit/models/my_policy.py but no "
        "conf/model/bandit/my_policy.yaml."
    )
    for given in ("bandit/my_policy", {"bandit/my_policy": {"prior": 1}}):
        with pytest.raises(ConfigError) as refused:
            option("model", "model", given)
        assert str(refused.value) == line
    with pytest.raises(ConfigError) as refused:
        composed("model=bandit/my_policy")
    assert str(refused.value) == line
