"""Puts together what was found in a project: the values of variables, and notes for its owner."""

import re
import shlex
from dataclasses import dataclass, field, replace
from typing import Any

from tools.project import (
    addresses,
    apart,
    background,
    commands,
    dependencies,
    image,
    interpreter,
    links,
    platforms,
    servers,
    tables,
    timers,
    variables,
    web,
    websockets,
)
from tools.project.apps import CELERY, FLASK, Apps
from tools.project.code import Code
from tools.project.commands import Command
from tools.project.folders import mount_there, shared_folder, written_folders
from tools.project.settings import Settings
from tools.project.tree import Finding, Tree
from tools.release.lock import INPUTS
from tools.release.target import HOST_PYTHON

TAKEN_OVER = {
    "workers": "app_workers",
    "threads": "app_threads",
    "timeout": "app_request_timeout",
    "graceful-timeout": "app_graceful_timeout",
    "keep-alive": "app_keepalive",
}
# The fleet sets these itself, so nobody misses them.
FLEETS_OWN = re.compile("bind|(access-|error-)?(logfile|log-file)|log-level|preload|worker-tmp-dir|name")

# The default of app_max_upload_mb.
MAX_UPLOAD_MB = 2


@dataclass
class Project:
    """What was found in a project: the reason for a `single` host, and whether it `mails`."""

    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    # Variables that the code reads if they are set.
    optional: list[str] = field(default_factory=list)
    single: str = ""
    mails: bool = False

    def add(self, *found: Finding | None) -> None:
        """Add what was found. Packages of several findings are joined."""
        for new in found:
            old = next((f for f in self.findings if new and f.variable == new.variable == "app_extra_packages"), None)
            if old and new:
                self.findings.remove(old)
                new = replace(new, value=[*old.value, *new.value], source=f"{old.source}; {new.source}")
            self.findings += [new] if new else []

    def value(self, variable: str) -> Any:
        """Return the value that was found for a variable, or None."""
        return next((finding.value for finding in self.findings if finding.variable == variable), None)


@dataclass(frozen=True)
class Choices:
    """What the user has chosen instead of letting it be found."""

    app: str = ""
    celery: str = ""
    hosts: str | None = None


def detect(
    tree: Tree,
    choices: Choices,
    better: interpreter.Better | None = None,
    is_available: interpreter.Available = lambda _: True,
    lacking: platforms.Lacking | None = None,
) -> Project:
    """Describe a project. It raises ProjectError if there is not exactly one application in it.

    `better` looks in the package index for a Python for which more packages have wheels. `is_available` returns whether
    this control node can get another Python than the hosts'. `lacking` looks for packages that have no file for them.
    """
    project, lines, needs = Project(), commands.procfile(tree), dependencies.read(tree)
    module, tree = apart.application(tree, lines, needs, choices.app)
    project.add(module)
    code, others = Code(tree), list(commands.others(tree))
    flask, celery = Apps(code, FLASK), Apps(code, CELERY, extension="celery")
    packages(project, tree, needs, interpreter.python(tree, needs, better, is_available))
    needs = platforms.checked(tree, needs, project.value("app_python") or HOST_PYTHON, lacking)
    gunicorn_options(project, lines)
    project.add(*(finding for finding in websockets.values(needs) if project.value(finding.variable) is None))
    if websockets.package(needs) == websockets.SOCKETIO and choices.hosts != "ten":
        project.single = "all requests of a client of Flask-SocketIO must reach the same process"
    tasks = list(background.celery(celery, lines + others, choices.celery)) if needs.has("celery") else []
    project.add(*tasks)
    beside = background.processes(tree, lines, others, has_celery=bool(tasks))
    settings = Settings(code)
    project.mails = "MAIL_SERVER" in settings.reads
    project.add(settings.own_file(has_orm=needs.has("sqlalchemy", "flask-sqlalchemy")))
    variables.environment(project, tree, settings, lines)
    has_address = settings.has_database_url() or bool(settings.database_parts() or settings.file())
    if has_address and not project.value("app_database_driver"):
        added = dependencies.added_driver(needs)
        project.add(*added)
        # An extra with a driver shows that the application knows Postgres.
        if any(finding.assumed for finding in added) and (note := servers.sqlite_so_far(code)):
            project.notes.append(note)
    project.add(dependencies.limits(needs))
    driver = project.value("app_database_driver")
    project.notes += servers.notes(code, settings, needs, has_driver=bool(driver), has_address=has_address)
    project.notes += [*websockets.notes(code, needs), *addresses.Redis(code, settings.reads).notes()]
    if needs.has("pg8000") and settings.has_database_url():
        project.notes.append(addresses.PG8000)
    if driver and not has_address:
        project.notes.append(addresses.unread(tree))
    schema(project, tree, flask, needs, module.value, beside)
    if beside.processes:
        sources = ", ".join(dict.fromkeys(beside.sources))
        project.add(Finding("app_processes", beside.processes, sources, assumed=beside.guessed))
    elif not tasks and (note := background.without_worker(tree, needs)):
        project.notes.append(note)
    for command in beside.unknown:
        project.notes.append(
            f"{command.source} runs `{command.line}`; if it belongs beside the web server, add it to app_processes."
        )
    project.add(timers.timers(tree))
    routes = web.Routes(code)
    project.add(routes.health(), routes.metrics(needs), links.secret(routes.pages))
    project.add(*web.static(flask, web.target_of(flask, module.value)))
    assets(project, tree)
    if (upload := settings.max_upload()) and upload[0] > MAX_UPLOAD_MB:
        project.add(Finding("app_max_upload_mb", upload[0], f"{upload[1]}: MAX_CONTENT_LENGTH"))
    folders(project, settings, choices)
    project.notes += addresses.in_commands({finding.variable: finding.value for finding in project.findings})
    return project


def packages(project: Project, tree: Tree, needs: dependencies.Dependencies, python: Finding | None) -> None:
    """Add what follows from the packages: lock file, Python, database driver, build."""
    if needs.input not in INPUTS:
        project.add(Finding("app_requirements", needs.input, "there is no requirements.txt"))
    project.add(python)
    project.add(dependencies.driver(needs), image.packages(tree, needs))


def gunicorn_options(project: Project, lines: list[Command]) -> None:
    """Add gunicorn's options of the Procfile."""
    parsed = [(c, g) for c in lines if c.name == "web" for words in c.steps if (g := commands.gunicorn(words))]
    for command, found in parsed:
        for name, value in found.options.items():
            if name in TAKEN_OVER and value.isdigit() and int(value):
                project.add(Finding(TAKEN_OVER[name], int(value), f"{command.source}: --{name}"))
            elif not FLEETS_OWN.fullmatch(name):
                shown = f"--{name} {value}".strip()
                project.notes.append(f"{command.source}: gunicorn's {shown} is not taken over; the fleet sets its own.")
    for command in lines if not parsed else ():
        if command.name == "web":
            project.notes.append(f"{command.source} does not start gunicorn. On the fleet, web is always gunicorn.")


def schema(
    project: Project,
    tree: Tree,
    flask: Apps,
    needs: dependencies.Dependencies,
    module: str,
    beside: background.Processes,
) -> None:
    """Add migrations, and the commands that run once for each release or build."""
    found = list(background.migrations(tree, flask, needs, module))
    project.add(*found)
    project.notes += background.migration_notes(tree)
    if beside.migrates and not found:
        note = f"{beside.migrates} migrates the schema, but no migrations were found; set app_migrate_command."
        project.notes.append(note)
    elif not found and (place := background.flask_migrate(flask)):
        project.notes.append(
            f"{place} uses Flask-Migrate, but the project has no migrations, so a new database has no tables; create "
            "them (flask db init, flask db migrate) and commit the folder."
        )
    for line, source in beside.before:
        project.notes.append(
            f"{source} runs `{line}` before gunicorn; if every release needs it, set app_release_command: {line}"
        )
    if beside.release:
        sources = dict.fromkeys(source for _, source in beside.release)
        lines = " && ".join(line for line, _ in beside.release)
        project.add(Finding("app_release_command", lines, ", ".join(sources)))
    if beside.build:
        # The flask command finds an application only if it has one of its usual names.
        own = f"flask --app {shlex.quote(module.removesuffix('()'))} "
        lines = " && ".join(re.sub(r"\bflask (?!--app)", own, line) for line, _ in beside.build)
        sources = dict.fromkeys(source for _, source in beside.build)
        project.add(Finding("app_build_command", lines, ", ".join(sources)))
    owner, note = tables.owner(flask.code, module.partition(":")[0], migrates=bool(found))
    project.add(owner)
    project.notes += [note] if note and not beside.release else []


def assets(project: Project, tree: Tree) -> None:
    """Add the command that builds the static files. It is clear if git leaves them out."""
    if (build := dependencies.build_script(tree)) is None:
        if place := image.assets(tree):
            folder = next((name.rpartition("/")[0] for name in tree.files if name.endswith("/package.json")), "")
            project.notes.append(
                f"{place}, which the fleet does not do; if it makes static files that are not in git, set "
                f"app_build_command to these commands{f', such as `cd {folder} && …`' if folder else ''}."
            )
        return
    static = project.value("nginx_static_source") or "static"
    if place := dependencies.ignored(tree, static):
        found = Finding("app_build_command", build[0], f"{build[1]}; {place}: {static} is not in git")
        # Commands with the application's packages work on the result.
        for other in [other for other in project.findings if other.variable == found.variable]:
            project.findings.remove(other)
            found = Finding(found.variable, f"{found.value} && {other.value}", f"{found.source}; {other.source}")
        project.add(found)
    else:
        project.notes.append(f"{build[1]} builds assets; if they are not in git, set app_build_command: {build[0]}")


def folders(project: Project, settings: Settings, choices: Choices) -> None:
    """Add the folders that the application writes to. Files of users exist on one host only."""
    own, users = written_folders(settings.code)
    if "LOG_TO_STDOUT" in settings.reads:
        own = {folder: place for folder, place in own.items() if not {"log", "logs"} & {*folder.split("/")}}
    if own:
        project.add(Finding("app_writable_dirs", sorted(own), ", ".join(own.values())))
    if not users:
        return
    project.add(Finding("app_persistent_dirs", sorted(users), ", ".join(users.values())))
    if choices.hosts != "ten":
        project.single = "the application stores files on its host"
        return
    mount = shared_folder(users)
    project.add(mount)
    project.notes.append(mount_there(mount))
