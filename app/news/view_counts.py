"""Views are counted in the store and written to the database in batches, each exactly once."""

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

# A batch ID is needed only until its flush has succeeded.
BATCH_RETENTION = timedelta(days=1)

_ADD = (
    update(Article)
    .where(Article.id == bindparam("article"))
    .values(views=Article.views + bindparam("more"))
    .execution_options(synchronize_session=False)
)


def count(article_id: int) -> None:
    """Count one view. Views of cached articles count too."""
    store.count_view(article_id)
    _flush_memory_store()


def flush() -> int:
    """Write the pending views to the database; return how many.

    A batch stays in the store until it is committed, and its ID is committed with it. So an interrupted flush can be
    repeated: a batch that the database already has is only deleted from the store.
    """
    if (taken := store.take_views()) is None:
        return 0
    batch, views = taken
    try:
        db.write(lambda session: _add(session, batch, views))
    except IntegrityError:
        log.info("the database already has these views", batch=batch)
        views = {}
    store.drop_views(batch)
    return sum(views.values())


def _add(session: Session, batch: str, views: Mapping[int, int]) -> None:
    session.execute(insert(ViewBatch), {"id": batch, "flushed_at": now()})
    if views:
        # Sorted by ID, so that two flushes cannot deadlock.
        session.connection().execute(
            _ADD, [{"article": article, "more": more} for article, more in sorted(views.items())]
        )
    session.execute(delete(ViewBatch).where(ViewBatch.flushed_at < now() - BATCH_RETENTION))


def _flush_memory_store() -> None:
    """Flush views of a memory store from a request, because no scheduler can reach another process's memory."""
    extensions = current_app.extensions
    if not isinstance(extensions["store"], MemoryStore) or current_app.testing:
        return
    if time.monotonic() >= extensions.get("next_flush", 0.0):
        extensions["next_flush"] = time.monotonic() + current_app.config["VIEWS_FLUSH_SECONDS"]
        flush()
