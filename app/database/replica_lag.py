"""Replica lag, measured once a second. The application does not read from a replica that lags too much."""

import threading
from collections import defaultdict
from dataclasses import dataclass
from time import monotonic
from typing import Any

import structlog
from sqlalchemy import text
from sqlalchemy.orm import Session

log = structlog.get_logger(__name__)

# Seconds between two measurements of a replica by one process.
INTERVAL = 1.0
# Lag is ignored for this time after the primary did not answer: old data is better than none.
IGNORED_SECONDS = 30.0

# A replica lags if it has received WAL that it has not replayed. The age of the last transaction alone proves nothing:
# if nobody writes, it is old everywhere. But without a WAL receiver a replica cannot know which WAL it lacks. Then the
# age decides.
SECONDS_BEHIND = text("""
    SELECT CASE
        WHEN NOT pg_is_in_recovery() THEN 0
        WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() AND EXISTS (SELECT FROM pg_stat_wal_receiver) THEN 0
        ELSE coalesce(extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()), 0)
    END
""")


@dataclass
class _Replica:
    measured_at: float = float("-inf")
    lags: bool = False
    was_late: bool = False


class LagMonitor:
    """Decides whether a replica may be read. A pool has connections to several replicas, so each has its own state."""

    def __init__(self, max_lag: float) -> None:
        """Allow a lag of `max_lag` seconds."""
        self._max_lag = max_lag
        self._replicas: defaultdict[str, _Replica] = defaultdict(_Replica)
        self._lock = threading.Lock()
        self._ignored_until = 0.0

    def may_read(self, session: Session) -> bool:
        """Return whether the replica of this session is current enough."""
        now = monotonic()
        if now < self._ignored_until:
            return True
        name = _server(session)
        with self._lock:
            replica = self._replicas[name]
            if due := now >= replica.measured_at + INTERVAL:
                # Set the time before the measurement, so that other threads do not wait or measure too.
                replica.measured_at = now
        if due:
            self._update(name, replica, _seconds_behind(session))
        return not replica.lags

    def ignore_for_a_while(self) -> None:
        """Allow every replica for IGNORED_SECONDS, because the primary does not answer."""
        self._ignored_until = monotonic() + IGNORED_SECONDS

    def _update(self, name: str, replica: _Replica, seconds: float) -> None:
        # Two late measurements in a row count as lag. After a quiet hour the first transaction looks an hour late for
        # an instant.
        late = seconds > self._max_lag
        lags = late and replica.was_late
        if lags != replica.lags:
            log.warning(
                "replica lags, reading from the primary" if lags else "replica has caught up",
                replica=name,
                seconds=round(seconds, 1),
            )
        replica.was_late, replica.lags = late, lags


def _seconds_behind(session: Session) -> float:
    return float(session.execute(SECONDS_BEHIND).scalar_one())


def _server(session: Session) -> str:
    """Return the address of the session's server. The URL names several servers."""
    info: Any = getattr(session.connection().connection.dbapi_connection, "info", None)
    return f"{info.host}:{info.port}" if info else "embedded"
