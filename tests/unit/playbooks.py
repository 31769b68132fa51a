"""Run ansible-playbook in children of one process that has imported Ansible: the import is most of a small run."""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Self

import yaml

from tools.fleet.context import ROOT

# Reads one run a line, and answers with its exit code.
SERVER = """
import json, os, signal, sys, warnings
from ansible.cli import playbook
from ansible.plugins.loader import init_plugin_loader

init_plugin_loader()
import ansible_collections.ansible.builtin
warnings.filterwarnings("ignore", "AnsibleCollectionFinder has already been configured")
for line in sys.stdin:
    run = json.loads(line)
    if (child := os.fork()) == 0:
        signal.alarm(120)
        for number, path in enumerate([os.devnull, *run["output"]]):
            os.dup2(os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC), number)
        os.environ.clear()
        os.environ.update(run["environment"])
        os.chdir(run["folder"])
        sys.argv = ["ansible-playbook", *run["arguments"]]
        playbook.main()
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Playbooks:
    """Runs playbooks with one configuration.

    Args:
        config: Path of ansible.cfg, or None for an empty one.
        settings: Variables of the environment that override the configuration. Ansible reads them when it is imported.
        prefix: A command that starts another one, such as `nsenter`.
    """

    def __init__(self, config: Path | None, settings: Mapping[str, str], prefix: Sequence[str] = ()) -> None:
        self.output = tempfile.TemporaryDirectory()
        empty = Path(self.output.name, "ansible.cfg")
        empty.touch()
        self.settings = {"ANSIBLE_CONFIG": str(config or empty), "ANSIBLE_NOCOLOR": "1", **settings}
        self.server = subprocess.Popen(
            [*prefix, sys.executable, "-Pc", SERVER],
            cwd=ROOT,
            env=os.environ | self.settings,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.server.communicate(timeout=20)
        self.output.cleanup()

    def run(
        self, *arguments: str, folder: Path = ROOT, environment: Mapping[str, str] = os.environ
    ) -> subprocess.CompletedProcess[str]:
        """Run `ansible-playbook ARGUMENTS` in a folder."""
        output = [Path(self.output.name, name) for name in ("stdout", "stderr")]
        given: dict[str, Any] = {"arguments": arguments, "folder": str(folder)}
        given |= {"output": [str(path) for path in output], "environment": {**environment, **self.settings}}
        assert self.server.stdin
        assert self.server.stdout
        self.server.stdin.write(json.dumps(given) + "\n")
        self.server.stdin.flush()
        code = int(self.server.stdout.readline())
        return subprocess.CompletedProcess(arguments, code, *(path.read_text() for path in output))


def plays(path: Path) -> list[dict[str, Any]]:
    """Return the plays of a playbook, and those that it imports from the folder `shared`."""
    found: list[dict[str, Any]] = []
    for entry in yaml.safe_load(path.read_text()):
        imported = entry.get("ansible.builtin.import_playbook", "")
        parts = plays(path.parent / imported) if imported.startswith("shared/") else [entry]
        found += [part | {"vars": part.get("vars", {}) | entry.get("vars", {})} for part in parts]
    return found


@cache
def of_the_project() -> Playbooks:
    """Playbooks with the ansible.cfg of this project."""
    return _until_exit(Playbooks(ROOT / "ansible.cfg", {}))


@cache
def plain() -> Playbooks:
    """Playbooks with Ansible's defaults, and with this project's filters and modules."""
    folders = {"FILTER_PLUGINS": "plugins/filter", "LIBRARY": "plugins/modules", "MODULE_UTILS": "plugins/module_utils"}
    settings = {f"ANSIBLE_{name}": str(ROOT / folder) for name, folder in folders.items()}
    return _until_exit(Playbooks(None, settings | {"PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8"}))


def _until_exit(playbooks: Playbooks) -> Playbooks:
    atexit.register(playbooks.__exit__)
    return playbooks
