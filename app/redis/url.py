"""Redis URLs: `redis://user:password@host:port/0`, or `sentinel://user:password@h1:26379,h2:26379/0?master=NAME`."""

from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import parse_qs, quote, unquote, urlsplit

from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel

# After this time without an answer the client tries the next Sentinel.
SENTINEL_TIMEOUT = 0.5
# The longest time that a request waits for the broker when it sends a task.
BROKER_TIMEOUT = 1.0
DEFAULT_PORTS = {"redis": 6379, "sentinel": 26379}


class RedisUrlError(ValueError):
    """An unusable Redis URL. The message completes a sentence that begins with the variable's name."""


@dataclass(frozen=True)
class RedisUrl:
    """A parsed URL. The Sentinels and the instance have the same user and password."""

    hosts: tuple[tuple[str, int], ...]
    database: int = 0
    username: str | None = None
    password: str | None = None
    master: str | None = None

    @classmethod
    def parse(cls, url: str) -> Self:
        """Parse a URL, or raise RedisUrlError."""
        parts = urlsplit(url)
        if parts.scheme not in DEFAULT_PORTS:
            raise RedisUrlError("must begin with redis:// or sentinel://")
        credentials, _, addresses = parts.netloc.rpartition("@")
        username, _, password = credentials.partition(":")
        hosts = tuple(_host(address, DEFAULT_PORTS[parts.scheme]) for address in addresses.split(","))
        path = parts.path.strip("/") or "0"
        if not path.isdigit():
            raise RedisUrlError(f"has the path /{path}, which must be the number of a database")
        master = parse_qs(parts.query).get("master", [None])[0]
        if (parts.scheme == "sentinel") != bool(master):
            raise RedisUrlError("needs ?master=NAME if and only if it begins with sentinel://")
        if not master and len(hosts) > 1:
            raise RedisUrlError("may name several hosts only if it begins with sentinel://")
        return cls(hosts, int(path), unquote(username) or None, unquote(password) or None, master)

    def client(self, *, timeout: float) -> Redis:
        """Return a client. It connects at the first command, and fails after `timeout` seconds without a retry."""
        options = self._options(timeout) | {"socket_keepalive": True}
        if self.master is None:
            host, port = self.hosts[0]
            return Redis(host=host, port=port, db=self.database, **options)
        untyped: Any = Sentinel
        sentinel = untyped(
            list(self.hosts), sentinel_kwargs=self._options(SENTINEL_TIMEOUT), db=self.database, **options
        )
        client: Redis = sentinel.master_for(self.master)
        return client

    def celery_settings(self) -> dict[str, Any]:
        """Return the broker settings of Celery, whose URL separates Sentinels by semicolons."""
        user = f"{quote(self.username or '', safe='')}:{quote(self.password or '', safe='')}@" if self.password else ""
        scheme = "sentinel" if self.master else "redis"
        urls = [f"{scheme}://{user}{host}:{port}/{self.database}" for host, port in self.hosts]
        options: dict[str, Any] = {
            "socket_timeout": BROKER_TIMEOUT,
            "socket_connect_timeout": BROKER_TIMEOUT,
            "socket_keepalive": True,
            "retry_on_timeout": False,
        }
        if self.master:
            options |= {"master_name": self.master, "sentinel_kwargs": self._options(SENTINEL_TIMEOUT)}
        return {"broker_url": ";".join(urls), "broker_transport_options": options}

    def _options(self, timeout: float) -> dict[str, Any]:
        return {
            "username": self.username,
            "password": self.password,
            "socket_timeout": timeout,
            "socket_connect_timeout": timeout,
            # The default of redis-py spends half a minute on a dead host (measured).
            "retry": Retry(NoBackoff(), 0),
        }


def _host(address: str, default_port: int) -> tuple[str, int]:
    host, colon, port = address.rpartition(":") if not address.endswith("]") else (address, "", "")
    if not colon:
        host, port = address, str(default_port)
    if not host or not port.isdigit():
        raise RedisUrlError(f"names the host {address!r}, which must be HOST or HOST:PORT")
    return host.strip("[]"), int(port)
