"""The commands `flask --app app demo …`, `… feeds …` and `… views …`."""

import click
from flask.cli import AppGroup
from sqlalchemy import func, select

from app.accounts import users
from app.accounts.users import AccountError
from app.database.models import Article
from app.extensions import db
from app.news import articles, demo, feeds, view_counts
from app.news.feeds import FeedError

demo_commands = AppGroup("demo", help="Demonstration data.")
feed_commands = AppGroup("feeds", help="Articles from RSS and Atom feeds.")
view_commands = AppGroup("views", help="Counted views.")


@demo_commands.command("load")
@click.option("--articles", "count", default=2000, show_default=True, type=click.IntRange(1), help="How many articles.")
@click.option("--if-empty", is_flag=True, help="Do nothing if there are articles.")
def load_demo(count: int, if_empty: bool) -> None:
    """Load sample articles. They are the same every time."""
    if if_empty and db.read(lambda session: session.scalar(select(func.min(Article.id))), primary=True):
        click.echo("nothing to do: there are articles")
        return
    created = db.write(lambda session: demo.load(session, count))
    articles.invalidate()
    click.echo(f"loaded the demonstration data: created {created} articles")


@feed_commands.command("import")
@click.argument("source", metavar="URL-OR-FILE")
@click.option("--author", "email", metavar="EMAIL", required=True, help="The author of the imported articles.")
@click.option(
    "--limit",
    default=100,
    show_default=True,
    type=click.IntRange(1, 1000),
    help="Maximum number of entries, from the beginning of the feed.",
)
@click.option("--allow-private", is_flag=True, help="Allow downloads from private networks.")
def import_feed(source: str, email: str, limit: int, allow_private: bool) -> None:
    """Publish the entries of a feed. Entries that are already published are skipped."""
    # Imported here, because it needs httpx: 7 MB and 0.25 s of CPU that no web process should pay for.
    from app.news import downloads

    try:
        if (author := db.read(lambda session: users.find_user(session, email), primary=True)) is None:
            raise AccountError(f"there is no user {email}; create one with `users create`")
        imported = feeds.load(downloads.fetch(source, allow_private=allow_private), author_id=author.id, limit=limit)
    except (AccountError, downloads.DownloadError, FeedError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(
        f"published {imported.created} articles; skipped {imported.known} that were already published"
        f" and {imported.unusable} without a title or text"
    )


@view_commands.command("flush")
def flush_views() -> None:
    """Add the counted views to the database now, without waiting for the scheduler."""
    click.echo(f"flushed {view_counts.flush()} views")
