"""An index of a project's Python modules, by their syntax trees."""

import ast
import platform
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias

from tools.project.tree import Tree

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
# Folders and files whose code is not part of the running application.
OTHERS = re.compile(
    r"(^|/)(tests?|docs?|examples?|e2e|cypress|bin|scripts?|node_modules|venv|env|site-packages|build|dist|versions|"
    r"\.[^/]+)/"
    r"|(^|/)(test_[^/]*|[^/]*_tests?|tests?|conftest|setup|noxfile|fabfile|dev_?server|run_?dev)\.py$"
)
SRC = re.compile(r"(?m)^\s*(from|import) src\b")
MAX_HOPS = 10


@dataclass(frozen=True)
class Module:
    """A module: its top-level functions, classes, and names that are assigned or imported."""

    name: str
    path: str
    tree: ast.Module
    functions: dict[str, Function] = field(default_factory=dict)
    classes: dict[str, ast.ClassDef] = field(default_factory=dict)
    assigned: dict[str, ast.expr] = field(default_factory=dict)
    imported: dict[str, tuple[str, str]] = field(default_factory=dict)

    @cached_property
    def nodes(self) -> list[ast.AST]:
        """All nodes of the module."""
        return list(ast.walk(self.tree))

    @cached_property
    def calls(self) -> list[ast.Call]:
        """All calls of the module."""
        return [node for node in self.nodes if isinstance(node, ast.Call)]

    def at(self, node: ast.AST) -> str:
        """Return where a node is, as file:line."""
        return f"{self.path}:{getattr(node, 'lineno', 1)}"


def top_level(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements that run at an import, without the block of `if __name__ == "__main__"`."""
    for statement in body:
        yield statement
        if isinstance(statement, ast.If) and "__name__" not in ast.dump(statement.test):
            yield from top_level([*statement.body, *statement.orelse])
        elif isinstance(statement, ast.With):
            yield from top_level(statement.body)
        elif isinstance(statement, ast.Try):
            handled = [step for handler in statement.handlers for step in handler.body]
            yield from top_level([*statement.body, *handled, *statement.orelse, *statement.finalbody])


def assignments(statement: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Yield the plain names that a statement assigns, with the value."""
    if isinstance(statement, ast.Assign):
        yield from ((target.id, statement.value) for target in statement.targets if isinstance(target, ast.Name))
    elif isinstance(statement, ast.AnnAssign) and statement.value and isinstance(statement.target, ast.Name):
        yield statement.target.id, statement.value


def named_values(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Yield names with their values: assignments, items of a configuration, entries of dicts, keyword arguments."""
    if isinstance(node, ast.Assign):
        for target in node.targets:
            if isinstance(target, ast.Name):
                yield target.id, node.value
            elif isinstance(target, ast.Subscript) and (key := text(target.slice)):
                yield key, node.value
            elif isinstance(target, ast.Attribute):
                yield target.attr, node.value
    elif isinstance(node, ast.AnnAssign) and node.value and isinstance(node.target, ast.Name):
        yield node.target.id, node.value
    elif isinstance(node, ast.Dict):
        yield from ((name, value) for key, value in zip(node.keys, node.values, strict=True) if (name := text(key)))
    elif isinstance(node, ast.Call):
        yield from ((word.arg, word.value) for word in node.keywords if word.arg)


def dotted(node: ast.AST | None) -> str:
    """Return `a.b.c` of a name with attributes, or an empty string."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (parent := dotted(node.value)):
        return f"{parent}.{node.attr}"
    return ""


def text(node: ast.AST | None) -> str | None:
    """Return the value of a string constant."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def keyword(call: ast.Call, name: str) -> ast.expr | None:
    """Return the value of a keyword argument."""
    return next((argument.value for argument in call.keywords if argument.arg == name), None)


def calls(node: ast.AST) -> Iterator[ast.Call]:
    """Yield all calls below a node."""
    return (child for child in ast.walk(node) if isinstance(child, ast.Call))


@dataclass(frozen=True)
class Code:
    """All modules of a project that may be part of the running application."""

    tree: Tree

    @cached_property
    def source_root(self) -> str:
        """The folder below which modules are imported, with a slash: `src/` in the layout of that name."""
        python = [name for name in self.tree.files if name.endswith(".py")]
        src = [name for name in python if name.startswith("src/")]
        is_package = "src/__init__.py" in src and any(SRC.search(self.tree.read(name)) for name in python)
        return "src/" if src and not is_package else ""

    @cached_property
    def modules(self) -> dict[str, Module]:
        """The modules by name. Files that are not valid Python are left out."""
        found = {}
        for path in self.tree.files:
            if path.endswith(".py") and not OTHERS.search(path) and (module := self._parse(path)):
                found[module.name] = module
        return found

    def without_flask(self) -> str:
        """Return why there is no Flask application: none is made, or the file with it is left out."""
        for path in self.tree.files:
            if path.endswith(".py") and not OTHERS.search(path) and "Flask(" in (content := self.tree.read(path)):
                try:
                    ast.parse(content)
                except (SyntaxError, ValueError) as error:
                    line = f", line {error.lineno}," if isinstance(error, SyntaxError) else ""
                    return (
                        f"{path}{line} cannot be read by this control node's Python "
                        f"{platform.python_version()}: {getattr(error, 'msg', error)}; correct it, or name the "
                        "application with --app MODULE:NAME."
                    )
        return (
            f"{self.tree.root} has no Flask application: no Python file in it calls Flask(); give the project's own "
            "folder, or name the application with --app MODULE:NAME."
        )

    def module_name(self, path: str) -> str:
        """Return the name under which a file is imported."""
        return path.removeprefix(self.source_root).removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    def _parse(self, path: str) -> Module | None:
        try:
            with warnings.catch_warnings(action="ignore"):
                module = Module(self.module_name(path), path, ast.parse(self.tree.read(path)))
        except (SyntaxError, ValueError):
            return None
        for statement in top_level(module.tree.body):
            if isinstance(statement, Function):
                module.functions[statement.name] = statement
            elif isinstance(statement, ast.ClassDef):
                module.classes[statement.name] = statement
            module.assigned.update(assignments(statement))
        for node in module.nodes:  # imports in functions, too: factories import their blueprints
            if isinstance(node, ast.Import):
                for alias in node.names:
                    name = alias.name if alias.asname else alias.name.split(".")[0]
                    module.imported[alias.asname or name] = (name, "")
            elif isinstance(node, ast.ImportFrom):
                source = self._absolute(module, node)
                for alias in node.names:
                    module.imported[alias.asname or alias.name] = (source, alias.name)
        return module

    @staticmethod
    def _absolute(module: Module, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        parts = module.name.split(".")
        drop = node.level - (1 if module.path.endswith("__init__.py") else 0)
        base = parts[: len(parts) - drop] if drop else parts
        return ".".join([*base, *([node.module] if node.module else [])])

    def resolve(self, module: Module, name: str) -> tuple[str, str]:
        """Return the module and the name that define `name`, which a module uses. External modules are not followed."""
        for _ in range(MAX_HOPS):
            first, _, rest = name.partition(".")
            if first in module.functions or first in module.classes or first in module.assigned:
                return module.name, name
            if first not in module.imported:
                break
            source, original = module.imported[first]
            if f"{source}.{original}" in self.modules:
                source, original = f"{source}.{original}", ""
            name = ".".join(part for part in (original, rest) if part)
            while source not in self.modules or (name and f"{source}.{name.split('.')[0]}" in self.modules):
                first, _, rest = name.partition(".")
                if f"{source}.{first}" not in self.modules:
                    return source, name
                source, name = f"{source}.{first}", rest
            module = self.modules[source]
        return module.name, name

    def constant(self, module: Module, node: ast.AST | None, hops: int = 4) -> str | None:
        """Return a string that is written out, or that a constant of the project has: `KEY`, `Enum.key`, f-strings."""
        if (value := text(node)) is not None or not hops:
            return value
        if isinstance(node, ast.JoinedStr):
            parts = [self.constant(module, getattr(part, "value", part), hops) for part in node.values]
            parts = [text(part) if value is None else value for part, value in zip(node.values, parts, strict=True)]
            return None if None in parts else "".join(part for part in parts if part)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            both = [self.constant(module, part, hops) for part in (node.left, node.right)]
            return None if None in both else "".join(part for part in both if part)
        if isinstance(node, ast.Name) and not node.id.isupper():
            return None  # probably a variable of a function
        source, name = self.resolve(module, dotted(node))
        known, (first, _, rest) = self.modules.get(source), name.partition(".")
        if known is None:
            return None
        if rest and first in known.classes:
            inside = dict(pair for statement in known.classes[first].body for pair in assignments(statement))
            return self.constant(known, inside.get(rest.removesuffix(".value")), hops - 1)
        return self.constant(known, known.assigned.get(first), hops - 1) if not rest else None
