"""Writes the inventory of a project: what was found in it, and how many hosts the sandbox gives it."""

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tools.project.detect import Project
from tools.project.tree import Finding, ProjectError

# The same pattern as for fleets: containers, a database and a system user get this name.
NAME = re.compile("[a-z][a-z0-9-]{0,19}")
# Programs of a host. The application's own command, /usr/local/sbin/NAME, would hide them.
PROGRAMS = re.compile(
    "alembic|apt|bash|celery|dpkg|etcd|etcdctl|env|flask|git|grafana|gunicorn|haproxy|init|ip|journalctl|nginx|nft|"
    "patroni|patronictl|pip|postgres|prometheus|psql|python|python3|reboot|rq|rsync|sh|ssh|sshd|su|sudo|systemctl|"
    "tar|test|uv"
)
WIDTH = 120
TOPOLOGY = """\
# Hosts of the sandbox (`make up INVENTORY={name}`). The variables are those of terraform/sandbox/variables.tf.
single_host = {single}{comment}
"""
SETTINGS = """\
---
# Settings for hosts that are containers on this machine. docs/your-application.md has the application's own.
fleet_domain: {name}.test

# Fixed sizes, because containers report the cores and memory of the whole machine.
"""
MAIL = """
# The address of `make mail` on this machine, which shows the e-mails that the application sends.
app_mail_url: "smtp://{{ fleet_admin_networks[0] | regex_replace('/32$', '') }}:1025"
"""
SIZES = {
    "app_workers": 2,
    "celery_concurrency": 2,
    "nginx_cache_size": "256m",
    "nginx_worker_connections": 8192,
    "postgres_memory_mb": 512,
    "postgres_parallel_workers": 2,
    "redis_cache_maxmemory_mb": 256,
    "redis_store_maxmemory_mb": 512,
}


class Indented(yaml.SafeDumper):
    """Indents lists, as yamllint wants them: `make lint` reads a new inventory too."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        """Begin a block."""
        del indentless
        super().increase_indent(flow, False)

    def block(self, text: str) -> yaml.ScalarNode:
        """Write text of several lines as a block."""
        return self.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


Indented.add_representer(str, Indented.block)


@dataclass(frozen=True)
class Place:
    """Where an inventory is written: the clone, the name of the application and of the inventory's folder."""

    clone: Path
    name: str
    inventory: str

    @property
    def folder(self) -> Path:
        """The folder of the inventory."""
        return self.clone / "inventories" / self.inventory

    @property
    def variables(self) -> Path:
        """The folder of its variables."""
        return self.folder / "group_vars" / "all"

    def check(self, force: bool) -> None:
        """Refuse names that cannot be used, and an inventory that exists."""
        rule = "1 to 20 lower-case letters, digits and dashes, starting with a letter"
        if not NAME.fullmatch(self.name):
            raise ProjectError(f"--name {self.name} is not valid as a name of a database and of users; use {rule}.")
        if PROGRAMS.fullmatch(self.name):
            raise ProjectError(
                f"--name {self.name} is a program on the hosts, which the application's own command would hide; "
                "choose another name."
            )
        if not NAME.fullmatch(self.inventory):
            raise ProjectError(f"--inventory {self.inventory} is not valid as a name of containers; use {rule}.")
        own = {"shared", "applications"} | {path.name for path in (self.clone / "terraform").iterdir()}
        if self.inventory in own or (self.variables / "application.yml").is_symlink():
            raise ProjectError(f"--inventory {self.inventory} belongs to Flaskfleet; choose another name.")
        if self.folder.exists() and not force:
            raise ProjectError(
                f"{self.folder} exists already; choose another name with --inventory, or rewrite its application.yml "
                "with --force."
            )


def default_name(folder: str) -> str:
    """Return a valid name made of a folder's name. It may be empty."""
    name = re.sub("[^a-z0-9]+", "-", folder.lower()).lstrip("-0123456789")
    return name[:20].strip("-")


def source(clone: Path, project: Path) -> str:
    """Return the value of app_source: relative to the clone if the project is inside, so that it can be moved."""
    if project.is_relative_to(clone):
        return f"{{{{ inventory_dir | dirname | dirname }}}}/{project.relative_to(clone)}"
    return str(project)


def write(place: Place, project: Project, hosts: str | None) -> list[Path]:
    """Write the inventory, and return the files that were written. Settings and hosts that exist are kept."""
    place.variables.mkdir(parents=True, exist_ok=True)
    for link, target in (
        (place.folder / "terraform.sh", "../../bin/inventory"),
        (place.variables / "00_shared", "../../../shared"),
    ):
        if not link.is_symlink():
            link.symlink_to(target)
    files = {place.variables / "application.yml": application(project)}
    found = {finding.variable for finding in project.findings}
    if not (settings := place.variables / "main.yml").exists():
        sizes = {name: value for name, value in SIZES.items() if name not in found}
        if "app_celery_app" not in found:
            sizes.pop("celery_concurrency", None)
        files[settings] = SETTINGS.format(name=place.name) + yaml.safe_dump(sizes, sort_keys=False)
        files[settings] += MAIL if project.mails else ""
    topology = place.folder / "sandbox.tfvars"
    if hosts or not topology.exists():
        single = hosts == "one" if hosts else bool(project.single)
        note = "" if single else " # ten hosts: two or three in each tier that must survive a failure"
        files[topology] = TOPOLOGY.format(name=place.inventory, single=str(single).lower(), comment=note)
        if mount := project.value("app_shared_mount"):
            files[topology] += f'shared_folder = "{mount}"\n'
    for path, content in files.items():
        path.write_text(content)
    return list(files)


def application(project: Project) -> str:
    """Return the content of application.yml: each variable below a comment that names its source."""
    lines = [
        "---",
        "# The application, as `bin/fleet init` found it. Each comment names the place in the project. Change what is",
        "# wrong: docs/your-application.md explains the variables.",
    ]
    for finding in project.findings:
        lines += ["", *comment(finding), *entry(finding.variable, finding.value)]
    if project.optional:
        text = f"The code also reads these variables, if app_environment sets them: {', '.join(project.optional)}."
        lines += ["", *textwrap.wrap(text, WIDTH, initial_indent="# ", subsequent_indent="# ")]
    if project.notes:
        lines += ["", "# Not decided by `bin/fleet init`:"]
        for note in project.notes:
            lines += textwrap.wrap(note, WIDTH, initial_indent="# - ", subsequent_indent="#   ", break_long_words=False)
    return "\n".join(lines) + "\n"


def comment(finding: Finding) -> list[str]:
    """Return the lines of the comment above a variable."""
    text = f"Assumed: {finding.source}" if finding.assumed else finding.source
    return textwrap.wrap(text, WIDTH, initial_indent="# ", subsequent_indent="# ", break_long_words=False)


def entry(variable: str, value: Any) -> list[str]:
    """Return the lines of a variable with its value."""
    block = yaml.dump({variable: value}, Dumper=Indented, sort_keys=False, allow_unicode=True, width=WIDTH)
    return block.rstrip().splitlines()
