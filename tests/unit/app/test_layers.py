"""The packages of `app/` import each other in one direction only. docs/application.md names the layers."""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
# From the lowest to the highest. A package may import lower ones, but not others of its own layer.
LAYERS = (
    {"extensions", "logs"},
    {"database", "redis"},
    {"web"},
    {"jobs"},
    {"accounts"},
    {"mail", "news"},
    {"admin", "api", "auth", "cli", "config", "desk", "main", "migrations"},
    {"__init__"},
    {"worker"},
)
LEVELS = {package: level for level, layer in enumerate(LAYERS) for package in layer}


def imports(root: Path = ROOT) -> dict[str, set[str]]:
    """Each module of the application, with the modules that it imports at run time."""
    paths = {name(path, root): path for path in (root / "app").rglob("*.py")}
    return {module: set(imported(ast.parse(path.read_text()), paths)) for module, path in paths.items()}


def name(path: Path, root: Path) -> str:
    return ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


def imported(node: ast.AST, modules: dict[str, Path]) -> Iterator[str]:
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names if alias.name in modules)
    elif isinstance(node, ast.ImportFrom):
        full = {alias.name: f"{node.module}.{alias.name}" for alias in node.names}
        yield from {full[alias] if full[alias] in modules else str(node.module) for alias in full} & modules.keys()
    for child in ast.iter_child_nodes(node):
        yield from imported(child, modules)


def package(module: str) -> str:
    return module.split(".")[1] if "." in module else "__init__"


def upward(graph: dict[str, set[str]]) -> list[str]:
    """Imports of a package that is not in a lower layer."""
    return [
        f"{module} imports {target}"
        for module, targets in sorted(graph.items())
        for target in sorted(targets)
        if package(module) != package(target) and LEVELS[package(module)] <= LEVELS[package(target)]
    ]


def cycle(graph: dict[str, set[str]]) -> list[str]:
    """The modules of an import cycle. The first one is repeated at the end."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_packages_import_only_lower_packages() -> None:
    assert upward(imports()) == []


def test_there_is_no_import_cycle() -> None:
    assert cycle(imports()) == []


def test_an_import_cycle_is_found() -> None:
    graph = {"app.web.a": {"app.web.b"}, "app.web.b": {"app.web.c"}, "app.web.c": {"app.web.b"}}
    assert set(cycle(graph)) == {"app.web.b", "app.web.c"}


@pytest.mark.parametrize(
    ("module", "statement", "expected"),
    [
        ("database/engine", "from app.web import metrics", ["app.database.engine imports app.web.metrics"]),
        ("database/engine", "from app.web.metrics import init_app", ["app.database.engine imports app.web.metrics"]),
        ("mail/outbox", "import app.news.articles", ["app.mail.outbox imports app.news.articles"]),
        ("news/articles", "def f():\n    from app import create_app", ["app.news.articles imports app"]),
        ("web/metrics", "from app.database.engine import Database", []),
        ("database/engine", "if TYPE_CHECKING:\n    from app.web import metrics", []),
    ],
)
def test_an_upward_import_is_found(tmp_path: Path, module: str, statement: str, expected: list[str]) -> None:
    for path in ("__init__", "database/engine", "mail/outbox", "news/articles", "web/metrics"):
        file = tmp_path / "app" / f"{path}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(statement if path == module else "")
    assert upward(imports(tmp_path)) == expected
