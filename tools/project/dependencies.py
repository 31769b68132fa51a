"""What a project depends on: its packages, the Python that they need, and the database driver."""

import ast
import configparser
import json
import platform
import re
import tomllib
from dataclasses import dataclass, field
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from tools.project import locks
from tools.project.tree import Finding, ProjectError, Tree, table
from tools.release import pipenv
from tools.release.lock import INPUTS
from tools.release.target import HOST_PYTHON, Target

ELSEWHERE = (
    *("requirements/prod.txt", "requirements/production.txt", "requirements/docker.txt", "requirements/base.txt"),
    *("requirements/requirements.txt", "requirements/common.txt", "requirements/main.txt", "requirements/app.txt"),
    *("requirements/heroku.txt", "requirements-prod.txt", "requirements.in"),
)
# Releases that fail at import with newer releases of other packages, which they do not exclude.
LIMITS = {
    "flask<2": "werkzeug<2 jinja2<3.1 itsdangerous<2.1 markupsafe<2.1",
    "flask>=2,<2.2.5": "werkzeug<3",
    "flask-admin<1.6": "jinja2<3.1",
    "flask-assets<2.1": "flask<2.3",
    "flask-babel<3": "flask<2.3",
    "flask-bcrypt<1": "werkzeug<2.1",
    "flask-httpauth<4.4": "werkzeug<2.1",
    "flask-jwt-extended>=4,<4.4.4": "flask<2.3",
    "flask-login<0.6": "werkzeug<2.1",
    "flask-login>=0.6,<0.6.3": "werkzeug<3",
    "flask-restx<1": "werkzeug<2.1",
    "flask-restx>=1,<1.2": "werkzeug<3",
    "flask-socketio>=5,<5.3": "flask<2.3",
    "flask-sqlalchemy<3": "sqlalchemy<2",
    "flask-wtf<0.15": "werkzeug<2.1 jinja2<3.1",
    "flask-wtf>=0.15,<1.1.2": "flask<2.3 werkzeug<3",
}
DRIVERS = {"psycopg2": "psycopg2", "psycopg2-binary": "psycopg2", "psycopg": "psycopg", "asyncpg": "asyncpg"}
# Its URLs cannot have several hosts, and the fleet writes none with its name.
DRIVERS["pg8000"] = "none"


@dataclass
class Dependencies:
    """The packages of a project: those that it names itself, and the versions that are locked."""

    input: str = ""
    direct: set[str] = field(default_factory=set)
    versions: dict[str, str] = field(default_factory=dict)
    requires_python: str = ""
    # Those that have a driver of Postgres, and which.
    extras: dict[str, str] = field(default_factory=dict)
    # Those that only other platforms need, with their markers.
    excluded: dict[str, str] = field(default_factory=dict)
    # The markers of the platforms for which a lock file was made, and its files of each package.
    environments: list[str] = field(default_factory=list)
    files: dict[str, list[str]] = field(default_factory=dict)

    def has(self, *names: str) -> bool:
        """Whether one of these packages is installed."""
        return bool({*names} & (self.direct | self.versions.keys()))


def toml(tree: Tree, name: str) -> dict[str, Any]:
    """Return the content of a TOML file."""
    try:
        return tomllib.loads(tree.read(name))
    except tomllib.TOMLDecodeError as error:
        raise ProjectError(f"{name} is not valid TOML: {error}; correct it.") from error


def read(tree: Tree, python: str = HOST_PYTHON) -> Dependencies:
    """Return the project's dependencies on hosts that have a Python."""
    found, target = Dependencies(), Target(python, platform.machine())
    project = toml(tree, "pyproject.toml")
    own, poetry = table(project, "project"), table(project, "tool", "poetry", "dependencies")
    found.requires_python = str(own.get("requires-python") or poetry_python(poetry.get("python", "")))
    for line in own.get("dependencies", []):
        add(found, line, target)
    for name, lines in table(own, "optional-dependencies").items():
        packages = (re.match(r"[\w.-]+", str(line)) for line in lines)
        if drivers := [match[0] for match in packages if match and match[0] in DRIVERS]:
            found.extras[name] = drivers[0]
    found.direct |= {canonicalize_name(name) for name in poetry if name != "python"}
    found.input = first_list(tree, packaged=bool(found.direct))
    if not found.input and (tree.root.parent / ".git").exists() and (tree.root.parent / "requirements.txt").is_file():
        # The application is in a folder of a repository that lists the packages.
        found.input = "../requirements.txt"
        for line in requirement_lines(Tree(tree.root.parent), "requirements.txt"):
            add(found, line, target)
    elif not found.input:
        raise ProjectError(
            f"{tree.root} does not name its packages: it has none of {', '.join(INPUTS)}; {way_out(tree)}."
        )
    elif found.input.endswith((".txt", ".in", ".py", ".cfg")) or found.input.startswith("Pipfile"):
        for line in listed(tree, found.input):
            add(found, line, target)
    elif found.input.endswith((".lock", "pylock.toml")):
        lock = toml(tree, found.input)
        found.environments = [str(marker) for marker in lock.get("supported-markers") or lock.get("environments") or []]
        found.requires_python = found.requires_python or str(lock.get("requires-python", ""))
        for name, package in locks.chosen(lock, found.direct, target).items():
            if "version" in package:
                found.versions[name] = package["version"]
                found.files[name] = locks.files(package, lock)
    return found


def first_list(tree: Tree, *, packaged: bool) -> str:
    """Return the first list of packages. A setup.cfg often has settings of tools only, and a setup.py just a name."""
    nested = [name for name in tree.files if re.fullmatch(r"requirements/[^/]+/requirements\.txt", name)]
    own = [f"{package}/requirements.txt" for package in own_packages(tree)]
    elsewhere = tree.first(*ELSEWHERE, *nested, *own)
    for name in INPUTS:
        is_stub = name in {"setup.py", "setup.cfg"} and elsewhere and name in tree.files and not any(listed(tree, name))
        if name in tree.files and not is_stub and (name != "pyproject.toml" or packaged):
            return name
    return elsewhere


def own_packages(tree: Tree) -> list[str]:
    """Return the packages in the project's own folder."""
    return [name.removesuffix("/__init__.py") for name in tree.files if re.fullmatch(r"[^\W\d]\w*/__init__\.py", name)]


def outside(tree: Tree, folder: str) -> str:
    """Return the folder from which a package is imported, or the folder itself if it is no package."""
    while f"{folder}/__init__.py" in tree.files and folder.rpartition("/")[2].isidentifier():
        folder = folder.rpartition("/")[0]
    return folder


def is_in(name: str, folder: str) -> bool:
    """Whether a file is Python code in a folder."""
    return name.startswith(f"{folder}/") and name.endswith(".py")


def way_out(tree: Tree) -> str:
    """Return what the owner of a project without a list of packages can do."""
    folders = {outside(tree, name.rpartition("/")[0]) for name in tree.files if name.rpartition("/")[2] in INPUTS}
    own = [folder for folder in sorted(folders) if any(is_in(name, folder) for name in tree.files)]
    # An application rather than a job or a library beside it.
    with_flask = [folder for folder in own if any(is_in(n, folder) and "Flask(" in tree.read(n) for n in tree.files)]
    if own := with_flask or own:
        have, which = ("has one", "that folder") if len(own) == 1 else ("have one", "the right one")
        return f"{' and '.join(own[:3])} {have}, so describe {which}: bin/fleet init {tree.root}/{own[0]}"
    if conda := tree.first("environment.yml", "environment.yaml"):
        return f"{conda} is for conda, which the fleet does not use; write a requirements.txt with the same packages"
    return "write a requirements.txt (pip freeze)"


def listed(tree: Tree, name: str) -> list[str]:
    """Return the requirements of a file that is not a lock file in TOML."""
    try:
        if name == "Pipfile":
            return pipenv.listed(tree.read(name)).splitlines()
        if name == "Pipfile.lock":
            return [line.partition(" --hash")[0] for line in pipenv.locked(tree.read(name)).splitlines()]
        if name == "setup.cfg":
            parser = configparser.ConfigParser(interpolation=None)
            parser.read_string(tree.read(name))
            return parser.get("options", "install_requires", fallback="").split("\n")
        if name == "setup.py":
            found = [
                word.value
                for node in ast.walk(ast.parse(tree.read(name)))
                if isinstance(node, ast.Call)
                for word in node.keywords
                if word.arg == "install_requires"
            ]
            return [str(item.value) for node in found for item in ast.walk(node) if isinstance(item, ast.Constant)]
    except (ValueError, SyntaxError, configparser.Error) as error:
        raise ProjectError(f"{name} cannot be read: {error}; correct it.") from error
    return requirement_lines(tree, name)


def poetry_python(value: Any) -> str:
    """Return Poetry's constraint on Python (`^3.11`) as a specifier."""
    if isinstance(value, str) and (caret := re.fullmatch(r"\^(\d+)(\.\d+)*", value.strip())):
        return f">={value.strip()[1:]},<{int(caret[1]) + 1}"
    if isinstance(value, str) and re.fullmatch(r"~\d+\.\d+(\.\d+)?", value.strip()):
        return f"=={'.'.join(value.strip()[1:].split('.')[:2])}.*"
    return value if isinstance(value, str) else ""


def requirement_lines(tree: Tree, name: str, seen: frozenset[str] = frozenset()) -> list[str]:
    """Return the requirements of a file, and of the files that it includes."""
    lines = []
    for raw in tree.read(name).replace("\\\n", " ").splitlines():
        line = re.sub(r"(^|\s)#.*", "", raw).strip()
        include = re.match(r"(?:-r|--requirement)[\s=]+(\S+)", line)
        if include and name not in seen:
            folder = name.rpartition("/")[0]
            path = re.sub(r"(^|/)\./", r"\1", f"{folder}/{include[1]}" if folder else include[1])
            lines += requirement_lines(tree, path, seen | {name})
        elif line and not line.startswith("-"):
            lines.append(re.split(r"\s+--hash", line)[0])
    return lines


def add(found: Dependencies, line: str, target: Target) -> None:
    """Add one requirement, unless its marker excludes the target."""
    try:
        requirement = Requirement(line)
    except InvalidRequirement:
        if link := re.search(r"([A-Za-z0-9_.-]+?)(?:\.git)?(?:@[^/]*)?(?:#egg=(\S+))?$", line):
            found.direct.add(canonicalize_name(link[2] or link[1]))
        return
    name = canonicalize_name(requirement.name)
    if not locks.applies(requirement.marker, target):
        found.excluded[name] = str(requirement.marker)
        return
    found.direct.add(name)
    pins = [part.version for part in requirement.specifier if part.operator == "=="]
    if pins:
        found.versions[name] = pins[0]


def driver(dependencies: Dependencies) -> Finding | None:
    """Return the driver of Postgres, or None if the project has none."""
    named = [name for name in DRIVERS if name in dependencies.direct] or [n for n in DRIVERS if dependencies.has(n)]
    if not named:
        return None
    if not dependencies.has("sqlalchemy", "flask-sqlalchemy", "peewee", "pony"):
        return Finding("app_database_driver", "none", f"{dependencies.input}: {named[0]} without SQLAlchemy")
    return Finding("app_database_driver", DRIVERS[named[0]], f"{dependencies.input}: {named[0]}")


def added_driver(dependencies: Dependencies) -> list[Finding]:
    """Return the extra or the package that gives an application with SQLAlchemy a driver of Postgres."""
    if not dependencies.has("sqlalchemy", "flask-sqlalchemy"):
        return []
    reason = f"{dependencies.input} has no driver for Postgres, the fleet's database"
    for name, package in dependencies.extras.items():
        if dependencies.input in ("uv.lock", "poetry.lock", "pdm.lock", "pyproject.toml"):
            found = Finding("app_extras", [name], f"{reason}; this extra has one")
            return [found, Finding("app_database_driver", DRIVERS[package], f"extra {name}: {package}")]
    found = Finding("app_extra_packages", ["psycopg2-binary"], reason, assumed=True)
    return [found, Finding("app_database_driver", "psycopg2", "app_extra_packages: psycopg2-binary")]


def limits(dependencies: Dependencies) -> Finding | None:
    """Return older releases that pinned packages need, where the project does not pin these itself."""
    found: dict[str, str] = {}
    for line, others in LIMITS.items():
        old = Requirement(line)
        pinned = dependencies.versions.get(old.name, "")
        if re.fullmatch(r"[\d.]+", pinned) and pinned in old.specifier:
            for other in others.split():
                if Requirement(other).name not in dependencies.versions:
                    found.setdefault(other, f"{dependencies.input}: {old.name} {pinned}")
    reason = f"{', '.join(dict.fromkeys(found.values()))}, which newer releases break"
    return Finding("app_extra_packages", list(found), reason, assumed=True) if found else None


def build_script(tree: Tree) -> tuple[str, str] | None:
    """Return the command that builds assets with Node, and its reason, if package.json has a script for it."""
    try:
        scripts = table(json.loads(tree.read("package.json") or "{}"), "scripts")
    except ValueError:
        return None
    script = next((name for name in ("heroku-postbuild", "build") if name in scripts), None)
    if not script:
        return None
    tools = {"package-lock.json": "npm ci && npm run", "yarn.lock": "yarn install --frozen-lockfile && yarn run"}
    tools |= {"pnpm-lock.yaml": "pnpm install --frozen-lockfile && pnpm run"}
    lock = tree.first(*tools)
    return f"{tools.get(lock, 'npm install && npm run')} {script}", f"package.json: script {script}"


def ignored(tree: Tree, folder: str) -> str:
    """Return the line of .gitignore that leaves out a folder, or a part of it."""
    for number, line in enumerate(tree.read(".gitignore").splitlines(), 1):
        pattern = line.strip().strip("/")
        if pattern and not pattern.startswith(("#", "!")) and f"{pattern}/".startswith(f"{folder}/"):
            return f".gitignore:{number}"
        if pattern and folder.startswith(f"{pattern}/"):
            return f".gitignore:{number}"
    return ""
