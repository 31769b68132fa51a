"""`guestbook-schema upgrade` brings the database up to this release, `guestbook-schema status` says how far it is.

`guestbook-schema sql REVISION` prints what an upgrade from there would run.
"""

from __future__ import annotations

import sys

from alembic import command
from alembic.config import Config


def main() -> int:
    """Run Alembic with the migrations that are part of the package."""
    config = Config()
    config.set_main_option("script_location", "guestbook:migrations")
    match sys.argv[1:]:
        case ["upgrade"]:
            command.upgrade(config, "head")
        case ["status"]:
            command.current(config)
        case ["sql", revision]:
            command.upgrade(config, f"{revision}:head", sql=True)
        case _:
            print(__doc__, file=sys.stderr)
            return 64
    return 0
