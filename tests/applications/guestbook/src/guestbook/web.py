"""The web service: the page, a JSON endpoint, health and metrics."""

import os

from flask import Flask, Response, jsonify, render_template, request
from kombu.exceptions import OperationalError
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from sqlalchemy import insert, select, text

from .database import engine, entries
from .tasks import thank

app = Flask(__name__)
app.secret_key = os.environ["SECRET_KEY"]
WRITTEN = Counter("guestbook_entries_total", "Entries written.")


@app.get("/")
def page() -> str:
    """Show the last entries."""
    with engine.connect() as connection:
        latest = connection.execute(select(entries).order_by(entries.c.id.desc()).limit(20)).all()
    return render_template("page.html", entries=latest, heading=os.environ.get("GUESTBOOK_HEADING", "Guest book"))


@app.post("/entries")
def write() -> tuple[Response, int]:
    """Store an entry and send the task that thanks its guest."""
    body = request.get_json(silent=True)
    values = [body.get(name) for name in ("guest", "message")] if isinstance(body, dict) else []
    if len(values) != 2 or not all(
        isinstance(value, str) and 0 < len(value) <= 80 and "\0" not in value for value in values
    ):
        return jsonify(error="guest and message must be texts of 1 to 80 characters"), 400
    guest, message = values
    with engine.begin() as connection:
        number = connection.execute(
            insert(entries).values(guest=guest, message=message).returning(entries.c.id)
        ).scalar_one()
    WRITTEN.inc()
    try:
        thank.delay(number)
    except OperationalError:
        app.logger.warning(
            "cannot send the task for entry %s: the broker does not answer; the entry stays without thanks", number
        )
    return jsonify(id=number), 201


@app.get("/healthz")
def health() -> tuple[str, int]:
    """Check the connection to the database."""
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
    return "ok", 200


@app.get("/metrics")
def metrics() -> Response:
    """Return the metrics of all worker processes."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)
