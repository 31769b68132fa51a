"""The commands `flask --app app cache …`, `… config …` and `… tasks …`."""

import click
from flask import current_app
from flask.cli import AppGroup

from app.extensions import cache, db
from app.jobs import dead_letters
from app.jobs.dead_letters import DeadLetterError

cache_commands = AppGroup("cache", help="The cache of pages.")
config_commands = AppGroup("config", help="The settings in environment variables.")
task_commands = AppGroup("tasks", help="Dead letters: tasks that failed permanently.")


@cache_commands.command("clear")
def clear_cache() -> None:
    """Invalidate all cached pages."""
    cache.empty()
    click.echo("invalidated all cached pages")


@config_commands.command("check")
def check_settings() -> None:
    """Validate the settings, without connecting to a server."""
    # If they were not valid, create_app() would have failed with the list of problems.
    click.echo(
        f"the configuration is valid: {current_app.config['ENVIRONMENT']}, release {current_app.config['APP_RELEASE']}"
    )


@task_commands.command("failed")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 1000), help="Maximum number of tasks.")
def list_failed_tasks(limit: int) -> None:
    """List failed tasks, newest first."""
    for failed in db.read(lambda session: dead_letters.newest(session, after=None, limit=limit), primary=True):
        again = f"  sent again {failed.requeued_at:%Y-%m-%d %H:%M}" if failed.requeued_at else ""
        call = f"{failed.task}({', '.join(map(repr, failed.arguments))})"
        click.echo(f"{failed.id}  {failed.failed_at:%Y-%m-%d %H:%M}  {call}  {failed.error.splitlines()[0]}{again}")


@task_commands.command("requeue")
@click.argument("ids", metavar="ID...", type=int, nargs=-1, required=True)
def requeue_tasks(ids: tuple[int, ...]) -> None:
    """Send failed tasks again."""
    for dead_letter_id in ids:
        try:
            sent = dead_letters.requeue(dead_letter_id)
        except DeadLetterError as error:
            raise click.ClickException(f"{dead_letter_id}: {error}") from error
        click.echo(f"{dead_letter_id}: {'sent again' if sent else 'not found, or already sent again'}")
