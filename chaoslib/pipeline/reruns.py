"""What reruns what: hashes of the code of a notebook, and of the definitions that it reaches in the library.

Followed by names through every module of the package, so that editing a function reruns the stages that call it, and
no other.
"""

import ast
import functools
import hashlib
import json
from collections.abc import Collection
from pathlib import Path

from chaoslib.pipeline.settings import ParamsError

LOG_LEVELS = ("debug", "info", "warning", "error", "exception", "critical")
COMPUTED = ("importlib.import_module", "import_module", "__import__")
PLUMBING = ("pipeline", "figures")  # wings that say how results are kept and shown, not what they are


def notebook_hash(notebook: Path, package: Path) -> str:
    """One hash of both: what of the code decides whether a stage runs again."""
    return code_hash(notebook) + library_hash(notebook, package)


def code_hash(notebook: Path) -> str:
    """sha256 of the syntax of a notebook's code cells; outputs, prose, comments and the texts of messages do not count."""
    return hashlib.sha256(ast.unparse(parse(code_of(notebook), notebook.name)).encode()).hexdigest()


def library_hash(notebook: Path, package: Path) -> str:
    """sha256 of the definitions that a notebook reaches in the package: editing a metric retrains nothing that does not
    compute it. Comments, docstrings, messages, and the wings of `PLUMBING` do not count."""
    definitions = reached(code_of(notebook), package, source=notebook.name)
    return hashlib.sha256("\0".join(f"{name} {text}" for name, text in definitions).encode()).hexdigest()


def script_hash(script: Path, start: str, package: Path) -> str:
    """The same for one function of a script, with all of the script that it calls."""
    definitions = reached(script.read_text(encoding="utf-8"), package, source=script.name, start=start)
    return hashlib.sha256(repr(definitions).encode()).hexdigest()


def code_of(notebook: Path) -> str:
    """The code cells of a notebook as one program."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")


def reached(code: str, package: Path, *, source: str = "code", start: str | None = None) -> list[tuple[str, str]]:
    """(`wing.module.name`, code) of each definition of a package that a piece of Python reaches, at once or through others.

    Found by following names, so a module used in any way but `module.name`, as in getattr(module, name), is reached
    as a whole; so are statements of a module that bind no name.
    start : a definition of the code itself, to follow that one alone and count it too
    Raises ParamsError for an import that names nothing.
    """
    modules = library(package).copy()
    caller = Definitions(code, source, modules, package.name)
    caller.check(modules)
    modules[source] = caller
    waiting = {(source, start)} if start else {target for node in caller.tree.body for target in caller.targets(node)}
    hashed = set()
    while waiting:
        module, name = waiting.pop()
        if module is None or (module, name) in hashed or wing_of(module) in PLUMBING:
            continue
        hashed.add((module, name))
        known = modules[module]
        if name in known.imported:  # handed on by a module that only imports it
            waiting.add(known.imported[name])
        for node in known.bound.get(name, []):
            waiting |= {(other or module, its) for other, its in known.targets(node)}
        waiting |= {(module, ""), *((module, each) for each in known.bound if name == "*")}
        above = module.split(".")[:-1]  # importing a module runs the __init__ of the folders around it
        waiting |= {(folder, "") for folder in (".".join(above[: n + 1]) for n in range(len(above))) if folder in modules}
    texts = (
        (f"{module}.{name}".removeprefix(f"{package.name}."), modules[module].text(name)) for module, name in sorted(hashed)
    )
    return [(name, text) for name, text in texts if text]


def wing_of(module: str) -> str:
    """`chaoslib.models.vae` -> `models`; empty for the package itself."""
    return module.split(".")[1] if "." in module else ""


def library(package: Path) -> dict[str, "Definitions"]:
    """Dotted name -> definitions of every module of a package, folders inside it too."""
    paths = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        paths[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    names = frozenset(paths)
    modules = {name: definitions_of(path, path.stat().st_mtime_ns, name, names) for name, path in paths.items()}
    for definitions in modules.values():
        definitions.check(modules)
    return modules


@functools.lru_cache(maxsize=256)
def definitions_of(path: Path, changed: int, name: str, modules: frozenset[str]) -> "Definitions":
    """A module, parsed once as long as its file stands."""
    return Definitions(
        path.read_text(encoding="utf-8"), name, modules, name.split(".")[0], folder=path.name == "__init__.py"
    )


def parse(code: str, source: str) -> ast.Module:
    """The syntax of a piece of Python without docstrings, log calls and the texts of errors."""
    try:
        return Silent().visit(ast.parse(code))
    except SyntaxError as error:
        raise ParamsError(f"{source}: {error.msg}: {(error.text or '').strip()}") from error


class Silent(ast.NodeTransformer):
    """Drops what is said and leaves what is computed."""

    def body_without_docstring(self, node):
        if ast.get_docstring(node):
            node.body = node.body[1:] or [ast.Pass()]
        return self.generic_visit(node)

    visit_Module = visit_ClassDef = visit_FunctionDef = body_without_docstring  # noqa: N815

    def visit_Expr(self, node):
        called = node.value.func if isinstance(node.value, ast.Call) else None
        if isinstance(called, ast.Attribute) and called.attr in LOG_LEVELS and ast.unparse(called.value) == "log":
            return ast.Pass()
        return self.generic_visit(node)

    def visit_Raise(self, node):
        return ast.Raise(node.exc.func) if isinstance(node.exc, ast.Call) else node

    def visit_Assert(self, node):
        return ast.Assert(self.visit(node.test))

    def visit_Call(self, node):
        node.keywords = [each for each in node.keywords if ast.unparse(each) != "encoding='utf-8'"]  # the usual one
        return self.generic_visit(node)


class Definitions:
    """The top-level statements of a piece of Python by the names they bind, `""` for those that bind none.

    name : dotted name of a module, or what to call other code in errors; modules : all of the package, by dotted name
    """

    def __init__(self, code: str, name: str, modules: Collection[str], package: str, *, folder: bool = False):
        self.tree, self.name, self.modules, self.package = parse(code, name), name, modules, package
        self.above = name.split(".") if folder else name.split(".")[:-1]  # the folder that relative imports start from
        self.texts: dict[str, str] = {}
        self.bound: dict[str, list[ast.stmt]] = {"": []}
        self.imported: dict[str, tuple[str, str]] = {}  # local name -> (module of the package, its name or "*" for itself)
        for node in ast.walk(self.tree):
            if isinstance(node, ast.ImportFrom):
                self.note_import_from(node)
            elif isinstance(node, ast.Import):
                for alias in node.names:
                    if alias.name.split(".")[0] == package:
                        self.note_module(node, alias.name, alias.asname)
            elif isinstance(node, ast.Attribute | ast.Name) and ast.unparse(node) in COMPUTED:
                raise ParamsError(f"{name}: an import by a computed name cannot be followed, write it as a statement")
        for node in self.tree.body:
            stored = [each.id for each in ast.walk(node) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)]
            if isinstance(node, ast.Import | ast.ImportFrom):
                stored = [(alias.asname or alias.name).split(".")[0] for alias in node.names]
            elif isinstance(node, ast.FunctionDef | ast.ClassDef):
                stored = [node.name]
            elif not isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
                # a block, say an `if` around definitions: counts whenever the module is reached, and for each name inside
                inside = [each.name for each in ast.walk(node) if isinstance(each, ast.FunctionDef | ast.ClassDef)]
                stored = ["", *dict.fromkeys(stored + inside)]
            for each in stored or [""]:
                self.bound.setdefault(each, []).append(node)

    def note_import_from(self, node: ast.ImportFrom) -> None:
        above = ".".join(self.above[: len(self.above) + 1 - node.level]) if node.level else ""
        origin = ".".join(part for part in (above, node.module) if part)
        if origin.split(".")[0] != self.package:
            return
        for alias in node.names:
            inside = f"{origin}.{alias.name}"
            if inside in self.modules:
                self.note_module(node, inside, alias.asname or alias.name)
            elif origin in self.modules and alias.name != "*":
                self.note(alias.asname or alias.name, origin, alias.name)
            else:
                raise ParamsError(f"{self.name}: `{ast.unparse(node)}` names no module of {self.package}")

    def note_module(self, node: ast.stmt, module: str, local: str | None) -> None:
        holds_modules = any(name.startswith(f"{module}.") for name in self.modules) and wing_of(module) not in PLUMBING
        if local is None or module not in self.modules or holds_modules:
            raise ParamsError(
                f"{self.name}: `{ast.unparse(node)}` cannot be followed, write `from {self.package}... import`"
            )
        self.note(local, module, "*")

    def note(self, local: str, module: str, name: str) -> None:
        if self.imported.setdefault(local, (module, name)) != (module, name):
            raise ParamsError(f"{self.name} imports two things as {local}: give them two names")

    def check(self, modules: dict[str, "Definitions"]) -> None:
        """Raise ParamsError for an imported name that its module does not have."""
        for module, name in self.imported.values():
            if name not in ("*", *modules[module].bound):
                raise ParamsError(f"{self.name} imports {name} from {module}, which has no such name")

    def text(self, name: str) -> str:
        """Code of the statements that bind a name, imports aside: what they lead to counts by itself."""
        if name not in self.texts:
            nodes = [node for node in self.bound.get(name, []) if not isinstance(node, ast.Import | ast.ImportFrom)]
            self.texts[name] = "\n".join(map(ast.unparse, nodes))
        return self.texts[name]

    def targets(self, node: ast.stmt) -> set[tuple[str | None, str]]:
        """(module, name) of all that a statement mentions; the module is None for names of this piece of Python."""
        if isinstance(node, ast.Import | ast.ImportFrom):
            return set()
        targets, inside = set(), set()
        for each in ast.walk(node):
            if isinstance(each, ast.Attribute) and isinstance(each.value, ast.Name):
                module, name = self.imported.get(each.value.id, (None, each.value.id))
                targets.add((module, each.attr if name == "*" else name))
                inside.add(each.value)
            elif isinstance(each, ast.Name) and each not in inside:
                targets.add(self.imported.get(each.id, (None, each.id)))
        return targets
