"""Accounts and API keys on the command line: `flask --app app users …` and `… keys …`."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import click
from flask.cli import AppGroup
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.accounts import users
from app.accounts.users import AccountError
from app.database.models import ApiKey, User
from app.extensions import db

user_commands = AppGroup("users", help="Users of the site.")
key_commands = AppGroup("keys", help="API keys.")
PASSWORD_ENV = click.option(
    "--password-env", metavar="NAME", help="Environment variable that holds the password; asked for by default."
)


@user_commands.command("create")
@click.argument("email")
@click.option("--name", default="", help="What readers see; made from the address by default.")
@click.option("--admin", is_flag=True, help="May see the administrators' pages.")
@click.option("--if-missing", is_flag=True, help="Do nothing where there is such a user.")
@PASSWORD_ENV
def create_user(email: str, name: str, admin: bool, if_missing: bool, password_env: str | None) -> None:
    """Create a user."""
    try:
        if if_missing and db.read(lambda session: users.find_user(session, email), primary=True):
            click.echo(f"nothing to do: there is a user {email}")
            return
        password = _password(password_env)
        user = db.write(
            lambda session: users.create_user(session, email=email, password=password, name=name, is_admin=admin)
        )
    except AccountError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"created {'administrator' if admin else 'user'} {user.email}")


@key_commands.command("create")
@click.argument("email")
@click.option("--name", required=True, help="What the key is for.")
@click.option(
    "--scope", "scopes", multiple=True, required=True, type=click.Choice(users.SCOPES), help="What it may do."
)
def create_key(email: str, name: str, scopes: tuple[str, ...]) -> None:
    """Create an API key and print it. It is shown this once."""

    def create(session: Session) -> tuple[ApiKey, str]:
        if (user := users.find_user(session, email)) is None:
            raise AccountError(f"there is no user {email}; create one with `users create`")
        return users.create_key(session, user=user, name=name, scopes=list(scopes))

    try:
        _, whole = db.write(create)
    except AccountError as error:
        raise click.ClickException(str(error)) from error
    click.echo(whole)


@key_commands.command("revoke")
@click.argument("prefix")
def revoke_key(prefix: str) -> None:
    """End an API key, named by what stands before its dot."""
    if not db.write(lambda session: users.revoke_key(session, prefix)):
        raise click.ClickException(f"there is no valid key {prefix}")
    click.echo(f"revoked {prefix}")


@user_commands.command("list")
def list_users() -> None:
    """List the users that can log in or could: address, name, and what is special about them."""
    for user in db.read(lambda session: list(session.scalars(select(User).order_by(User.email))), primary=True):
        special = [
            word
            for word, holds in {
                "administrator": user.is_admin,
                "deactivated": not user.is_active,
                "unconfirmed": user.confirmed_at is None,
            }.items()
            if holds
        ]
        click.echo("\t".join([user.email, user.name, ", ".join(special)]).rstrip())


@user_commands.command("set-password")
@click.argument("email")
@PASSWORD_ENV
def set_password(email: str, password_env: str | None) -> None:
    """Give a user another password, which ends their sessions and confirms their address."""
    password = _password(password_env)
    try:
        users.check_length(password)
    except AccountError as error:
        raise click.ClickException(str(error)) from error
    password_hash = users.hash_password(password)

    def change(user: User) -> None:
        users.set_password(user, password_hash)
        users.confirm(user)

    _change(email, change)
    click.echo(f"changed the password of {email}")


@user_commands.command("activate")
@click.argument("email")
def activate(email: str) -> None:
    """Let a user log in again."""
    _change(email, lambda user: _set(user, is_active=True))
    click.echo(f"{email} can log in")


@user_commands.command("deactivate")
@click.argument("email")
def deactivate(email: str) -> None:
    """End a user's sessions, keys and log-ins."""
    _change(email, lambda user: _set(user, is_active=False))
    click.echo(f"{email} cannot log in any more")


@user_commands.command("make-admin")
@click.argument("email")
@click.option("--undo", is_flag=True, help="Take the right away.")
def make_admin(email: str, undo: bool) -> None:
    """Let a user see the administrators' pages."""
    _change(email, lambda user: _set(user, is_admin=not undo))
    click.echo(f"{email} is {'no administrator any more' if undo else 'an administrator'}")


@key_commands.command("list")
@click.argument("email")
def list_keys(email: str) -> None:
    """List a user's valid keys: what stands before the dot, name and scopes."""

    def read(session: Session) -> list[ApiKey]:
        return users.keys_of(session, _find(session, email).id)

    try:
        found = db.read(read, primary=True)
    except AccountError as error:
        raise click.ClickException(str(error)) from error
    for key in found:
        click.echo("\t".join([key.prefix, key.name, " ".join(key.scopes)]))


def _find(session: Session, email: str) -> User:
    if (user := users.find_user(session, email)) is None:
        raise AccountError(f"there is no user {email}; `users list` shows them")
    return user


def _set(user: User, **values: Any) -> None:
    for name, value in values.items():
        setattr(user, name, value)
    user.session_epoch += 1


def _change(email: str, change: Callable[[User], None]) -> None:
    try:
        db.write(lambda session: change(_find(session, email)))
    except AccountError as error:
        raise click.ClickException(str(error)) from error


def _password(variable: str | None) -> str:
    """Return the password, never from the command line, which every user of the machine can read."""
    if variable is None:
        password: str = click.prompt("Password", hide_input=True, confirmation_prompt=True)
        return password
    if not (found := os.environ.get(variable)):
        raise click.ClickException(f"the environment variable {variable} is not set")
    return found
