"""What has moved is found: by the codec, in configs, ledgers and streams, in a user's imports."""

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import yaml

import hwds
from hwds.bandit.models.base import Policy
from hwds.core import moved as under_test
from hwds.core.errors import ConfigError, HwdsError
from hwds.core.files import digest
from hwds.core.keys import file_of_module, modules_in
from hwds.core.moved import TABLE, current_path, current_paths, moved
from hwds.core.registry import module_name, resolve, stored_task
from hwds.core.serialization import (
    FILE,
    buildable,
    class_path,
    dumps,
    load_fitted,
    loads,
    stored_paths,
)
from hwds.forecast.models.seasonal_naive import SeasonalNaive
from hwds.results.folder import read_config, write_config
from hwds.results.sweep_folder import SweepFolder
from hwds.serve.stream.shard import FORMAT, FollowedModel, Shard
from hwds.track.mirroring import Ledger, MirrorEntry
from tests.support.streams import RULES, followed_machines, laid

LISTS = Path(__file__).parent.glob("paths_*.txt")
RELEASED = {file.stem: file.read_text().split() for file in LISTS}
PATHS = sorted({path for paths in RELEASED.values() for path in paths})
NAIVE = class_path(SeasonalNaive)
OLD_NAIVE = "hwds.gone.naive:Naive"


def found(path):
    """The object of a path of now."""
    module, _, name = path.partition(":")
    value = import_module(module)
    for part in name.split(".") if name else ():
        value = getattr(value, part)
    return value


@pytest.fixture
def table(monkeypatch, tmp_path):
    """Returns a function that puts lines in place of the table."""

    def put(*lines):
        file = tmp_path / f"moved{len(list(tmp_path.glob('moved*')))}.yaml"
        file.write_text("".join(f"{line}\n" for line in lines))
        monkeypatch.setattr(under_test, "TABLE", file)
        return file

    known = set(sys.modules)
    yield put
    for name in set(sys.modules) - known:
        if name.startswith("hwds.gone"):
            del sys.modules[name]
    vars(hwds).pop("gone", None)


class TestTable:
    def test_is_yaml(self):
        assert (yaml.safe_load(TABLE.read_text()) or {}) == moved(TABLE)

    @pytest.mark.parametrize("old", [*moved(TABLE)])
    def test_what_has_moved_is_there(self, old):
        assert found(current_path(old)) is not None

    @pytest.mark.parametrize("old", [*moved(TABLE)])
    def test_an_old_path_is_not_used_again(self, old):
        module, _, name = old.partition(":")
        there = file_of_module(module) is not None
        assert not (there and (not name or hasattr(import_module(module), name.partition(".")[0])))

    def test_lists_of_released_versions_are_here(self):
        assert len(RELEASED["paths_509dcf54"]) > 400

    @pytest.mark.parametrize("path", PATHS)
    def test_a_path_of_a_released_version_is_found(self, path):
        now = current_path(path)
        value = found(now)
        assert buildable(now) is value if isinstance(value, type) else callable(value)

    def test_policies_stay(self):
        """A live folder is named by a digest of its policy's path, which no table can read."""
        classes = {path: found(current_path(path)) for path in PATHS if ".bandit.models." in path}
        policies = [path for path, cls in classes.items() if issubclass(cls, Policy)]
        assert policies
        assert [path for path in policies if current_path(path) != path] == []


class TestCurrentPath:
    def test_what_has_not_moved_stays(self, table):
        table("hwds.a.b: hwds.c")
        for path in ("hwds.a:B", "hwds.a.bc:D", "my.a.b:C", "forecast/lstm", "", "hwds.a.b.c"):
            assert current_path(path) == path

    def test_a_module_takes_its_names_along(self, table):
        table("hwds.a.b: hwds.c")
        assert current_path("hwds.a.b:C") == "hwds.c:C"
        assert current_path("hwds.a.b:C.Inner") == "hwds.c:C.Inner"
        assert current_path("hwds.a.b") == "hwds.c"

    def test_a_name_goes_before_its_module(self, table):
        table("hwds.a: hwds.c", "hwds.a:Old: hwds.d:New")
        assert current_path("hwds.a:Old") == "hwds.d:New"
        assert current_path("hwds.a:Old.Inner.Most") == "hwds.d:New.Inner.Most"
        assert current_path("hwds.a:Older") == "hwds.c:Older"

    def test_an_inner_class_may_move_out(self, table):
        table("hwds.a:Outer.Inner: hwds.a:Inner")
        assert current_path("hwds.a:Outer.Inner") == "hwds.a:Inner"
        assert current_path("hwds.a:Outer") == "hwds.a:Outer"

    def test_chains_are_followed(self, table):
        file = table(
            "hwds.a:Old: hwds.b:New", "hwds.a: hwds.b", "# a later version", "", "hwds.b: hwds.c",
            "hwds.c:New: hwds.c:Newer",
        )  # fmt: skip
        assert len(moved(file)) == 4
        assert current_path("hwds.a:Old") == "hwds.c:Newer"
        assert current_path("hwds.a:Other") == "hwds.c:Other"
        assert current_path("hwds.b:New") == "hwds.c:Newer"

    def test_plain_data(self, table):
        table("hwds.a: hwds.b")
        data = {
            "recipe": "hwds.a:B", "members": [{"recipe": "hwds.a:C"}], "hwds.a:B": 1,
            "note": "hwds.a", "name": "x:y",
        }  # fmt: skip
        assert current_paths(data) == data | {
            "recipe": "hwds.b:B",
            "members": [{"recipe": "hwds.b:C"}],
        }

    @pytest.mark.parametrize(
        ("lines", "why"),
        [
            (["hwds.a"], "line 1 must be"),
            (["# a", "hwds.a:B: hwds.b"], "line 2 must be"),
            (["hwds.a: hwds.b:C"], "line 1 must be"),
            (["hwds.a: other.b"], "line 1 must be"),
            (["os: hwds.b"], "line 1 must be"),
            (["hwds.a:  hwds.b"], "line 1 must be"),
            (["hwds.a: hwds.b", "hwds.a: hwds.c"], "line 2 moves 'hwds.a' again"),
            (["hwds.a: hwds.a"], "'hwds.a' comes back to itself"),
            (["hwds.a: hwds.b", "hwds.b: hwds.a"], "'hwds.a' comes back to itself"),
            (["hwds.a: hwds.b", "hwds.b:X: hwds.a:X"], "'hwds.b:X' comes back to itself"),
            (["hwds.b:X: hwds.a:X", "hwds.a: hwds.b"], "'hwds.b:X' comes back to itself"),
        ],
    )
    def test_a_damaged_table_is_refused(self, table, lines, why):
        file = table(*lines)
        with pytest.raises(HwdsError) as refused:
            current_path("hwds.x:Y")
        assert str(refused.value).startswith(f"{file}: {why}")
        assert "\n" not in str(refused.value)

    def test_an_absent_table_is_refused(self, monkeypatch, tmp_path):
        monkeypatch.setattr(under_test, "TABLE", tmp_path / "none.yaml")
        with pytest.raises(HwdsError, match="cannot be read"):
            current_path("hwds.x:Y")


class TestStored:
    def test_a_saved_model(self, table, tmp_path):
        table("hwds.gone.naive: hwds.later", f"hwds.later:Naive: {NAIVE}")
        old = dumps({"model": SeasonalNaive(season=7)}, {NAIVE: OLD_NAIVE})
        assert OLD_NAIVE.encode() in old
        assert NAIVE.encode() not in old
        (tmp_path / FILE).write_bytes(old)
        read = load_fitted(tmp_path)
        assert read == loads(old, "the model") == {"model": SeasonalNaive(season=7)}
        assert stored_paths(tmp_path) == {NAIVE: OLD_NAIVE}
        assert dumps(read, stored_paths(tmp_path)) == old
        assert NAIVE.encode() in dumps(read)

    def test_a_table_lets_nothing_else_be_built(self, table):
        table(f"{OLD_NAIVE}: hwds.core.files:digest_bytes")
        old = dumps(SeasonalNaive(), {NAIVE: OLD_NAIVE})
        with pytest.raises(HwdsError, match="is no Serializable and no Recipe"):
            loads(old, "the model")

    def test_a_recipe(self, table):
        table(
            f"{OLD_NAIVE}: {NAIVE}",
            "hwds.gone.protocols: hwds.forecast.protocols.holdout",
        )
        assert resolve("model", OLD_NAIVE) is SeasonalNaive
        assert module_name("model", OLD_NAIVE) == SeasonalNaive.__module__
        assert stored_task("hwds.gone.protocols:Holdout", "forecast").name == "forecast"

    def test_the_code_of_a_named_member_counts(self, table):
        table(f"{OLD_NAIVE}: {NAIVE}")
        assert [*modules_in({"metrics": [OLD_NAIVE]})] == [SeasonalNaive.__module__]

    def test_the_config_of_a_run(self, table, tmp_path):
        config = {
            "dataset": {"name": "toys"}, "model": {"name": "a", "recipe": OLD_NAIVE},
            "protocol": {"name": "holdout", "metrics": ["hwds.gone.m:bias"]}, "seed": 0,
        }  # fmt: skip
        write_config(tmp_path / "config.yaml", config)
        assert read_config(tmp_path / "config.yaml") == config
        table(f"{OLD_NAIVE}: {NAIVE}", "hwds.gone.m: hwds.here")
        for _ in ("its copy", "its text"):
            read = read_config(tmp_path / "config.yaml")
            assert read["model"] == {"name": "a", "recipe": NAIVE}
            assert read["protocol"]["metrics"] == ["hwds.here:bias"]
            (tmp_path / ".config.json").unlink(missing_ok=True)

    def test_a_sweep(self, table, tmp_path):
        folder = SweepFolder(tmp_path)
        folder.write_json({"sweep": {"recipe": "hwds.gone.sweeps:Random"}, "trials": 3})
        table("hwds.gone.sweeps: hwds.search.random")
        read = folder.read_json()
        assert read["sweep"] == {"recipe": "hwds.search.random:Random"}
        assert read["trials"] == 3

    def test_a_mirror_that_is_due(self, table, tmp_path):
        """Otherwise every run that was mirrored would be mirrored again."""
        Ledger(tmp_path).write(
            "mlflow", MirrorEntry("sent", {"recipe": "hwds.gone.t:MLflow", "uri": ""})
        )
        table("hwds.gone.t: hwds.track.trackers.mlflow")
        tracker = {"recipe": "hwds.track.trackers.mlflow:MLflow", "uri": ""}
        assert Ledger(tmp_path).read()["mlflow"].tracker == tracker

    def test_a_stream_goes_on_with_its_model(self, table, tmp_path):
        _, followed, lines = followed_machines()
        mapping = {class_path(type(followed.fitted)): "hwds.gone.sensors:Fitted"}
        before = dumps(followed.fitted, mapping)
        (tmp_path / FILE).write_bytes(before)
        table(f"hwds.gone.sensors:Fitted: {class_path(type(followed.fitted))}")
        read = (load_fitted(tmp_path), followed.machine, followed.cycle, followed.longest_gap)
        now = FollowedModel(*read, stored_paths(tmp_path))
        assert now.fingerprint == digest([FORMAT, before.hex(), *read[1:]])
        assert now.fingerprint != followed.fingerprint
        for part in (lines[:40], lines[:60]):
            with Shard(now, tmp_path / "stream", RULES, patience=0.0) as shard:
                shard.run(laid(tmp_path / "stream", part))
        with pytest.raises(HwdsError, match="follows another model"):
            Shard(followed, tmp_path / "stream", RULES)


class TestImports:
    def test_say_where_a_module_is(self, table):
        table("hwds.gone.part.inner: hwds.core.seeds", "hwds.gone.part.other: hwds.core.locks")
        with pytest.raises(ImportError) as refused:
            import_module("hwds.gone.part.inner")
        words = "there is no 'hwds.gone.part.inner' any more: it has moved to 'hwds.core.seeds'"
        assert str(refused.value) == words
        assert refused.value.name == "hwds.gone.part.inner"
        with pytest.raises(ImportError, match=words):
            exec("from hwds.gone.part import inner")
        with pytest.raises(ImportError, match=words):
            exec("from hwds.gone.part.inner import stream")

    def test_say_where_the_parts_are(self, table):
        table("hwds.gone.a:X: hwds.core.seeds:X", "hwds.gone.a:Y: hwds.core.locks:Z")
        with pytest.raises(ImportError, match=r"to 'hwds.core.locks' and 'hwds.core.seeds'$"):
            import_module("hwds.gone.a")

    @pytest.mark.parametrize("name", ["hwds.nothing", "hwds.core.nothing", "nothing_at_all"])
    def test_what_never_was_is_as_ever(self, table, name):
        table("hwds.gone.a: hwds.core.seeds")
        with pytest.raises(ModuleNotFoundError, match=f"No module named '{name}'"):
            import_module(name)

    def test_what_others_load_by_its_path_goes_on(self, table, monkeypatch):
        monkeypatch.setattr(under_test, "LOADED_BY_OTHERS", ("hwds.gone.a",))
        table("hwds.gone.a: hwds.later", "hwds.later: hwds.core.seeds")
        old = import_module("hwds.gone.a")
        now = import_module("hwds.core.seeds")
        assert old.stream is now.stream
        assert (old.__name__, now.__name__) == ("hwds.gone.a", "hwds.core.seeds")

    def test_a_users_module_is_refused_in_a_line(self, table, monkeypatch, tmp_path):
        table("hwds.gone.part.inner: hwds.core.seeds")
        (tmp_path / "of_a_user.py").write_text("from hwds.gone.part.inner import stream\n")
        monkeypatch.syspath_prepend(str(tmp_path))
        with pytest.raises(ConfigError) as refused:
            resolve("model", "of_a_user:Model")
        assert "fails: ImportError: there is no 'hwds.gone.part.inner'" in str(refused.value)
        assert "'hwds.core.seeds'" in str(refused.value)
        assert "\n" not in str(refused.value)

    def test_cost_nothing_where_nothing_is_missing(self):
        """`import hwds` reads no table and imports no parser."""
        code = (
            "import json, sys, hwds; from hwds.core.moved import moved; import hwds.core.registry\n"
            "print(json.dumps([moved.cache_info().misses, 'yaml' in sys.modules,"
            " sys.meta_path[-1].__name__]))"
        )
        told = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
        assert json.loads(told.stdout) == [0, False, "MovedModules"]
