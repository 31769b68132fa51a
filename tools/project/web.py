"""Finds what the web server needs: gunicorn's target, static files, the health page and metrics."""

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath

from tools.project.apps import Apps, Target
from tools.project.code import Code, Function, Module, dotted, keyword, text
from tools.project.commands import Command, gunicorn, settings
from tools.project.dependencies import Dependencies, ignored
from tools.project.folders import folder_of
from tools.project.tree import Finding, ProjectError, Tree

CONVENTIONAL = ("wsgi", "passenger_wsgi", "app", "application", "main", "server", "run", "autoapp")
# The best one first: pages that check connections, then those that only show that the process answers.
HEALTH = (
    *("readyz", "ready", "readiness", "health/ready", "health/readiness", "healthz", "health", "healthcheck"),
    *("health_check", "health-check", "_health", "up", "livez", "live", "ping", "status", "_status", "heartbeat"),
    "__heartbeat__",
)


def choose(apps: Apps, commands: list[Command], flask_app: tuple[str, str] | None, asked: str) -> Finding:
    """Return gunicorn's target: the one that was asked for, that a command names, or the only one in the code."""
    if asked:
        return Finding("app_module", asked, "--app")
    for command in commands:
        folder = ""
        for words in command.steps:
            folder = words[1] if words[0] == "cd" and len(words) > 1 else folder
            found = gunicorn(words)
            if found is None or not found.target:
                continue
            folder = folder or found.options.get("chdir") or found.options.get("pythonpath") or ""
            inside = f"{folder.strip('./')}/{found.target.split(':')[0].replace('.', '/')}"
            if folder and apps.code.tree.first(f"{inside}.py", f"{inside}/__init__.py"):
                raise ProjectError(
                    f"{command.source} starts gunicorn in the folder {folder}; describe that folder instead: "
                    f"bin/fleet init {apps.code.tree.root}/{folder.strip('./')}."
                )
            if exists(apps.code, found.target):
                return Finding("app_module", found.target, f"{command.source}: gunicorn {found.target}")
            if command.source.startswith("Procfile"):
                raise ProjectError(
                    f"{command.source} starts gunicorn with {found.target}, but the project has no module "
                    f"{found.target.split(':')[0]}; correct the line, or choose the application with --app."
                )
    for target, source in other_servers(apps.code.tree, commands):
        if exists(apps.code, target):
            return Finding("app_module", target, f"{source}: {target}")
    if flask_app and (target := from_flask_app(apps, flask_app[0])):
        return Finding("app_module", target, f"{flask_app[1]}: FLASK_APP={flask_app[0]}")
    return from_code(apps)


def refuse_other_folder(code: Code, module: Finding, needs: Dependencies) -> None:
    """Refuse a module that imports its neighbours by their plain names, as it can in its own folder only."""
    known = code.modules.get(module.value.split(":")[0])
    if known is None or module.source == "--app" or "." not in known.name:
        return
    package, folder = known.name.rpartition(".")[0], known.path.rpartition("/")[0]
    sources = {source for source, _ in known.imported.values()}
    if any(source.split(".")[0] == package.split(".")[0] for source in sources):
        return
    for first in sorted(source.split(".")[0] for source in sources):
        inside = {name for name in code.modules if f"{name}.".startswith((f"{package}.{first}.", f"{first}."))}
        if (
            inside
            and not any(f"{name}.".startswith(f"{first}.") for name in inside)
            and first not in (sys.stdlib_module_names | needs.direct)
        ):
            raise ProjectError(
                f"{known.path} imports {first}, which is in its own folder, so gunicorn must start there; describe it "
                f"instead: bin/fleet init {code.tree.root}/{folder}."
            )


def other_servers(tree: Tree, commands: list[Command]) -> Iterator[tuple[str, str]]:
    """Yield the targets in configuration files of gunicorn and uWSGI, and in commands of uWSGI and waitress."""
    for name in tree.files:
        if re.search(r"(^|/)gunicorn[^/]*\.py$", name):
            if found := re.search(r"(?m)^wsgi_app\s*=\s*[\"']([^\"']+)", tree.read(name)):
                yield found[1], name
        elif name.endswith(".ini") and "[uwsgi]" in (content := tree.read(name)):
            yield from ((target, name) for target in uwsgi(content))
    for command in commands:
        for words in command.steps:
            _, rest = settings(words)
            program = rest[0].rpartition("/")[2] if rest else ""
            if program == "uwsgi":
                yield from ((target, command.source) for target in uwsgi("\n".join(rest)))
            elif program == "waitress-serve" and ":" in rest[-1]:
                yield rest[-1] + ("()" if "--call" in rest else ""), command.source


def uwsgi(content: str) -> Iterator[str]:
    """Yield the target in the options of uWSGI, one a line: `module = shop:app`, or a file and an object's name."""
    found: dict[str, str] = dict(
        re.findall(r"(?m)^[\s-]*(module|wsgi|w|wsgi-file|file|callable)\s*[=\s]\s*(\S+)", content)
    )
    module = found.get("module") or found.get("wsgi") or found.get("w") or ""
    module = module or found.get("wsgi-file", found.get("file", "")).removesuffix(".py").strip("./").replace("/", ".")
    if module:
        yield module if ":" in module else f"{module}:{found.get('callable', 'application')}"


def exists(code: Code, target: str) -> bool:
    """Whether the module of a target is in the project."""
    return target.split(":")[0] in code.modules


def from_flask_app(apps: Apps, value: str) -> str:
    """Return gunicorn's target for a value of FLASK_APP: `shop.py`, `shop`, `shop:app` or `shop:create_app`."""
    module, _, name = value.strip().partition(":")
    module = apps.code.module_name(module) if module.endswith(".py") else module
    if module not in apps.code.modules:
        return ""
    if "(" in name:
        return f"{module}:{name}"
    targets = [target for target in apps.targets if target.module == module and name in {"", target.name}]
    order = ("app", "application", "create_app", "make_app")
    targets.sort(key=lambda target: (order.index(target.name) if target.name in order else 9, target.factory))
    return targets[0].spelled if targets else ""


def rank(target: Target) -> tuple[int, int, str]:
    """Sort targets of one application: modules for servers, plain objects, factories, and then scripts."""
    last, depth = target.module.split(".")[-1], target.module.count(".")
    if last in {"wsgi", "passenger_wsgi"}:
        kind = 0
    elif not target.factory and target.made_by == (target.module, target.name):
        kind = 1
    elif not target.factory and last in CONVENTIONAL:
        kind = 2
    elif target.factory:
        kind = 3
    else:
        kind = 4
    return kind, depth, target.spelled


def from_code(apps: Apps) -> Finding:
    """Return the only application of the code, or the one that Flask itself would take."""
    best: dict[tuple[str, str], Target] = {}
    for target in sorted(apps.targets, key=rank):
        best.setdefault(target.made_by, target)
    found = list(best.values())
    # `flask run` looks into wsgi.py and app.py. Other files of such names make the application that they serve.
    for usual in (("wsgi", "app"), (*CONVENTIONAL, "manage")):
        made = {target.made_by for target in apps.targets if target.module in usual}
        found = [best[one] for one in made] if len(found) > 1 and len(made) == 1 else found
    if len(found) == 1:
        return Finding("app_module", found[0].spelled, found[0].source)
    if found:
        some = [f"{target.spelled} ({target.source})" for target in found[:3]]
        names = " and ".join(some + [f"{len(found) - 3} others"] * (len(found) > 3))
        raise ProjectError(f"The project has {len(found)} Flask applications: {names}; choose one with --app.")
    if needy := apps.needy():
        raise ProjectError(
            f"{' and '.join(needy)} cannot be called without arguments, and no module has the finished application; "
            "give the call with --app, such as --app \"shop:create_app('production')\"."
        )
    raise ProjectError(apps.code.without_flask())


def target_of(apps: Apps, spelled: str) -> Target | None:
    """Return the target that gunicorn would load."""
    module, _, name = spelled.partition(":")
    name = name.split("(")[0]
    known = apps.code.modules.get(module)
    if known is None:
        return None
    source, original = apps.code.resolve(known, name)
    for target in apps.targets:
        if (target.module, target.name) in {(module, name), (source, original)}:
            return target
    if (source, original) in apps.factories:
        return Target(source, original, known.path, (source, original), factory=True)
    return None


def static(apps: Apps, target: Target | None) -> Iterator[Finding]:
    """Yield the folder of the application's static files, if nginx can serve it, and its path on the site."""
    made = apps.constructor(target) if target else None
    if made is None:
        return
    module, call = made
    url, folder = text(keyword(call, "static_url_path")), text(keyword(call, "static_folder"))
    base = PurePosixPath(module.path).parent
    name = text(call.args[0]) if call.args else None
    for path in (f"{name.replace('.', '/')}/__init__.py", f"src/{name.replace('.', '/')}/__init__.py") if name else ():
        base = PurePosixPath(path).parent if path in apps.code.tree.files else base
    given = keyword(call, "static_folder")
    computed = folder_of(given, module) if given is not None and folder is None else ""
    if computed is None:  # None, or another expression
        return
    path = computed or normal(f"{base}/{folder or 'static'}")
    if not path or not (apps.code.tree.has_folder(path) or ignored(apps.code.tree, path)):
        return
    url = url if url is not None else f"/{PurePosixPath(path).name}"
    if not url.strip("/"):
        return  # at the root of the site, nginx would answer for the application
    yield Finding(
        "nginx_static_source", path, f"{module.at(call)}: {'the folder static' if given is None else 'static_folder'}"
    )
    if url.strip("/") != "static":
        yield Finding("nginx_static_path", f"/{url.strip('/')}/", module.at(call))


def normal(path: str) -> str:
    """Return a path without `.` and `..`, or an empty string if it leaves the project."""
    parts: list[str] = []
    for part in path.split("/"):
        if part == ".." and not parts:
            return ""
        parts = parts[:-1] if part == ".." else [*parts, *([part] if part not in {"", "."} else [])]
    return "/".join(parts)


@dataclass
class Routes:
    """The pages of an application that answer GET, with the place of each."""

    code: Code
    prefixes: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    @cached_property
    def pages(self) -> dict[str, str]:
        """Path, with its variables → where it is defined. Pages below a prefix that is not a constant are left out."""
        for module in self.code.modules.values():
            for call in module.calls:
                if isinstance(call.func, ast.Attribute) and call.func.attr == "register_blueprint" and call.args:
                    prefix = keyword(call, "url_prefix")
                    key = self.code.resolve(module, dotted(call.args[0]))
                    if prefix is not None and (value := self.code.constant(module, prefix)) is not None:
                        self.prefixes.setdefault(key, []).append(value)
                    elif prefix is not None:
                        self.prefixes.setdefault(key, [])
        found: dict[str, str] = {}
        for module in self.code.modules.values():
            for path, node in self._in(module):
                found.setdefault(path, module.at(node))
        return found

    def _in(self, module: Module) -> Iterator[tuple[str, ast.AST]]:
        for node in module.nodes:
            decorators = node.decorator_list if isinstance(node, Function | ast.ClassDef) else [node]
            names = {"add_url_rule"} if decorators == [node] else {"get", "route"}
            for call in decorators:
                if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute) or not call.args:
                    continue
                rule, methods = self.code.constant(module, call.args[0]), keyword(call, "methods")
                allowed = (
                    [text(item) for item in methods.elts] if isinstance(methods, ast.List | ast.Tuple) else ["GET"]
                )
                if call.func.attr in names and rule and "GET" in allowed:
                    for prefix in self._prefixes(module, dotted(call.func.value)):
                        if prefix or rule.startswith("/"):
                            yield f"{prefix.rstrip('/')}/{rule.lstrip('/')}", call

    def _prefixes(self, module: Module, name: str) -> list[str]:
        key = self.code.resolve(module, name)
        if key in self.prefixes:
            return self.prefixes[key]
        known = self.code.modules.get(key[0])
        made = known.assigned.get(key[1]) if known else None
        if known and isinstance(made, ast.Call) and dotted(made.func).endswith("Blueprint"):
            prefix = keyword(made, "url_prefix")
            if prefix is None:
                return [""]
            return [value] if (value := self.code.constant(known, prefix)) is not None else []
        return [""]

    def health(self) -> Finding:
        """Return the page that shows whether the application works: `/` if there is none."""
        for name in HEALTH:
            for path, place in self.pages.items():
                if re.fullmatch(rf"/(?:(?:api|ops|internal|system)/(?:v\d+/)?)?{name}/?", path):
                    return Finding("app_health_path", path, place)
        return Finding("app_health_path", "/", "no page named like a health check was found", assumed=True)

    def metrics(self, dependencies: Dependencies) -> Finding:
        """Return the page with metrics for Prometheus."""
        for module in self.code.modules.values():
            for call in module.calls:
                source, name = self.code.resolve(module, dotted(call.func))
                if source.startswith("prometheus_flask_exporter") and name.endswith("PrometheusMetrics"):
                    return Finding("app_metrics_path", text(keyword(call, "path")) or "/metrics", module.at(call))
            for node in module.nodes if dependencies.has("prometheus-client") else ():
                if isinstance(node, ast.Dict) and "/metrics" in [text(key) for key in node.keys]:
                    return Finding("app_metrics_path", "/metrics", module.at(node))
        for path, place in self.pages.items():
            if dependencies.has("prometheus-client") and path.endswith("/metrics") and "<" not in path:
                return Finding("app_metrics_path", path, place)
        return Finding("app_metrics_path", "", "no page with metrics for Prometheus was found")
