"""The commands `flask --app app users …` and `flask --app app keys …`."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click
from flask.cli import AppGroup
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.accounts import old_addresses, users
from app.accounts.users import AccountError
from app.database.models import ApiKey, User
from app.extensions import db

user_commands = AppGroup("users", help="Users of the site.")
key_commands = AppGroup("keys", help="API keys.")
PASSWORD_ENV = click.option(
    "--password-env", metavar="NAME", help="Environment variable with the password. The default is a prompt."
)


@contextmanager
def _account_errors() -> Iterator[None]:
    """Report refused values without a traceback."""
    try:
        yield
    except AccountError as error:
        raise click.ClickException(str(error)) from error


@user_commands.command("create")
@click.argument("email")
@click.option("--name", default="", help="The name that readers see. The default is made from the address.")
@click.option("--admin", is_flag=True, help="Make the user an administrator.")
@click.option("--if-missing", is_flag=True, help="Do nothing if the user exists.")
@PASSWORD_ENV
@_account_errors()
def create_user(email: str, name: str, admin: bool, if_missing: bool, password_env: str | None) -> None:
    """Create a user."""
    if if_missing and db.read(lambda session: users.find_user(session, email), primary=True):
        click.echo(f"nothing to do: the user {email} exists")
        return
    password = _password(password_env)
    user = db.write(
        lambda session: users.create_user(session, email=email, password=password, name=name, is_admin=admin)
    )
    click.echo(f"created {'administrator' if admin else 'user'} {user.email}")


@key_commands.command("create")
@click.argument("email")
@click.option("--name", required=True, help="Name of the key.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    type=click.Choice(users.SCOPES),
    help="What the key may do. May be repeated.",
)
@_account_errors()
def create_key(email: str, name: str, scopes: tuple[str, ...]) -> None:
    """Create an API key and print it. It cannot be printed again."""

    def create(session: Session) -> tuple[ApiKey, str]:
        if (user := users.find_user(session, email)) is None:
            raise AccountError(f"there is no user {email}; create one with `users create`")
        return users.create_key(session, user=user, name=name, scopes=list(scopes))

    _, key = db.write(create)
    click.echo(key)


@key_commands.command("revoke")
@click.argument("prefix")
def revoke_key(prefix: str) -> None:
    """Revoke an API key. PREFIX is the part before its dot."""
    if not db.write(lambda session: users.revoke_key(session, prefix)):
        raise click.ClickException(f"there is no valid key {prefix}")
    click.echo(f"revoked {prefix}")


@user_commands.command("list")
def list_users() -> None:
    """List all users: address, name, and whether they are administrators, deactivated or unconfirmed."""
    for user in db.read(lambda session: list(session.scalars(select(User).order_by(User.email))), primary=True):
        flags = {
            "administrator": user.is_admin,
            "deactivated": not user.is_active,
            "unconfirmed": user.confirmed_at is None,
        }
        click.echo("\t".join([user.email, user.name, ", ".join(name for name in flags if flags[name])]).rstrip())


@user_commands.command("check-addresses")
def check_addresses() -> None:
    """List the addresses that a version before 0.1.0 may have stored in another form, and those not accepted today."""
    for email, meaning in db.read(old_addresses.suspects, primary=True):
        click.echo(f"{email}\t{meaning}")


@user_commands.command("set-address")
@click.argument("email")
@click.argument("new")
@_account_errors()
def set_address(email: str, new: str) -> None:
    """Change the address of a user from EMAIL to NEW. This ends all sessions of the user."""
    db.write(lambda session: users.set_address(session, _find(session, email), new))
    click.echo(f"{email} is now {users.normalise_email(new)}")


@user_commands.command("set-password")
@click.argument("email")
@PASSWORD_ENV
@_account_errors()
def set_password(email: str, password_env: str | None) -> None:
    """Change a user's password. This ends all sessions of the user, revokes all API keys and confirms the address."""
    password = _password(password_env)
    users.check_length(password)
    password_hash = users.hash_password(password)

    db.write(lambda session: users.reset_password(session, _find(session, email), password_hash))
    click.echo(f"changed the password of {email}")


@user_commands.command("activate")
@click.argument("email")
def activate(email: str) -> None:
    """Allow a user to log in again."""
    _change(email, lambda user: users.set_rights(user, is_active=True))
    click.echo(f"{email} can log in")


@user_commands.command("deactivate")
@click.argument("email")
def deactivate(email: str) -> None:
    """End a user's sessions, and refuse the user's keys and log-ins."""
    _change(email, lambda user: users.set_rights(user, is_active=False))
    click.echo(f"{email} can no longer log in")


@user_commands.command("make-admin")
@click.argument("email")
@click.option("--undo", is_flag=True, help="Remove the right.")
def make_admin(email: str, undo: bool) -> None:
    """Make a user an administrator."""
    _change(email, lambda user: users.set_rights(user, is_admin=not undo))
    click.echo(f"{email} is {'no longer' if undo else 'now'} an administrator")


@key_commands.command("list")
@click.argument("email")
@_account_errors()
def list_keys(email: str) -> None:
    """List a user's valid API keys: prefix, name and scopes."""
    for key in db.read(lambda session: users.keys_of(session, _find(session, email).id), primary=True):
        click.echo("\t".join([key.prefix, key.name, " ".join(key.scopes)]))


def _find(session: Session, email: str) -> User:
    if (user := users.find_user(session, email)) is None:
        raise AccountError(f"there is no user {email}; `users list` shows them")
    return user


@_account_errors()
def _change(email: str, change: Callable[[User], None]) -> None:
    db.write(lambda session: change(_find(session, email)))


def _password(variable: str | None) -> str:
    """Return the password. It is never an argument: every user of the machine can read the arguments of a process."""
    if variable is None:
        return str(click.prompt("Password", hide_input=True, confirmation_prompt=True))
    if not (found := os.environ.get(variable)):
        raise click.ClickException(f"the environment variable {variable} is not set")
    return found
