"""Views for failed tasks and the cache."""

from flask import abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.admin.blueprint import PAGE, audit, bp
from app.database.models import ApiKey, FailedTask, User
from app.extensions import cache, db, store
from app.jobs import celery_app, dead_letters
from app.jobs.dead_letters import DeadLetterError
from app.news import articles
from app.redis.cache import EVERYTHING
from app.redis.cache_backends import CacheUnavailableError
from app.web import pages
from app.web.paging import Position

# Identifies the list in page tokens.
DEAD_LETTERS = b"letters1"
# One click sends at most this many tasks again, because the page must answer in time.
MAX_REQUEUED = 100


@bp.get("/")
def overview() -> str:
    """Show the number of articles, users, keys and failed tasks."""
    return render_template("admin/overview.html", counts=db.read(_counts))


@bp.get("/tasks")
def list_tasks() -> str:
    """Show one page of failed tasks, newest first, and the length of the queue."""
    after = pages.position(DEAD_LETTERS)
    last = after.id if after else None
    # From the primary: a task that was just sent again is not shown as failed. One extra row shows whether there is
    # a next page.
    found = db.read(lambda session: dead_letters.newest(session, after=last, limit=PAGE + 1), primary=True)
    shown = found[:PAGE]
    following = Position(shown[-1].failed_at, shown[-1].id, DEAD_LETTERS).token if len(found) > PAGE else None
    length = store.queue_length(celery_app.QUEUE)
    return render_template("admin/tasks.html", dead_letters=shown, next=following, first=after is None, length=length)


@bp.post("/tasks/<id:dead_letter_id>/requeue")
def requeue_task(dead_letter_id: int) -> ResponseReturnValue:
    """Send a failed task again."""
    try:
        if not dead_letters.requeue(dead_letter_id):
            abort(404, "There is no such failed task, or it has already been sent again.")
    except DeadLetterError as error:
        flash(f"Not sent: {error}.", "error")
    else:
        audit("requeue task", dead_letter=dead_letter_id)
        flash("The task is sent again.", "done")
    return redirect(url_for("admin.list_tasks"))


@bp.post("/tasks/requeue")
def requeue_tasks() -> ResponseReturnValue:
    """Send the oldest failed tasks again."""
    waiting = select(FailedTask.id).where(FailedTask.requeued_at.is_(None)).order_by(FailedTask.id).limit(MAX_REQUEUED)
    sent, refused = 0, None
    for dead_letter_id in db.read(lambda session: list(session.scalars(waiting)), primary=True):
        try:
            sent += dead_letters.requeue(dead_letter_id)
        except DeadLetterError as error:
            refused = str(error)
    audit("requeue all tasks", sent=sent)
    flash(f"Tasks sent again: {sent}." + (f" Not all: {refused}." if refused else ""), "error" if refused else "done")
    return redirect(url_for("admin.list_tasks"))


@bp.post("/tasks/<id:dead_letter_id>/discard")
def discard_task(dead_letter_id: int) -> ResponseReturnValue:
    """Delete a failed task."""
    if not dead_letters.discard(dead_letter_id):
        abort(404, "There is no such failed task.")
    audit("discard task", dead_letter=dead_letter_id)
    flash("The task is discarded.", "done")
    return redirect(url_for("admin.list_tasks"))


@bp.get("/cache")
def show_cache() -> str:
    """Show the usage of the cache."""
    try:
        usage = cache.backend.usage()
        invalidated = {"lists": cache.invalidated_at(articles.LISTS), "everything": cache.invalidated_at(EVERYTHING)}
    except CacheUnavailableError:
        usage, invalidated = None, {}
    return render_template("admin/cache.html", usage=usage, invalidated=invalidated)


@bp.post("/cache/empty")
def empty_cache() -> ResponseReturnValue:
    """Invalidate all entries of the cache."""
    cache.empty()
    audit("empty cache")
    flash("The cache is empty. The next reader of each page gets the current data from the database.", "done")
    return redirect(url_for("admin.show_cache"))


def _counts(session: Session) -> dict[str, int]:
    return {
        "Articles": articles.count(session),
        "Users": session.scalar(select(func.count()).select_from(User)) or 0,
        "API keys": session.scalar(select(func.count()).select_from(ApiKey).where(ApiKey.revoked_at.is_(None))) or 0,
        "Failed tasks": dead_letters.waiting(session),
    }
