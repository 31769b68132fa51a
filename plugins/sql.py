"""Reads the trees of PostgreSQL's own parser: names, nodes, and the statements inside of blocks."""

from collections.abc import Iterator
from typing import Any

from pglast import ast, parse_sql
from pglast.enums import ObjectType

# The migration only defines these. It does not run their bodies.
DEFINITIONS = (ast.CreateFunctionStmt, ast.RuleStmt)


def name_of(item: Any) -> str:
    """The name of an object without its schema."""
    parts = getattr(item, "objname", None) or getattr(item, "names", None) or item
    return str((parts[-1] if isinstance(parts, tuple) else parts).sval)


def words(kind: ObjectType) -> str:
    """The kind of an object as SQL calls it."""
    name = kind.name.removeprefix("OBJECT_").replace("_", " ").lower()
    return {"matview": "materialized view", "tabconstraint": "constraint"}.get(name, name)


def condition_is_missing(where: ast.Node | None) -> bool:
    """Whether a statement reaches every row of its table."""
    return where is None or isinstance(where, ast.A_Const)


def nodes(tree: Any) -> Iterator[ast.Node]:
    """Every node of a tree, in the order of the text."""
    if isinstance(tree, tuple):
        for item in tree:
            yield from nodes(item)
    elif isinstance(tree, ast.Node):
        yield tree
        if not isinstance(tree, DEFINITIONS):
            for attribute in tree:
                yield from nodes(getattr(tree, attribute))


def functions(expression: ast.Node) -> set[str]:
    """The names of the functions that an expression calls."""
    found = [expression, *nodes(expression)]
    calls: list[Any] = [node for node in found if isinstance(node, ast.FuncCall)]
    return {str(call.funcname[-1].sval) for call in calls}


def block_statements(tree: Any) -> Iterator[str]:
    """The statements of a PL/pgSQL block as text; an empty text stands for one that the block composes when it runs."""
    if isinstance(tree, list):
        for item in tree:
            yield from block_statements(item)
    elif isinstance(tree, dict):
        for key, value in tree.items():
            if key in ("PLpgSQL_stmt_dynexecute", "PLpgSQL_stmt_dynfors"):
                yield constant(value["query"]["PLpgSQL_expr"]["query"])
            if key == "dynquery":
                yield ""
            elif key == "PLpgSQL_expr" and value["parseMode"] == 0:
                yield value["query"]
            else:
                yield from block_statements(value)


def constant(expression: str) -> str:
    """The text of an SQL expression that is a literal; empty if it is computed."""
    select: Any = parse_sql(f"SELECT {expression}")[0].stmt
    value = getattr(select.targetList[0].val, "val", None)
    return str(value.sval) if isinstance(value, ast.String) else ""
