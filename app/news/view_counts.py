"""Views: counted in the store at every read, brought to the database in batches, none lost and none twice."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import timedelta

import structlog
from flask import current_app
from sqlalchemy import bindparam, delete, insert, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.database.models import Article, ViewBatch, now
from app.extensions import db, store
from app.redis.store import MemoryStore

log = structlog.get_logger(__name__)

# A batch is asked about only while its flush is repeated.
BATCHES_KEPT = timedelta(days=1)

_ADD = (
    update(Article)
    .where(Article.id == bindparam("article"))
    .values(views=Article.views + bindparam("more"))
    .execution_options(synchronize_session=False)
)


def count(article_id: int) -> None:
    """Count one view, also of an article that came from the cache."""
    store.count_view(article_id)
    _flush_where_nobody_else_does()


def flush() -> int:
    """Bring the views counted so far to the database; return how many.

    A batch stays in the store until it is committed, and its name is committed with it: a flush that was interrupted anywhere is
    repeated, and a batch that the database has already is only forgotten.
    """
    if (taken := store.take_views()) is None:
        return 0
    batch, views = taken
    try:
        db.write(lambda session: _add(session, batch, views))
    except IntegrityError:
        log.info("these views are in the database already", batch=batch)
        views = {}
    store.drop_views(batch)
    return sum(views.values())


def _add(session: Session, batch: str, views: Mapping[int, int]) -> None:
    session.execute(insert(ViewBatch), {"id": batch, "flushed_at": now()})
    if views:
        # In the order of ids, so that two flushes cannot wait for each other's rows.
        session.connection().execute(
            _ADD, [{"article": article, "more": more} for article, more in sorted(views.items())]
        )
    session.execute(delete(ViewBatch).where(ViewBatch.flushed_at < now() - BATCHES_KEPT))


def _flush_where_nobody_else_does() -> None:
    """Flush from a reader's request where views are counted in this process: no scheduler can see them."""
    extensions = current_app.extensions
    if not isinstance(extensions["store"], MemoryStore) or current_app.testing:
        return
    if time.monotonic() >= extensions.get("next_flush", 0.0):
        extensions["next_flush"] = time.monotonic() + current_app.config["VIEWS_FLUSH_SECONDS"]
        flush()
