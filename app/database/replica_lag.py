"""How far behind a replica is, asked once a second: what lags for longer is not read."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Any

import structlog
from sqlalchemy import text
from sqlalchemy.orm import Session

log = structlog.get_logger(__name__)

# Seconds between two questions to the same replica, by each process.
INTERVAL = 1.0
# Seconds for which lag does not matter after the primary has not answered: old news are better than none.
REST_WITHOUT_PRIMARY = 30.0

# Behind is who has not replayed what has come. Without new transactions the last one is old everywhere, so the time alone says nothing;
# but a replica to which nothing streams cannot know what it lacks.
SECONDS_BEHIND = text("""
    SELECT CASE
        WHEN NOT pg_is_in_recovery() THEN 0
        WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() AND EXISTS (SELECT FROM pg_stat_wal_receiver) THEN 0
        ELSE coalesce(extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()), 0)
    END
""")


@dataclass
class _Replica:
    asked: float
    behind: bool = False
    suspected: bool = False


class LagWatch:
    """Decides whether a replica may be read. A pool holds connections to several, each judged for itself."""

    def __init__(
        self,
        longest: float,
        *,
        measure: Callable[[Session], float] | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """Allow replicas to be this many seconds behind."""
        self._longest = longest
        self._measure = measure or _seconds_behind
        self._clock = clock
        self._replicas: dict[str, _Replica] = {}
        self._lock = threading.Lock()
        self._ignored_until = 0.0

    def trusts(self, session: Session) -> bool:
        """Whether the replica of this session may be read."""
        now = self._clock()
        if now < self._ignored_until:
            return True
        name = _server(session)
        with self._lock:
            replica = self._replicas.get(name)
            if due := replica is None or now >= replica.asked + INTERVAL:
                # Before the answer is there: the other threads go on meanwhile.
                replica = self._replicas[name] = replica or _Replica(now)
                replica.asked = now
        assert replica
        if due:
            self._judge(name, replica, self._measure(session))
        return not replica.behind

    def miss_primary(self) -> None:
        """Trust every replica for a while: the primary does not answer."""
        self._ignored_until = self._clock() + REST_WITHOUT_PRIMARY

    def _judge(self, name: str, replica: _Replica, seconds: float) -> None:
        # Twice in a row: the first transaction after a quiet hour is an hour behind for the blink of an eye.
        late = seconds > self._longest
        behind = late and replica.suspected
        if behind != replica.behind:
            log.warning(
                "replica lags, reading from the primary" if behind else "replica has caught up",
                replica=name,
                seconds=round(seconds, 1),
            )
        replica.suspected, replica.behind = late, behind


def _seconds_behind(session: Session) -> float:
    return float(session.execute(SECONDS_BEHIND).scalar_one())


def _server(session: Session) -> str:
    """Return the address of the server to which a session is connected; the URL names several."""
    info: Any = getattr(session.connection().connection.dbapi_connection, "info", None)
    return f"{info.host}:{info.port}" if info else "embedded"
