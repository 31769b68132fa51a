"""What is wrong with the repositories of the backups in the inventory."""

from collections.abc import Mapping, Sequence
from typing import Any

NEEDED = {"host": (), "s3": ("bucket", "region")}
# Half of a login to a bucket is no login.
PAIR = ("key", "secret")


def wrong_repositories(repositories: Any, hosts: Sequence[str]) -> list[str]:
    """A sentence for each repository that cannot be used.

    Args:
        repositories: The value of pgbackrest_repositories.
        hosts: The hosts of the group backup.
    """
    if not repositories:
        return []
    if not isinstance(repositories, list):
        return [f"pgbackrest_repositories = {repositories!r} is not a list; write it like [{{type: host}}]."]
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
        failures += [
            f"{where}: {name} is missing; a repository of type {repository['type']} needs it."
            for name in NEEDED[repository["type"]]
            if not repository.get(name)
        ]
        given = [name for name in PAIR if repository.get(name)]
        if len(given) == 1:
            failures.append(f"{where}: {given[0]} is set alone; set key and secret, or neither.")
        days = repository.get("keep_days", 14)
        if isinstance(days, bool) or not isinstance(days, int) or days < 1:
            failures.append(f"{where}: keep_days = {days!r} is not a number of days; use at least 1.")
    return failures
