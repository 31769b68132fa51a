#!/usr/bin/python
"""Link folders that outlive a release into the source of every installed release."""

import os
import shutil
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: app_folders
short_description: Link folders that outlive a release into the source of every installed release
description:
  - In each release, replaces the folder of that name by a link. If the target is still empty, it first gets the files
    that the release has there, such as a default picture.
options:
  releases:
    description: Folder of the releases. It need not exist.
    type: path
    required: true
  folders:
    description: By path below the source, the folder that it leads to. It must exist, except in check mode.
    type: dict
    required: true
attributes:
  check_mode:
    support: full
author: [Flaskfleet]
"""

EXAMPLES = r"""
- name: Keep the files of users
  app_folders:
    releases: /opt/shop/releases
    folders: {uploads: /srv/shop/uploads}
"""

RETURN = r"""
linked:
  description: The links that were made.
  returned: always
  type: list
"""


def copy(source: Path, target: Path) -> None:
    """Copy the files of a folder. They get the owner of the target."""
    owner = target.stat()
    shutil.copytree(source, target, dirs_exist_ok=True)
    target.chmod(owner.st_mode)  # copytree gives it the mode of the source
    for path in target.rglob("*"):
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def link(path: Path, target: Path) -> None:
    """Replace a folder of a release by a link. The release is not changed otherwise."""
    if path.is_dir() and not path.is_symlink():
        if not any(target.iterdir()):
            copy(path, target)
        shutil.rmtree(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    new.symlink_to(target)
    new.rename(path)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "releases": {"type": "path", "required": True},
            "folders": {"type": "dict", "required": True},
        },
        supports_check_mode=True,
    )
    sources = sorted(path for path in Path(module.params["releases"]).glob("*/source") if path.is_dir())
    wanted = [
        (source / name, Path(str(target))) for source in sources for name, target in module.params["folders"].items()
    ]
    missing = [(path, target) for path, target in wanted if not (path.is_symlink() and path.readlink() == target)]
    result: dict[str, Any] = {"changed": bool(missing), "linked": [str(path) for path, _ in missing]}
    for path, target in missing:
        if path.exists() and not path.is_dir():
            module.fail_json(
                msg=f"{path} is a file of the release, so app_persistent_dirs or app_writable_dirs cannot make "
                f"{path.name} a folder. Remove it from the variable, or the file from the application's source."
            )
        if not module.check_mode:
            link(path, target)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
