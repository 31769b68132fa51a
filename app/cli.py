"""The command line: `flask --app app …`."""

from __future__ import annotations

import os

import click
from flask import Flask
from flask.cli import AppGroup
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app import accounts, articles, demo, viewcount
from app.accounts import AccountError
from app.extensions import db
from app.models import ApiKey, Article

users = AppGroup("users", help="Users of the site.")
keys = AppGroup("keys", help="API keys.")
demo_data = AppGroup("demo", help="Demonstration data.")
views = AppGroup("views", help="Counted views.")


def init_app(app: Flask) -> None:
    """Add the commands."""
    for group in (users, keys, demo_data, views):
        app.cli.add_command(group)


@users.command("create")
@click.argument("email")
@click.option("--name", default="", help="What readers see; made from the address by default.")
@click.option("--admin", is_flag=True, help="May see the administrators' pages.")
@click.option("--if-missing", is_flag=True, help="Do nothing where there is such a user.")
@click.option("--password-env", metavar="NAME", help="Environment variable that holds the password; asked for by default.")
def create_user(email: str, name: str, admin: bool, if_missing: bool, password_env: str | None) -> None:
    """Create a user."""
    try:
        if if_missing and db.read(lambda session: accounts.find_user(session, email), primary=True):
            click.echo(f"nothing to do: there is a user {email}")
            return
        password = _password(password_env)
        user = db.write(lambda session: accounts.create_user(session, email=email, password=password, name=name, is_admin=admin))
    except AccountError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"created {'administrator' if admin else 'user'} {user.email}")


@keys.command("create")
@click.argument("email")
@click.option("--name", required=True, help="What the key is for.")
@click.option("--scope", "scopes", multiple=True, required=True, type=click.Choice(accounts.SCOPES), help="What it may do.")
def create_key(email: str, name: str, scopes: tuple[str, ...]) -> None:
    """Create an API key and print it. It is shown this once."""

    def create(session: Session) -> tuple[ApiKey, str]:
        if (user := accounts.find_user(session, email)) is None:
            raise AccountError(f"there is no user {email}; create one with `users create`")
        return accounts.create_key(session, user=user, name=name, scopes=list(scopes))

    try:
        _, whole = db.write(create)
    except AccountError as error:
        raise click.ClickException(str(error)) from error
    click.echo(whole)


@keys.command("revoke")
@click.argument("prefix")
def revoke_key(prefix: str) -> None:
    """End an API key, named by what stands before its dot."""
    if not db.write(lambda session: accounts.revoke_key(session, prefix)):
        raise click.ClickException(f"there is no valid key {prefix}")
    click.echo(f"revoked {prefix}")


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


def _password(variable: str | None) -> str:
    """Return the password, never from the command line, which every user of the machine can read."""
    if variable is None:
        password: str = click.prompt("Password", hide_input=True, confirmation_prompt=True)
        return password
    if not (found := os.environ.get(variable)):
        raise click.ClickException(f"the environment variable {variable} is not set")
    return found
