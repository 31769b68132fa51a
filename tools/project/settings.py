"""Finds what an application reads from its environment, and the folders that it writes to."""

import ast
import re
from dataclasses import dataclass, replace
from functools import cached_property

from tools.project.addresses import CONFIGURATION, DATABASE, REDIS, alias, whole
from tools.project.code import Code, Module, dotted, named_values, text
from tools.project.commands import DEVELOPMENT
from tools.project.environment import CONTRACT, FOR_DEVELOPERS, MODES, NOT_OURS, OTHER_MODES, Read, guarded, reads_of
from tools.project.tree import Finding

# The name in /etc/APP_NAME of a file with settings.
FILE = "settings.cfg"


@dataclass(frozen=True)
class Settings:
    """The environment variables and folders of an application."""

    code: Code

    @cached_property
    def reads(self) -> dict[str, Read]:
        """The variables that the code reads, by name. A required read wins over others."""
        found: dict[str, Read] = {}
        for module in self.code.modules.values():
            caught, asked = guarded(self.code, module)
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
        names = [name for name in self.reads if MODES.fullmatch(name)] + self._for_developers()
        for name in names:
            # Modules such as settings.dev and settings.prod.
            known = self.code.modules if self.reads[name].value in FOR_DEVELOPERS else {}
            for path, other in known.items():
                package, _, last = path.rpartition(".")
                if last in {"prod", "production"} and f"{package}.{self.reads[name].value}" in known:
                    return {name: (last, f"{self.reads[name].place}, {other.path}")}
        for module in self.code.modules.values() if names else ():
            for node in module.nodes:
                if (
                    isinstance(node, ast.Dict)
                    and len(node.keys) > 1
                    and "production" in {self.code.constant(module, key) for key in node.keys}
                ):
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

    def _for_developers(self) -> list[str]:
        """Return the variables with a name of the application's own that choose the configuration of developers."""
        found = {name: read for name, read in self.reads.items() if OTHER_MODES.fullmatch(name)}
        return [name for name, read in found.items() if read.value in FOR_DEVELOPERS and not MODES.fullmatch(name)]

    def unchosen(self, given: set[str]) -> list[str]:
        """Return notes about variables without which the application runs as on a developer's machine."""
        return [
            f"{read.place}: without {name} the application runs in the mode {read.value}; set it in app_environment."
            for name, read in self.reads.items()
            if name not in given
            and read.value in FOR_DEVELOPERS
            and (MODES.fullmatch(name) or OTHER_MODES.fullmatch(name))
        ]

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
                    if name == "MAX_CONTENT_LENGTH" and (size := product(self.code, module, value)):
                        return -(-size // 2**20), module.at(node)
        return None


def product(code: Code, module: Module, node: ast.expr, hops: int = 4) -> int:
    """Return the value of a number, or of a product or power of numbers or constants; 0 for another expression."""
    if isinstance(node, ast.Constant) and isinstance(node.value, int):
        return node.value
    if isinstance(node, ast.Name | ast.Attribute) and hops:
        source, name = code.resolve(module, dotted(node))
        known = code.modules.get(source)
        given = known.assigned.get(name) if known else None
        return product(code, known, given, hops - 1) if known and given else 0
    if not isinstance(node, ast.BinOp):
        return 0
    left, right = (product(code, module, part, hops) for part in (node.left, node.right))
    if isinstance(node.op, ast.Mult):
        return left * right
    if isinstance(node.op, ast.Pow) and right < 64:
        return int(left**right)
    if isinstance(node.op, ast.LShift) and right < 64:
        return left << right
    return 0
