"""Finds the folders that an application writes to."""

import ast
import re
from collections.abc import Iterable
from pathlib import PurePosixPath

from tools.project.code import Code, Module, assignments, dotted, named_values, text
from tools.project.tree import Finding

FOLDERS = re.compile(
    "(?-i:[A-Z][A-Z0-9]*_)*"  # the project's own name, as in SHOP_UPLOAD_PATH
    "((UPLOADS?|MEDIA|ATTACHMENTS?|LOGS?)_(FOLDER|DIR|DIRECTORY|PATH|ROOT)|UPLOADED_[A-Z]+_DEST)",
    re.I,
)
# Where several hosts have the same files of users, if the application does not say it.
SHARED = "/mnt/shared"
# What every host has, and homes of developers.
NOT_ON_HOSTS = ("/tmp", "/dev/", "/var/log", "/proc/", "/home/", "/Users/")
# Folders with one of these names have no files of users.
OF_ONE_HOST = frozenset({"build", "log", "logs", "cache", ".cache", "tmp", "temp", "run"})
# Users' files come from the web server, not from commands.
COMMANDS = re.compile(r"(^|/)(cli|commands?|manage|management)(/|\.py:)")


def written_folders(code: Code) -> tuple[dict[str, str], dict[str, str]]:
    """Return the folders that the application writes to, with their places: of one host, and with files of users."""
    found: dict[str, str] = {}
    pairs = {pair for module in code.modules.values() for pair in module.imported.values()}
    imported = {source for source, _ in pairs} | {".".join(pair) for pair in pairs}
    scripts = {module.path for module in code.modules.values() if module.name not in imported and is_script(module)}
    for module in code.modules.values():
        for node in module.nodes:
            for name, value in named_values(node):
                folder = folder_of(value, module) if FOLDERS.fullmatch(name) else None
                if folder:
                    found.setdefault(folder, module.at(node))
        for call in module.calls:
            called = dotted(call.func)
            for folder in saved_to(call, module, code):
                found.setdefault(folder, module.at(call))
            if called in {"os.mkdir", "os.makedirs"} and call.args:
                if dotted(call.args[0]).endswith(".instance_path"):
                    found.setdefault("instance", module.at(call))
                elif folder := folder_of(call.args[0], module):
                    found.setdefault(folder, module.at(call))
            elif called.endswith("FileHandler") and call.args:
                for file in folders_of(call.args[0], module, code):
                    if "/" in file:
                        found.setdefault(file.rpartition("/")[0], module.at(call))
    own = {
        path: place
        for path, place in found.items()
        if OF_ONE_HOST & {*path.split("/")} or COMMANDS.search(place) or place.partition(":")[0] in scripts
    }
    users = {path: place for path, place in found.items() if path not in own}
    return own, {
        path: place for path, place in users.items() if not any(path.startswith(f"{other}/") for other in users)
    }


def saved_to(call: ast.Call, module: Module, code: Code) -> list[str]:
    """Return the folders in which `upload.save(folder / name)` stores a file, whatever its name is."""
    if not isinstance(call.func, ast.Attribute) or call.func.attr != "save" or not call.args:
        return []
    found = []
    for path in meanings(call.args[0], module):
        if isinstance(path, ast.BinOp) and isinstance(path.op, ast.Div):
            found += folders_of(path.left, module, code)
        elif isinstance(path, ast.Call) and dotted(path.func).endswith("path.join") and len(path.args) > 1:
            found += folders_of(ast.Call(path.func, path.args[:-1], []), module, code)
    return found


def folders_of(node: ast.expr, module: Module, code: Code) -> list[str]:
    """Return the folders or files that an expression may mean, with the settings that it reads."""
    found = []
    for each in meanings(node, module):
        given = [(each, module)]
        if isinstance(each, ast.Subscript) and dotted(each.value).endswith("config"):
            given = [
                (value, other)
                for other in code.modules.values()
                for item in other.nodes
                for name, value in named_values(item)
                if name == text(each.slice)
            ]
        found += [folder for value, other in given if (folder := folder_of(value, other))]
    return found


def meanings(node: ast.expr, module: Module) -> list[ast.expr]:
    """Return an expression, or what a function assigns to a name."""
    if not isinstance(node, ast.Name) or node.id in module.assigned:
        return [node]
    return [value for item in module.nodes for name, value in assignments(item) if name == node.id]


def shared_folder(users: Iterable[str]) -> Finding:
    """Return where several hosts mount the folders of users' files."""
    mount = next((folder for folder in sorted(users) if folder.startswith("/")), SHARED)
    return Finding("app_shared_mount", mount, "all hosts need the same files", assumed=True)


def mount_there(mount: Finding) -> str:
    """Return what is left to do for a shared folder on hosts of one's own."""
    return (
        f"Containers share {mount.value} on this machine. On hosts of your own, mount a network filesystem (NFS, EFS) "
        "there on all application and worker hosts, or store the files in S3 (app_s3_bucket)."
    )


def is_script(module: Module) -> bool:
    """Whether a module that nothing imports is only started by hand: it is in a folder, and makes no application."""
    has_main = any(isinstance(node, ast.If) and "__name__" in ast.dump(node.test) for node in module.tree.body)
    return has_main and "/" in module.path and not any(dotted(call.func).endswith("Flask") for call in module.calls)


def folder_of(node: ast.expr, module: Module) -> str | None:
    """Return the folder of the project that an expression probably means."""
    parts = path_parts(node, module, hops=4)
    if parts is None:
        return None
    path = "/".join(parts)
    if path.startswith("/") and parts[0].startswith("/"):
        return None if path.startswith(NOT_ON_HOSTS) else path
    if not path or ":" in path:
        return None
    clean: list[str] = []
    for part in PurePosixPath(path).parts:
        if part == ".." and not clean:
            return None
        clean = clean[:-1] if part == ".." else [*clean, part]
    return "/".join(clean) or None


def path_parts(node: ast.expr, module: Module, hops: int) -> list[str] | None:
    """Return the parts of a path, relative to the project, or None if they are unknown."""
    here = str(PurePosixPath(module.path).parent)
    if (value := text(node)) is not None:
        return [value]
    if isinstance(node, ast.Name) and hops and node.id != "__file__":
        return path_parts(module.assigned[node.id], module, hops - 1) if node.id in module.assigned else None
    if isinstance(node, ast.Name):
        return [module.path] if node.id == "__file__" else None
    if isinstance(node, ast.Subscript) and hops and dotted(node.value).endswith("config"):
        given = (value for other in module.nodes for name, value in named_values(other) if name == text(node.slice))
        return next((parts for value in given if (parts := path_parts(value, module, hops - 1))), None)
    if isinstance(node, ast.BoolOp):
        found = (path_parts(value, module, hops) for value in reversed(node.values))
        return next((parts for parts in found if parts), None)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div | ast.Add):
        left, right = path_parts(node.left, module, hops), path_parts(node.right, module, hops)
        return [*left, *right] if left is not None and right is not None else None
    if isinstance(node, ast.Attribute):
        if node.attr in {"root_path"}:
            return [here]
        parent = path_parts(node.value, module, hops) if node.attr == "parent" else None
        return [str(PurePosixPath("/".join(parent)).parent)] if parent else None
    if isinstance(node, ast.Call):
        return called_path(node, module, hops)
    return None


def called_path(node: ast.Call, module: Module, hops: int) -> list[str] | None:
    """Return the parts of a path that a call computes."""
    name = dotted(node.func) or (node.func.attr if isinstance(node.func, ast.Attribute) else "")
    last = name.rpartition(".")[2]
    if last in {"getenv", "get"} and len(node.args) > 1:
        return path_parts(node.args[1], module, hops)
    if last == "getcwd":
        return ["."]
    if last == "dirname" and node.args:
        inner = path_parts(node.args[0], module, hops)
        return [str(PurePosixPath("/".join(inner)).parent)] if inner else None
    if last in {"abspath", "realpath", "normpath", "Path", "str", "fspath"} and node.args:
        return path_parts(node.args[0], module, hops)
    if last == "resolve" and isinstance(node.func, ast.Attribute):
        return path_parts(node.func.value, module, hops)
    if last in {"join", "joinpath", "safe_join"}:
        base = [node.func.value] if last == "joinpath" and isinstance(node.func, ast.Attribute) else []
        parts = [path_parts(argument, module, hops) for argument in [*base, *node.args]]
        if all(part is not None for part in parts):
            return [word for part in parts if part for word in part]
    return None
