"""The environment of commands that change the schema of the database."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit


def owner_variables(variables: Mapping[str, Any], url: str, owner_url: str) -> dict[str, str]:
    """Return the variables that have the application's user of the database, with the owner of the schema instead.

    Args:
        variables: the application's environment.
        url: the database's address as the application's user.
        owner_url: the same as the owner.
    """
    user, owner = (urlsplit(address).netloc.rpartition("@")[0] for address in (url, owner_url))
    exact = dict(zip(user.split(":"), owner.split(":"), strict=False))
    found = {}
    for name, value in variables.items():
        text = str(value)
        replaced = exact.get(text, text.replace(f"{user}@", f"{owner}@") if user else text)
        if replaced != text and "\n" not in text:  # the command line tool reads one variable a line
            found[name] = replaced
    return found


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Any]:
        """The filters by name."""
        return {"owner_variables": owner_variables}
