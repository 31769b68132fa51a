"""The command line: `flask --app app …`."""

from __future__ import annotations

import click
from flask import Flask
from flask.cli import AppGroup
from sqlalchemy import func, select

from app import articles, demo, viewcount
from app.cli_accounts import keys, users
from app.extensions import db
from app.models import Article

demo_data = AppGroup("demo", help="Demonstration data.")
views = AppGroup("views", help="Counted views.")


def init_app(app: Flask) -> None:
    """Add the commands."""
    for group in (users, keys, demo_data, views):
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
    click.echo(f"flushed {viewcount.flush()} views")
