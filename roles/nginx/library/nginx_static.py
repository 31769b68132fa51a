#!/usr/bin/python
"""Keep the static files of each release apart, and choose the release whose files have plain names."""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: nginx_static
short_description: Keep the static files of each release apart, and choose the release whose files have plain names
description:
  - The files themselves are in C(VERSION/PATH) of the folder, so that two releases with different files can coexist.
  - C(sets/KEY) has hard links to the files of one version of the static folder, and C(releases/ID) names the set of a
    release. C(latest) is the set of the release that serves, C(next) that of the release that is being deployed.
options:
  folder:
    description: Folder of the static files. It need not exist.
    type: path
    required: true
  release:
    description: Release that the files belong to, or that serves now.
    type: str
    required: true
  files:
    description: Version of each file of the release, by its path. If some of the files are missing, nothing is changed.
    type: dict
    default: {}
  publish:
    description: Whether the release serves now, so that plain names lead to its files.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
author: [Flaskfleet]
"""

EXAMPLES = r"""
- name: Serve the files of a release
  nginx_static:
    folder: /var/www/shop/static
    release: 20261123-063000-0a1b2c3-4d5e6f708192
    publish: true
"""

RETURN = r"""
missing:
  description: Files of O(files) that the folder lacks, each with its version and path.
  returned: always
  type: list
"""

# Sets that are kept in addition to those in use, for rollbacks.
KEPT = 10


def key(files: Mapping[str, str]) -> str:
    """The name of a set."""
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()[:16]


def leads_to(path: Path) -> str:
    """The name of the set that a link leads to, empty if it is no link."""
    return path.readlink().name if path.is_symlink() else ""


def point(path: Path, target: str) -> None:
    """Replace a link by a rename, so that no request finds none."""
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    new.symlink_to(target)
    new.rename(path)


def make_set(folder: Path, files: Mapping[str, str]) -> None:
    """Link the files of a set, unless that was done."""
    final = folder / "sets" / key(files)
    if final.is_dir():
        return
    work = final.with_name(f".{final.name}")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(mode=0o755, parents=True)
    for path, version in files.items():
        (work / path).parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        os.link(folder / version / path, work / path)
    work.rename(final)


def convert(folder: Path) -> None:
    """Make a set of the folder `latest`, as fleets of version 0.1 have it."""
    if (folder / "latest").is_dir() and not (folder / "latest").is_symlink():
        (folder / "sets").mkdir(mode=0o755, exist_ok=True)
        (folder / "latest").rename(folder / "sets" / "before")
        point(folder / "latest", "sets/before")


def prune(folder: Path) -> None:
    """Remove old sets and the releases that had them. Pages of older releases may still request files by version."""
    used = {leads_to(folder / name) for name in ("latest", "next")}
    sets = sorted((folder / "sets").glob("[!.]*"), key=lambda path: path.stat().st_mtime, reverse=True)
    for old in sets[KEPT:]:
        if old.name not in used:
            shutil.rmtree(old)
    for path in (folder / "releases").glob("[!.]*"):
        if not path.exists():
            path.unlink()


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "folder": {"type": "path", "required": True},
            "release": {"type": "str", "required": True},
            "files": {"type": "dict", "default": {}},
            "publish": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    folder, release, files = Path(module.params["folder"]), module.params["release"], module.params["files"]
    missing = [[version, path] for path, version in files.items() if not (folder / version / path).is_file()]
    if missing:
        module.exit_json(changed=False, missing=missing)
    wanted: dict[Path, str] = {}
    if files:
        wanted = {folder / "next": f"sets/{key(files)}"}
        wanted |= {folder / "releases" / release: f"../sets/{key(files)}"} if release else {}
    elif module.params["publish"] and release and (known := leads_to(folder / "releases" / release)):
        wanted = {folder / "latest": f"sets/{known}"}
    changes = {
        path: target for path, target in wanted.items() if not path.is_symlink() or str(path.readlink()) != target
    }
    result: dict[str, Any] = {"changed": bool(changes), "missing": []}
    if changes and not module.check_mode:
        convert(folder)
        if files:
            make_set(folder, files)
        for path, target in changes.items():
            point(path, target)
        prune(folder)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
