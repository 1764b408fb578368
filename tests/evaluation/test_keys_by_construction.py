"""Ordinary code that a key cannot name gives the fresh answer, or is refused in a line: never the
one of before.
"""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from shutil import which

import polars as pl
import pytest

from hwds.core.walls import landlock_version
from hwds.evaluation.cells import Job, fold_key
from hwds.forecast.models.naive import Naive
from hwds.forecast.protocols.walk_forward import WalkForward
from hwds.frames.features.none import None_
from hwds.results.folder import RunFolder
from hwds.results.tables import Tables
from tests.support.command_line import Answer
from tests.support.panels import LastValue, monthly_panel
from tests.support.slow_project import SCALED

pytestmark = pytest.mark.skipif(not landlock_version(), reason="this kernel has no walls")

MODEL = (
    '''
{before}
from dataclasses import dataclass
from pathlib import Path
from hwds.frames.panel import Forecasts
from tests.support.panels import FittedLastValue, LastValue
HERE = Path(__file__).parent
THERE = HERE / "there"

def factor():
{code}

class Asking(LastValue):
    """Multiplies by what is found."""
    table: str = ""

    def learn(self, history, *, horizon, context):
        return Scaled(context.levels, float(factor()))

'''
    + SCALED
)
WORDS = (
    "model=mine/asking dataset=file dataset.path=sales.csv dataset.roles.series=shop "
    "dataset.roles.time=month dataset.roles.target=units protocol.horizon=3 "
    "protocol=walk_forward protocol.windows=2"
)
COMMAND = "-m", "hwds"
NOTEBOOK = "-c", "from hwds.cli.main import main; main()"
"""A process that has begun with its own zone and hashes."""

MONTHS = pl.date_range(pl.date(2020, 1, 1), pl.date(2021, 12, 1), "1mo", eager=True)
LAST = 24
COMPILED = "import numba\nfrom made import helper\n@numba.njit(cache=True)\ndef twice():\n    return helper()\n"
HELPER = "import numba\n@numba.njit\ndef helper():\n    return {}\n"


class Project:
    """A user's project, in which each command is a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "conf" / "model" / "mine").mkdir(parents=True)
        (folder / "conf" / "model" / "mine" / "asking.yaml").write_text("recipe: asking:Asking\n")
        frame = pl.DataFrame({"shop": "a", "month": MONTHS, "units": range(1, 25)})
        frame.write_csv(folder / "sales.csv")

    def write(self, name: str, text: str) -> None:
        """Write a file of the project."""
        (self.folder / name).parent.mkdir(exist_ok=True)
        (self.folder / name).write_text(text)

    def asks(self, code: str, before: str = "") -> None:
        """Let the model multiply by what some code returns."""
        self.write("asking.py", MODEL.format(before=before, code=code))

    def run(self, *words: str, start: tuple[str, ...] = COMMAND, **variables: str) -> Answer:
        """Run the model."""
        root = Path(__file__).resolve().parents[2]
        kept = {name: value for name, value in os.environ.items() if name != "PYTHONHASHSEED"}
        ran = subprocess.run(
            [sys.executable, *start, *WORDS.split(), "pictures=false", *words],
            cwd=self.folder,
            env=kept | {"PYTHONPATH": str(root)} | variables,
            capture_output=True,
            text=True,
            check=False,
        )
        return Answer(ran.returncode, ran.stdout, ran.stderr)

    def factor(self, *words: str, **variables: str) -> float:
        """Return what the model multiplied by last."""
        answer = self.run(*words, **variables)
        assert answer.code == 0, answer
        return round(self.predictions()["mean"][-1] / (LAST - 3), 6)

    def tables(self) -> Tables:
        """Return the tables of the latest run."""
        written = (self.folder / "outputs/runs/adhoc").glob("*/timings.parquet")
        latest = max(written, key=lambda path: path.stat().st_mtime_ns)
        return RunFolder(latest.parent).read_tables()

    def predictions(self) -> pl.DataFrame:
        """Return the predictions of the latest run."""
        return self.tables().predictions.filter(pl.col("model") == "mine/asking")

    def scores(self, *words: str) -> pl.DataFrame:
        """Return the scores of a run."""
        answer = self.run(*words)
        assert answer.code == 0, answer
        return self.tables().scores


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path)


REFUSED = {
    "a folder that is globbed": (
        "    return len(list(THERE.glob('*.csv')))",
        "reads 'there', which no key names; name it in inputs: [there], or by a setting",
        "inputs=[there]",
        2,
    ),
    "a folder that is listed": (
        "    import os\n    return len(os.listdir('there'))",
        "reads 'there'",
        "inputs=[there]",
        3,
    ),
    "a pattern that is read in compiled code": (
        "    import polars as pl\n    return pl.read_csv('there/*.csv')['v'].sum()",
        "reads 'there'",
        "inputs=[there]",
        5,
    ),
    "SQL over a file": (
        "    import polars as pl\n"
        "    query = f\"select sum(v) as v from read_csv('{THERE}/a.csv')\"\n"
        "    return pl.sql(query).collect()['v'][0]",
        "reads 'there/a.csv'",
        "inputs=[there/a.csv]",
        2,
    ),
    "an optional file": (
        "    import json\n    path = THERE / 'a.csv'\n    return 2 if path.exists() else 1",
        "reads 'there/a.csv'",
        "inputs=[there/a.csv]",
        2,
    ),
    "the size of a file": (
        "    import os\n    try:\n        return os.stat(THERE / 'a.csv').st_size\n"
        "    except OSError:\n        return 1",
        "reads 'there/a.csv'",
        "inputs=[there/a.csv]",
        4,
    ),
    "a program that is run": (
        "    import runpy\n    return runpy.run_path(str(THERE / 'run.py'))['X']",
        "reads 'there/run.py'",
        "inputs=[there/run.py]",
        7,
    ),
    "a text that is executed": (
        "    names = {}\n    exec(open(THERE / 'run.py').read(), names)\n    return names['X']",
        "reads 'there/run.py'",
        "inputs=[there/run.py]",
        7,
    ),
    "a module by a name that is computed": (
        "    from importlib import import_module\n    which = 'run'\n"
        "    return import_module(f'there.{which}').X",
        "reads 'there'",
        "inputs=[there]",
        7,
    ),
    "a variable": (
        "    import os\n    return os.environ.get('ALPHA', 1)",
        "reads the environment variable ALPHA, which no key names; name it in "
        "compute.environment: [ALPHA]",
        "compute.environment=[ALPHA]",
        9,
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_no_key_names_is_refused_with_the_cure_and_read_with_it(project, kind):
    code, refusal, cure, factor = REFUSED[kind]
    project.asks(code)
    for name, text in {"a.csv": "v\n2\n", "b.csv": "v\n3\n", "run.py": "X = 7\n"}.items():
        project.write(f"there/{name}", text)
    answer = project.run("compute=serial", ALPHA="9")
    assert answer.code == 2, answer
    assert refusal in answer.line
    assert project.factor("compute=serial", cure, ALPHA="9") == factor


FOUND_LATER = {
    "a file": ("    return 2 if (THERE / 'a.csv').exists() else 1", {}),
    "a folder": ("    return 2 if list(THERE.glob('*')) else 1", {}),
    "a variable": ("    import os\n    return os.environ.get('ALPHA', 1)", {"ALPHA": "2"}),
}


@pytest.mark.parametrize("kind", FOUND_LATER)
def test_what_was_not_there_and_appears_is_refused_and_not_ignored(project, kind):
    code, variables = FOUND_LATER[kind]
    project.asks(code)
    assert project.factor("compute=serial") == 1
    assert project.factor("compute=serial") == 1
    project.write("there/a.csv", "v\n2\n")
    answer = project.run("compute=serial", **variables)
    assert answer.code == 1, answer
    assert "which no key names" in answer.out


METRIC = """
from pathlib import Path
import numpy as np
from hwds import Metric
HERE = Path(__file__).parent

def scaled(forecasts):
    return np.abs(forecasts.actual - forecasts.mean) * float((HERE / "there" / "a.csv").read_text())

late = Metric("late", scaled, meaning="error by a factor")
"""
KEPT = """
from hwds.core.serialization import Serializable

@dataclass(frozen=True)
class Kept(Scaled, Serializable):
    pass
"""


def test_a_metric_reads_what_is_named_alone(project):
    project.asks("    return 1")
    project.write("late.py", METRIC)
    project.write("there/a.csv", "2")
    words = ["compute=serial", "protocol.metrics=[late:late]", "protocol.segments=[volume]"]
    answer = project.run(*words)
    assert answer.code == 2, answer
    assert (
        "reads 'there/a.csv', which no key names; name it in inputs: [there/a.csv]" in answer.line
    )
    walls, none = (
        project.scores(*words, "inputs=[there]", f"compute.walls={walls}")
        for walls in ("auto", "never")
    )
    assert walls.equals(none)
    whole = walls.filter(pl.col("fold").is_null(), pl.col("step").is_null())
    late, plain = (whole.filter(metric=name)["value"] for name in ("late", "mae"))
    assert len(late) == len(plain) > 2  # of the whole and of segments
    assert (late == 2 * plain).all()


def test_the_fit_on_all_rows_reads_what_is_named_alone(project):
    project.asks(
        "    return 1 if context.fold != 'final' else float((THERE / 'a.csv').read_text())"
    )
    text = (project.folder / "asking.py").read_text().replace("factor()", "factor(context)")
    project.write("asking.py", text.replace("return Scaled(", "return Kept(") + KEPT)
    project.write("there/a.csv", "2")
    words = ["compute=serial", "save_model=final"]
    answer = project.run(*words)
    assert answer.code == 2, answer
    assert "save_model: a user's own code reads 'there/a.csv', which no key names" in answer.line
    kept = []
    for walls in ("auto", "never"):
        assert project.run(*words, "inputs=[there]", f"compute.walls={walls}").code == 0
        files = [*(project.folder / "outputs/runs").glob("adhoc/*/model/*")]
        kept.append([file.read_bytes() for file in files])
        for file in files:
            file.unlink()
        assert not [*(project.folder / "outputs/runs").glob("adhoc/*/learning*")]
    assert len(kept[0]) == 1
    assert kept[0] == kept[1]


def test_another_content_of_what_is_named_is_another_key(project):
    project.asks("    return len(list(THERE.glob('*.csv')))")
    factors = []
    for name in "abc":
        project.write(f"there/{name}.csv", "")
        factors.append(project.factor("compute=serial", "inputs=[there]"))
    assert factors == [1, 2, 3]


@pytest.mark.parametrize("walls", ["auto", "never"])
def test_the_zone_the_language_and_the_hash_are_the_same_in_every_process(project, walls):
    words = ["compute=serial", f"compute.walls={walls}"]
    project.asks(
        "    import locale, time\n"
        "    return 1 + time.localtime(0).tm_hour + hash('a') % 1000 / 1000"
        " + len(locale.setlocale(locale.LC_ALL, ''))"
    )
    one = project.factor(*words, TZ="Pacific/Apia", LC_ALL="de_DE.UTF-8", PYTHONHASHSEED="1")
    for path in (project.folder / "outputs").glob("cache/cells/*/*"):
        path.unlink()
    assert project.factor(*words, TZ="Asia/Tokyo", LC_ALL="C", PYTHONHASHSEED="2") == one
    assert project.factor(*words, TZ="Asia/Tokyo", LC_ALL="C", PYTHONHASHSEED="0") == one
    assert "may be those" not in project.run(*words).out


@pytest.mark.parametrize(("walls", "told"), [("auto", False), ("never", True)])
def test_a_run_in_a_notebook_says_what_its_own_code_has_of_the_process(project, walls, told):
    project.asks("    return 1")
    answer = project.run(
        "compute=serial", f"compute.walls={walls}", start=NOTEBOOK, TZ="Asia/Tokyo"
    )
    assert answer.code == 0, answer
    (remarks,) = project.folder.glob("outputs/runs/*/*/remarks.txt")
    assert (
        "language and hash seed may come from this Python process" in remarks.read_text()
    ) == told


@pytest.mark.parametrize("walls", ["auto", "never"])
def test_a_compiled_helper_that_is_edited_is_compiled_again(project, walls):
    project.write("compiled.py", COMPILED)
    project.asks("    return twice()", "from compiled import twice")
    for number in (1.5, 2.5):
        project.write("made.py", HELPER.format(number))
        assert project.factor("compute=serial", f"compute.walls={walls}") == number


def test_a_number_that_is_read_for_compiled_code_is_not_that_of_before(project):
    project.write("compiled.py", COMPILED)
    project.write("made.py", "K = float(open('k.txt').read())\n" + HELPER.format("K"))
    project.asks("    return twice()", "from compiled import twice")
    for number in (1.5, 2.5):
        project.write("k.txt", str(number))
        assert project.factor("compute=serial", "inputs=[k.txt]") == number


@pytest.mark.skipif(which("cc") is None, reason="there is no compiler")
def test_a_library_that_is_built_again_is_refused_or_named(project):
    project.asks("    import ctypes\n    return ctypes.CDLL(str(THERE / 'lib.so')).factor()")
    for number in (2, 3):
        source = project.folder / "lib.c"
        source.write_text(f"int factor(void) {{ return {number}; }}\n")
        project.write("there/a.csv", "")
        library = project.folder / "there" / "lib.so"
        subprocess.run(["cc", "-shared", "-o", library, source], check=True)
        answer = project.run("compute=serial")
        assert "reads 'there/lib.so'" in answer.line
        assert project.factor("compute=serial", "inputs=[there/lib.so]") == number


def test_walls_and_computes_change_no_byte_of_lawful_code(project):
    project.write("table.csv", "factor\n1.5\n")
    project.asks("    import polars as pl\n    return pl.read_csv(HERE / 'table.csv')['factor'][0]")
    found = []
    for words in (
        ["compute=serial"],
        ["compute=serial", "compute.walls=never"],
        ["compute=processes", "compute.workers=2"],
        ["compute=processes", "compute.workers=2", "compute.walls=never"],
    ):
        answer = project.run(*words)
        assert answer.code == 0, answer
        found.append(project.predictions())
        assert ("compute.walls=never" in answer.out) == ("compute.walls=never" in words)
        for path in (project.folder / "outputs").glob("cache/cells/*/*"):
            path.unlink()
    assert all(each.equals(found[0]) for each in found)
    assert found[0]["mean"][-1] == 1.5 * (LAST - 3)


def test_a_cell_writes_nothing_but_its_temporary_folder(project):
    project.asks(
        "    from tempfile import TemporaryFile\n    with TemporaryFile() as file:\n"
        "        file.write(b'x')\n    open('/kept-by-a-cell', 'w').write('x')\n    return 1"
    )
    answer = project.run("compute=serial")
    assert "behind walls writes nothing but its temporary folder" in answer.line
    assert not Path("/kept-by-a-cell").exists()


def test_a_process_behind_walls_that_dies_fails_its_cell_alone(project):
    project.asks(
        "    import os\n    import hwds.core.sealed as here\n"
        "    here.count = getattr(here, 'count', 0) + 1\n"
        "    return 1 if here.count < 4 else os._exit(9)"
    )
    answer = project.run("protocol.windows=6", "compute.max_failed=6", "compute=serial")
    assert answer.code == 3, answer
    assert "worker died with exit code 9" in answer.out


def test_keys_of_code_of_hwds_know_no_walls(tmp_path):
    panel = monthly_panel()
    protocol = WalkForward(horizon=3, windows=1)
    fold = next(iter(protocol.split(panel)))
    models = {"naive": Naive(), "own": LastValue()}
    open_job = Job(protocol, models, None_(), 0, 1, "cpu", type(panel), tmp_path)
    named = replace(open_job, named={"a.csv": "1"})
    for label, same in (("naive", True), ("own", False)):
        place = panel.fingerprint, label, fold
        key = fold_key(open_job, *place)
        assert (fold_key(replace(open_job, sealed=True), *place) == key) is same
        assert (fold_key(named, *place) == key) is same
