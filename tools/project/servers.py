"""Finds servers that the fleet does not have, and addresses that are fixed in the code."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from tools.project.code import Code, Module, dotted, keyword, named_values, text
from tools.project.commands import DEVELOPMENT
from tools.project.dependencies import Dependencies
from tools.project.environment import NOT_OURS, reads_of
from tools.project.settings import Settings

URL = re.compile(r"(sqlite|mysql|mariadb|mongodb|rediss?|amqp)(?:\+\w+)?://\S*")
# The file of a database, which tests often have in memory.
SQLITE = re.compile(r"sqlite(\+\w+)?:///(?!:memory:)\S*")
MOVE = "docs/your-application.md (From SQLite to Postgres) lists what to check"
MYSQL = (
    "pymysql",
    "mysqlclient",
    "mysql-connector-python",
    "flask-mysqldb",
    "flask-mysql",
    "mysql-connector",
    "aiomysql",
)
# Packages that are clients of a server that the fleet does not have.
OTHERS = {
    "MongoDB": ("pymongo", "flask-pymongo", "mongoengine", "flask-mongoengine", "motor"),
    "Elasticsearch": ("elasticsearch", "elasticsearch-dsl", "opensearch-py"),
    "Memcached": ("pylibmc", "pymemcache", "python-memcached"),
    "Kafka": ("kafka-python", "confluent-kafka"),
    "Cassandra": ("cassandra-driver",),
    "Neo4j": ("neo4j",),
    "RabbitMQ": ("pika", "librabbitmq"),
}
REDIS = frozenset({"redis.Redis", "redis.StrictRedis", "redis.client.Redis", "redis.client.StrictRedis"})


@dataclass(frozen=True)
class Fixed:
    """An address that is a constant of the code. `names` leads to it in the configuration."""

    kind: str
    address: str
    place: str
    names: tuple[str, ...] = ()


def fixed(code: Code) -> Iterator[Fixed]:
    """Yield the addresses in the code that no variable replaces. Those for development and tests are left out."""
    for module in code.modules.values():
        if DEVELOPMENT.search(module.path):
            continue
        for call in module.calls:
            if ".".join(code.resolve(module, dotted(call.func))) == "sqlite3.connect":
                yield Fixed("sqlite3", "sqlite3.connect()", module.at(call))
            elif redis := plain_redis(code, module, call):
                yield redis
        if not any(URL.match(text(node) or "") for node in module.nodes):
            continue
        replaced = {id(node) for node in replaceable(code, module)}
        ways = {id(node): names for top in module.nodes for names, node in ways_to(top)}
        for node in module.nodes:
            found = URL.match(text(node) or "")
            if found and id(node) not in replaced and (found[1] == "sqlite" or not found[0].endswith("://")):
                yield Fixed(found[1], found[0], module.at(node), ways.get(id(node), ()))


def sqlite_so_far(code: Code) -> str:
    """Return the note about an application that has known no other database than SQLite. It is empty for others."""
    for module in code.modules.values():
        for node in module.nodes if not DEVELOPMENT.search(module.path) else ():
            found = SQLITE.match(text(node) or "")
            if found and "test" not in found[0].lower():
                return (
                    f"{module.at(node)} has {found[0]} and the project no driver of Postgres, so probably it has used "
                    f"SQLite so far. Postgres refuses what SQLite accepts, such as too long strings; {MOVE}."
                )
    return ""


def plain_redis(code: Code, module: Module, call: ast.Call) -> Fixed | None:
    """Return the address of a client of Redis that is made without an address, or with a fixed one."""
    if ".".join(code.resolve(module, dotted(call.func))) not in REDIS or any(
        word.arg is None for word in call.keywords
    ):
        return None
    host = call.args[0] if call.args else keyword(call, "host")
    given = host is not None or any(keyword(call, name) for name in ("connection_pool", "unix_socket_path"))
    if given and text(host) is None:
        return None
    return Fixed("redis", text(host) or "localhost", module.at(call))


def replaceable(code: Code, module: Module) -> Iterator[ast.AST]:
    """Yield the nodes of expressions that read the environment, and of code for development and tests."""
    for node in module.nodes:
        if isinstance(node, ast.Call | ast.BoolOp | ast.IfExp):
            own = any(True for _ in reads_of(code, module, ast.walk(node)))
        elif isinstance(node, ast.ClassDef | ast.FunctionDef):
            own = NOT_OURS.search(node.name.upper()) is not None
        else:
            own = any(NOT_OURS.search(name.upper()) for name, _ in named_values(node) if isinstance(node, ast.Assign))
        if own:
            yield from ast.walk(node)


def ways_to(node: ast.AST) -> Iterator[tuple[tuple[str, ...], ast.AST]]:
    """Yield the constants that a call such as `app.config.from_mapping()` sets, with the names that lead to them."""
    if isinstance(node, ast.Call) and dotted(node.func).endswith("config.from_mapping"):
        yield from inside(node, ())


def inside(node: ast.AST, names: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], ast.AST]]:
    """Yield the constants inside of nested dictionaries."""
    if isinstance(node, ast.Constant):
        yield names, node
    elif isinstance(node, ast.Dict | ast.Call):
        for name, value in named_values(node):
            yield from inside(value, (*names, name))


def replacements(code: Code, found: list[Fixed]) -> dict[str, tuple[str, str]]:
    """Return the variables by which `from_prefixed_env()` replaces fixed addresses of Redis: name → value, place."""
    for module in code.modules.values():
        for call in module.calls:
            if isinstance(call.func, ast.Attribute) and call.func.attr == "from_prefixed_env":
                prefix = text(call.args[0] if call.args else keyword(call, "prefix")) or "FLASK"
                return {
                    f"{prefix}_{'__'.join(one.names)}": (redis_of(one), one.place) for one in found if redis_of(one)
                }
    return {}


def redis_of(one: Fixed) -> str:
    """Return the fleet's variable in the place of a fixed address of Redis. It is empty for another one."""
    if one.kind not in {"redis", "rediss", "amqp"} or not one.names:
        return ""
    return "app_celery_result_url" if "result" in one.names[-1].lower() else "app_redis_url"


def notes(code: Code, settings: Settings, needs: Dependencies, has_driver: bool, has_address: bool) -> Iterator[str]:
    """Yield what the owner has to decide about servers that the fleet does not have."""
    found = list(fixed(code))
    replaced = {place for _, place in replacements(code, found).values()}
    sqlite = next((one for one in found if one.kind == "sqlite3" or (one.kind == "sqlite" and not has_address)), None)
    mysql = [name for name in MYSQL if name in needs.direct]
    if mysql and not has_driver:
        yield (
            f"{needs.input} has {mysql[0]}, a driver of MySQL, and none of Postgres, the fleet's database. If the "
            "application works with Postgres, set app_extra_packages: [psycopg2-binary]; otherwise run MySQL outside "
            "of the fleet, and set its address in app_environment."
        )
    elif sqlite and not has_driver:
        yield (
            f"{sqlite.place} uses SQLite ({sqlite.address}), a file of one host. If data is stored there, move to the "
            "fleet's Postgres: take the address from DATABASE_URL, and set app_extra_packages: [psycopg2-binary]; "
            f"{MOVE}. Or stay on one host (--hosts one), with the file in a folder that app_persistent_dirs names."
        )
    elif not has_driver and not has_address and needs.has("sqlalchemy", "flask-sqlalchemy"):
        yield (
            f"{needs.input} has no driver for Postgres, the fleet's database, and no code reads DATABASE_URL, its "
            "address; take the address from there, and set app_extra_packages: [psycopg2-binary]."
        )
    for server, packages in OTHERS.items():
        if package := next((name for name in packages if name in needs.direct), ""):
            names = sorted(name for name in settings.reads if server.upper().removesuffix("DB") in name)
            where = f" ({', '.join(names)})" if names else ""
            yield (
                f"{needs.input} has {package}, but the fleet has no {server}. If the application needs it, run it "
                f"outside of the fleet, and set its address in app_environment{where}."
            )
    if needs.has("flask-assets", "webassets"):
        yield (
            f"{needs.input} has flask-assets or webassets, which writes bundles into the static folder at run time. "
            "Build them with app_build_command (flask assets build), or name the folder in app_writable_dirs."
        )
    places: dict[tuple[str, str], list[str]] = {}
    for one in found:
        if one.kind in {"redis", "rediss", "amqp"} and one.place not in replaced:
            name = "CELERY_BROKER_URL" if one.kind == "amqp" else "REDIS_URL"
            places.setdefault((one.address, name), []).append(one.place)
    for (address, name), where_from in places.items():
        yield f"The fixed address {address} ({', '.join(where_from)}) leads to no server; take it from {name}."
