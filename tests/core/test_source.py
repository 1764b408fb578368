"""The code of a key: what numbers can come from by imports, in hwds and in a user's packages; and
nothing else.
"""

import json
import shutil
import subprocess
import sys
from importlib.util import cache_from_source
from pathlib import Path
from textwrap import dedent

import pytest

from hwds.core import keys as digests
from hwds.core import keys as source
from hwds.core.cache import CHECKSUM
from hwds.core.errors import ConfigError
from hwds.core.keys import code_digest, modules_reached, syntax_folder
from hwds.core.registry import PACKAGE

EDITS = """
import json, sys
from pathlib import Path
from hwds.core import keys as digests, keys as source

def codes():
    for cached in (digests._digest, source.read_source, source._stored_syntaxes):
        cached.cache_clear()
    return {name: digests.code_digest(None, *roots) for name, roots in json.loads(sys.argv[2]).items()}

before = codes()
for file, text in json.loads(sys.argv[1]):
    path = Path(file)
    whole = path.read_text()
    path.write_text(text[1:] + whole if text.startswith("<") else whole + text)
    after = codes()
    path.write_text(whole)
    print(file, *(name for name in before if before[name] != after[name]))
"""

ROOTS = {
    "lstm": [
        "hwds.evaluation.cells",
        "hwds.forecast.models.lstm",
        "hwds.forecast.protocols.walk_forward",
    ],
    "xgboost": [
        "hwds.evaluation.cells",
        "hwds.detection.models.classify.xgboost",
        "hwds.detection.protocols.prequential",
    ],
    "run": [
        "hwds.evaluation.run_cells",
        "hwds.bandit.models.ucb1",
        "hwds.bandit.protocols.bandit_simulation",
    ],
}

CODE = "\nAN_EDIT = 1\n"

EXPECTED = {
    ("hwds/report/leaderboard.py", CODE): "",
    ("hwds/cli/main.py", CODE): "",
    ("hwds/track/records.py", CODE): "",
    ("hwds/search/rungs.py", CODE): "",
    ("hwds/forecast/models/theta.py", CODE): "",
    ("hwds/forecast/models/lstm.py", "\n# a comment\n"): "",
    ("hwds/forecast/models/lstm.py", '\n"""A text that nothing reads."""\n'): "",
    ("hwds/forecast/models/lstm.py", "<# a comment\n\n"): "",
    ("hwds/forecast/models/lstm.py", CODE): "lstm",
    ("hwds/forecast/protocols/walk_forward.py", CODE): "lstm",
    ("hwds/frames/table.py", CODE): "lstm xgboost run",
    ("hwds/bandit/models/kernels/indices.py", CODE): "run",
    ("hwds/evaluation/cells.py", CODE): "lstm xgboost run",
    ("hwds/evaluation/run_cells.py", CODE): "run",
    ("hwds/core/seeds.py", CODE): "lstm xgboost run",
}


def test_an_edit_changes_the_keys_of_what_can_come_from_it_alone(tmp_path):
    shutil.copytree(PACKAGE, tmp_path / "hwds", ignore=shutil.ignore_patterns("__pycache__"))
    words = [
        sys.executable,
        "-c",
        EDITS,
        json.dumps([[*edit] for edit in EXPECTED]),
        json.dumps(ROOTS),
    ]
    told = subprocess.run(
        words,
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.splitlines() == [
        f"{file} {names}".strip() for (file, _), names in EXPECTED.items()
    ]


FILES = {
    "mine/__init__.py": "",
    "mine/models.py": """
        from mine.parts import scale
        from helpers import smooth
        import tools.deep

        def later():
            from mine import later
        """,
    "mine/parts.py": """
        import numpy as np
        from .constants import SCALE
        scale = SCALE
        """,
    "mine/constants.py": "SCALE = 2",
    "mine/later.py": "open('weights.csv')",
    "mine/weights.csv": "1,2",
    "mine/other.py": "A = 1",
    "mine/typed.py": "A = 1",
    "helpers/__init__.py": """
        from typing import TYPE_CHECKING
        if TYPE_CHECKING:
            from helpers.smoothing import smooth
            from helpers.rest import rest

        def __getattr__(name):
            from importlib import import_module
            return getattr(import_module(f"helpers.{name}"), name)
        """,
    "helpers/smoothing.py": "def smooth(): ...",
    "helpers/rest.py": "rest = 1",
    "tools/deep/__init__.py": """
        from importlib import import_module
        import_module("tools.wide.named")
        """,
    "tools/wide/named.py": "A = 1",
}
"""A user's packages: one of models, one of helpers with a lazy face, and one whose folders have no
`__init__.py`.
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A user's packages, none of them loaded.

    And the code of what is taken from `mine.models`, read anew.
    """
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text))
    for name in (
        "mine",
        "mine.models",
        "helpers",
    ):  # another test of this process may have loaded its own
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    forget()
    yield tmp_path
    forget()


def forget():
    for cached in (
        digests._digest,
        source.read_source,
        source._stored_syntaxes,
        source.file_of_module,
        source._spec,
        source.is_installed,
    ):
        cached.cache_clear()


def code(*modules):
    forget()
    return code_digest(None, *modules)


@pytest.mark.parametrize(
    "file", ["models.py", "parts.py", "constants.py", "later.py", "weights.csv", "__init__.py"]
)
def test_an_edit_of_what_a_users_module_imports_changes_its_code(project, file):
    before = code("mine.models")
    path = project / "mine" / file
    path.write_text(path.read_text() + "\nB = 2\n")
    assert code("mine.models") != before


@pytest.mark.parametrize(
    "file",
    [
        "helpers/smoothing.py",
        "helpers/__init__.py",
        "tools/deep/__init__.py",
        "tools/wide/named.py",
    ],
)
def test_so_does_one_of_a_package_of_helpers(project, file):
    before = code("mine.models")
    (project / file).write_text((project / file).read_text() + "\nB = 2\n")
    assert code("mine.models") != before


@pytest.mark.parametrize("file", ["mine/other.py", "helpers/rest.py"])
def test_one_of_what_is_not_imported_does_not(project, file):
    before = code("mine.models")
    (project / file).write_text("B = 2\n")
    assert code("mine.models") == before


def test_what_is_imported_for_type_checkers_alone_does_not_count_and_what_is_installed_neither(
    project,
):
    models = project / "mine" / "models.py"
    models.write_text(
        "from typing import TYPE_CHECKING\nimport polars\nif TYPE_CHECKING:\n    from mine.typed "
        "import A\n"
    )
    forget()
    assert sorted(modules_reached(["mine.models"])) == ["mine", "mine.models"]


def test_docstrings_count_where_a_module_reads_them(project):
    for text in ("", "print(later.__doc__)\n"):
        models = project / "mine" / "models.py"
        models.write_text("from mine import later\n" + text)
        (project / "mine" / "later.py").write_text('"""One."""\n')
        before = code("mine.models")
        (project / "mine" / "later.py").write_text('"""Other."""\n')
        assert (code("mine.models") == before) == (not text)


@pytest.mark.parametrize("bytecode", [True, False])
def test_nothing_is_imported_and_what_was_parsed_lasts(project, monkeypatch, bytecode):
    monkeypatch.setattr(sys, "dont_write_bytecode", not bytecode)
    monkeypatch.setattr(sys, "pycache_prefix", str(project))
    Path(cache_from_source(source.__file__)).parent.mkdir(parents=True)
    syntax_folder().parent.mkdir(parents=True, exist_ok=True)
    assert syntax_folder().is_relative_to(project) == bytecode
    first = code("mine.models")
    assert not {"mine", "mine.models", "helpers"} & set(sys.modules)
    assert list(syntax_folder().rglob("*.json"))
    assert code("mine.models") == first
    for path in syntax_folder().rglob("*.json"):
        path.write_bytes(path.read_bytes()[:-1])
    assert code("mine.models") == first


def test_the_latest_parsed_modules_are_kept(project, monkeypatch):
    monkeypatch.setattr(source, "MOST", 3)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    syntax_folder().parent.mkdir(parents=True)
    code("mine.models")
    (stored,) = syntax_folder().rglob("*.json")
    assert len(json.loads(stored.read_bytes()[CHECKSUM:])) == 3


def test_a_setting_names_code_too(project):
    before = code_digest(
        {"metrics": ["mine.other:bias"], "address": "10:20", "none": "mine.absent:x"}
    )
    (project / "mine" / "other.py").write_text("B = 2\n")
    forget()
    assert (
        code_digest({"metrics": ["mine.other:bias"], "address": "10:20", "none": "mine.absent:x"})
        != before
    )


def test_code_without_a_file_is_refused():
    with pytest.raises(ConfigError, match="module 'nowhere' has no source file"):
        code_digest({"recipe": "nowhere:Model"})


def test_the_closure_of_hwds_is_that_of_its_files():
    for name, found in modules_reached(["hwds.evaluation.run_cells"]).items():
        assert found.file.is_relative_to(Path(PACKAGE)), name


FACED = [
    "from hwds import Forecaster\n",
    "from hwds.forecast import LSTM\n",
    "import hwds\n\n\nclass Own(hwds.Forecaster):\n    pass\n",
]


@pytest.mark.parametrize("text", FACED)
def test_what_a_package_loads_lazily_is_reached_by_its_stub(project, text):
    (project / "mine" / "faced.py").write_text(text)
    assert "hwds.forecast.models.base" in modules_reached(["mine.faced"])
