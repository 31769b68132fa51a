"""A periodic job: `python -m guestbook.digest` prints the number of entries."""

from sqlalchemy import func, select

from .database import engine, entries


def main() -> None:
    """Print it."""
    with engine.connect() as connection:
        print(connection.execute(select(func.count()).select_from(entries)).scalar_one(), "entries")


if __name__ == "__main__":
    main()
