"""`bin/fleet init`: looks at a Flask project and writes an inventory for it."""

import json
import os
import re
from argparse import ArgumentParser
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from tools.fleet.context import ROOT, FleetError, echo
from tools.fleet.verbs.shells import note
from tools.project import inventory
from tools.project.detect import Choices, Project, detect
from tools.project.tree import Finding, ProjectError, Tree
from tools.release import fetch, interpreter
from tools.release.errors import ReleaseError, masked
from tools.release.target import Target
from tools.release.wheels import better_python, without_file

# Without a password, which ssh would not take from there anyway.
SSH_USER = re.compile(r"(git\+)?ssh://[^/@:\s]+@")
# Names of optional variables on the screen.
SHOWN = 8


def arguments(parser: ArgumentParser) -> None:
    """Add the arguments of the verb. The option --inventory is that of all verbs."""
    parser.add_argument("project", metavar="PROJECT", help="folder, git URL (URL#REF) or archive; never changed")
    parser.add_argument("--name", default="", help="name of the application (default: that of the folder)")
    parser.add_argument("--app", default="", metavar="MODULE:NAME", help="the Flask application, if there are several")
    parser.add_argument("--celery", default="", metavar="MODULE:NAME", help="the Celery application")
    parser.add_argument(
        "--hosts",
        choices=["one", "ten"],
        help="containers of `make up` (default: ten; one, if the application stores files on its host)",
    )
    parser.add_argument("--force", action="store_true", help="rewrite application.yml of an inventory that exists")
    parser.add_argument("--dry-run", action="store_true", help="print what was found, and write nothing")
    parser.add_argument("--json", action="store_true", dest="as_json", help="print it for programs, as JSON")


def init(
    project: str, name: str, app: str, celery: str, hosts: str | None, force: bool, dry_run: bool, as_json: bool
) -> None:
    """Write the inventory of a project, and print what was found in it."""
    try:
        tree, source, default = opened(project)
        origin = "--name" if name else f"the project's name, {default}"
        name = name or inventory.default_name(default)
        if not name:
            raise ProjectError(f"{default} cannot be made a name of an application; choose one with --name.")
        place = inventory.Place(ROOT, name, os.environ.get("INVENTORY") or name)
        place.check(force or dry_run)
        found = detect(tree, Choices(app, celery, hosts), with_more_wheels, is_available, without_file)
        found.findings[:0] = [
            Finding("app_name", name, origin),
            Finding("app_source", source, "PROJECT of bin/fleet init"),
        ]
        written = [] if dry_run else inventory.write(place, found, hosts)
    except ProjectError as error:
        raise FleetError(str(error)) from error
    if as_json:
        print_json(found, place, written)
    else:
        print_text(found, place, written, project, hosts)


def with_more_wheels(pins: list[str], target: Target, pythons: Iterable[str]) -> tuple[str, list[str]]:
    """Look in the package index for a better Python, which may take a while."""
    note(f"Looking in the package index for wheels of {len(pins)} pinned packages …")
    return better_python(pins, target, pythons)


def is_available(python: str) -> bool:
    """Whether this control node can get an interpreter. A server that does not answer takes some seconds."""
    note(f"Looking for an interpreter of Python {python} …")
    return interpreter.is_available(python)


def opened(project: str) -> tuple[Tree, str, str]:
    """Return the files of a project, the value of app_source, and a name for it."""
    if not fetch.is_remote(project):
        folder = Path(project).expanduser().resolve()
        if not folder.is_dir():
            raise ProjectError(
                f"{project} is not a folder; give the folder of the Flask project, a git URL or an archive."
            )
        note(f"Reading {folder} …")
        return Tree(folder), inventory.source(ROOT, folder), folder.name
    if masked(project) != project and not SSH_USER.match(project):
        raise ProjectError(
            f"{masked(project)} has a password, which application.yml would show; "
            "use an SSH URL, or git's credential helper."
        )
    note(f"Fetching {project} …")
    try:
        found = fetch.checkout(project, ROOT / ".cache")
    except ReleaseError as error:
        raise ProjectError(f"{str(error).rstrip('.')}.") from error
    last = re.split("[/:]", project.partition("#")[0].rstrip("/"))[-1]
    source = project if fetch.GIT.match(project) else str(Path(project).expanduser().resolve())
    return Tree(found.root, complete=found.complete), source, fetch.ARCHIVE.sub("", last).removesuffix(".git")


def print_json(found: Project, place: inventory.Place, written: list[Path]) -> None:
    """Print the findings for programs."""
    findings = [asdict(finding) for finding in found.findings]
    files = [str(path) for path in written]
    echo(json.dumps({"inventory": place.inventory, "findings": findings, "notes": found.notes, "written": files}))


def print_text(found: Project, place: inventory.Place, written: list[Path], project: str, hosts: str | None) -> None:
    """Print the findings, what has to be checked, and the next command."""
    for title, assumed in ((f"Found in {masked(project)}", False), ("Assumed; correct what is wrong", True)):
        rows = [finding for finding in found.findings if finding.assumed == assumed]
        if rows:
            echo(f"{title}:")
        for finding in rows:
            lines = inventory.entry(finding.variable, finding.value)
            echo("\n".join(f"  {line}" for line in lines))
            echo(f"      {finding.source}")
    if found.optional:
        more = len(found.optional) - SHOWN
        rest = f" and {more} others, which application.yml lists" if more > 0 else ""
        echo(f"Also read, if app_environment sets them: {', '.join(found.optional[:SHOWN])}{rest}")
    if found.notes:
        echo("To do:")
    for todo in found.notes:
        echo(f"  - {todo}")
    topology = place.folder / "sandbox.tfvars"
    if not hosts and (not written or topology in written):
        if found.single:
            echo(f"Hosts: one, because {found.single}; --hosts ten for a fleet that survives the loss of a host.")
        else:
            file = topology.relative_to(place.clone)
            echo(f"Hosts: ten, so that the fleet survives the loss of one; single_host = true in {file} for one host.")
    if written:
        echo("Written:")
        for path in written:
            echo(f"  {path.relative_to(place.clone)}")
        echo(f"Next: make up INVENTORY={place.inventory}")
