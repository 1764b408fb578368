"""Modules read from their source: their imports, the modules that can be reached from them, and a digest of their code."""

from __future__ import annotations

import ast
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import cache_from_source
from pathlib import Path
from pkgutil import get_importer
from typing import Any, NamedTuple

from hwds.core.cache import Cache, Codec
from hwds.core.hashing import digest_bytes
from hwds.core.outputs import OUTPUTS

INSTALLED = {"site-packages", "dist-packages", Path(ast.__file__).parent.name}
"""Folders of libraries, Python's own among them, whose versions are in the cache keys."""

INIT = "__init__.py"

ALL = "*"
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
    def data(self) -> list[bytes]:
        """The contents of the files beside it that it names, modules excepted."""
        paths = {self.file.parent / literal for literal in self.syntax.literals}
        return [path.read_bytes() for path in sorted(paths) if path.suffix != ".py" and path.is_file()]


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
    parsed = _parsed()
    if key not in parsed:
        parsed[key] = _parse(text, names, package, file)
        _UNSAVED.append(key)
    return ModuleSource(file, text, parsed[key])


def _parse(text: bytes, stub: bytes, package: str, file: Path) -> Syntax:
    """Return what a module's text and its stub file say; a package that loads lazily names its modules in the stub."""
    tree = ast.parse(text, str(file))
    imports, typing = _stripped(tree, package)
    typing += _stripped(ast.parse(stub), package)[0]
    dynamic = _CALLED.findall(text) + (_DOTTED.findall(text) if _BY_NAME.search(text) else [])
    literals = sorted({literal.decode(errors="replace") for literal in _FILE.findall(text)})
    code = digest_bytes(["\0".join(_tokens(tree)).encode()])
    modules = sorted({name.decode() for name in dynamic})
    return Syntax(code, imports, typing, modules, literals, _READS_DOCSTRINGS.search(text) is not None)


def modules_reached(roots: Iterable[str]) -> dict[str, ModuleSource]:
    """Return every module that is reached by imports from some, those included, by full name.

    Imports inside functions count, those for type checkers alone do not, and what is installed does not either, but for the
    packages of the roots. A package counts by what it imports when it is loaded; what is taken from it, by where it has that.
    """
    pending = {(root, ALL) for root in roots}
    ours = {root.partition(".")[0] for root, _ in pending} | {"hwds"}
    seen: set[tuple[str, str]] = set()
    reached: dict[str, ModuleSource] = {}
    while pending:
        name, taken = place = pending.pop()
        seen.add(place)
        above = name.rpartition(".")[0]
        following = {(above, "")} if above else set()
        top = name.partition(".")[0]
        file = module_file(name) if top in ours or not _is_installed(top) else None
        if file is not None:
            reached[name] = read_source(name, file)
            following |= _next(name, taken if file.name == INIT else ALL, reached[name])
        pending |= following - seen
    return reached


@cache
def _next(name: str, taken: str, source: ModuleSource) -> frozenset[tuple[str, str]]:
    """Return the modules that are reached in one step from a module, or from the member `taken` of a package."""
    syntax = source.syntax
    known = [each for each in (*syntax.imports, *syntax.typing) if each.alias == taken]
    everything = taken and not known and _spec(f"{name}.{taken}") is None
    imports = [each for each in syntax.imports if everything or each.loading]
    named = [place for each in (*known, *imports) for place in _of_import(each, source.text)]
    return frozenset(named + [(literal, ALL) for literal in syntax.modules if everything])


def _of_import(each: Import, text: bytes) -> Iterator[tuple[str, str]]:
    """Yield the module and the member imported from it; of a package, each module that the text names by dots, too."""
    yield each.module, each.taken or ALL
    inner = f"{each.module}.{each.taken}" if each.taken else each.module
    if each.taken and _spec(inner) is not None:
        yield inner, ALL
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
            yield ".".join((package, *words[:count])), ALL


@cache
def module_file(name: str) -> Path | None:
    """Return the file of a module, found without importing it; None for what is no module, or has no file."""
    loaded = getattr(sys.modules.get(name), "__file__", None)
    if loaded:
        return Path(loaded).resolve()
    spec = _spec(name)
    return Path(spec.origin).resolve() if spec is not None and spec.has_location and spec.origin else None


@cache
def _is_installed(top: str) -> bool:
    """Return whether a top-level module lies where libraries lie."""
    spec = _spec(top)
    places = (spec.submodule_search_locations or [spec.origin or ""]) if spec is not None else []
    return top in sys.stdlib_module_names or all(INSTALLED & set(Path(place).resolve().parts) for place in places)


@cache
def _spec(name: str) -> Any:
    """Return the import system's spec of a module; no package above it is loaded for that."""
    above = name.rpartition(".")[0]
    if above:
        places = getattr(_spec(above), "submodule_search_locations", None) or []
        specs = [finder.find_spec(name) for finder in map(get_importer, places) if finder is not None]
    else:
        specs = [finder.find_spec(name, None) for finder in sys.meta_path]
    return next(iter(sorted(filter(None, specs), key=lambda spec: spec.loader is None)), None)


def _stripped(tree: ast.Module, package: str) -> tuple[list[Import], list[Import]]:
    """Remove text statements from a tree; return its imports at run time, and those for type checkers alone.

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
                    (typing if typed else collected).extend(_imported(child, package, loading))
                else:
                    pending.append((child, loading, typing if typed else collected))
    return imports, typing


def _tokens(tree: ast.Module) -> list[str]:
    """Return what a syntax tree is made of, but for the places in the text, in a third of the time of `ast.dump`."""
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
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _is_type_checking(test: ast.expr) -> bool:
    return (test.id if isinstance(test, ast.Name) else getattr(test, "attr", "")) == "TYPE_CHECKING"


def _imported(node: ast.Import | ast.ImportFrom, package: str, loading: bool) -> Iterator[Import]:
    if isinstance(node, ast.Import):
        yield from (Import(each.name, "", each.asname or each.name, loading) for each in node.names)
        return
    above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
    module = ".".join((*above, *([node.module] if node.module else [])))
    yield from (Import(module, each.name, each.asname or each.name, loading) for each in node.names)


@cache
def _parsed() -> dict[str, Syntax]:
    """Return the parsed modules by the digests of their texts, read once a process from the cache on disk."""
    return Cache(folder()).load(_version(), SYNTAXES) or {}


def save_parsed() -> None:
    """Save the modules that this process has parsed for other processes, where a folder of caches exists."""
    if _UNSAVED and folder().parent.is_dir():
        stored = Cache(folder())
        before: dict[str, Syntax] = stored.load(_version(), SYNTAXES) or {}
        stored.store(_version(), SYNTAXES, dict([*(before | _parsed()).items()][-MOST:]))
        _UNSAVED.clear()


def folder() -> Path:
    """Return the folder of parsed modules: beside the package's bytecode, or among the caches where Python writes none."""
    bytecode = Path(cache_from_source(__file__)).parent
    kept = not sys.dont_write_bytecode and os.access(bytecode, os.W_OK)
    return bytecode / "syntax" if kept else OUTPUTS / "cache" / "source"


@cache
def _version() -> str:
    """Return the digest of all that a syntax tree depends on besides the text: Python's version and this module."""
    return digest_bytes([sys.version.encode(), Path(__file__).read_bytes()])


def _decoded(content: bytes) -> dict[str, Syntax]:
    return {key: _syntax(*fields) for key, fields in json.loads(content).items()}


def _syntax(code: str, imports: Any, typing: Any, *others: Any) -> Syntax:
    return Syntax(code, [Import(*each) for each in imports], [Import(*each) for each in typing], *others)


MOST = 5_000
"""The parsed modules that are kept, the latest; each edit of a module adds one."""

_UNSAVED: list[str] = []
"""The keys of the modules that were parsed since the last save."""

SYNTAXES = Codec("json", lambda syntaxes: json.dumps(syntaxes).encode(), _decoded)
