"""The command line: `flask --app app …`."""

from __future__ import annotations

import click
from flask import Flask, current_app
from flask.cli import AppGroup
from sqlalchemy import func, select

from app.accounts import users
from app.cli.accounts import key_commands, user_commands
from app.database.models import Article
from app.extensions import cache, db
from app.jobs import dead_letters
from app.jobs.dead_letters import DeadLetterError
from app.news import articles, demo, downloads, feeds, view_counts
from app.news.downloads import DownloadError
from app.news.feeds import FeedError

demo_data = AppGroup("demo", help="Demonstration data.")
views = AppGroup("views", help="Counted views.")
news = AppGroup("feeds", help="Articles from RSS and Atom feeds.")
caching = AppGroup("cache", help="The cache of pages.")
failed_tasks = AppGroup("tasks", help="Tasks that failed for good.")
settings = AppGroup("config", help="The environment's settings.")


def init_app(app: Flask) -> None:
    """Add the commands."""
    for group in (user_commands, key_commands, demo_data, views, news, caching, failed_tasks, settings):
        app.cli.add_command(group)


@demo_data.command("load")
@click.option("--articles", "count", default=2000, show_default=True, type=click.IntRange(1), help="How many articles.")
@click.option("--if-empty", is_flag=True, help="Do nothing where there are articles.")
def load_demo(count: int, if_empty: bool) -> None:
    """Load articles to try the site with: the same ones every time."""
    if if_empty and db.read(lambda session: session.scalar(select(func.min(Article.id))), primary=True):
        click.echo("nothing to do: there are articles")
        return
    created = db.write(lambda session: demo.load(session, count))
    articles.outdate()
    click.echo(f"loaded the demonstration data: created {created} articles")


@views.command("flush")
def flush_views() -> None:
    """Bring counted views to the database now, as the scheduler does every few seconds."""
    click.echo(f"flushed {view_counts.flush()} views")


@news.command("import")
@click.argument("source", metavar="URL-OR-FILE")
@click.option("--author", "email", metavar="EMAIL", required=True, help="The user whose articles they are.")
@click.option(
    "--limit",
    default=100,
    show_default=True,
    type=click.IntRange(1, 1000),
    help="How many entries, from the feed's first.",
)
@click.option("--allow-private", is_flag=True, help="Fetch from addresses of a private network too.")
def import_feed(source: str, email: str, limit: int, allow_private: bool) -> None:
    """Publish the entries of a feed that are not published yet."""
    if (author := db.read(lambda session: users.find_user(session, email), primary=True)) is None:
        raise click.ClickException(f"there is no user {email}; create one with `users create`")
    try:
        imported = feeds.load(downloads.fetch(source, allow_private=allow_private), author_id=author.id, limit=limit)
    except (DownloadError, FeedError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(
        f"published {imported.created} articles; {imported.known} were known, {imported.unusable} have no title or text"
    )


@caching.command("clear")
def clear_cache() -> None:
    """Outdate every cached page."""
    cache.empty()
    click.echo("every page is computed anew from now on")


@failed_tasks.command("failed")
@click.option(
    "--limit", default=20, show_default=True, type=click.IntRange(1, 1000), help="How many, the newest first."
)
def list_failed_tasks(limit: int) -> None:
    """List tasks that failed for good."""
    for letter in db.read(lambda session: dead_letters.newest(session, after=None, limit=limit), primary=True):
        again = f"  sent again {letter.requeued_at:%Y-%m-%d %H:%M}" if letter.requeued_at else ""
        call = f"{letter.task}({', '.join(map(repr, letter.arguments))})"
        click.echo(f"{letter.id}  {letter.failed_at:%Y-%m-%d %H:%M}  {call}  {letter.error.splitlines()[0]}{again}")


@failed_tasks.command("requeue")
@click.argument("letter_ids", metavar="ID...", type=int, nargs=-1, required=True)
def requeue_tasks(letter_ids: tuple[int, ...]) -> None:
    """Send failed tasks again."""
    for letter_id in letter_ids:
        try:
            sent = dead_letters.requeue(letter_id)
        except DeadLetterError as error:
            raise click.ClickException(f"{letter_id}: {error}") from error
        click.echo(f"{letter_id}: sent again" if sent else f"{letter_id}: there is none, or it was sent again before")


@settings.command("check")
def check_settings() -> None:
    """Say whether the environment describes an application that can run; no server is asked."""
    # Otherwise there is no application, and its one error was printed instead.
    click.echo(
        f"the configuration is valid: {current_app.config['ENVIRONMENT']}, release {current_app.config['APP_RELEASE']}"
    )
