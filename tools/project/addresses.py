"""The addresses of the fleet's servers, under the names by which applications read them: whole, or in parts."""

import ast
import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from plugins import arguments
from tools.project.code import Code, assignments, text
from tools.project.environment import CONTRACT, EXAMPLE, NOT_OURS, Read, local_urls, reads_of
from tools.project.tree import Tree
from tools.release.errors import masked

# What the fleet sets, the variable of the inventory with the same value, and other usual names of it, as a pattern. The
# first row with a name decides. If the code reads what the fleet sets, too, the other name is only a fallback.
ALIASES = (
    (
        "DATABASE_URL",
        "app_database_url",
        r"(\w+_)?(DATABASE|DB|POSTGRES|POSTGRESQL|SQLALCHEMY_DATABASE)_(URL|URI)",
    ),
    (
        "CELERY_BROKER_URL",
        "app_redis_url",
        r"(?!\w*(MQTT|KAFKA))((\w+_)?BROKER(_URL)?|CELERY_BROKER)",
    ),
    (
        "CELERY_RESULT_BACKEND",
        "app_celery_result_url",
        r"(\w+_)?RESULT_BACKEND(_URL)?|CELERY_BACKEND",
    ),
    ("CACHE_URL", "app_cache_url", r"(\w+_)?CACHE_REDIS_(URL|URI)|REDIS_(URL_)?(\w+_)?CACHE(_URL|_URI)?"),
    # Each has a purpose of its own, so none is a fallback for another one.
    (
        "",
        "app_redis_url",
        r"(\w+_)?(RATE_?LIMIT(ER)?|LIMITER)_STORAGE(_URL|_URI)?|SOCKETIO_MESSAGE_QUEUE(_URL)?|MESSAGE_QUEUE_URL",
    ),
    (
        "",
        "app_redis_url",
        r"(\w+_)?(SESSION|RQ_DASHBOARD|HUEY|DRAMATIQ|SOCKETIO)_REDIS(_URL|_URI)?|(HUEY|DRAMATIQ)_URL",
    ),
    (
        "REDIS_URL",
        "app_redis_url",
        r"(\w+_)?REDIS_(URL|URI|DSN|CONNECTION_(STRING|URL|URI))|REDISTOGO_URL|REDISCLOUD_URL",
    ),
    ("SECRET_KEY", "app_secret_key", "(FLASK|APP)_SECRET(_KEY)?"),
)
# Names in Flask's configuration. What they take from the environment under another name is the fleet's, too.
CONFIGURATION = {
    "SECRET_KEY": "app_secret_key",
    "SQLALCHEMY_DATABASE_URI": "app_database_url",
    **dict.fromkeys(("CELERY_BROKER_URL", "broker_url", "RATELIMIT_STORAGE_URI"), "app_redis_url"),
    **dict.fromkeys(("CELERY_RESULT_BACKEND", "result_backend"), "app_celery_result_url"),
    "CACHE_REDIS_URL": "app_cache_url",
}


@dataclass(frozen=True)
class Server:
    """A server whose address applications read in parts: for each part, the end of its names and the value."""

    prefix: str
    parts: Mapping[str, tuple[str, str]]
    # Without these, the names mean something else.
    needed: frozenset[str]

    def name(self) -> str:
        """A pattern for the names of all parts."""
        return f"{self.prefix}(?:{'|'.join(pattern for pattern, _ in self.parts.values())})"

    def given(self, reads: Mapping[str, Read]) -> dict[str, dict[str, Read]]:
        """Return the parts that the code reads: kind → name → read."""
        found: dict[str, dict[str, Read]] = {}
        for name, read in reads.items():
            for kind, (pattern, _) in self.parts.items():
                if re.fullmatch(f"{self.prefix}(?:{pattern})", name) and not NOT_OURS.search(name):
                    found.setdefault(kind, {})[name] = read
        return found if self.needed <= found.keys() else {}


HOST = "HOST|HOSTNAME|HOST_NAME|SERVER|ADDR|ADDRESS|ENDPOINT"
USER = "USER|USERNAME|USER_NAME|LOGIN"
PASSWORD = "PASS|PASSWORD|PASSWD|PW|PWD"
DATABASE = Server(
    r"(?:\w+_)?(?:DB|DATABASE|POSTGRES|POSTGRESQL|PG|SQL|RDS)_?",
    {
        "host": (HOST, "127.0.0.1"),
        "port": ("PORT", "{{ haproxy_postgres_primary_port }}"),
        "user": (USER, "{{ postgres_app_user }}"),
        "password": (PASSWORD, "{{ postgres_app_password }}"),
        "name": ("NAME|DB|DATABASE|DBNAME|DB_NAME", "{{ postgres_database }}"),
        "engine": ("ENGINE|DIALECT", "postgresql"),
    },
    frozenset({"host", "user", "password"}),
)
REDIS = Server(
    r"(?!\w*(?:SENTINEL|CLUSTER|SLAVE))(?:\w+_)?REDIS_?(?:\w+_)?",
    {
        "host": (HOST, "127.0.0.1"),
        "port": ("PORT", "{{ haproxy_store_port }}"),
        "user": (USER, "app"),
        "password": (f"{PASSWORD}|AUTH", "{{ redis_app_password }}"),
        "index": ("DB|DATABASE|DB_(?:NUMBER|INDEX)", "0"),
    },
    frozenset({"host"}),
)


def alias(name: str) -> tuple[str, str]:
    """Return what the fleet sets for the same purpose, and the variable of the inventory; empty for another name."""
    rows = ((own, variable) for own, variable, pattern in ALIASES if re.fullmatch(pattern, name))
    return next(rows, ("", "")) if not NOT_OURS.search(name) else ("", "")


# Variables with the address on which a server of the project listens. On the fleet, gunicorn has another one.
LISTENS = re.compile(r"HOST|((FLASK|APP|SERVER|WEB|GUNICORN|UVICORN)_)(RUN_)?HOST|\w*(BIND|LISTEN)\w*")


def on_fleet(name: str, value: str) -> str:
    """Return the fleet's address in the place of one on the developer's machine. It is empty if the fleet has none."""
    found = next(local_urls(value), None)
    if found is None or CONTRACT.fullmatch(name) or NOT_OURS.search(name):
        return ""
    schemes = {"postgres": "app_database_url", "redis": "app_cache_url" if "CACHE" in name else "app_redis_url"}
    kind = re.sub("(?<=^postgres)ql$|(?<=^redis)s$", "", found["scheme"].lower())
    variable = alias(name)[1] or schemes.get(kind, "")
    return f"{{{{ {variable} }}}}" if variable else ""


def leads_nowhere(name: str, value: str, place: str) -> str:
    """Return the note about a variable whose address is left out. It is empty if nobody misses it."""
    if CONTRACT.fullmatch(name) or NOT_OURS.search(name) or LISTENS.fullmatch(name) or value.startswith("0.0.0.0"):
        return ""
    return (
        f"{place} sets {name} to {masked(value)}, which leads to no server on the fleet's hosts, so it is left out; "
        "set it in app_environment."
    )


def in_commands(values: Mapping[str, Any]) -> Iterator[str]:
    """Yield notes about commands with an address of the developer's machine."""
    for variable, line in arguments.commands(values):
        if variable.partition(".")[0] in arguments.VARIABLES:
            for found in local_urls(line):
                yield (
                    f"{variable} has {masked(found[0])}, which leads to no server on the fleet's hosts; let the "
                    "program take the address from a variable of the environment."
                )


PG8000 = (
    "pg8000 needs a URL with its own name and one host; set app_database_via: proxy, and in app_environment "
    "DATABASE_URL: \"{{ app_database_url | replace('postgresql://', 'postgresql+pg8000://') }}\"."
)


def unread(tree: Tree) -> str:
    """Return the note about a database whose address no code reads, with a name in an example of .env."""
    note = "No code reads DATABASE_URL, the address of the fleet's database; "
    for file in filter(EXAMPLE.fullmatch, tree.files):
        for name in re.findall(r"(?m)^\s*(?:export )?(\w+)=", tree.read(file)):
            if alias(name)[0] == "DATABASE_URL":
                return (
                    f'{note}{file} has {name}, so probably app_environment needs {name}: "{{{{ app_database_url }}}}".'
                )
    return f"{note}the application must take it from there."


def whole(node: ast.expr) -> Iterator[ast.expr]:
    """Yield the expressions that can be the complete value, without parts of a string that the code builds."""
    yield node
    if isinstance(node, ast.BoolOp):
        for value in node.values:
            yield from whole(value)
    elif isinstance(node, ast.IfExp):
        yield from [*whole(node.body), *whole(node.orelse)]
    elif isinstance(node, ast.Call):
        method = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        if isinstance(node.func, ast.Attribute):  # os.environ["X"].replace(…)
            yield from whole(node.func.value)
        if len(node.args) == 1 and not node.keywords and method != "format":
            yield from whole(node.args[0])


@dataclass(frozen=True)
class Redis:
    """The parts of Redis's address that the code reads. The whole address makes them superfluous."""

    code: Code
    reads: Mapping[str, Read]

    @cached_property
    def given(self) -> dict[str, dict[str, Read]]:
        """The parts that count: kind → name → read."""
        given = REDIS.given(self.reads)
        return {
            kind: {name: read for name, read in names.items() if not self.has_whole(is_cache(name))}
            for kind, names in given.items()
        }

    def has_whole(self, cache: bool) -> bool:
        """Whether the code reads the whole address of the cache, or of the store."""
        own = "CACHE_URL" if cache else "REDIS_URL"
        return any(name == own or alias(name)[0] == own for name in self.reads)

    def parts(self) -> dict[str, tuple[str, str]]:
        """Return the variables with parts of the address: name → value, place."""
        found: dict[str, tuple[str, str]] = {}
        for kind, names in self.given.items():
            for name, read in names.items():
                value = REDIS.parts[kind][1]
                value = value.replace("store", "cache") if is_cache(name) else value
                if name in self.hosts_in_urls:
                    value = f"app:{{{{ redis_app_password }}}}@{value}"
                # A default number of a database is as good as 0.
                if kind != "index" or read.required:
                    found[name] = (value, read.place)
        return found

    @cached_property
    def hosts_in_urls(self) -> set[str]:
        """The hosts that can bring user and password along, because the code makes URLs of them that have neither."""
        if self.given.keys() & {"user", "password"}:
            return set()
        return {name for name in self.given.get("host", {}) if only_in_urls(self.code, name)}

    def notes(self) -> Iterator[str]:
        """Yield a note about clients that the fleet's servers refuse, because they do not name the user."""
        for cache, url in ((False, "REDIS_URL"), (True, "CACHE_URL")):
            hosts = [name for name in self.given.get("host", {}) if is_cache(name) == cache]
            if not hosts or "user" in self.given or hosts[0] in self.hosts_in_urls:
                continue
            way = ', or pass username="app", too' if "password" in self.given else ""
            lacks = "user name" if way else "user name and password"
            yield (
                f"{self.given['host'][hosts[0]].place} reads Redis's address in parts ({hosts[0]}) without a {lacks}, "
                f"which the fleet's Redis requires; take the address from {url}, as in redis.from_url(){way}."
            )


def is_cache(name: str) -> bool:
    """Whether a variable is about the cache, which may lose its content."""
    return "CACHE" in name


def only_in_urls(code: Code, name: str) -> bool:
    """Whether the code uses a variable only for URLs of Redis that begin with it: `f"redis://{host}:{port}"`."""
    read: set[int] = set()
    holders: set[str] = set()
    inside: set[int] = set()
    for module in code.modules.values():
        for node in module.nodes:
            if any(found.name == name for found in reads_of(code, module, [node])):
                read |= {id(part) for part in ast.walk(node)}
                holders |= {
                    key
                    for other in module.nodes
                    for key, value in assignments(other)
                    if any(part is node for part in whole(value))
                }
            if isinstance(node, ast.JoinedStr):
                for before, value in itertools.pairwise(node.values):
                    if (text(before) or "").endswith(("redis://", "rediss://")):
                        inside |= {id(part) for part in ast.walk(value)}
    used = [
        node
        for module in code.modules.values()
        for node in module.nodes
        if (isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in holders)
        or (isinstance(node, ast.Attribute) and node.attr in holders)
        or (text(node) in {name, *holders} and id(node) not in read)
        or (id(node) in read and isinstance(node, ast.expr) and not holders)
    ]
    return bool(used) and all(id(node) in inside for node in used)
