"""`guestbook-schema upgrade` migrates the database to this release, `guestbook-schema status` prints its revision.

`guestbook-schema sql REVISION` prints the SQL of an upgrade from that revision.
"""

import sys

from alembic import command
from alembic.config import Config


def main() -> int:
    """Run Alembic with the package's migrations."""
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
