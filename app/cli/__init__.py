"""The command line: `flask --app app …`."""

from flask import Flask

from app.cli import accounts, news, operation


def init_app(app: Flask) -> None:
    """Add the commands."""
    for group in (
        accounts.user_commands,
        accounts.key_commands,
        news.demo_commands,
        news.feed_commands,
        news.view_commands,
        operation.cache_commands,
        operation.config_commands,
        operation.task_commands,
    ):
        app.cli.add_command(group)
