"""Finds what creates the tables of an application that has no migrations."""

import ast
import re
from collections.abc import Iterator

from tools.project.code import Code, Function, calls, dotted, text
from tools.project.tree import Finding

CREATES = re.compile(r"(?i)\bcreate\s+(table|type)\b")


def owner(code: Code, application: str, migrates: bool) -> tuple[Finding | None, str]:
    """Return whether the application needs the owner of the schema, and a note if nothing creates its tables."""
    found = schema_at_start(code, application)
    if reason := found.get("upgrade") or ("" if migrates else found.get("create")):
        reason += "; remove this if it does not run when the application starts"
        return Finding("app_database_owner", True, reason, assumed=True), ""
    if "by hand" not in found or migrates:
        return None, ""
    place = found["by hand"].rpartition(": ")[0]
    way_out = "set app_release_command to a command that does"
    return None, f"{place} creates the tables, but gunicorn does not run that line; {way_out}."


def schema_at_start(code: Code, application: str) -> dict[str, str]:
    """Return what may change the schema when `application` is imported: `upgrade` or `create`, with the place.

    `by hand` creates tables where gunicorn does not do it: in a command, a script, or under `__main__`.
    """
    found: dict[str, str] = {}
    imported = {application.rpartition(".")[2], *imported_names(code)}
    for module in code.modules.values():
        apart = {id(call) for node in module.nodes if is_command(node) or is_main(node) for call in calls(node)}
        # Functions that only commands call.
        helpers = {last_name(call) for call in module.calls if id(call) in apart}
        helpers -= {last_name(call) for other in code.modules.values() for call in other.calls if id(call) not in apart}
        apart |= {id(call) for name in helpers & {*module.functions} for call in calls(module.functions[name])}
        script = "/" not in module.path and module.name not in imported
        for call in module.calls:
            by_hand = script or id(call) in apart
            if what := creator(call, code):
                found.setdefault("by hand" if by_hand else "create", f"{module.at(call)}: {what}")
            elif not by_hand and code.resolve(module, dotted(call.func)) == ("flask_migrate", "upgrade"):
                found.setdefault("upgrade", f"{module.at(call)}: upgrade()")
    return found


def creator(call: ast.Call, code: Code) -> str:
    """Return what a call creates tables with: SQLAlchemy, or a file with SQL that it opens. It may be empty."""
    if last_name(call) == "create_all" and isinstance(call.func, ast.Attribute):
        return "create_all()"
    name = text(call.args[0]) if last_name(call) in {"open_resource", "open"} and call.args else None
    files = (file for file in code.tree.files if name and name.endswith(".sql") and f"/{file}".endswith(f"/{name}"))
    return next((file for file in files if CREATES.search(code.tree.read(file))), "")


def last_name(call: ast.Call) -> str:
    """Return the name of the function or method that a call names."""
    return call.func.attr if isinstance(call.func, ast.Attribute) else dotted(call.func)


def imported_names(code: Code) -> Iterator[str]:
    """Yield the names in all import statements of a project, also those in functions."""
    for module in code.modules.values():
        for node in module.nodes:
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
                yield from (part for name in names for part in name.split("."))


def is_command(node: ast.AST) -> bool:
    """Whether a function is a command, such as one of `flask`."""
    decorators = node.decorator_list if isinstance(node, Function) else []
    return any(dotted(d.func if isinstance(d, ast.Call) else d).endswith("command") for d in decorators)


def is_main(node: ast.AST) -> bool:
    """Whether a block runs only if its file is started itself."""
    return isinstance(node, ast.If) and "__name__" in ast.dump(node.test)
