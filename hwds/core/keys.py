"""Keys of results: the code that is reached, the settings, the libraries, the class of CPU."""

from __future__ import annotations

import ast
import json
import os
import platform
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import distributions
from importlib.util import cache_from_source
from pathlib import Path
from pkgutil import get_importer
from typing import Any, NamedTuple

from hwds.core.cache import Cache, Codec
from hwds.core.errors import ConfigError
from hwds.core.files import OUTPUTS, digest, digest_bytes, may_keep
from hwds.core.moved import current_path
from hwds.core.recipe import canonical

# Variables of the environment that choose instructions or algorithms of a library, and with
# them the last bits of numbers.
# Threads are not among them: `cpus_per_cell` holds them, which is in the keys. Nor are
# `TF_ENABLE_ONEDNN_OPTS` and `KERAS_BACKEND`, which are set when TensorFlow is loaded, nor what
# was measured to change nothing, such as `PYTHONHASHSEED` and `POLARS_MAX_THREADS`.

NUMERIC_VARIABLES = (
    "OPENBLAS_CORETYPE",
    "NPY_DISABLE_CPU_FEATURES",
    "NPY_ENABLE_CPU_FEATURES",
    "GLIBC_TUNABLES",
    "LD_PRELOAD",
    "MKL_CBWR",
    "MKL_ENABLE_INSTRUCTIONS",
    "MKL_DEBUG_CPU_TYPE",
    "BLIS_ARCH_TYPE",
    "ONEDNN_MAX_CPU_ISA",
    "DNNL_MAX_CPU_ISA",
    "XLA_FLAGS",
    "TF_XLA_FLAGS",
    "TF_DETERMINISTIC_OPS",
    "NVIDIA_TF32_OVERRIDE",
)
"""The variables whose names follow no rule."""

NUMERIC_PREFIXES = (
    "NUMBA_CPU_",
    "NUMBA_OPT",
    "NUMBA_LOOP_VECTORIZE",
    "NUMBA_SLP_VECTORIZE",
    "NUMBA_ENABLE_AVX",
    "NUMBA_DISABLE_",
)


def numeric_environment() -> dict[str, str]:
    """Return those of the variables that are set, by name; mostly none is."""
    named = (
        name
        for name in os.environ
        if name in NUMERIC_VARIABLES or name.startswith(NUMERIC_PREFIXES)
    )
    return {name: os.environ[name] for name in sorted(named) if os.environ[name]}


# Modules read from their source: their imports, the modules that can be reached from them, and
# a digest of their code.

INSTALLED = {"site-packages", "dist-packages", Path(ast.__file__).parent.name}
"""Folders of libraries, Python's own among them, whose versions are in the cache keys."""

INIT = "__init__.py"

EVERYTHING = "*"
"""Stands for everything in a module; "" stands for the code that runs when it is loaded."""

_CALLED = re.compile(rb"(?:import_module|__import__)[(]\s*[\"']([\w.]+)[\"']")
_DOTTED = re.compile(rb"[\"'](\w+(?:\.\w+)+)(?::\w+)?[\"']")
_FILE = re.compile(rb"[\"']([^\"'\n\\]{1,100}[.]\w{1,8})[\"']")
_READS_DOCSTRINGS = re.compile(rb"[.]__doc__|getdoc[(]")
_BY_NAME = re.compile(rb"^def __getattr__[(]", re.MULTILINE)
_FIELDS = ("body", "orelse", "finalbody", "handlers", "cases")


class Import(NamedTuple):
    """One imported name.

    Attributes:
        module: The module that it is imported from.
        taken: Its name there; empty where the module itself is imported.
        alias: Its name here.
        loading: Whether it is imported while the module is loaded, not inside a function.
    """

    module: str
    taken: str
    alias: str
    loading: bool


class Syntax(NamedTuple):
    """The facts that follow from the text of a module alone.

    Attributes:
        code: The digest of its syntax tree without docstrings and other text statements.
        imports: The imports at run time.
        typing: The imports for type checkers alone.
        modules: Modules that it names in literals and imports by name.
        literals: Its literals that look like names of files.
        reads_docstrings: Whether its code reads docstrings, its own or those of others.
    """

    code: str
    imports: Sequence[Import] = ()
    typing: Sequence[Import] = ()
    modules: Sequence[str] = ()
    literals: Sequence[str] = ()
    reads_docstrings: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class ModuleSource:
    """The file of a module, as it was when it was first read.

    Attributes:
        file: Its path.
        text: Its bytes.
        syntax: The facts that follow from them.
    """

    file: Path
    text: bytes
    syntax: Syntax

    @property
    def data_files(self) -> list[Path]:
        """The files beside it that it names, modules excepted."""
        paths = {self.file.parent / literal for literal in self.syntax.literals}
        return [path for path in sorted(paths) if path.suffix != ".py" and path.is_file()]

    @property
    def data(self) -> list[bytes]:
        """The contents of these files."""
        return [path.read_bytes() for path in self.data_files]


def is_of_package(file: Path) -> bool:
    """Return whether a file is one of hwds itself."""
    return file.is_relative_to(Path(__file__).parents[1])


@cache
def read_source(name: str, file: Path) -> ModuleSource:
    """Return the source of a module's file; of compiled code nothing is known but its bytes."""
    text = file.read_bytes()
    if file.suffix != ".py":
        return ModuleSource(file, text, Syntax(digest_bytes([text])))
    package = name if file.name == INIT else name.rpartition(".")[0]
    stub = file.with_suffix(".pyi")
    names = stub.read_bytes() if stub.is_file() else b""
    key = digest_bytes([package.encode(), b"\0", text, b"\0", names])
    parsed = _stored_syntaxes()
    if key not in parsed:
        parsed[key] = _parse(text, names, package, file)
        _UNSAVED.append(key)
    return ModuleSource(file, text, parsed[key])


def _parse(text: bytes, stub: bytes, package: str, file: Path) -> Syntax:
    """Return what a module's text and its stub file say.

    A package that loads lazily names its modules in the stub.
    """
    tree = ast.parse(text, str(file))
    imports, typing = _strip_texts(tree, package)
    typing += _strip_texts(ast.parse(stub), package)[0]
    dynamic = _CALLED.findall(text) + (_DOTTED.findall(text) if _BY_NAME.search(text) else [])
    literals = sorted({literal.decode(errors="replace") for literal in _FILE.findall(text)})
    code = digest_bytes(["\0".join(_tokens(tree)).encode()])
    modules = sorted({name.decode() for name in dynamic})
    return Syntax(
        code, imports, typing, modules, literals, _READS_DOCSTRINGS.search(text) is not None
    )


def modules_reached(roots: Iterable[str]) -> dict[str, ModuleSource]:
    """Return every module that is reached by imports from some, those included, by full name.

    Imports inside functions count, those for type checkers alone do not, and what is installed does
    not either, but for the packages of the roots. A package counts by what it imports when it is
    loaded; what is taken from it, by where it has that.
    """
    pending = {(root, EVERYTHING) for root in roots}
    ours = {root.partition(".")[0] for root, _ in pending} | {"hwds"}
    seen: set[tuple[str, str]] = set()
    reached: dict[str, ModuleSource] = {}
    while pending:
        name, taken = place = pending.pop()
        seen.add(place)
        above = name.rpartition(".")[0]
        following = {(above, "")} if above else set()
        top = name.partition(".")[0]
        file = file_of_module(name) if top in ours or not is_installed(top) else None
        if file is not None:
            reached[name] = read_source(name, file)
            following |= _next(name, taken if file.name == INIT else EVERYTHING, reached[name])
        pending |= following - seen
    return reached


@cache
def _next(name: str, taken: str, source: ModuleSource) -> frozenset[tuple[str, str]]:
    """Return the modules that are reached in one step from a module, or from the member `taken` of
    a package.
    """
    syntax = source.syntax
    loading = [each for each in (*syntax.imports, *syntax.typing) if each.alias == taken]
    everything = taken and not loading and _spec(f"{name}.{taken}") is None
    imports = [each for each in syntax.imports if everything or each.loading]
    named = [place for each in (*loading, *imports) for place in _of_import(each, source.text)]
    return frozenset(named + [(literal, EVERYTHING) for literal in syntax.modules if everything])


def _of_import(each: Import, text: bytes) -> Iterator[tuple[str, str]]:
    """Yield the module and the member imported from it.

    Of a package, each module that the text names by dots, too.
    """
    yield each.module, each.taken or EVERYTHING
    inner = f"{each.module}.{each.taken}" if each.taken else each.module
    if each.taken and _spec(inner) is not None:
        yield inner, EVERYTHING
    top = each.alias.partition(".")[0]
    yield from _by_dots(top if each.alias == each.module else inner, top, text)


def _by_dots(package: str, alias: str, text: bytes) -> Iterator[tuple[str, str]]:
    spec = _spec(package)
    if spec is None or spec.submodule_search_locations is None:
        return
    for chain in set(re.findall(rb"\b%s((?:[.]\w+)+)" % alias.encode(), text)):
        words = chain.decode().split(".")[1:]
        for count in range(1, len(words) + 1):
            yield ".".join((package, *words[: count - 1])), words[count - 1]
            yield ".".join((package, *words[:count])), EVERYTHING


@cache
def file_of_module(name: str) -> Path | None:
    """Return the file of a module, found without importing it.

    None for what is no module, or has no file.
    """
    loaded = getattr(sys.modules.get(name), "__file__", None)
    if loaded:
        return Path(loaded).resolve()
    spec = _spec(name)
    return (
        Path(spec.origin).resolve()
        if spec is not None and spec.has_location and spec.origin
        else None
    )


@cache
def is_installed(top: str) -> bool:
    """Return whether a top-level module lies where libraries lie."""
    spec = _spec(top)
    places = (spec.submodule_search_locations or [spec.origin or ""]) if spec is not None else []
    return top in sys.stdlib_module_names or all(
        INSTALLED & set(Path(place).resolve().parts) for place in places
    )


@cache
def _spec(name: str) -> Any:
    """Return the import system's spec of a module; no package above it is loaded for that."""
    above = name.rpartition(".")[0]
    if above:
        places = getattr(_spec(above), "submodule_search_locations", None) or []
        named = [finder for finder in sys.meta_path if getattr(finder, "files", None)]
        specs = [finder.find_spec(name, None) for finder in named] + [
            finder.find_spec(name) for finder in map(get_importer, places) if finder is not None
        ]
    else:
        specs = [finder.find_spec(name, None) for finder in sys.meta_path]
    return next(iter(sorted(filter(None, specs), key=lambda spec: spec.loader is None)), None)


def _strip_texts(tree: ast.Module, package: str) -> tuple[list[Import], list[Import]]:
    """Remove text statements from a tree.

    Return its imports at run time, and those for type checkers alone.

    Args:
        tree: The syntax tree of a module.
        package: The package that relative imports are relative to.
    """
    imports: list[Import] = []
    typing: list[Import] = []
    pending: list[tuple[ast.AST, bool, list[Import]]] = [(tree, True, imports)]
    while pending:
        node, loading, collected = pending.pop()
        loading = loading and not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for field in _FIELDS:
            children = getattr(node, field, None)
            if not isinstance(children, list):
                continue
            children[:] = [child for child in children if not _is_text(child)]
            typed = field == "body" and isinstance(node, ast.If) and _is_type_checking(node.test)
            for child in children:
                if isinstance(child, ast.Import | ast.ImportFrom):
                    (typing if typed else collected).extend(_imports_of(child, package, loading))
                else:
                    pending.append((child, loading, typing if typed else collected))
    return imports, typing


def _tokens(tree: ast.Module) -> list[str]:
    """Return what a syntax tree is made of, but for the places in the text, in a third of the time
    of `ast.dump`.
    """
    tokens: list[str] = []
    pending: list[Any] = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.AST):
            fields = vars(node)
            tokens.append(node.__class__.__name__)
            pending += [fields.get(field) for field in node._fields]
        elif isinstance(node, list):
            tokens.append(f"[{len(node)}]")
            pending += node
        else:
            tokens.append(repr(node))
    return tokens


def _is_text(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _is_type_checking(test: ast.expr) -> bool:
    return (test.id if isinstance(test, ast.Name) else getattr(test, "attr", "")) == "TYPE_CHECKING"


def _imports_of(node: ast.Import | ast.ImportFrom, package: str, loading: bool) -> Iterator[Import]:
    if isinstance(node, ast.Import):
        yield from (Import(each.name, "", each.asname or each.name, loading) for each in node.names)
        return
    above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
    module = ".".join((*above, *([node.module] if node.module else [])))
    yield from (Import(module, each.name, each.asname or each.name, loading) for each in node.names)


@cache
def _stored_syntaxes() -> dict[str, Syntax]:
    """Return the parsed modules by the digests of their texts, read once a process from the cache
    on disk.
    """
    return Cache(syntax_folder()).load(_version(), SYNTAXES) or {}


def save_parsed() -> None:
    """Save the modules that this process has parsed for other processes, where a folder of caches
    exists.
    """
    if _UNSAVED and may_keep(syntax_folder()) and syntax_folder().parent.is_dir():
        stored = Cache(syntax_folder())
        before: dict[str, Syntax] = stored.load(_version(), SYNTAXES) or {}
        stored.store(_version(), SYNTAXES, dict([*(before | _stored_syntaxes()).items()][-MOST:]))
        _UNSAVED.clear()


def syntax_folder() -> Path:
    """Return the folder of parsed modules: beside the package's bytecode, or among the caches where
    Python writes none.
    """
    bytecode = Path(cache_from_source(__file__)).parent
    kept = not sys.dont_write_bytecode and os.access(bytecode, os.W_OK)
    return bytecode / "syntax" if kept else OUTPUTS / "cache" / "source"


@cache
def _version() -> str:
    """Return the digest of all that a syntax tree depends on besides the text: Python's version and
    this module.
    """
    return digest_bytes([sys.version.encode(), Path(__file__).read_bytes()])


def _decode_syntaxes(content: bytes) -> dict[str, Syntax]:
    return {
        key: Syntax(code, [Import(*one) for one in loaded], [Import(*one) for one in typed], *rest)
        for key, (code, loaded, typed, *rest) in json.loads(content).items()
    }


MOST = 5_000
"""The parsed modules that are kept, the latest; each edit of a module adds one."""

_UNSAVED: list[str] = []
"""The keys of the modules that were parsed since the last save."""

SYNTAXES = Codec("json", lambda syntaxes: json.dumps(syntaxes).encode(), _decode_syntaxes)


# The digest of the code that produces the numbers: a part of cache keys and of run ids.

_NAMED = re.compile(r"([A-Za-z_]\w*(?:[.]\w+)*):\S+")
"""A setting that names a member of a module: `my_pkg.metrics:bias`."""


def code_digest(settings: Any, *modules: str) -> str:
    """Return a digest (16 hexadecimal digits) of all source that numbers can depend on under some
    settings.

    It covers every module that is reached by imports, those inside functions too, from the class of
    each recipe in the settings, from the members that they name (`my_pkg.metrics:bias`) and from
    `modules`: in hwds and in a user's packages. It covers data files beside a module that names
    them. It does not cover comments, docstrings and layout, nor installed libraries, whose versions
    are in the key. Nothing is imported for it.

    Args:
        settings: A recipe, or a collection of recipes and plain data.
        modules: Further modules by their full names.

    Raises:
        ConfigError: A module has no source.
    """
    return _digest(frozenset(modules) | set(modules_in(canonical(settings))))


def modules_in(plain: Any) -> Iterator[str]:
    """Yield the modules that canonical settings name: those of recipes, and of members such as
    `my_pkg.metrics:bias`.
    """
    if isinstance(plain, dict):
        if isinstance(plain.get("recipe"), str):
            yield plain["recipe"].partition(":")[0]
        plain = list(plain.values())
    if isinstance(plain, list):
        for item in plain:
            yield from modules_in(item)
    elif isinstance(plain, str):
        named = _NAMED.fullmatch(current_path(plain))
        if named and file_of_module(named[1]) is not None:
            yield named[1]


@cache
def _digest(roots: frozenset[str]) -> str:
    absent = sorted(root for root in roots if file_of_module(root) is None)
    if absent:
        raise ConfigError(
            f"module '{absent[0]}' has no source file, so that nothing can name its code; put it "
            f"into a file."
        )
    reached = sorted(modules_reached(roots).items())
    save_parsed()
    read = any(source.syntax.reads_docstrings for _, source in reached)
    return digest(
        [
            [
                name,
                digest_bytes([source.text]) if read else source.syntax.code,
                [digest_bytes([data]) for data in source.data],
            ]
            for name, source in reached
        ]
    )


# Keys: the name of a result in the cache, made of all that it depends on. It may miss too
# often; it must never lie.


@dataclass(frozen=True, slots=True)
class Conditions:
    """Everything that numbers depend on besides data and recipes.

    Attributes:
        seed: The experiment's; None where nothing is drawn.
        cpus: Threads; None where they change no bit.
        device: `cpu` or `gpu`; None likewise.
        machine: The class of CPU that computes; empty for this one.
    """

    seed: int | None = None
    cpus: int | None = None
    device: str | None = None
    machine: str = ""


def key_of(
    kind: str, data: Any, settings: Mapping[str, Any], conditions: Conditions, *modules: str
) -> str:
    """Return the key of a result. Every key in the cache is made here, so that none lacks a part.

    Args:
        kind: What is kept.
        data: Fingerprints of what it is made from, and of which part of it.
        settings: Recipes and plain data that decide how it is made; the code of what they name
            counts too.
        conditions: What else changes bits.
        modules: The modules that make the result, by their full names; their code counts.
    """
    plain = canonical(dict(settings))
    return digest(
        {
            "kind": kind,
            "data": data,
            "settings": plain,
            "code": code_digest(plain, *modules),
            "seed": conditions.seed,
            "threads": conditions.cpus,
            "device": conditions.device,
            "machine": conditions.machine or machine_digest(),
            "libraries": libraries_digest(),
        }
    )


def machine_digest() -> str:
    """Return the class of CPU, with what the environment says of it: two machines of one class
    compute the same bits.
    """
    environment = numeric_environment()
    return digest([cpu_digest(), environment]) if environment else cpu_digest()


@cache
def cpu_digest() -> str:
    """Return the digest of the names and abilities of the CPUs."""
    info = Path("/proc/cpuinfo")
    text = info.read_text().splitlines() if info.exists() else []
    lines = sorted({line for line in text if line.startswith(("model name", "flags", "Features"))})
    return digest([platform.system(), platform.machine(), platform.processor(), lines])


@cache
def libraries_digest() -> str:
    """Return the digest of Python's version and of every installed distribution."""
    return digest(
        [
            platform.python_version(),
            sorted(f"{name}=={version}" for name, version in installed_versions().items()),
        ]
    )


def installed_versions() -> dict[str, str]:
    """Return the version of every distribution.

    Those that Ray carries inside itself, and adds on import, are part of Ray.
    """
    separate = [
        item for item in distributions() if "thirdparty_files" not in str(item.locate_file(""))
    ]
    texts = [item.read_text("METADATA") or item.read_text("PKG-INFO") or "" for item in separate]
    headers = [
        text.partition("\n\n")[0] for text in texts
    ]  # a description below may have such lines too
    return {_header("Name", lines): _header("Version", lines) for lines in headers}


def _header(name: str, lines: str) -> str:
    """Return the value of a header; empty without one."""
    match = re.search(rf"^{name}:\s*(.*?)\s*$", lines, re.MULTILINE | re.IGNORECASE)
    return match[1] if match else ""
