"""The variables of libpq, for programs that take the database's address from there, such as psql."""

from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit


def libpq_variables(url: str, ca: str = "") -> dict[str, str]:
    """Return PGHOST and its like for a database URL with one host, or with a list of hosts in its query.

    Args:
        url: app_database_url, in any of its forms.
        ca: app_database_ca, the file with the CAs of the database. It is in the URL of libpq with all hosts, and only
            there, because a database outside of the fleet may have another CA.
    """
    parts = urlsplit(url)
    query = {name: ",".join(values) for name, values in parse_qs(parts.query).items()}
    # SQLAlchemy's form is host=A:PORT&host=B:PORT, and libpq's is host=A,B&port=PORT,PORT.
    hosts = [host.partition(":") for host in query.get("host", "").split(",") if host]
    ports = [port for _, _, port in hosts if port] or query.get("port", "").split(",")
    proxied = parts.hostname == "127.0.0.1"
    found = {
        "PGHOST": parts.hostname or ",".join(host for host, _, _ in hosts),
        # One port counts for every host, and does not disturb another address with a single host.
        "PGPORT": str(parts.port or ports[0]),
        "PGUSER": unquote(parts.username or ""),
        "PGPASSWORD": unquote(parts.password or ""),
        "PGDATABASE": parts.path.lstrip("/"),
        "PGTARGETSESSIONATTRS": query.get("target_session_attrs", ""),
        "PGCONNECT_TIMEOUT": query.get("connect_timeout", ""),
        # asyncpg takes it only from here.
        "PGSSLROOTCERT": ca if proxied or "ssl" in query else "",
        "PGSSLMODE": "verify-full" if ca and proxied else "",
    }
    return {name: value for name, value in found.items() if value}


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Any]:
        """The filters by name."""
        return {"libpq_variables": libpq_variables}
