"""What is wrong with the repositories of the backups in the inventory."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

NEEDED = {"host": (), "s3": ("bucket", "region")}
# The settings of each type. The first ones are those of all types.
COMMON = ("type", "path", "keep_days")
SETTINGS = {"host": COMMON, "s3": (*COMMON, "bucket", "region", "endpoint", "port", "key", "secret", "ca_file")}
# Half of a login to a bucket is no login.
PAIR = ("key", "secret")
BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d+")
ENDPOINT = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")
# Amazon's own servers, such as those of a VPC endpoint. Only there has a host a role.
AMAZON = re.compile(r"\.amazonaws\.com(\.cn)?$")


def wrong_repositories(repositories: Any, hosts: Sequence[str]) -> list[str]:
    """A sentence for each repository that cannot be used. None of them shows a value that may be a secret.

    Args:
        repositories: The value of pgbackrest_repositories.
        hosts: The hosts of the group backup.
    """
    if not repositories:
        return []
    if not isinstance(repositories, list):
        return ["pgbackrest_repositories is not a list; write it like [{type: host}]."]
    failures = []
    if len(hosts) != 1:
        failures.append(
            f"Group backup has {len(hosts) or 'no'} host{'' if len(hosts) == 1 else 's'}, and backups start on exactly "
            "one; put one host into it, best one without Postgres."
        )
    for number, repository in enumerate(repositories, 1):
        where = f"pgbackrest_repositories, entry {number}"
        if not isinstance(repository, Mapping) or repository.get("type") not in NEEDED:
            failures.append(f"{where}: its type is not one of {', '.join(NEEDED)}; write it like {{type: host}}.")
            continue
        failures += [f"{where}: {failure}" for failure in _wrong(repository)]
    return failures


def _wrong(repository: Mapping[str, Any]) -> list[str]:
    kind = repository["type"]
    failures = [
        f"{name} is missing; a repository of type {kind} needs it." for name in NEEDED[kind] if not repository.get(name)
    ]
    if unknown := [name for name in repository if name not in SETTINGS[kind]]:
        hint = " For the role of their instance, leave out key and secret." if kind == "s3" else ""
        failures.append(
            f"{', '.join(unknown)} is no setting of type {kind}; use {', '.join(SETTINGS[kind])}, or remove it.{hint}"
        )
    days = repository.get("keep_days", 14)
    if isinstance(days, bool) or not isinstance(days, int) or days < 1:
        failures.append(f"keep_days = {days!r} is not a number of days; use at least 1.")
    return failures + (_wrong_bucket(repository) if kind == "s3" else [])


def _wrong_bucket(repository: Mapping[str, Any]) -> list[str]:
    bucket, region, endpoint, port = (repository.get(name) or "" for name in ("bucket", "region", "endpoint", "port"))
    given = [name for name in PAIR if repository.get(name)]
    failures = []
    if bucket and not BUCKET.fullmatch(str(bucket)):
        failures.append(
            f"bucket = {bucket!r} is not the name of a bucket; use 3 to 63 lower-case letters, digits, dots and dashes "
            "without s3://, and set a folder in it as path."
        )
    if endpoint and not ENDPOINT.fullmatch(str(endpoint)):
        failures.append(
            f"endpoint = {endpoint!r} is not the name or the address of a server; write it without https:// and "
            "folder, and set its port as port."
        )
    if region and not endpoint and not REGION.fullmatch(str(region)):
        failures.append(
            f"region = {region!r} is not a region of AWS; write it like eu-central-1, or set the endpoint of another "
            "server."
        )
    if port and (isinstance(port, bool) or not isinstance(port, int) or not 0 < port < 65536):
        failures.append(f"port = {port!r} is not a port; use a number from 1 to 65535, without quotes.")
    if len(given) == 1:
        failures.append(f"{given[0]} is set alone; set key and secret, or neither.")
    elif endpoint and not given and not AMAZON.search(str(endpoint)):
        failures.append(
            "key and secret are missing; without them, hosts use the role of their AWS instance, which "
            f"{endpoint} does not know."
        )
    return failures
