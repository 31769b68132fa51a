"""Ports of a host that another program uses."""

from collections.abc import Mapping


def taken_by_another(fields: Mapping[str, str], host: str, port: str) -> list[str]:
    """A sentence if something else than the application listens on its port.

    Args:
        fields: The host's answer to the preflight.
        host: Its name.
        port: The value of app_port.
    """
    own = {address.rpartition(":")[2] for address in fields.get("APP_SOCKET", "").split()}
    if port not in fields.get("LISTENS", "").split() or port in own:
        return []
    shown = f"`sudo ss -Htlnp 'sport = {port}'` shows it"
    found = f"app_port = {port} is in use by another program on {host} ({shown})"
    return [f"{found}; stop that program, or set another app_port."]
