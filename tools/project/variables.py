"""The environment of an application: what the fleet sets under other names, and what the project sets for itself."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tools.project import addresses, commands, servers
from tools.project.commands import Command
from tools.project.environment import CONTRACT, app_json, example, is_local, needed
from tools.project.settings import FILE, Settings
from tools.project.tree import Finding, Tree
from tools.release.target import HOST_PYTHON

if TYPE_CHECKING:
    from tools.project.detect import Project


def environment(project: Project, tree: Tree, settings: Settings, lines: list[Command]) -> None:
    """Add the environment variables that the application reads under other names, or that choose its configuration."""
    values: dict[str, str] = {}
    sources: list[str] = []
    python = project.value("app_python") or HOST_PYTHON
    for name, (own, place) in settings.aliases().items():
        values[name] = python if own == "app_python" else f"{{{{ {own} }}}}"
        sources.append(f"{place}: {name}")
    if parts := settings.database_parts():
        project.add(Finding("app_database_via", "proxy", "the code reads host and port of the database"))
    for name, (value, place) in {**parts, **addresses.Redis(settings.code, settings.reads).parts()}.items():
        values[name] = value
        sources.append(f"{place}: {name}")
    for name, (own, place) in servers.replacements(settings.code, list(servers.fixed(settings.code))).items():
        values[name] = f"{{{{ {own} }}}}"
        sources.append(f"{place}: a fixed address")
    if file := settings.file():
        values[file.name] = f"/etc/{{{{ app_name }}}}/{FILE}"
        sources.append(f"{file.place}: {file.name}")
    given: dict[str, tuple[str, str]] = {}
    for command in lines:
        for words in command.steps if command.name == "web" else ():
            if found := commands.gunicorn(words):
                literal = {name: value for name, value in found.environment.items() if "$" not in value}
                given |= {name: (value, command.source) for name, value in literal.items()}
    for name, (value, place) in {**settings.production(), **commands.docker_environment(tree)}.items():
        known = name not in settings.reads or name in values or name in given
        if not known and not value.startswith("/") and wanted(name):
            given[name] = value, place
    for read in settings.missing({*values, *given}):
        if addresses.on_fleet(read.name, example(tree, read.name)[0]):
            given[read.name] = example(tree, read.name)
    for name, (value, place) in given.items():
        own = addresses.on_fleet(name, value) if is_local(value) else value
        if own and (name not in values or not is_local(value)):
            values[name] = own
            sources.append(f"{place}: {name}")
        elif name not in values and (note := addresses.leads_nowhere(name, value, place)):
            project.notes.append(note)
    if "LOG_TO_STDOUT" in settings.reads:
        values["LOG_TO_STDOUT"] = "1"
        sources.append(f"{settings.reads['LOG_TO_STDOUT'].place}: LOG_TO_STDOUT")
    for name, entry in app_json(tree):
        if name not in values and not CONTRACT.fullmatch(name):
            if entry.get("generator") == "secret":
                values[name] = "{{ app_secret_key }}"
                sources.append(f"app.json: {name}")
            elif entry.get("required", True) and "value" not in entry and name not in settings.reads:
                project.notes.append(f"app.json requires the variable {name}; set it in app_environment.")
    if values:
        project.add(Finding("app_environment", values, "; ".join(sources)))
    project.optional = settings.optional(set(values))
    if (place := settings.fixed_secret()) and not settings.file():
        project.notes.append(
            f"{place}: SECRET_KEY is fixed in the code, so its readers can forge sessions; take it from the variable "
            "SECRET_KEY."
        )
    project.notes += [needed(tree, read) for read in settings.missing({*values, *given})]
    project.notes += settings.unchosen(set(values))


def wanted(name: str) -> bool:
    """Whether a variable that a Dockerfile sets belongs to the application, and not to the image or the fleet."""
    images = ("PYTHON", "PIP_", "UV_", "NODE_", "FLASK_APP", "FLASK_ENV", "PORT")
    return (
        not re.search(r"(^|_)(DEBUG|TESTING)$", name) and not CONTRACT.fullmatch(name) and not name.startswith(images)
    )
