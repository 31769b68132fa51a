"""The variables of the environment: those that the fleet sets, and those that a module reads."""

import ast
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from tools.project.code import Code, Module, assignments, dotted, keyword, text
from tools.project.tree import Tree, table

# What the fleet sets for every application. See docs/your-application.md.
CONTRACT = re.compile(
    "SECRET_KEY|DATABASE_(REPLICA_|MIGRATION_)?URL|(RQ_)?REDIS_URL|(CACHE|STORE)_(SENTINEL_)?URL|CELERY_BROKER_URL|"
    "CELERY_RESULT_BACKEND|APP_DOMAIN|APP_RELEASE|LOG_LEVEL|CELERY_METRICS_(PORT|ADDRESS)|"
    "PROMETHEUS_MULTIPROC_DIR|HOME|PATH|USER|PWD|TMPDIR|TZ|LANG|"
    "HOSTNAME|PYTHONPATH|MAIL_(SERVER|PORT|USE_TLS|USE_SSL|USERNAME|PASSWORD|DEFAULT_SENDER)"
)
EXAMPLE = re.compile(r"\.?env\.(example|sample|dist|template)|(example|sample)\.env")
# An address of the developer's machine, or of another container there. It leads to nothing on a host of the fleet.
HERE = r"(?:localhost|127(?:\.\d+){3}|0\.0\.0\.0|\[::1?\]|host\.docker\.internal)"
SCHEMES = (
    "postgres(?:ql)?|mysql|mariadb|rediss?|sentinel|amqps?|mongodb|memcached|https?|smtps?|kafka|nats|mqtts?|ldaps?"
)
LOCAL_URL = re.compile(
    rf"(?i)\b(?P<scheme>\w+)(?:\+\w+)?://(?:[^@/\s'\"]*@)?(?:{HERE}|(?<=[/@])(?P<label>[a-z0-9_-]+))(?=[:/?\s'\",;]|$)"
    r"[^\s'\",;]*"
)
NOT_OURS = re.compile(r"TEST|DEV|STAG|REPLICA")
MODES = re.compile("((FLASK|APP|FLASK_APP)_)?(CONFIG(_NAME|_MODE|URATION)?|ENV(IRONMENT)?)|(FLASK|APP)_(SETTINGS|MODE)")
# Other names that choose a configuration, if their default is one of these.
OTHER_MODES = re.compile(r"[A-Z]+_(ENV(IRONMENT)?|CONFIG(_NAME)?|SETTINGS|MODE|STAGE)")
FOR_DEVELOPERS = frozenset({"dev", "develop", "development", "local", "debug"})
# Classes of libraries whose objects read a variable when they are called.
READERS = frozenset({"environs.Env", "environs.EnvConfig", "environ.Env", "starlette.config.Config"})
SETTINGS = frozenset({"pydantic_settings.BaseSettings", "pydantic.BaseSettings"})


@dataclass(frozen=True)
class Read:
    """A variable of the environment that the code reads.

    The code fails without a `required` one. The value of a `file` is the path of a file with settings.
    """

    name: str
    place: str
    required: bool
    default: bool = False
    file: bool = False
    # The default, if it is a constant.
    value: str = ""


def guarded(code: Code, module: Module) -> tuple[set[int], set[str]]:
    """Return the nodes of a module whose KeyError is caught, and the variables whose presence it checks."""
    nodes: set[int] = set()
    names: set[str] = set()
    for node in module.nodes:
        if isinstance(node, ast.Try) and any(catches(handler) for handler in node.handlers):
            nodes |= {id(child) for statement in node.body for child in ast.walk(statement)}
        elif (
            isinstance(node, ast.Compare)
            and isinstance(node.ops[0], ast.In | ast.NotIn)
            and (name := code.constant(module, node.left))
        ):
            names.add(name)
    return nodes, names


def catches(handler: ast.ExceptHandler) -> bool:
    """Whether an except clause catches KeyError."""
    caught = {dotted(node) for node in ast.walk(handler.type)} if handler.type else {"Exception"}
    return bool(caught & {"KeyError", "LookupError", "Exception", "BaseException"})


def reads_of(code: Code, module: Module, nodes: Iterable[ast.AST]) -> Iterator[Read]:
    """Yield the variables of the environment that nodes of a module read, by the standard library or by others."""
    for node in nodes:
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
            environ = ".".join(code.resolve(module, dotted(node.value))) == "os.environ"
            if environ and (name := code.constant(module, node.slice)):
                yield Read(name, module.at(node), required=True)
        elif isinstance(node, ast.Call):
            yield from called(code, module, node)
        elif isinstance(node, ast.ClassDef):
            yield from fields(code, module, node)


def called(code: Code, module: Module, node: ast.Call) -> Iterator[Read]:
    """Yield what a call reads."""
    name, place = code.constant(module, node.args[0]) if node.args else None, module.at(node)
    function = ".".join(code.resolve(module, dotted(node.func)))
    default = len(node.args) > 1 or keyword(node, "default") is not None
    if function.endswith(".from_pyfile") and node.args:
        yield from (replace(read, file=True, required=False) for read in taken(code, module, node.args[0]))
    elif function.endswith(".from_prefixed_env"):
        prefix = name or text(keyword(node, "prefix")) or "FLASK"
        for setting in ("SECRET_KEY", "SQLALCHEMY_DATABASE_URI"):
            yield Read(f"{prefix}_{setting}", place, required=False)
    elif not name:
        return
    elif function in {"os.environ.get", "os.getenv"}:
        value = code.constant(module, node.args[1]) if len(node.args) > 1 else ""
        yield Read(name, place, required=False, default=default, value=value or "")
    elif function.endswith(".from_envvar"):
        yield Read(name, place, required=len(node.args) + len(node.keywords) == 1, file=True)
    elif function == "decouple.config" or is_reader(code, module, node.func):
        yield Read(name, place, required=not default, default=default)


def taken(code: Code, module: Module, value: ast.expr) -> Iterator[Read]:
    """Yield the variables of the environment from which a value comes, directly or through a variable of the code."""
    yield from reads_of(code, module, ast.walk(value))
    for node in module.nodes if isinstance(value, ast.Name) else ():
        yield from (
            read
            for name, given in assignments(node)
            if name == dotted(value)
            for read in reads_of(code, module, ast.walk(given))
        )


def is_reader(code: Code, module: Module, function: ast.expr) -> bool:
    """Whether a function is an object of a class in READERS, or a method of one, such as `env.str`."""
    root = function.value if isinstance(function, ast.Attribute) else function
    source, name = code.resolve(module, dotted(root))
    known = code.modules.get(source)
    made = known.assigned.get(name) if known else None
    return (
        isinstance(made, ast.Call) and known is not None and ".".join(code.resolve(known, dotted(made.func))) in READERS
    )


def fields(code: Code, module: Module, node: ast.ClassDef) -> Iterator[Read]:
    """Yield the fields of a class of pydantic's settings."""
    if any(".".join(code.resolve(module, dotted(base))) in SETTINGS for base in node.bases):
        for field in node.body:
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                given = field.value is not None
                yield Read(field.target.id.upper(), module.at(field), required=not given, default=given)


def app_json(tree: Tree) -> list[tuple[str, dict[str, Any]]]:
    """Return the variables that Heroku's app.json describes."""
    try:
        found = table(json.loads(tree.read("app.json") or "{}"), "env")
    except ValueError:
        return []
    return [(name, entry) for name, entry in found.items() if isinstance(entry, dict)]


def example(tree: Tree, name: str) -> tuple[str, str]:
    """Return the value of a variable in an example of .env, and the file. Both are empty if there is none."""
    for file in filter(EXAMPLE.fullmatch, tree.files):
        if value := re.search(rf"(?m)^(?:export )?{re.escape(name)}=[\"']?([^\"'\s#]+)", tree.read(file)):
            return value[1], file
    return "", ""


def local_urls(text: str) -> Iterator[re.Match[str]]:
    """Yield the addresses in a text that lead to nothing on a host of the fleet."""
    for found in LOCAL_URL.finditer(text):
        # `redis://redis` is another container, but `s3://name` is no server.
        if not found["label"] or re.fullmatch(SCHEMES, found["scheme"], re.IGNORECASE):
            yield found


def is_local(value: str) -> bool:
    """Whether a value is an address that leads to nothing on a host of the fleet."""
    bare = re.fullmatch(rf"(?i){HERE}(:\d+)?", value)
    return bare is not None or any(found.start() == 0 for found in local_urls(value))


def needed(tree: Tree, read: Read) -> str:
    """Return the note about a variable that the application needs, with its value in an example of .env."""
    value, file = example(tree, read.name)
    has = (
        f" ({file} has {value}{', which leads to no server on the fleet' if is_local(value) else ''})" if value else ""
    )
    return f"{read.place} needs the variable {read.name}{has}; set it in app_environment."
