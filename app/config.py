"""Configuration from environment variables: one class for each environment, validated at start."""

import dataclasses
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from email.errors import MessageError
from email.headerregistry import Address
from typing import Any, ClassVar, Self, get_type_hints

import click
from limits import parse_many

from app.mail.relay import MailUrl, MailUrlError
from app.redis.url import RedisUrl, RedisUrlError

# Scheme, host and port.
SITE_URL = re.compile(r"https?://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
MAY_BE_ZERO = {
    "CACHE_SETTLE_SECONDS",
    "CELERY_METRICS_PORT",
    "DATABASE_PRIMARY_WAIT",
    "DATABASE_STATEMENT_TIMEOUT",
    "PIN_SECONDS",
}


class ConfigurationError(click.ClickException):
    """Environment variables are wrong or missing. The message lists all problems."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__(
            "the configuration is not valid. Correct these environment variables:\n"
            + "\n".join(f"  - {problem}" for problem in problems)
        )


@dataclass(frozen=True, kw_only=True)
class Config:
    """The settings of all environments. Each field is an environment variable of the same name."""

    environment: ClassVar[str]

    SECRET_KEY: str = ""
    # Default: SQLite in the instance folder.
    DATABASE_URL: str = ""
    # Default: reads use the primary too.
    DATABASE_REPLICA_URL: str = ""
    # The URL of the schema's owner. It is set only for migrations.
    DATABASE_MIGRATION_URL: str = ""
    # Maximum replica lag in seconds. If a replica lags more, the application reads from the primary. Must be longer
    # than a failover: during a failover all replicas lag and there is no primary.
    DATABASE_MAX_LAG: float = 30.0
    # Seconds from the beginning of an outage in which new connections wait for a primary. A planned switchover takes
    # less, and no client should wait longer than three seconds for a response. 0 disables the wait.
    DATABASE_PRIMARY_WAIT: float = 2.0
    # Connections of one process to one database. Each thread needs one, so use the number of threads.
    DATABASE_POOL_SIZE: int = 8
    # Milliseconds after which Postgres cancels a query. Must be less than the load balancer's timeout.
    DATABASE_STATEMENT_TIMEOUT: int = 4000
    # Default: the memory of this process.
    CACHE_URL: str = ""
    STORE_URL: str = ""
    # Seconds for which a cached list, article, or list of popular articles is fresh.
    ARTICLES_TTL: float = 30.0
    ARTICLE_TTL: float = 5.0
    POPULAR_TTL: float = 15.0
    # The same for searches and lists with a time filter. They vary so much that few are requested twice.
    SEARCH_TTL: float = 3.0
    # Shortest time between two computations of a cached page, for readers who have not just written. So a popular page
    # costs the database at most one read per second, however many writes there are.
    CACHE_SETTLE_SECONDS: float = 1.0
    # Seconds after a write in which the client reads from the primary (read-your-writes).
    PIN_SECONDS: int = 5
    # Seconds between two flushes of counted views from the store to the database.
    VIEWS_FLUSH_SECONDS: int = 5
    # Requests with one API key. Reads do not check the key, so they count for the client's address.
    API_RATE_LIMIT: str = "1800 per minute"
    # Wrong passwords: of one client, of one client for one account, and for one account from all clients.
    LOGIN_CLIENT_RATE_LIMIT: str = "20 per minute; 200 per day"
    LOGIN_ACCOUNT_RATE_LIMIT: str = "5 per 15 minute"
    LOGIN_ADDRESS_RATE_LIMIT: str = "50 per hour"
    # Wrong passwords for one account over the last limit. Not zero, because strangers can reach that limit.
    LOGIN_SLOW_RATE_LIMIT: str = "1 per minute"
    # E-mails that one client may request, and that one address may receive: of sign-ups, and of password resets.
    LETTERS_CLIENT_RATE_LIMIT: str = "20 per hour"
    LETTERS_ADDRESS_RATE_LIMIT: str = "5 per hour"
    LETTERS_SLOW_RATE_LIMIT: str = "1 per 15 minute"
    # Seconds until a session without changes expires.
    SESSION_SECONDS: int = 14 * 24 * 3600

    APP_RELEASE: str = "development"
    APP_DOMAIN: str = "localhost"
    SITE_NAME: str = "The Daily Flask"
    # The beginning of links in e-mails. Default: APP_DOMAIN.
    SITE_URL: str = ""
    # The mail relay, smtp://user:password@host:port. Default: print e-mails in development, send none in production.
    MAIL_URL: str = ""
    # The sender of e-mails. Default: no-reply@APP_DOMAIN.
    MAIL_FROM: str = ""
    LOG_LEVEL: str = "INFO"
    CELERY_METRICS_ADDRESS: str = "127.0.0.1"
    CELERY_METRICS_PORT: int = 9808
    # Send cookies only over HTTPS, and trust the forwarded headers of one proxy.
    BEHIND_PROXY: bool = False
    # The cost of password hashes. These are argon2-cffi's defaults (RFC 9106, low memory).
    ARGON2_TIME_COST: int = 3
    ARGON2_MEMORY_KIB: int = 65536

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        """Read and validate environment variables. Raise one ConfigurationError with all problems."""
        problems: list[str] = []
        values: dict[str, Any] = {}
        types = get_type_hints(cls)
        for field in fields(cls):
            if (text := environ.get(field.name, "").strip()) == "":
                continue
            try:
                values[field.name] = _parse(text, types[field.name])
            except ValueError as error:
                problems.append(f"{field.name} must be {error}, not {text!r}")
        config = cls(**values)
        problems += config.problems()
        if problems:
            raise ConfigurationError(problems)
        return config

    def problems(self) -> Iterator[str]:
        """Return the problems of the values, one sentence each."""
        for name in ("DATABASE_URL", "DATABASE_REPLICA_URL", "DATABASE_MIGRATION_URL"):
            value = getattr(self, name)
            if value and not value.startswith(("postgresql+psycopg2://", "sqlite://")):
                yield f"{name} must begin with postgresql+psycopg2:// or sqlite://"
        for name, parse in {
            "CACHE_URL": RedisUrl.parse,
            "STORE_URL": RedisUrl.parse,
            "MAIL_URL": MailUrl.parse,
        }.items():
            if value := getattr(self, name):
                try:
                    parse(value)
                except (RedisUrlError, MailUrlError) as error:
                    yield f"{name} {error}"
        for name in (field.name for field in fields(self) if field.name.endswith("_RATE_LIMIT")):
            try:
                parse_many(getattr(self, name))
            except ValueError:
                yield f"{name} must be like '60 per minute', not {getattr(self, name)!r}"
        if not SITE_URL.fullmatch(self.site_url):
            yield f"SITE_URL must be like https://news.example, without a path, not {self.site_url!r}"
        try:
            Address(addr_spec=self.mail_from)
        except (ValueError, MessageError):
            yield f"MAIL_FROM must be an e-mail address, not {self.mail_from!r}"
        if self.LOG_LEVEL not in LOG_LEVELS:
            yield f"LOG_LEVEL must be one of {', '.join(LOG_LEVELS)}, not {self.LOG_LEVEL!r}"
        for field in fields(self):
            value = getattr(self, field.name)
            may_be_zero = field.name in MAY_BE_ZERO
            if not isinstance(value, bool | str) and (value < 0 or (value == 0 and not may_be_zero)):
                yield f"{field.name} must be {'0 or more' if may_be_zero else 'more than 0'}, not {value}"

    @property
    def site_url(self) -> str:
        """Return the beginning of links to the site."""
        return (self.SITE_URL or f"{'https' if self.BEHIND_PROXY else 'http'}://{self.APP_DOMAIN}").rstrip("/")

    @property
    def mail_from(self) -> str:
        """Return the sender of e-mails."""
        return self.MAIL_FROM or f"no-reply@{self.APP_DOMAIN}"

    def flask_settings(self) -> dict[str, Any]:
        """Return the settings of Flask and its extensions."""
        return dataclasses.asdict(self) | {
            "ENVIRONMENT": self.environment,
            "SITE_URL": self.site_url,
            "MAIL_FROM": self.mail_from,
            "MAX_CONTENT_LENGTH": 1024 * 1024,
            "PREFERRED_URL_SCHEME": "https" if self.BEHIND_PROXY else "http",
            # URLs of static files contain the hash of the file, so a browser may cache them for a year.
            "SEND_FILE_MAX_AGE_DEFAULT": 365 * 24 * 3600,
            "SESSION_COOKIE_NAME": "session",
            "SESSION_COOKIE_HTTPONLY": True,
            "SESSION_COOKIE_SAMESITE": "Lax",
            "SESSION_COOKIE_SECURE": self.BEHIND_PROXY,
            "PERMANENT_SESSION_LIFETIME": self.SESSION_SECONDS,
            # A read must not write the session or set a cookie.
            "SESSION_REFRESH_EACH_REQUEST": False,
            "WTF_CSRF_TIME_LIMIT": None,
            "API_TITLE": self.SITE_NAME,
            "API_VERSION": "v1",
            "OPENAPI_VERSION": "3.1.0",
            "OPENAPI_URL_PREFIX": "/api/v1",
            "OPENAPI_JSON_PATH": "openapi.json",
        }


@dataclass(frozen=True, kw_only=True)
class Development(Config):
    """One process on a developer's machine, without any server."""

    environment = "development"

    SECRET_KEY: str = "for development only"
    SITE_URL: str = "http://localhost:5000"


@dataclass(frozen=True, kw_only=True)
class Testing(Config):
    """Tests: cheap password hashes, and cached entries that stay fresh until a test invalidates them."""

    environment = "testing"

    SECRET_KEY: str = "for tests only"
    LOG_LEVEL: str = "WARNING"
    ARGON2_TIME_COST: int = 1
    ARGON2_MEMORY_KIB: int = 32
    ARTICLE_TTL: float = 30.0
    CACHE_SETTLE_SECONDS: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Production(Config):
    """A fleet: behind load balancers, with database, cache and store."""

    environment = "production"

    BEHIND_PROXY: bool = True

    def problems(self) -> Iterator[str]:
        """Return the problems, including missing servers."""
        needed = {
            "DATABASE_URL": "the primary's URL, postgresql+psycopg2://…",
            "CACHE_URL": "the cache's URL, redis://… or sentinel://…?master=NAME",
            "STORE_URL": "the store's URL, redis://… or sentinel://…?master=NAME",
        }
        for name, what in needed.items():
            if not getattr(self, name):
                yield f"{name} must be set to {what}"
        if len(self.SECRET_KEY) < 32:
            yield "SECRET_KEY must be a secret of at least 32 characters"
        yield from super().problems()


ENVIRONMENTS: dict[str, type[Config]] = {kind.environment: kind for kind in (Development, Testing, Production)}


def load(environ: Mapping[str, str] = os.environ) -> Config:
    """Create the configuration of the environment that APP_ENV names."""
    name = environ.get("APP_ENV") or "development"
    if name not in ENVIRONMENTS:
        raise ConfigurationError([f"APP_ENV must be one of {', '.join(ENVIRONMENTS)}, not {name!r}"])
    return ENVIRONMENTS[name].from_environment(environ)


def _parse(text: str, kind: type) -> Any:
    if kind is bool:
        if text.lower() in {"1", "true", "yes", "on"}:
            return True
        if text.lower() in {"0", "false", "no", "off"}:
            return False
        raise ValueError("true or false")
    if kind is int or kind is float:
        try:
            return kind(text)
        except ValueError:
            raise ValueError("a whole number" if kind is int else "a number") from None
    return text
