"""Views of what runs: failed tasks and the cache."""

from __future__ import annotations

from flask import abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from app.admin import administration
from app.admin.blueprint import PAGE, audit, bp
from app.extensions import cache, db, store
from app.jobs import celery_app, dead_letters
from app.jobs.dead_letters import DeadLetterError
from app.news import articles
from app.redis.cache import EVERYTHING
from app.redis.cache_backends import CacheUnavailableError
from app.web import pages
from app.web.paging import Position

LETTERS = b"letters1"


@bp.get("/")
def overview() -> str:
    """How much there is of everything."""
    return render_template("admin/overview.html", numbers=db.read(administration.numbers))


@bp.get("/tasks")
def list_tasks() -> str:
    """Tasks that failed for good, the newest first, one page, and how many wait."""
    after = pages.position(LETTERS)
    last = after.id if after else None
    # From the primary: a letter that was just sent again is not offered twice. One more than shown: whether there is a next page.
    found = db.read(lambda session: dead_letters.newest(session, after=last, limit=PAGE + 1), primary=True)
    letters = found[:PAGE]
    following = Position(letters[-1].failed_at, letters[-1].id, LETTERS).token if len(found) > PAGE else None
    length = store.queue_length(celery_app.QUEUE)
    return render_template("admin/tasks.html", letters=letters, next=following, first=after is None, length=length)


@bp.post("/tasks/<id:letter_id>/requeue")
def requeue_task(letter_id: int) -> ResponseReturnValue:
    """Send a failed task again."""
    try:
        sent = dead_letters.requeue(letter_id)
    except DeadLetterError as error:
        flash(f"Not sent: {error}.", "error")
        return redirect(url_for("admin.list_tasks"))
    if not sent:
        abort(404, "There is no such task, or it has been sent already.")
    audit("requeue task", letter=letter_id)
    flash("The task is sent again.", "done")
    return redirect(url_for("admin.list_tasks"))


@bp.post("/tasks/requeue")
def requeue_tasks() -> ResponseReturnValue:
    """Send all failed tasks again."""
    sent, refused = administration.requeue_all()
    audit("requeue all tasks", sent=sent)
    flash(f"Tasks sent again: {sent}." + (f" Not all: {refused}." if refused else ""), "error" if refused else "done")
    return redirect(url_for("admin.list_tasks"))


@bp.post("/tasks/<id:letter_id>/discard")
def discard_task(letter_id: int) -> ResponseReturnValue:
    """Forget a failed task."""
    if not dead_letters.discard(letter_id):
        abort(404, "There is no such task.")
    audit("discard task", letter=letter_id)
    flash("The task is discarded.", "done")
    return redirect(url_for("admin.list_tasks"))


@bp.get("/cache")
def show_cache() -> str:
    """How full the cache is, and how often it has what is asked for."""
    try:
        usage = cache.backend.usage()
        bumped = {"lists": cache.bumped_at(articles.LISTS), "everything": cache.bumped_at(EVERYTHING)}
    except CacheUnavailableError:
        usage, bumped = None, {}
    return render_template("admin/cache.html", usage=usage, bumped=bumped)


@bp.post("/cache/empty")
def empty_cache() -> ResponseReturnValue:
    """Outdate everything in the cache."""
    cache.empty()
    audit("empty cache")
    flash("Everything in the cache is outdated: the next reader of each page sees what is in the database.", "done")
    return redirect(url_for("admin.show_cache"))
