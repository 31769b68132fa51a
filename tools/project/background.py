"""Finds migrations, the Celery application, and the processes beside the web server."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

from plugins.arguments import without_addresses
from tools.project import commands
from tools.project.apps import Apps, Target
from tools.project.code import dotted
from tools.project.commands import Command, settings
from tools.project.dependencies import Dependencies
from tools.project.tree import Finding, Tree

WORKERS = frozenset({"rq", "rqworker", "dramatiq", "huey_consumer", "huey_consumer.py", "arq", "rqscheduler"})
QUEUES = {
    **dict.fromkeys(("rq", "flask-rq", "flask-rq2"), "rq worker"),
    "dramatiq": "dramatiq MODULE",
    "huey": "huey_consumer MODULE.huey",
}
UPGRADE = re.compile(r"\b(?:flask (?:--app \S+ )?db upgrade|alembic upgrade head|manage\.py db upgrade)\b")
# Services that are no process beside the web server: the server itself, and commands that end or only wait.
NO_PROCESS = re.compile(
    r"\b(run|runserver|test|tests|pytest|tox|lint|bash|sh|sleep|tail|migrate|init|seed|upgrade|shell)\b"
)
SERVES = re.compile(r"\b(app|application|server|socketio)\.run\(|\bserve\(")
BUILDS = re.compile(r"\bflask (?:--app \S+ )?(?:digest compile|translate compile|assets build)\b|\bpybabel compile\b")


def migrations(tree: Tree, apps: Apps, dependencies: Dependencies, module: str) -> Iterator[Finding]:
    """Yield the commands of Flask-Migrate or of Alembic, if the project has a migration."""
    environments = [name for name in tree.files if re.search(r"(^|/)env\.py$", name)]
    folders = {name.rpartition("/")[0]: name for name in environments}
    used = {folder: env for folder, env in folders.items() if any(has_revision(tree, n, folder) for n in tree.files)}
    if not used:
        return
    folder = sorted(used, key=lambda name: (name.count("/"), name))[0]
    offline = "offline" in tree.read(used[folder]) and not creates_tables(tree, used[folder])
    # The environment of Flask-Migrate needs the application, even if its extension is made in an unusual way.
    own = used[folder] if re.search(r"(?m)^from flask import current_app", tree.read(used[folder])) else ""
    migrate = flask_migrate(apps) or own
    if migrate and dependencies.has("flask-migrate"):
        # Its own default is relative to the working directory, whatever folder the code is in.
        place = "" if folder == "migrations" else f" --directory {shlex.quote(folder)}"
        program, source = (
            f"flask --app {shlex.quote(module.removesuffix('()'))} db",
            f"{migrate}: Flask-Migrate, {folder}/",
        )
        sql = f"{program} upgrade{place} --sql {{current}}:head"
        yield Finding("app_migrate_command", f"{program} upgrade{place}", source)
    elif (ini := tree.first("alembic.ini")) or (ini := tree.first(f"{folder}/alembic.ini")):
        program, source = "alembic" if ini == "alembic.ini" else f"alembic --config {ini}", f"{ini}, {folder}/"
        sql = f"{program} upgrade {{current}}:head --sql"
        yield Finding("app_migrate_command", f"{program} upgrade head", source)
        place = ""
    else:
        return
    yield Finding("app_migrate_status_command", f"{program} current{place}", source)
    if offline:
        yield Finding("app_migrate_sql_command", sql, f"{used[folder]} has an offline mode")


def creates_tables(tree: Tree, environment: str) -> bool:
    """Whether the environment of migrations creates all tables, which needs a database."""
    return re.search(r"(?m)^[^#\n]*\bcreate_all\(", tree.read(environment)) is not None


def migration_notes(tree: Tree) -> Iterator[str]:
    """Yield notes about environments of migrations that create the tables which the first migration creates, too."""
    for name in tree.files:
        if name.endswith("/env.py") and creates_tables(tree, name):
            yield (
                f"{name} calls create_all() before the migrations, so these may fail in an empty database, because "
                "their tables exist, and their SQL cannot be printed without a database; remove that line if you can."
            )


def flask_migrate(apps: Apps) -> str:
    """Return where the code uses Flask-Migrate. It is empty if it does not."""
    for found in apps.code.modules.values():
        for call in found.calls:
            if ".".join(apps.code.resolve(found, dotted(call.func))) == "flask_migrate.Migrate":
                return found.at(call)
    return ""


def has_revision(tree: Tree, name: str, folder: str) -> bool:
    """Whether a file is a migration of the environment in `folder`."""
    inside = name.startswith(f"{folder}/") or not folder
    return inside and name.endswith(".py") and "down_revision" in tree.read(name) and not name.endswith("env.py")


def celery(apps: Apps, found: list[Command], asked: str) -> Iterator[Finding]:
    """Yield the Celery application, and what its workers need. Nothing, if the project does not use Celery."""
    lines = [(c, line) for c in found for words in c.steps if (line := commands.celery(words))]
    named = next(((line.app, f"{c.source}: celery -A {line.app}") for c, line in lines if line.app), None)
    if asked:
        spelled, source = asked, "--celery"
    elif named:
        spelled, source = attribute(apps, named[0]), named[1]
    else:
        targets = sorted((t for t in apps.targets if not t.factory), key=by_name)
        if not targets:
            return
        spelled, source = targets[0].spelled, targets[0].source
        if len({target.made_by for target in targets}) > 1:
            source += f"; there are others, such as {targets[-1].spelled}: --celery chooses"
    yield Finding("app_celery_app", spelled, source)
    code = [tree for module in apps.code.modules.values() for tree in [apps.code.tree.read(module.path)]]
    periodic = re.compile(r"beat_schedule|BEAT_SCHEDULE|add_periodic_task|CELERYBEAT|crontab\(")
    beat = next((c.source for c, line in lines if line.kind == "beat" or {"B", "beat"} & line.options.keys()), "")
    if not beat and not any(periodic.search(content) for content in code):
        yield Finding("celery_beat_host", "", "no periodic tasks were found")
    if not any("CELERY_METRICS_PORT" in content for content in code):
        yield Finding("celery_metrics_port", 0, "the worker serves no metrics on CELERY_METRICS_PORT")
    for c, line in lines:
        size = line.options.get("c") or line.options.get("concurrency") or ""
        if c.source.startswith("Procfile") and line.kind == "worker" and size.isdigit():
            yield Finding("celery_concurrency", int(size), c.source)
            return


def by_name(target: Target) -> tuple[int, int, str]:
    """Sort Celery applications: modules that are named after them first."""
    usual = {"celery", "celery_app", "make_celery", "celery_worker", "worker", "tasks"}
    return target.module.split(".")[-1] not in usual, target.module.count("."), target.spelled


def attribute(apps: Apps, name: str) -> str:
    """Return `module:attribute` for what `celery -A` accepts: a module, `module.attribute` or `module:attribute`."""
    if ":" in name:
        return name
    if name not in apps.code.modules and "." in name and name.rpartition(".")[0] in apps.code.modules:
        return ":".join(name.rpartition(".")[::2])
    inside = [target for target in apps.targets if target.module in {name, f"{name}.celery"} and not target.factory]
    inside.sort(key=lambda target: target.name not in {"celery", "app", "celery_app"})
    return inside[0].spelled if inside else f"{name}:celery"


@dataclass
class Processes:
    """What the Procfile starts beside the web server and Celery."""

    processes: dict[str, dict[str, Any]] = field(default_factory=dict)
    sources: list[str] = field(default_factory=list)
    # Commands with their source.
    release: list[tuple[str, str]] = field(default_factory=list)
    build: list[tuple[str, str]] = field(default_factory=list)
    migrates: str = ""
    # What a script runs before gunicorn.
    before: list[tuple[str, str]] = field(default_factory=list)
    # Services of which it is not sure that they belong beside the web server.
    guessed: bool = False
    unknown: list[Command] = field(default_factory=list)


def processes(tree: Tree, lines: list[Command], others: list[Command], has_celery: bool) -> Processes:
    """Sort the lines of the Procfile, or else the services of a Compose file that the project's image runs."""
    found = Processes()
    workers = 0
    for command in lines:
        if command.name in {"web", "release"}:
            before = list(takewhile(lambda step: commands.gunicorn(step) is None, command.steps))
            if command.name == "release" and "|" in command.line:
                found.release.append((command.line, command.source))
            elif command.name == "release" or len(before) < len(command.steps):
                for words in before:
                    sort_step(found, words, command.source)
            continue
        line = next((parsed for words in command.steps if (parsed := commands.celery(words))), None)
        if line and has_celery and (line.kind == "beat" or (line.kind == "worker" and not workers)):
            workers += line.kind == "worker"
        else:
            add(found, command)
    for command in others if not lines else ():
        if not command.name or command.name == "RUN" or command.name in found.processes:
            continue
        if any(commands.program(words) in WORKERS for words in command.steps):
            add(found, command)
        elif command.beside:
            guess(found, tree, command)
    for command in others:
        if any(commands.gunicorn(words) for words in command.steps):
            found.before += run_before(others, command)
    return found


def run_before(others: list[Command], server: Command) -> Iterator[tuple[str, str]]:
    """Yield the commands of Python and Flask that a script runs before gunicorn, with their place."""
    file, _, number = server.source.rpartition(":")
    for command in others:
        name, _, place = command.source.rpartition(":")
        if (command.name, name, server.name) != ("", file, "") or not commands.SCRIPT.search(file):
            continue
        left_out = UPGRADE.search(command.line) or BUILDS.search(command.line)
        if int(place) < int(number) and not left_out and re.match(r"(python3?|flask|alembic)\s", command.line):
            yield command.line, command.source


def guess(found: Processes, tree: Tree, command: Command) -> None:
    """Take a service that runs Python code and does not serve as a process. Others are left to the owner."""
    servers = any(commands.gunicorn(words) or commands.celery(words) for words in command.steps)
    code = "".join(tree.read(word.removeprefix("./")) for words in command.steps for word in words)
    if servers or NO_PROCESS.search(command.line) or SERVES.search(code) or UPGRADE.search(command.line):
        return
    if re.match(r"(\S*/)?(python3?|flask)\s", command.line):
        add(found, command)
        found.guessed = True
    else:
        found.unknown.append(command)


def sort_step(found: Processes, words: list[str], source: str) -> None:
    """Sort a command of `release:`, or one that runs before gunicorn: migration, build, or once per release."""
    line = shlex.join(words)
    plain = " ".join(settings(words)[1])
    if UPGRADE.search(plain):
        found.migrates = source
    elif BUILDS.search(plain):
        found.build.append((line, source))
    else:
        found.release.append((line, source))


def add(found: Processes, command: Command) -> None:
    """Add one process. The fleet runs its line in a shell, as Heroku does, but without a password among its words."""
    found.processes[command.name] = {"command": without_addresses(command.line)}
    found.sources.append(command.source)


def without_worker(tree: Tree, needs: Dependencies) -> str:
    """Return the note about a queue of tasks for which no process was found."""
    for package, command in QUEUES.items():
        if package in needs.direct:
            command = f"python {script}" if (script := tree.first("worker.py", "run_worker.py")) else command
            return (
                f"{needs.input} has {package}, but nothing in the project starts a worker; if the application has "
                f"tasks, set app_processes: worker: {{command: {command}}}"
            )
    return ""
