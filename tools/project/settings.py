"""Finds what an application reads from its environment, and the folders that it writes to."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import PurePosixPath

from tools.project.addresses import CONFIGURATION, DATABASE, REDIS, alias, whole
from tools.project.code import Code, Module, dotted, text
from tools.project.commands import DEVELOPMENT
from tools.project.environment import CONTRACT, MODES, NOT_OURS, Read, guarded, reads_of
from tools.project.tree import Finding

# The name in /etc/APP_NAME of a file with settings.
FILE = "settings.cfg"
FOLDERS = re.compile(
    "((UPLOADS?|MEDIA|ATTACHMENTS?|LOGS?)_(FOLDER|DIR|DIRECTORY|PATH|ROOT)|UPLOADED_[A-Z]+_DEST)", re.I
)


@dataclass(frozen=True)
class Settings:
    """The environment variables and folders of an application."""

    code: Code

    @cached_property
    def reads(self) -> dict[str, Read]:
        """The variables that the code reads, by name. A required read wins over others."""
        found: dict[str, Read] = {}
        for module in self.code.modules.values():
            caught, asked = guarded(module)
            for node in module.nodes:
                for read in reads_of(self.code, module, [node]):
                    safe = id(node) in caught or read.name in asked
                    read = replace(read, required=read.required and not safe)
                    known = found.setdefault(read.name, read)
                    found[read.name] = replace(
                        read if read.required and not known.required else known, file=read.file or known.file
                    )
        return found

    def aliases(self) -> dict[str, tuple[str, str]]:
        """Return the variables that are the fleet's under another name: name → the variable of the inventory, place."""
        found: dict[str, tuple[str, str]] = {}
        for name, read in self.reads.items():
            own, variable = alias(name)
            if variable and not CONTRACT.fullmatch(name) and own not in self.reads:
                found[name] = (variable, read.place)
        found |= self._configured()
        for name, value in (("SERVER_NAME", "fleet_domain"), ("PYTHON_VERSION", "app_python")):
            if name in self.reads and (self.reads[name].required or self.reads[name].default):
                found[name] = (value, self.reads[name].place)
        return found

    def _configured(self) -> dict[str, tuple[str, str]]:
        """Return the variables from which Flask's configuration takes something of the fleet."""
        found = {}
        for module in self.code.modules.values():
            for node in module.nodes:
                for name, value in named_values(node):
                    reads = list(reads_of(self.code, module, whole(value))) if name in CONFIGURATION else []
                    if reads and not any(CONTRACT.fullmatch(r.name) or NOT_OURS.search(r.name) for r in reads):
                        found[reads[0].name] = (CONFIGURATION[name], reads[0].place)
        return found

    def has_database_url(self) -> bool:
        """Whether the application reads the address of the database as one URL."""
        return "DATABASE_URL" in self.reads or "app_database_url" in {own for own, _ in self.aliases().values()}

    def file(self) -> Read | None:
        """Return the variable with the path of a file with settings, if the database's address can come from there."""
        return next((read for read in self.reads.values() if read.file and not self.has_database_url()), None)

    def own_file(self, has_orm: bool) -> Finding | None:
        """Return a file with the fleet's values, for an application that reads one instead of the environment."""
        if (read := self.file()) is None:
            return None
        # From the environment, because there migrations have the owner of the schema.
        content = 'import os\n\nSECRET_KEY = os.environ["SECRET_KEY"]\n'
        content += 'SQLALCHEMY_DATABASE_URI = os.environ["DATABASE_URL"]\n' if has_orm else ""
        return Finding("app_config_files", {FILE: content}, f"{read.place} reads a file with settings", assumed=True)

    def database_parts(self) -> dict[str, tuple[str, str]]:
        """Return the variables with the parts of the database's address: name → value, place."""
        given = () if self.has_database_url() else DATABASE.given(self.reads).items()
        return {name: (DATABASE.parts[kind][1], read.place) for kind, names in given for name, read in names.items()}

    def missing(self, given: set[str]) -> list[Read]:
        """Return the variables without which the code raises KeyError, and which nobody sets."""
        return [
            read
            for name, read in self.reads.items()
            if read.required and name not in given and not CONTRACT.fullmatch(name)
        ]

    def production(self) -> dict[str, tuple[str, str]]:
        """Return the variable that chooses the configuration, if the code has one named `production`."""
        names = [name for name in self.reads if MODES.fullmatch(name)]
        for module in self.code.modules.values() if names else ():
            for node in module.nodes:
                if isinstance(node, ast.Dict) and len(node.keys) > 1 and "production" in map(text, node.keys):
                    return {names[0]: ("production", f"{self.reads[names[0]].place}, {module.at(node)}")}
        # `app.config.from_object(os.environ["APP_SETTINGS"])` takes the path of a class.
        asked = [name for name in names if "SETTINGS" in name and not self.reads[name].default]
        classes = [
            (f"{module.name}.{name}", module.at(node))
            for module in self.code.modules.values()
            for name, node in module.classes.items()
            if re.fullmatch("Prod(uction)?(Config(uration)?|Settings)?", name)
        ]
        if asked and len(classes) == 1:
            return {asked[0]: (classes[0][0], f"{self.reads[asked[0]].place}, {classes[0][1]}")}
        return {}

    def optional(self, given: set[str]) -> list[str]:
        """Return the other variables that the code reads, and that nobody sets."""
        own = re.compile(
            f"{DATABASE.name()}|{REDIS.name()}|"
            "PORT|HOST|WEB_CONCURRENCY|(FLASK_)?(DEBUG|ENV)|CI|GITHUB_.*|PYTEST_.*|.*TEST.*"
        )
        names = {name for name, read in self.reads.items() if not read.required and not read.file} - given
        return sorted(name for name in names if not CONTRACT.fullmatch(name) and not own.fullmatch(name))

    def fixed_secret(self) -> str:
        """Return where the key of sessions is a constant of the code, if no variable can set it."""
        if "SECRET_KEY" in self.reads or "app_secret_key" in {own for own, _ in self.aliases().values()}:
            return ""
        for module in self.code.modules.values():
            if DEVELOPMENT.search(module.path):
                continue
            others = {
                id(part)
                for node in module.nodes
                if isinstance(node, ast.ClassDef)
                if NOT_OURS.search(node.name.upper())
                for part in ast.walk(node)
            }
            for node in module.nodes:
                for name, value in named_values(node):
                    if name in {"SECRET_KEY", "secret_key"} and text(value) and id(value) not in others:
                        return module.at(value)
        return ""

    def max_upload(self) -> tuple[int, str] | None:
        """Return the largest upload that the application accepts, in MiB, and the place."""
        for module in self.code.modules.values():
            for node in module.nodes:
                for name, value in named_values(node):
                    if name == "MAX_CONTENT_LENGTH" and (size := product(value)):
                        return -(-size // 2**20), module.at(node)
        return None

    def written_folders(self) -> dict[str, str]:
        """Return the folders of the project that the application writes to, with the place."""
        found: dict[str, str] = {}
        for module in self.code.modules.values():
            for node in module.nodes:
                for name, value in named_values(node):
                    folder = folder_of(value, module) if FOLDERS.fullmatch(name) else None
                    if folder:
                        found.setdefault(folder, module.at(node))
            for call in module.calls:
                called = dotted(call.func)
                if called in {"os.mkdir", "os.makedirs"} and call.args:
                    if dotted(call.args[0]).endswith(".instance_path"):
                        found.setdefault("instance", module.at(call))
                    elif folder := folder_of(call.args[0], module):
                        found.setdefault(folder, module.at(call))
                elif called.endswith("FileHandler") and call.args:
                    file = folder_of(call.args[0], module) or ""
                    if "/" in file:
                        found.setdefault(file.rpartition("/")[0], module.at(call))
        return found


def product(node: ast.expr) -> int:
    """Return the value of a number, or of a product or power of numbers; 0 for another expression."""
    if isinstance(node, ast.Constant) and isinstance(node.value, int):
        return node.value
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        return product(node.left) * product(node.right)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow) and product(node.right) < 64:
        return int(product(node.left) ** product(node.right))
    return 0


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


def folder_of(node: ast.expr, module: Module) -> str | None:
    """Return the folder of the project that an expression probably means."""
    parts = path_parts(node, module, hops=4)
    if parts is None:
        return None
    path = "/".join(parts)
    if path.startswith("/") and parts[0].startswith("/"):
        return None if path.startswith(("/tmp", "/dev/", "/var/log", "/proc/")) else path
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
