"""The variables of libpq, for programs that take the database's address from there, such as psql."""

from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit


def libpq_variables(url: str) -> dict[str, str]:
    """Return PGHOST and its like for a database URL with one host, or with a list of hosts in its query.

    Args:
        url: app_database_url, in any of its forms.
    """
    parts = urlsplit(url)
    query = {name: ",".join(values) for name, values in parse_qs(parts.query).items()}
    # SQLAlchemy's form is host=A:PORT&host=B:PORT, and libpq's is host=A,B&port=PORT,PORT.
    hosts = [host.partition(":") for host in query.get("host", "").split(",") if host]
    ports = [port for _, _, port in hosts if port] or query.get("port", "").split(",")
    found = {
        "PGHOST": parts.hostname or ",".join(host for host, _, _ in hosts),
        # One port counts for every host, and does not disturb another address with a single host.
        "PGPORT": str(parts.port or ports[0]),
        "PGUSER": unquote(parts.username or ""),
        "PGPASSWORD": unquote(parts.password or ""),
        "PGDATABASE": parts.path.lstrip("/"),
        "PGTARGETSESSIONATTRS": query.get("target_session_attrs", ""),
        "PGCONNECT_TIMEOUT": query.get("connect_timeout", ""),
    }
    return {name: value for name, value in found.items() if value}


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Any]:
        """The filters by name."""
        return {"libpq_variables": libpq_variables}
