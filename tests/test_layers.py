"""Imports point down only, Hydra has one door, and heavy libraries wait inside functions: read from the source."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "hwds"
LAYERS = [
    {"cli", "commands", "completion", "flags", "__main__"},
    {"app", "app_run", "app_search", "app_study", "app_study_found"},
    {"execution"},
    {"report", "serving"},
    {"tracking", "compare", "decisions"},
    {"protocols"},
    {"models", "features", "datasets", "sweeps"},
    {"metrics", "results", "context"},
    {"frames", "config"},
    {"registry", "recipe", "errors", "seeds", "hashing", "stored", "compiled"},
]
APART = {"report", "serving", "tracking", "compare", "decisions", "models", "features", "datasets", "sweeps"}
"""Packages that do not import their neighbours in the same layer."""
HYDRA = {"config/compose.py", "config/source.py", "cli.py"}
HEAVY = {
    "keras", "tensorflow", "xgboost", "statsmodels", "pmdarima", "sklearn", "scipy", "numba",
    "matplotlib", "optuna", "pandas", "ray", "wandb", "mlflow",
}  # fmt: skip
ONLY_IN = {"ray": "execution", "wandb": "tracking", "mlflow": "tracking"}
MODULES = sorted(PACKAGE.rglob("*.py"))


def name_of(path):
    return path.relative_to(PACKAGE).as_posix()


def rank(part):
    return next(index for index, layer in enumerate(LAYERS) if part in layer)


def imports(tree):
    """The full names of all modules that are imported; `from hwds import app` is `hwds.app`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names) if node.module == "hwds" else [node.module or ""]


def at_top(tree):
    """What is imported when the module is: everything outside functions."""
    pending = list(tree.body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from imports(node)
        pending += list(ast.iter_child_nodes(node))


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_point_down(path):
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if own == "__init__":
        return
    tree = ast.parse(path.read_text())
    for imported in imports(tree):
        if imported.startswith("hwds."):
            other = imported.split(".")[1]
            if other != own and not other.startswith("__"):
                assert rank(other) >= rank(own), f"{name_of(path)} imports upward: {imported}"
                assert not (own in APART and rank(other) == rank(own)), f"{name_of(path)} imports its neighbour: {imported}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_hydra_has_one_door(path):
    tree = ast.parse(path.read_text())
    found = {name for name in imports(tree) if name.partition(".")[0] in ("hydra", "omegaconf")}
    assert not found or name_of(path) in HYDRA


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_heavy_libraries_wait_inside_functions(path):
    tree = ast.parse(path.read_text())
    assert not {name for name in at_top(tree) if name.partition(".")[0] in HEAVY}
    for name in imports(tree):
        library = name.partition(".")[0]
        assert path.relative_to(PACKAGE).parts[0] == ONLY_IN.get(library, path.relative_to(PACKAGE).parts[0])


def test_every_module_has_a_layer():
    assert {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in MODULES} - {"__init__"} <= set().union(*LAYERS)


def test_the_rules_would_catch_a_breach():
    tree = ast.parse("from hwds import app\ndef f():\n    import keras\nclass A:\n    import scipy.stats\n")
    assert set(imports(tree)) == {"hwds.app", "keras", "scipy.stats"}
    assert set(at_top(tree)) == {"hwds.app", "scipy.stats"}
    assert rank("app") < rank("config") < rank("recipe")
