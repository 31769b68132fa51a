"""Structured logs: one JSON object per line on standard error, with the id of the request. Tasks get the id too."""

import logging
import re
import socket
import sys
from typing import Any
from uuid import uuid4

import structlog
from flask import Flask, Response, current_app, g, request

from app.logs.redaction import redact

HOSTNAME = socket.gethostname()
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

# At INFO these loggers write three lines for every periodic task. Our tasks log their results themselves.
CHATTY = ("celery.beat", "celery.worker.strategy", "celery.app.trace")

_SHARED: list[structlog.types.Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
]


def configure(level: str, *, human: bool) -> None:
    """Write all logs of this process to standard error in one format, also those of libraries."""
    structlog.configure(
        processors=[*_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    last: list[structlog.types.Processor] = (
        [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
        if human
        else [structlog.processors.format_exc_info, _redact, structlog.processors.JSONRenderer()]
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_SHARED, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last]
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    # Gunicorn logs the URL of a request that fails outside of Flask.
    gunicorn = logging.getLogger("gunicorn.error")
    gunicorn.handlers, gunicorn.propagate = [], True
    logging.captureWarnings(True)
    for name in CHATTY:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


def init_app(app: Flask) -> None:
    """Give every request an id, or use the id of the proxy. Add id, host and release to the headers of the response."""
    configure(app.config["LOG_LEVEL"], human=app.config["ENVIRONMENT"] == "development")
    app.before_request(_begin)
    app.after_request(_add_headers)


def _redact(_logger: Any, _method: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
    """Hide secrets, also in messages of libraries.

    For example, Flask logs the path of a failed request, which may contain a token.
    """
    return {name: redact(value) if isinstance(value, str) else value for name, value in event.items()}


def _begin() -> None:
    given = request.headers.get("X-Request-Id", "")
    g.request_id = given if _REQUEST_ID.fullmatch(given) else uuid4().hex
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=g.request_id)


def _add_headers(response: Response) -> Response:
    response.headers["X-Request-Id"] = g.get("request_id", "")
    response.headers["X-Served-By"] = HOSTNAME
    response.headers["X-Release"] = current_app.config["APP_RELEASE"]
    return response
