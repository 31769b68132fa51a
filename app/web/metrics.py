"""Prometheus metrics: requests, queries, connections, cache, tasks.

Requests are counted by route rule, because the number of paths has no limit.
"""

import os
import time
from typing import Any, cast

from flask import Flask, Response, g, has_request_context, request
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector
from sqlalchemy import Engine, event

from app.database.engine import Database
from app.redis.cache import Cache, Outcome

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

INFO = Gauge("app_info", "The running release, as a label", ["release"], multiprocess_mode="max")
REQUESTS = Counter("app_requests", "Requests answered", ["method", "rule", "status"])
LATENCY = Histogram(
    "app_request_duration_seconds",
    "Time that the application took for a request",
    ["rule"],
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0),
)
QUERIES = Histogram("app_request_queries", "Database queries of a request", ["rule"], buckets=(0, 1, 2, 3, 5, 10, 20))
QUERY_SECONDS = Counter("app_database_query_seconds", "Time spent in database queries")
CONNECTIONS = Gauge(
    "app_database_connections_in_use", "Connections taken from the pool", ["database"], multiprocess_mode="livesum"
)
LAGGING_READS = Counter("app_database_lagging_reads", "Reads that the primary served because a replica lagged")
CACHE = Counter("app_cache_requests", "Reads of cached entries", ["cache", "outcome"])
TASKS_SENT = Counter("app_tasks_sent", "Tasks sent to the broker, by outcome", ["task", "outcome"])


def init_app(app: Flask, database: Database, cache: Cache) -> None:
    """Collect this application's metrics and serve them at /metrics."""
    INFO.labels(release=app.config["APP_RELEASE"]).set(1)
    app.before_request(_start)
    app.after_request(_count)
    database.on_query.append(_count_query)
    database.on_lag.append(LAGGING_READS.inc)
    cache.on_outcome.append(_count_outcome)
    _count_connections(database.primary, "primary")
    if database.replica.pool is not database.primary.pool:
        _count_connections(database.replica, "replica")
    app.add_url_rule("/metrics", "metrics", serve)


def serve() -> Response:
    """Serve the metrics of all application processes of this host."""
    registry: CollectorRegistry = REGISTRY
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        registry = CollectorRegistry()
        cast("Any", MultiProcessCollector)(registry)
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST, headers={"Cache-Control": "no-store"})


def _start() -> None:
    g.started = time.monotonic()
    g.queries = 0


def _count(response: Response) -> Response:
    rule = request.url_rule.rule if request.url_rule else "unmatched"
    method = request.method if request.method in METHODS else "OTHER"
    REQUESTS.labels(method=method, rule=rule, status=response.status_code).inc()
    if "started" in g:
        LATENCY.labels(rule=rule).observe(time.monotonic() - g.started)
        QUERIES.labels(rule=rule).observe(g.queries)
    return response


def _count_query(seconds: float) -> None:
    QUERY_SECONDS.inc(seconds)
    if has_request_context():
        g.queries = g.get("queries", 0) + 1


def _count_outcome(cache: str, outcome: Outcome) -> None:
    CACHE.labels(cache=cache, outcome=outcome).inc()


def _count_connections(engine: Engine, name: str) -> None:
    in_use = CONNECTIONS.labels(database=name)
    event.listen(engine, "checkout", lambda *_: in_use.inc())
    event.listen(engine, "checkin", lambda *_: in_use.dec())
