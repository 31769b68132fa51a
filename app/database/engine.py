"""Two explicit sessions: `read` on a replica and `write` on the primary. Both retry once after a lost connection."""

import os
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any, TypeVar

import structlog
from flask import Flask
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL, ExceptionContext, make_url
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session, sessionmaker

from app.database.primary_wait import PrimaryWait
from app.database.replica_lag import LagMonitor
from app.database.watchdog import watched

T = TypeVar("T")
log = structlog.get_logger(__name__)

# Errors of a database that is down. The client gets a 503 and may retry.
UNAVAILABLE = (OperationalError, PoolTimeoutError)
READ_ONLY_TRANSACTION = "25006"
# Seconds until a connection is replaced, even one that is never idle. After a failover it may lead to the wrong server.
POOL_RECYCLE = 300
# Seconds that a request waits for a free connection of the pool.
POOL_TIMEOUT = 2
# Seconds to connect to one server, if the URL has no `connect_timeout`. libpq would wait for a frozen server for ever.
CONNECT_TIMEOUT = 5


class Database:
    """The engines of the primary and the replica."""

    def __init__(self, url: str, replica_url: str, settings: dict[str, Any]) -> None:
        """Create the engines. They connect at the first query, so that gunicorn can fork before that."""
        self.on_query: list[Callable[[float], None]] = []
        # `web.read_your_writes` replaces it, because this package must not depend on Flask requests.
        self.reads_from_primary: Callable[[], bool] = lambda: False
        self.primary = self._engine(url, settings)
        if self.primary.dialect.name == "postgresql":
            _wait_for_a_primary(self.primary, settings)
        # A read needs no transaction. AUTOCOMMIT saves BEGIN and ROLLBACK, two of its three round trips. This needs a
        # separate pool. In a shared pool SQLAlchemy sets and resets the level at each use, and 2.1 leaks the pool's
        # slot if the connection dies in between. That is why reads from the primary run in a transaction.
        self.replica = (
            self._engine(replica_url, settings, isolation_level="AUTOCOMMIT") if replica_url else self.primary
        )
        self.on_lag: list[Callable[[], None]] = []
        lag_is_known = self.replica.dialect.name == "postgresql" and bool(replica_url)
        self.lag = LagMonitor(settings["DATABASE_MAX_LAG"]) if lag_is_known else None
        self._sessions: sessionmaker[Session] = sessionmaker(expire_on_commit=False)
        os.register_at_fork(after_in_child=self._forget_connections)

    def read(self, work: Callable[[Session], T], *, primary: bool = False) -> T:
        """Run `work` on the replica, or on the primary if `primary` is set or the client has just written."""
        if primary or self.reads_from_primary():
            return self._retry_once(lambda: self._run(self.primary, work))
        return self._retry_once(lambda: self._run_on_replica(work))

    def write(self, work: Callable[[Session], T]) -> T:
        """Run `work` in one transaction on the primary.

        `work` may run twice, so it must change nothing but its session.
        """
        session, result = self._retry_once(lambda: self._begin(work))
        # Never retry the commit: if its connection is lost, nobody knows whether it happened.
        with session:
            session.commit()
        return result

    def _run(self, engine: Engine, work: Callable[[Session], T]) -> T:
        with self._sessions(bind=engine) as session:
            return work(session)

    def _run_on_replica(self, work: Callable[[Session], T]) -> T:
        with self._sessions(bind=self.replica) as session:
            if self.lag is None or self.lag.may_read(session):
                return work(session)
        for listener in self.on_lag:
            listener()
        try:
            return self._run(self.primary, work)
        except UNAVAILABLE:
            self.lag.ignore_for_a_while()
        return self._run(self.replica, work)

    def _begin(self, work: Callable[[Session], T]) -> tuple[Session, T]:
        session = self._sessions(bind=self.primary)
        try:
            result = work(session)
            session.flush()
        except BaseException:
            session.close()
            raise
        return session, result

    def _retry_once(self, attempt: Callable[[], T]) -> T:
        try:
            return attempt()
        except DBAPIError as error:
            # SQLAlchemy empties the pool after a lost connection, so the retry opens a new one. After a failover that
            # one leads to the new primary. So we need no pool_pre_ping, which costs a round trip before each query.
            if not error.connection_invalidated:
                raise
            log.warning("database connection lost, retrying once", error=str(error.orig).strip())
        return attempt()

    def _engine(self, url: str, settings: dict[str, Any], **options: Any) -> Engine:
        address = make_url(url)
        # Tracebacks are logged, and values may be hashes of passwords.
        engine = create_engine(address, hide_parameters=True, **_engine_options(address, settings), **options)
        event.listen(engine, "handle_error", _drop_read_only_connection)
        event.listen(engine, "before_cursor_execute", _start_clock)
        event.listen(engine, "after_cursor_execute", self._stop_clock)
        if address.get_backend_name() == "sqlite":
            event.listen(engine, "connect", _prepare_sqlite)
        return engine

    def _stop_clock(
        self, _connection: Any, _cursor: Any, _statement: str, _parameters: Any, context: Any, _many: Any
    ) -> None:
        seconds = monotonic() - context.started
        for listener in self.on_query:
            listener(seconds)

    def _forget_connections(self) -> None:
        """Do not use or close the connections of the parent process."""
        for engine in (self.primary, self.replica):
            engine.dispose(close=False)


def make_database(app: Flask) -> Database:
    """Create the database from the settings, without connecting."""
    settings = app.config
    return Database(settings["DATABASE_URL"] or embedded_url(app), settings["DATABASE_REPLICA_URL"], settings)


def embedded_url(app: Flask) -> str:
    """Return the URL of the SQLite file that is used if no database is configured."""
    folder = Path(app.instance_path)
    folder.mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{folder / 'news.sqlite3'}"


def _engine_options(address: URL, settings: dict[str, Any]) -> dict[str, Any]:
    if address.get_backend_name() == "sqlite":
        return {}
    timeout = settings["DATABASE_STATEMENT_TIMEOUT"]
    return {
        "pool_size": settings["DATABASE_POOL_SIZE"],
        "max_overflow": 2,
        "pool_recycle": POOL_RECYCLE,
        "pool_timeout": POOL_TIMEOUT,
        "connect_args": {
            "options": f"-c statement_timeout={timeout} -c timezone=UTC",
            "application_name": "news",
            "connect_timeout": address.query.get("connect_timeout", CONNECT_TIMEOUT),
            # Half a second longer than the server's own timeout, which ends a slow statement without losing the
            # connection.
            **(watched(timeout / 1000 + 0.5) if timeout else {}),
        },
    }


def _wait_for_a_primary(engine: Engine, settings: dict[str, Any]) -> None:
    """Let new connections wait during a switchover.

    A quarter of the threads stays free for requests that need no primary.
    """
    wait = PrimaryWait(settings["DATABASE_PRIMARY_WAIT"], max(1, settings["DATABASE_POOL_SIZE"] * 3 // 4))

    def connect(dialect: Any, _record: Any, args: tuple[Any, ...], parameters: dict[str, Any]) -> Any:
        return wait.connect(lambda: dialect.connect(*args, **parameters), dialect.loaded_dbapi.OperationalError)

    event.listen(engine, "do_connect", connect)


def _drop_read_only_connection(context: ExceptionContext) -> None:
    """Drop a connection whose primary has become a standby: it still works, so the pool would keep it."""
    if getattr(context.original_exception, "pgcode", None) == READ_ONLY_TRANSACTION:
        context.is_disconnect = True


def _start_clock(_connection: Any, _cursor: Any, _statement: str, _parameters: Any, context: Any, _many: Any) -> None:
    context.started = monotonic()


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    for pragma in ("journal_mode = WAL", "foreign_keys = ON", "busy_timeout = 5000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
