"""The variables of a mail relay, as Flask-Mail and similar packages read them."""

from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from ansible.errors import AnsibleFilterError

PORTS = {"smtp": 25, "smtps": 465}
USAGE = "write smtp://USER:PASSWORD@HOST:PORT, with ?starttls=1 for STARTTLS, or smtps://USER:PASSWORD@HOST:PORT"


def mail_failure(url: str) -> str:
    """Describe what is wrong with app_mail_url, without its password. Empty if it is usable."""
    if not url:
        return ""
    try:
        parts = urlsplit(str(url))
        usable = parts.scheme in PORTS and parts.hostname and (parts.port or True)
    except ValueError:
        usable = False
    if usable and parts.query in ("", "starttls=1") and not parts.path.strip("/") and not parts.fragment:
        return ""
    return f"app_mail_url is not the address of a mail relay; {USAGE}, and special characters of the password as %XX."


def mail_variables(url: str, sender: str) -> dict[str, str]:
    """Return MAIL_SERVER and its like. Switches that are off are absent, because applications only test for existence.

    Args:
        url: app_mail_url; empty for no relay.
        sender: app_mail_from, the sender of e-mails.
    """
    if failure := mail_failure(url):
        raise AnsibleFilterError(failure)
    if not url:
        return {}
    parts: SplitResult = urlsplit(url)
    given = {
        "MAIL_SERVER": parts.hostname,
        "MAIL_PORT": str(parts.port or PORTS[parts.scheme]),
        "MAIL_USE_TLS": "true" if parts.query else "",
        "MAIL_USE_SSL": "true" if parts.scheme == "smtps" else "",
        "MAIL_USERNAME": unquote(parts.username or ""),
        "MAIL_PASSWORD": unquote(parts.password or ""),
        "MAIL_DEFAULT_SENDER": sender,
    }
    return {name: value for name, value in given.items() if value}


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Any]:
        """The filters by name."""
        return {"mail_variables": mail_variables}
