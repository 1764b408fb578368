"""Imports point down only, Hydra has one door, and heavy libraries wait inside functions: read from
the source.
"""

import ast
import re
from pathlib import Path

from hwds.serve.bundle.manifest import ALERT_RULE
from tests.support.source import parsed

PACKAGE = Path(__file__).resolve().parents[1] / "hwds"
FAMILIES = {path.parent.name for path in PACKAGE.glob("*/family.py")}
LAYERS = [
    {"__main__"},
    {"cli"},
    {"serve"},
    {"search"},
    {"experiment"},
    {"datasets", "foreign"},
    FAMILIES,
    {"pricing", "supply"},
    {"report", "track"},
    {"evaluation"},
    {"stats"},
    {"results", "frames"},
    {"core"},
]
EDGES = {("bandit", "ope")}
"""Families that read another one: a replay reads a log of decisions."""
HYDRA = {"core/compose.py", "cli/words.py"}
HEAVY = {
    "keras",
    "tensorflow",
    "xgboost",
    "statsmodels",
    "pmdarima",
    "statsforecast",
    "mlforecast",
    "sklearn",
    "scipy",
    "numba",
    "matplotlib",
    "optuna",
    "pandas",
    "ray",
    "wandb",
    "mlflow",
    "onnx",
    "onnxruntime",
    "starlette",
    "uvicorn",
    "cryptography",
    "prometheus_client",
    "pyarrow",
    "flatbuffers",
    "boto3",
}
ONLY_IN = {"ray": {"evaluation", "search"}, "wandb": {"track"}, "mlflow": {"track"}}
MODULES = sorted(PACKAGE.rglob("*.py"))


def name_of(path):
    return path.relative_to(PACKAGE).as_posix()


def rank(part):
    return next(index for index, layer in enumerate(LAYERS) if part in layer)


def imports(tree):
    """The full names of all modules that are imported.

    `from hwds import app` is `hwds.cli.experiment`.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "a relative import"
            yield from (
                (f"{node.module}.{alias.name}" for alias in node.names)
                if node.module == "hwds"
                else [node.module or ""]
            )


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


def upward(path):
    """What a module imports from above it, or from beside it."""
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for imported in imports(parsed(path)) if own != "__init__" else ():
        other = imported.split(".")[1] if imported.startswith("hwds.") else own
        if other == own or other.startswith("__") or (own, other) in EDGES:
            continue
        if rank(other) < rank(own):
            yield f"{name_of(path)} imports upward: {imported}"
        elif rank(other) == rank(own):
            yield f"{name_of(path)} imports its neighbour: {imported}"


def test_imports_point_down():
    assert [breach for path in MODULES for breach in upward(path)] == []


def test_what_computes_cells_knows_no_family():
    assert all(rank("evaluation") > rank(family) for family in FAMILIES)


def test_what_serves_knows_families_by_their_hooks_alone():
    """What serving and commands ask of a family is a field of `hwds.core.registry.Family`."""
    named = {f"hwds.{family}" for family in FAMILIES}
    found = {
        f"{name_of(path)} names {other}"
        for path in MODULES
        if path.relative_to(PACKAGE).parts[0] in {"serve", "cli"}
        for other in (*imports(parsed(path)), *texts_of_paths(parsed(path)))
        if ".".join(other.split(".")[:2]) in named
    }
    assert found == {f"serve/bundle/manifest.py names {ALERT_RULE}"}, (
        "which bundles of older versions do not name"
    )


def texts_of_paths(tree):
    """The texts that are paths of hwds, such as `hwds.forecast.models.base:Forecaster`."""
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    return {text for text in texts if re.fullmatch(r"hwds(\.\w+)+:\w+", str(text))}


def test_hydra_has_one_door():
    roots = {
        name_of(path): {name.partition(".")[0] for name in imports(parsed(path))}
        for path in MODULES
    }
    assert {name for name, found in roots.items() if found & {"hydra", "omegaconf"}} <= HYDRA


def test_heavy_libraries_wait_inside_functions():
    heavy = {
        name_of(path): {name.partition(".")[0] for name in at_top(parsed(path))} & HEAVY
        for path in MODULES
    }
    assert {name: found for name, found in heavy.items() if found} == {}
    for path in MODULES:
        own = path.relative_to(PACKAGE).parts[0]
        for library in {name.partition(".")[0] for name in imports(parsed(path))} & set(ONLY_IN):
            assert own in ONLY_IN[library], f"{name_of(path)} imports {library}"


def file_graph():
    """For each module the modules that it imports, those inside functions and for types alone
    too.
    """
    files = {
        "hwds." + ".".join(path.relative_to(PACKAGE).with_suffix("").parts): name_of(path)
        for path in MODULES
    }
    graph = {}
    for path in MODULES:
        nodes = [
            node
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.ImportFrom)
        ]
        named = {
            name
            for node in nodes
            for name in (node.module, *(f"{node.module}.{alias.name}" for alias in node.names))
        }
        graph[name_of(path)] = {files[name] for name in named & files.keys()} - {name_of(path)}
    return graph


def circles_of(graph):
    """The sets of nodes that can all reach each other, of two nodes or more."""

    def reached(start):
        seen, pending = set(), [start]
        while pending:
            for node in graph[pending.pop()] - seen:
                seen.add(node)
                pending.append(node)
        return seen

    reach = {node: reached(node) for node in graph}
    together = [
        frozenset(other for other in reach[node] if node in reach[other])
        for node in graph
        if node in reach[node]
    ]
    return {circle for circle in together if len(circle) > 1}


def test_no_circles_of_files():
    new = [sorted(circle) for circle in circles_of(file_graph())]
    assert not new, f"files import each other in a circle: {new}"


def test_a_circle_of_files_would_be_found():
    graph = {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": set(), "e": {"a"}}
    assert circles_of(graph) == {frozenset("abc")}


def test_every_module_has_a_layer():
    assert {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in MODULES} - {
        "__init__"
    } <= set().union(*LAYERS)


def test_the_rules_would_catch_a_breach():
    tree = ast.parse(
        "from hwds import cli\ndef f():\n    import keras\nclass A:\n    import scipy.stats\n"
    )
    assert set(imports(tree)) == {"hwds.cli", "keras", "scipy.stats"}
    assert set(at_top(tree)) == {"hwds.cli", "scipy.stats"}
    assert rank("cli") < rank("evaluation") < rank("core")
