"""Folders that outlive a release: those that would lose files of users are refused."""

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

FOLDERS = ("app_persistent_dirs", "app_writable_dirs", "app_shared_mount")
# Filesystems that no other host can have, and that have no UUID.
OF_ONE_HOST = frozenset({"tmpfs", "ramfs", "overlay"})


def wrong_folders(settings: Mapping[str, Any], hosts: Sequence[str]) -> list[str]:
    """A sentence for each folder of the application that would not keep its files.

    Args:
        settings: The variables of FOLDERS.
        hosts: The hosts on which the application runs.
    """
    persistent, writable, mount = (settings.get(name) or [] for name in FOLDERS)
    failures = []
    for name, paths in (("app_persistent_dirs", persistent), ("app_writable_dirs", writable)):
        if not isinstance(paths, list):
            failures.append(f"{name} = {paths} is not a list; write it like [uploads].")
            continue
        failures += [
            f"{name} = {path} is not a folder of the project; write a path below the project, like uploads"
            f"{', or the absolute path of a folder for files alone' if name == 'app_persistent_dirs' else ''}."
            for path in paths
            if not _is_folder(str(path), absolute=name == "app_persistent_dirs")
        ]
    if mount and not str(mount).startswith("/"):
        failures.append(
            f"app_shared_mount = {mount} is not an absolute path; set it to the folder that all hosts mount."
        )
    if failures or not hosts[1:]:
        return failures
    for path in persistent:
        if not mount:
            each = f"app_persistent_dirs = {path} would be another folder on each of {', '.join(hosts)}"
            fix = "set app_shared_mount to a folder that all of them mount (NFS, EFS), keep the files in an S3 bucket "
            fix += "(app_s3_bucket), or leave one host in the groups app and workers"
            return [f"{each}, so users would find their files on one of them only; {fix}."]
        if str(path).startswith("/") and not PurePosixPath(path).is_relative_to(str(mount)):
            failures.append(
                f"app_persistent_dirs = {path} is outside of app_shared_mount = {mount}, so each host would have a "
                "folder of its own; choose a path below it."
            )
    return failures


def not_shared(mount: str, hosts: Mapping[str, str]) -> list[str]:
    """A sentence for each host on which the shared folder is not mounted, or if each host mounts a disk of its own.

    Args:
        mount: The value of app_shared_mount.
        hosts: For each host of the application the type and the UUID of the filesystem that is mounted there. A network
            filesystem has no UUID.
    """
    missing = [name for name, filesystem in hosts.items() if mount.startswith("/") and not filesystem.strip()]
    if missing or not mount.startswith("/"):
        return [
            f"app_shared_mount = {mount} is not mounted on {name}, or its server does not answer, so files of users "
            "would stay on this host; mount it there (/etc/fstab, NFS or EFS) and run this again."
            for name in missing
        ]
    parts = {name: filesystem.split() for name, filesystem in hosts.items()}
    kinds, uuids = {kind for kind, *_ in parts.values()}, {tuple(uuid) for _, *uuid in parts.values()}
    if len(hosts) < 2 or (len(uuids) == 1 and not kinds & OF_ONE_HOST):
        return []
    shown = ", ".join(f"{name}: {' '.join(words)}" for name, words in parts.items())
    found = f"app_shared_mount = {mount} is another folder on each host ({shown})"
    return [
        f"{found}, so users would find their files on one of them only; mount a network filesystem (NFS, EFS) there."
    ]


def wrong_numbers(user: str, number: str, mount: str, hosts: Mapping[str, tuple[str, str]]) -> list[str]:
    """A sentence if the application's user cannot have its number, or has another one and shares a folder.

    Args:
        user: The value of app_user.
        number: The value of app_user_id.
        mount: The value of app_shared_mount.
        hosts: For each host of the application the number that the user has there, and the user that has `number`.
            Both are empty if there is none.
    """
    failures = [
        f"app_user_id = {number} is the number of {owner} on {name}; set it to one that is free on all hosts."
        for name, (own, owner) in hosts.items()
        if owner not in ("", user) and not own
    ]
    numbers = {name: own for name, (own, _) in hosts.items() if own}
    if failures or not mount or {*numbers.values()} <= {number}:
        return failures
    shown = ", ".join(f"{own} on {name}" for name, own in numbers.items())
    fix = "change it as docs/your-application.md shows under Files"
    if len({*numbers.values()}) == 1:
        fix = f"set app_user_id to {next(iter(numbers.values()))}"
    mistake = (
        f"app_user_id = {number} is not the number of {user} ({shown}), so it could not write to the files of other "
        f"hosts in app_shared_mount = {mount}; {fix}."
    )
    return [mistake]


def _is_folder(path: str, absolute: bool) -> bool:
    parts = PurePosixPath(path).parts
    return bool(parts) and ".." not in parts and (len(parts) > 1 or parts[0] != "/") and (absolute or parts[0] != "/")
